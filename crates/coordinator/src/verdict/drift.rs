//! A sweep held against a frozen baseline: the share of trials that pass, case by case. Pure.
//!
//! What differs goes two ways: into the detector that adds up evidence over many sweeps ([`super::stats::Drift`]), and into one
//! test of this sweep alone, which finds a break within a night and is believed when a second sweep confirms it.

use std::collections::BTreeMap;

/// How many of how many judged trials passed, by the case's place in the dataset.
pub type Shares = BTreeMap<u64, (u64, u64)>;

/// The loss that raises no alarm, at least: a point.
const LEAST_SLACK: f64 = 0.01;
/// The standard normal quantile of 0.01.
const SUSPICIOUS: f64 = -2.326_347_874;
/// The variance of a trial whose spread cannot be seen from its case: the largest there is.
const UNSEEN: f64 = 0.25;

/// What came of holding a sweep against its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Units with a result on both sides.
    pub cases: u64,
    /// Units of the baseline without a result.
    pub missing: u64,
    /// The mean difference of those with one.
    pub difference: Option<f64>,
    /// Twice the error of the baseline's mean, at least a point: what raises no alarm.
    pub slack: f64,
    /// The difference in standard errors.
    pub z: Option<f64>,
    /// For the detector: each unit of the baseline with its difference, `None` where a result is missing.
    pub night: Vec<Option<f64>>,
}

impl Held {
    /// Whether chance alone would do so once in a hundred sweeps at most.
    pub fn is_suspicious(&self) -> bool {
        self.z.is_some_and(|z| z <= SUSPICIOUS)
    }
}

/// What is known of a unit: a case, or the cases of a cluster.
#[derive(Default)]
struct Unit {
    cases: f64,
    sum: f64,
    found: f64,
    variance: f64,
}

/// Holds a sweep against a baseline. `units` names the cluster of each case, where cases share sources.
pub fn hold(baseline: &Shares, sweep: &Shares, units: Option<&BTreeMap<u64, String>>) -> Held {
    let mut found: BTreeMap<(Option<&str>, u64), Unit> = BTreeMap::new();
    for (position, (passed, trials)) in baseline.iter().filter(|(_, (_, trials))| *trials > 0) {
        let key = match units.and_then(|units| units.get(position)) {
            Some(cluster) => (Some(cluster.as_str()), 0),
            None => (None, *position),
        };
        let unit = found.entry(key).or_default();
        let rate = *passed as f64 / *trials as f64;
        unit.cases += 1.0;
        unit.variance += match trials {
            1 => UNSEEN,
            more => rate * (1.0 - rate) / (*more as f64 - 1.0),
        };
        if let Some((passed, trials)) = sweep.get(position).filter(|(_, trials)| *trials > 0) {
            unit.sum += *passed as f64 / *trials as f64 - rate;
            unit.found += 1.0;
        }
    }
    let count = found.len() as f64;
    let error =
        found.values().map(|unit| unit.variance / unit.cases.powi(2)).sum::<f64>().sqrt() / count.max(1.0);
    let differences: Vec<f64> =
        found.values().filter(|unit| unit.found > 0.0).map(|unit| unit.sum / unit.found).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let spread = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    // Few cases that agree are not beyond doubt.
    let error_of_mean = (spread.max(1.0 / n) / n).sqrt();
    let compared = !differences.is_empty();
    Held {
        cases: differences.len() as u64,
        missing: (found.len() - differences.len()) as u64,
        difference: compared.then_some(mean),
        slack: (2.0 * error).clamp(LEAST_SLACK, 0.99),
        z: compared.then(|| mean / error_of_mean),
        night: found.values().map(|unit| (unit.found == unit.cases).then(|| unit.sum / unit.cases)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(passed: &[u64], trials: u64) -> Shares {
        (0..).zip(passed.iter().map(|passed| (*passed, trials))).collect()
    }

    #[test]
    fn a_sweep_is_held_against_its_baseline_case_by_case() {
        let baseline = shares(&[5; 100], 5);
        let check = |lost: u64, suspicious: bool, difference: f64| {
            let night: Vec<u64> = (0..100).map(|case| u64::from(case >= lost)).collect();
            let held = hold(&baseline, &shares(&night, 1), None);
            assert_eq!((held.cases, held.missing, held.night.len()), (100, 0, 100));
            assert!((held.difference.unwrap() - difference).abs() < 1e-12, "{held:?}");
            assert_eq!((held.is_suspicious(), held.slack), (suspicious, 0.01), "{held:?}");
        };
        check(0, false, 0.0);
        check(2, false, -0.02);
        check(9, true, -0.09);
        check(100, true, -1.0);
    }

    #[test]
    fn what_is_missing_raises_no_alarm_and_counts_as_missing() {
        let mut night = shares(&[1; 10], 1);
        night.insert(3, (0, 0));
        night.remove(&4);
        let held = hold(&shares(&[5; 10], 5), &night, None);
        assert_eq!((held.cases, held.missing, held.difference), (8, 2, Some(0.0)));
        assert_eq!(held.night.iter().filter(|unit| unit.is_none()).count(), 2);
        let nothing = hold(&Shares::new(), &night, None);
        assert_eq!(
            (nothing.cases, nothing.difference, nothing.z, nothing.is_suspicious()),
            (0, None, None, false)
        );
    }

    #[test]
    fn a_baseline_that_wavers_allows_for_its_own_error() {
        // Half of each case's five trials: within 0.3, so 2·√(0.06/16) of a mean of 16 cases.
        let held = hold(&shares(&[3, 2].repeat(8), 5), &shares(&[1; 16], 1), None);
        assert!((held.slack - 2.0 * (0.24 / 4.0 / 16.0_f64).sqrt()).abs() < 1e-12, "{held:?}");
        // One trial says nothing of its spread.
        let blind = hold(&shares(&[1; 16], 1), &shares(&[1; 16], 1), None);
        assert!((blind.slack - 2.0 * (0.25 / 16.0_f64).sqrt()).abs() < 1e-12, "{blind:?}");
    }

    #[test]
    fn the_cases_of_a_cluster_count_as_one() {
        let units: BTreeMap<u64, String> =
            (0..100).map(|case| (case, format!("page {}", case / 20))).collect();
        let night: Vec<u64> = (0..100).map(|case| u64::from(case >= 20)).collect();
        let held = hold(&shares(&[5; 100], 5), &shares(&night, 1), Some(&units));
        assert_eq!((held.cases, held.night.len()), (5, 5));
        assert!((held.difference.unwrap() + 0.2).abs() < 1e-12 && !held.is_suspicious(), "{held:?}");
        assert!(hold(&shares(&[5; 100], 5), &shares(&night, 1), None).is_suspicious());
    }
}
