//! What a suite can be expected to see of a drop, before a run.

use super::stats::power::{Plan, detectable, discordance, least_cases, least_margin};

/// The pass rate that is presumed while none is known.
const PRESUMED_RATE: f64 = 0.9;
/// The correlation of two versions over cases that is presumed while none is known.
const PRESUMED_CORRELATION: f64 = 0.6;
/// How often a drop should be ruled out when nothing changed.
const POWER: f64 = 0.8;

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
    /// Of `cases` (independent ones: clusters tell less) under a rule that allows a drop of `margin` at this confidence.
    pub fn of(cases: u64, margin: f64, confidence: f64) -> Self {
        let (alpha, cases) = (1.0 - confidence, cases.max(1) as f64);
        let discordance = discordance(PRESUMED_RATE, PRESUMED_RATE, PRESUMED_CORRELATION);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cases_see_smaller_drops() {
        let check = |cases, points: &str, least: &str| {
            let outlook = Outlook::of(cases, 0.02, 0.95);
            let shown = |share: f64| format!("{:.1}", share * 100.0);
            assert_eq!((shown(outlook.detectable).as_str(), shown(outlook.least).as_str()), (points, least));
            assert_eq!((outlook.cases, outlook.least_cases), (1_113.0, 133.0));
        };
        check(20, "14.9", "11.9");
        check(500, "3.0", "0.5");
        check(1_113, "2.0", "0.2");
        assert_eq!(Outlook::of(20, 0.0, 0.95).cases, f64::INFINITY);
    }
}
