//! What a gate makes of a run that goes on: whether to end it, and whether more would help.

use assay_common::gate::{Gate, Tier};
use assay_common::suite::Suite;
use assay_common::verdict::Decision;

use super::super::aggregate::{Aggregation, candidates};
use super::super::evidence::Evidence;
use super::super::looks::Looks;

/// What the results so far mean for the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What every version comes to together, once no further result can change it or is expected to.
    pub settled: Option<Decision>,
    /// Whether a rule that decides could use more cases or trials.
    pub wants_more: bool,
    /// After how many units (cases, or clusters) of the committed order it was settled; while it is not, the most that a rule
    /// has looked at.
    pub units: u64,
}

/// Where one version stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// After so many units.
    Settled(Decision, u64),
    /// A rule that looks again and again has not decided.
    Open,
    /// Only rules that are judged once, at the end, have not; or no rule decides, and all of the run is for people to see.
    Waiting,
}

impl Ruling {
    /// Of the results that were added so far. `None` where the gate does not look before the end.
    ///
    /// A version that fails one rule has failed; it has passed once every rule that decides has passed. Rules that are
    /// judged once, such as those on latency and cost, keep a run from being ended as passed.
    pub fn of(aggregation: &Aggregation<'_>) -> Option<Self> {
        let suite = aggregation.suite();
        let gate = suite.gate.as_ref().filter(|gate| gate.looks_again())?;
        let (candidates, _) = candidates(suite);
        let standings: Vec<_> = candidates
            .into_iter()
            .map(|prompt| {
                let of_prompt = |evidence: &&Evidence| suite.variant(evidence.candidate).prompt == prompt;
                stand(gate, aggregation.evidence.iter().filter(of_prompt))
            })
            .collect();
        let fit = is_fit(gate, aggregation);
        let nothing = (Decision::Pass, 0);
        let worst = standings.iter().try_fold(nothing, |(worst, last), standing| match standing {
            Standing::Settled(decision, units) => Some((worst.max(*decision), last.max(*units))),
            Standing::Open | Standing::Waiting => None,
        });
        let looks = aggregation.evidence.iter().filter_map(|evidence| evidence.looks.as_ref());
        let settled = worst.filter(|_| fit);
        Some(Self {
            settled: settled.map(|(decision, _)| decision),
            wants_more: !too_many_errors(gate, aggregation)
                && (standings.contains(&Standing::Open) || !enough_cases(gate, aggregation)),
            units: settled.map_or_else(
                || looks.map(Looks::units).max().unwrap_or(0),
                |(_, units)| units.max(least_units(suite, gate)),
            ),
        })
    }
}

/// Before so many units nothing is decided, whatever its rules come to.
fn least_units(suite: &Suite, gate: &Gate) -> u64 {
    gate.min_cases.filter(|_| !suite.dataset.clustered).unwrap_or(0)
}

/// The first rule to fail settles a version, else the last one that was waited for.
fn stand<'e>(gate: &Gate, rules: impl Iterator<Item = &'e Evidence>) -> Standing {
    let deciding: Vec<_> =
        rules.filter(|evidence| gate.rules[evidence.rule].tier != Tier::Advisory).collect();
    let passed = |evidence: &&Evidence| {
        evidence.looks.as_ref().is_some_and(|looks| looks.decision() == Some(Decision::Pass))
    };
    let any_passed = deciding.iter().any(passed);
    let standings: Vec<_> = deciding
        .into_iter()
        .map(|evidence| match &evidence.looks {
            None => Standing::Waiting,
            Some(looks) => match looks.decision() {
                Some(decision) => Standing::Settled(decision, looks.looked_at()),
                None if looks.is_futile() => match gate.rules[evidence.rule].tier {
                    Tier::Supporting => Standing::Settled(Decision::Pass, looks.looked_at()),
                    _ => Standing::Settled(Decision::Inconclusive, looks.looked_at()),
                },
                None => Standing::Open,
            },
        })
        .collect();
    let failed = standings.iter().filter_map(|standing| match standing {
        Standing::Settled(Decision::Fail, units) => Some(*units),
        _ => None,
    });
    if let Some(units) = failed.min() {
        return Standing::Settled(Decision::Fail, units);
    }
    let last = standings.into_iter().reduce(|one, other| match (one, other) {
        (Standing::Settled(one, after), Standing::Settled(other, later)) => {
            Standing::Settled(one.max(other), after.max(later))
        }
        (Standing::Open, _) | (_, Standing::Open) => Standing::Open,
        _ => Standing::Waiting,
    });
    match last {
        // What is only tolerated passes nothing by itself.
        Some(Standing::Settled(Decision::Pass, units)) if !any_passed => {
            Standing::Settled(Decision::Inconclusive, units)
        }
        last => last.unwrap_or(Standing::Waiting),
    }
}

/// Whether nothing but its scores stands in the way of a verdict.
fn is_fit(gate: &Gate, aggregation: &Aggregation<'_>) -> bool {
    enough_cases(gate, aggregation) && !too_many_errors(gate, aggregation)
}

fn enough_cases(gate: &Gate, aggregation: &Aggregation<'_>) -> bool {
    let Some(least) = gate.min_cases else { return true };
    let compared = aggregation.flips.iter().all(|flips| flips.compared() >= least);
    compared && aggregation.tallies.iter().all(|tally| tally.cases() >= least)
}

fn too_many_errors(gate: &Gate, aggregation: &Aggregation<'_>) -> bool {
    gate.max_error_rate.is_some_and(|allowed| {
        aggregation.tallies.iter().any(|tally| {
            let jobs = tally.passed + tally.failed + tally.errored;
            i128::from(tally.errored) * 1_000_000 > i128::from(allowed.0) * i128::from(jobs)
        })
    })
}
