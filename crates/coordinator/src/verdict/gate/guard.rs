//! What must hold of a run before any of its rules can decide.

use assay_common::gate::{Gate, Rule};

use super::super::aggregate::Aggregate;
use super::super::flips::Flips;
use super::super::report::VariantReport;
use super::words;

/// Why a rule that compares has nothing to compare with.
pub(super) fn nothing_live(gate: &Gate, rule: &Rule) -> Option<String> {
    let channel = gate.nothing_live.as_ref().filter(|_| rule.bound.compares())?;
    Some(format!("nothing is live on {channel}: there is no version to compare with"))
}

/// Why the arms that a rule looks at allow no decision, whatever their scores say.
pub(super) fn objection(
    gate: &Gate,
    aggregate: &Aggregate,
    candidate: u32,
    baseline: Option<u32>,
    complete: bool,
) -> Option<String> {
    let arm = |index: u32| &aggregate.variants[index as usize];
    let arms: Vec<_> = [Some(candidate), baseline].into_iter().flatten().map(arm).collect();
    let sum = |count: fn(&VariantReport) -> u64| arms.iter().map(|arm| count(arm)).sum::<u64>();
    let jobs = sum(|arm| arm.jobs);
    let errored = sum(|arm| arm.errored);
    let ended = sum(|arm| arm.passed + arm.failed) + errored;
    let missing = jobs.saturating_sub(ended);
    // What was not needed any more is not missing.
    let jobs = if aggregate.stopped_early { ended } else { jobs };
    if missing > 0 && !aggregate.stopped_early {
        return Some(format!(
            "the run is not complete: {missing} of {} have no result",
            words::count(jobs, "job")
        ));
    }
    if !complete {
        return Some("the run is not complete".to_owned());
    }
    if let Some(allowed) = gate.max_error_rate
        && i128::from(errored) * 1_000_000 > i128::from(allowed.0) * i128::from(jobs)
    {
        return Some(format!(
            "{errored} of {} errored, more than the {} % allowed",
            words::count(jobs, "job"),
            words::number(allowed.as_f64() * 100.0, 4)
        ));
    }
    let cases = match baseline {
        None => arm(candidate).cases,
        Some(_) => {
            let flips = aggregate.flips.iter().find(|flips| flips.candidate == candidate);
            flips.map_or(0, Flips::compared)
        }
    };
    match gate.min_cases {
        Some(demanded) if cases < demanded => {
            Some(format!("{} scored, fewer than the {demanded} demanded", words::count(cases, "case")))
        }
        _ => None,
    }
}
