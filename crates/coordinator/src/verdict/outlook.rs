//! What a suite can be expected to see of a drop, before a run.

use std::fmt;

use assay_common::gate::{Bound, Estimand, Gate, Rule};
use serde::{Deserialize, Serialize};

use super::extent::Extent;
use super::gate::rate;
use super::stats::power::{Plan, detectable, discordance, least_cases, least_margin};

/// The pass rate that is presumed while none is known.
const PRESUMED_RATE: f64 = 0.9;
/// The correlation of two versions over cases that is presumed while none is known.
const PRESUMED_CORRELATION: f64 = 0.6;
/// How often a drop should be ruled out when nothing changed.
const POWER: f64 = 0.8;

/// What a run decides with evidence that may be looked at again and again, with this chance when nothing changed: a gap of
/// 3·√(ψ/N), or 5/N where no case changes sides; found by simulation.
const AGAIN: f64 = 3.0;
const AGAIN_LEAST: f64 = 5.0;

/// The least drop that one rule of a suite can be expected to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// The rule's name.
    pub rule: String,
    /// The cases that it may look at.
    pub cases: u64,
    /// The clusters that they come in, where cases share sources: each is presumed to tell no more than one case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<u64>,
    /// The drop that it allows, as a share.
    pub allowed: f64,
    /// The least drop that it rules out four times in five when nothing changed, as a share: presuming that 7 % of the
    /// cases change sides by chance.
    pub detectable: f64,
}

impl Sight {
    /// Of a rule of `gate` that finds so much in a dataset of `all` cases, which come in clusters or not; `None` where it does
    /// not look for a drop to be expected, or at no case.
    pub fn of(
        gate: &Gate,
        rule: &Rule,
        extent: Extent,
        all: u64,
        clustered: bool,
    ) -> Option<(Self, Outlook)> {
        let (Bound::MaxDrop(allowed), Estimand::Population) = (rule.bound, rule.estimand) else {
            return None;
        };
        let Extent { cases, units, .. } = extent.drawn(gate, all);
        if cases == 0 {
            return None;
        }
        let allowed = allowed.as_f64();
        let outlook = Outlook::of(units, allowed, gate.confidence.as_f64(), gate.looks_again());
        let clusters = clustered.then_some(units);
        let detectable = outlook.detectable;
        Some((Self { rule: rule.name.clone(), cases, clusters, allowed, detectable }, outlook))
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, cases, clusters, allowed, detectable } = self;
        let [detectable, allowed] = [detectable, allowed].map(|share| share * 100.0);
        write!(f, "this suite cannot see a drop below {detectable:.1} points: {cases} cases")?;
        if let Some(clusters) = clusters {
            write!(f, " in {clusters} cluster{}", if *clusters == 1 { "" } else { "s" })?;
        }
        write!(f, ", `{rule}` allows {allowed:.1}")
    }
}

/// The greatest rate that `cases` (independent ones) can show at this confidence, one-sided: that of a run in which all of them
/// pass. What they can show to be rare is as far from 0.
pub fn best_rate(cases: u64, confidence: f64) -> f64 {
    rate::interval_of(cases as f64, cases as f64, 2.0 * confidence - 1.0)[0]
}

/// How a number of cases relates to the drop that a rule wants ruled out. All of it is about a complete run whose candidate
/// is as good as its baseline; of the cases 7 % are presumed to change sides by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// The least drop that is ruled out four times in five.
    pub detectable: f64,
    /// The least drop that is ruled out even if no case changes sides.
    pub least: f64,
    /// The cases it takes to rule the margin out four times in five; infinite for a margin of 0.
    pub cases: f64,
    /// The cases it takes even if no case changes sides; infinite for a margin of 0.
    pub least_cases: f64,
}

impl Outlook {
    /// Of `cases` (independent ones: clusters, where there are any) under a rule that allows a drop of `margin` at this confidence;
    /// `again`: in a gate that looks more than once.
    pub fn of(cases: u64, margin: f64, confidence: f64, again: bool) -> Self {
        let (alpha, cases) = (1.0 - confidence, cases.max(1) as f64);
        let discordance = discordance(PRESUMED_RATE, PRESUMED_RATE, PRESUMED_CORRELATION);
        if again {
            let (least, least_cases) = ((AGAIN_LEAST / cases).min(1.0), whole_cases(AGAIN_LEAST / margin));
            return Self {
                detectable: (AGAIN * (discordance / cases).sqrt()).max(least).min(1.0),
                least,
                cases: whole_cases(AGAIN * AGAIN * discordance / (margin * margin)).max(least_cases),
                least_cases,
            };
        }
        let plan = Plan { discordance, difference: 0.0, margin, alpha };
        let (least, least_cases) = (least_margin(cases, alpha), least_cases(margin, alpha));
        Self {
            detectable: detectable(cases, discordance, alpha, POWER).max(least),
            least,
            cases: plan.cases(POWER).map_or(f64::INFINITY, |cases| cases.max(least_cases)),
            least_cases,
        }
    }
}

/// So many cases or more; what rounding has put above a whole number is that number.
fn whole_cases(cases: f64) -> f64 {
    (cases * (1.0 - 1e-12)).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cases_see_smaller_drops() {
        let check = |cases, points: &str, least: &str| {
            let outlook = Outlook::of(cases, 0.02, 0.95, false);
            let shown = |share: f64| format!("{:.1}", share * 100.0);
            assert_eq!((shown(outlook.detectable).as_str(), shown(outlook.least).as_str()), (points, least));
            assert_eq!((outlook.cases, outlook.least_cases), (1_113.0, 133.0));
        };
        check(20, "14.9", "11.9");
        check(500, "3.0", "0.5");
        check(1_113, "2.0", "0.2");
        let again = Outlook::of(500, 0.02, 0.95, true);
        assert_eq!((again.detectable * 1e3).round(), 36.0);
        assert_eq!((again.cases, again.least_cases), (1_620.0, 250.0));
        assert_eq!(Outlook::of(20, 0.0, 0.95, false).cases, f64::INFINITY);
        // 0.05^(1/20): the rule of three; and Wilson's 300/(300 + z²).
        assert!((best_rate(20, 0.95) - 0.05_f64.powf(0.05)).abs() < 1e-9);
        assert!((best_rate(300, 0.95) - 300.0 / 302.705_543).abs() < 1e-6);
    }

    #[test]
    fn a_cluster_is_presumed_to_tell_no_more_than_a_case() {
        let sight = |clusters: Option<u64>, cases| {
            let outlook = Outlook::of(clusters.unwrap_or(cases), 0.02, 0.95, false);
            Sight { rule: "drop".into(), cases, clusters, allowed: 0.02, detectable: outlook.detectable }
        };
        let (clustered, alone) = (sight(Some(20), 500), sight(None, 20));
        assert_eq!(clustered.detectable, alone.detectable);
        let told =
            "this suite cannot see a drop below 14.9 points: 500 cases in 20 clusters, `drop` allows 2.0";
        assert_eq!(clustered.to_string(), told);
    }
}
