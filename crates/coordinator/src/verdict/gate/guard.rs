//! What must hold of a run before any of its rules can decide.

use assay_common::gate::{Gate, Rule};

use super::super::aggregate::Aggregate;
use super::super::flips::Flips;
use super::super::report::VariantReport;
use super::words;

/// What stands in the way of a decision.
pub(super) struct Objection {
    pub(super) reason: String,
    /// How many more cases would take it out of the way, where that is a matter of cases.
    pub(super) needed: Option<u64>,
}

impl From<String> for Objection {
    fn from(reason: String) -> Self {
        Self { reason, needed: None }
    }
}

/// Why a rule that compares has nothing to compare with.
pub(super) fn nothing_live(gate: &Gate, rule: &Rule) -> Option<Objection> {
    let channel = gate.nothing_live.as_ref().filter(|_| rule.bound.compares())?;
    Some(format!("nothing is live on {channel}: there is no version to compare with").into())
}

/// Why the arms that a rule looks at allow no decision, whatever their scores say.
pub(super) fn objection(
    gate: &Gate,
    aggregate: &Aggregate,
    candidate: u32,
    baseline: Option<u32>,
    complete: bool,
) -> Option<Objection> {
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
        let jobs = words::count(jobs, "job");
        return Some(format!("the run is not complete: {missing} of {jobs} have no result").into());
    }
    if !complete {
        return Some("the run is not complete".to_owned().into());
    }
    if let Some(allowed) = gate.max_error_rate
        && i128::from(errored) * 1_000_000 > i128::from(allowed.0) * i128::from(jobs)
    {
        let (jobs, allowed) = (words::count(jobs, "job"), words::number(allowed.as_f64() * 100.0, 4));
        return Some(format!("{errored} of {jobs} errored, more than the {allowed} % allowed").into());
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
            let cases_scored = words::count(cases, "case");
            let reason = format!("{cases_scored} scored, fewer than the {demanded} demanded");
            Some(Objection { reason, needed: Some(demanded - cases) })
        }
        // Also where nothing is demanded: what was not seen is no evidence.
        _ if cases == 0 => {
            let under = if baseline.is_some() { " under both versions" } else { "" };
            Some(format!("no case was scored{under}").into())
        }
        _ => None,
    }
}
