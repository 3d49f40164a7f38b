//! The evidence is held against the rules of the gate.
//!
//! Each rule is judged for each candidate and model, against the baseline on the same model:
//!
//! - `guard`: whether the run is fit to be judged at all
//! - `rate`: a rate of the candidate's own, with errors at their worst: this suite's, or the expected one
//! - `difference`: a drop against the baseline, paired by case
//! - `again`: either of them, where the gate looked more than once
//! - `amount`: latency and cost of this run; `expected`: those of more cases like these
//! - `blame`: whether a rule that failed may be named among several
//! - `needed`: what it would take to decide
//! - `words`: how reasons are worded
//! - [`Ruling`]: what all this means for a run that goes on
//!
//! A version's verdict is the conjunction over models and rules, the run's is the worst over versions. Each rule passes at
//! the gate's confidence without correction: a conjunction passes by mistake no more often than its weakest rule does
//! (Berger 1982). To fail a version by any of several takes a correction.

mod again;
mod amount;
mod blame;
mod difference;
mod expected;
mod guard;
mod needed;
pub(super) mod rate;
mod ruling;
mod words;

use assay_common::gate::{Estimand, Gate, Rule, Tier};
use assay_common::suite::Suite;
use assay_common::verdict::{Decision, RuleVerdict, Verdict, VersionVerdict};

use super::aggregate::{Aggregate, candidates};
use super::evidence::{Evidence, Figures};
use super::measure::{Scale, is_binary};
use super::stats::Interval;
use guard::Objection;

pub use ruling::Ruling;

/// What a rule comes to, before its name and threshold are put to it.
#[derive(Debug, PartialEq)]
struct Finding {
    decision: Decision,
    observed: Option<f64>,
    interval: Option<Interval>,
    n: u64,
    reason: String,
    /// How many more units would decide.
    needed: Option<u64>,
    /// The least drop that such a run rules out.
    detectable: Option<f64>,
    /// Whether what it asks for was not measured at all, which is no matter of how much was.
    missing: bool,
}

/// How the gate of a suite is applied.
#[derive(Clone, Copy, Debug)]
struct Terms {
    scale: Scale,
    /// Of intervals and tests, in (0, 1).
    confidence: f64,
    /// Whether the unit of statistics is the cluster.
    clustered: bool,
    /// Whether a case's value of the rule's metric is always 0 or 1.
    binary: bool,
}

impl Terms {
    /// What the unit of statistics is called.
    fn unit(self) -> &'static str {
        if self.clustered { "cluster" } else { "case" }
    }
}

/// A rule with what it saw and came to.
struct Examined<'a> {
    rule: &'a Rule,
    evidence: &'a Evidence,
    terms: Terms,
    finding: Finding,
}

/// What the gate of `suite` says of a run; `None` without a gate. `complete` is whether the run came to its end:
/// one that did not is inconclusive. `versions` are the version numbers of the prompt entries.
pub fn judge(
    suite: &Suite,
    aggregate: &Aggregate,
    complete: bool,
    versions: &[Option<i64>],
) -> Option<Verdict> {
    let gate = suite.gate.as_ref()?;
    let scale = Scale::of(suite);
    let terms = |rule: &Rule| Terms {
        scale,
        confidence: gate.confidence.as_f64(),
        clustered: suite.dataset.clustered,
        binary: is_binary(suite, &rule.metric),
    };
    let (candidates, _) = candidates(suite);
    let judged = candidates.into_iter().map(|prompt| {
        let of_prompt = |evidence: &&Evidence| suite.variant(evidence.candidate).prompt == prompt;
        let evidence: Vec<_> = aggregate.evidence.iter().filter(of_prompt).collect();
        let examined = evidence.into_iter().map(|evidence| {
            let (rule, terms) = (&gate.rules[evidence.rule], terms(&gate.rules[evidence.rule]));
            Examined {
                rule,
                evidence,
                terms,
                finding: examine(gate, rule, evidence, terms, aggregate.stopped_early),
            }
        });
        let mut examined: Vec<_> = examined.collect();
        blame::doubt(&mut examined);
        let rules: Vec<_> =
            examined.into_iter().map(|examined| judge_rule(gate, aggregate, examined, complete)).collect();
        // A run that is not fit to be judged passes nothing, and nothing passes for want of a rule that says so.
        let passes = |(rule, _): &(RuleVerdict, Decision)| {
            rule.tier != Tier::Advisory && rule.outcome == Decision::Pass
        };
        let unfit = (0..).zip(&aggregate.variants).any(|(index, _)| {
            suite.variant(index).prompt == prompt
                && guard::objection(gate, aggregate, index, None, complete).is_some()
        });
        let fit = !unfit && rules.iter().any(passes);
        let least = if fit { Decision::Pass } else { Decision::Inconclusive };
        VersionVerdict {
            prompt: suite.prompts[prompt].name.clone(),
            label: suite.prompts[prompt].label.clone(),
            version: versions.get(prompt).copied().flatten(),
            outcome: rules.iter().map(|(_, weight)| *weight).fold(least, Decision::max),
            rules: rules.into_iter().map(|(rule, _)| rule).collect(),
        }
    });
    let versions: Vec<_> = judged.collect();
    let outcome = versions.iter().map(|version| version.outcome).fold(Decision::Pass, Decision::max);
    Some(Verdict { outcome, versions })
}

/// The verdict of one rule, and what it contributes to the version's.
fn judge_rule(
    gate: &Gate,
    aggregate: &Aggregate,
    Examined { rule, evidence, finding, .. }: Examined<'_>,
    complete: bool,
) -> (RuleVerdict, Decision) {
    let objection = guard::nothing_live(gate, rule)
        .or_else(|| guard::objection(gate, aggregate, evidence.candidate, evidence.baseline, complete));
    let weight = match (rule.tier, finding.decision) {
        (Tier::Advisory, _) => Decision::Pass,
        // What is wrong with the run, or missing from it, is no uncertainty about the version: no tier tolerates it.
        _ if objection.is_some() || finding.missing => Decision::Inconclusive,
        (Tier::Supporting, Decision::Inconclusive) => Decision::Pass,
        (_, decision) => decision,
    };
    let (outcome, reason, needed) = match objection {
        Some(Objection { reason, needed }) => (Decision::Inconclusive, reason, needed),
        None => (finding.decision, finding.reason, finding.needed),
    };
    let verdict = RuleVerdict {
        name: rule.name.clone(),
        metric: rule.metric.to_string(),
        model: aggregate.variants[evidence.candidate as usize].model.clone(),
        model_label: aggregate.variants[evidence.candidate as usize].model_label.clone(),
        slice: Some(rule.slice.clone()).filter(|slice| !slice.is_empty()),
        tier: rule.tier,
        outcome,
        observed: finding.observed,
        threshold: rule.bound.amount().as_f64(),
        interval: finding.interval,
        n: finding.n,
        reason,
        needed,
        detectable: finding.detectable,
    };
    (verdict, weight)
}

fn examine(gate: &Gate, rule: &Rule, evidence: &Evidence, terms: Terms, stopped_early: bool) -> Finding {
    if let Some(objection) = guard::nothing_live(gate, rule) {
        return Finding::missing(0, objection.reason);
    }
    if evidence.cases == 0 {
        return Finding::missing(0, words::nothing_scored(rule, evidence.baseline.is_some()));
    }
    match &evidence.looks {
        // A complete suite's own number is known.
        Some(looks) if rule.estimand == Estimand::Suite && looks.is_whole() => once(rule, evidence, terms),
        // Half of the risk of error was kept for this.
        Some(looks) if looks.decision().is_none() && looks.has_last_look() => {
            once(rule, evidence, Terms { confidence: f64::midpoint(terms.confidence, 1.0), ..terms })
        }
        Some(looks) => again::judge(looks, rule, terms),
        None if stopped_early => {
            let reason =
                "another rule decided before all cases were in, and this one is judged once they are";
            Finding::unknown(evidence.cases, reason)
        }
        None => once(rule, evidence, terms),
    }
}

/// Of a run that is complete, and is judged this once.
fn once(rule: &Rule, evidence: &Evidence, terms: Terms) -> Finding {
    match &evidence.figures {
        Figures::Rate(figures) => rate::judge(figures, rule, terms),
        Figures::Difference(figures) => difference::judge(figures, rule, terms),
        Figures::Cost(figures) => amount::judge_cost(figures, evidence.cases, rule, terms),
        Figures::Latency(figures) => amount::judge_latency(figures, evidence.cases, rule, terms),
    }
}

impl Finding {
    /// A decision without an interval.
    fn found(decision: Decision, observed: Option<f64>, n: u64, reason: String) -> Self {
        Self { decision, observed, interval: None, n, reason, needed: None, detectable: None, missing: false }
    }

    /// Too little to say anything, for this reason.
    fn unknown(n: u64, reason: impl Into<String>) -> Self {
        Self::found(Decision::Inconclusive, None, n, reason.into())
    }

    /// What the rule asks for is not there, for this reason.
    fn missing(n: u64, reason: impl Into<String>) -> Self {
        Self { missing: true, ..Self::unknown(n, reason) }
    }
}
