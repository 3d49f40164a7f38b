//! Which share of a suite a gate that stops early takes to decide, against the table of its design.

use assay_common::verdict::Decision;
use assay_coordinator::verdict::stats::power::discordance;
use assay_coordinator::verdict::stats::sequential::{Demand, Population, Stop};

use crate::chance::Chance;
use crate::replicates;

const ALPHA: f64 = 0.05;
/// The correlation of both versions over cases.
const CORRELATION: f64 = 0.6;
/// How far above the table a mean may be.
const TOLERANCE: f64 = 0.05;

/// What is true of two versions, and what is asked of them.
#[derive(Clone, Copy)]
pub(crate) struct Truth {
    /// Cases of the suite.
    pub(crate) cases: u64,
    /// The baseline's pass rate.
    pub(crate) rate: f64,
    /// The candidate's, less that.
    pub(crate) difference: f64,
    /// The drop that the gate allows.
    pub(crate) margin: f64,
}

/// Cases, pass rate, margin; then the mean share of the suite at true differences of −10, −5, −2, 0 and +2 points, from 4,000
/// simulated runs each that were never given up.
#[rustfmt::skip]
const TABLE: [(u64, f64, f64, [f64; 5]); 18] = [
    (500, 0.7, 0.02, [0.39, 0.86, 0.96, 0.92, 0.76]),
    (500, 0.7, 0.05, [0.67, 0.96, 0.86, 0.67, 0.45]),
    (500, 0.9, 0.02, [0.24, 0.74, 0.97, 0.86, 0.53]),
    (500, 0.9, 0.05, [0.47, 0.96, 0.75, 0.43, 0.25]),
    (500, 0.97, 0.02, [0.21, 0.58, 0.98, 0.74, 0.31]),
    (500, 0.97, 0.05, [0.41, 0.97, 0.58, 0.27, 0.16]),
    (1_000, 0.7, 0.02, [0.22, 0.74, 0.95, 0.87, 0.58]),
    (1_000, 0.7, 0.05, [0.46, 0.96, 0.75, 0.46, 0.26]),
    (1_000, 0.9, 0.02, [0.12, 0.55, 0.96, 0.74, 0.31]),
    (1_000, 0.9, 0.05, [0.27, 0.96, 0.56, 0.25, 0.13]),
    (1_000, 0.97, 0.02, [0.11, 0.32, 0.97, 0.47, 0.15]),
    (1_000, 0.97, 0.05, [0.22, 0.96, 0.35, 0.14, 0.08]),
    (5_000, 0.7, 0.02, [0.05, 0.31, 0.96, 0.54, 0.18]),
    (5_000, 0.7, 0.05, [0.12, 0.95, 0.31, 0.12, 0.06]),
    (5_000, 0.9, 0.02, [0.03, 0.15, 0.96, 0.28, 0.07]),
    (5_000, 0.9, 0.05, [0.06, 0.95, 0.16, 0.06, 0.03]),
    (5_000, 0.97, 0.02, [0.02, 0.07, 0.95, 0.12, 0.03]),
    (5_000, 0.97, 0.05, [0.05, 0.95, 0.08, 0.03, 0.02]),
];
const DIFFERENCES: [f64; 5] = [-0.1, -0.05, -0.02, 0.0, 0.02];

#[test]
fn deciding_takes_no_larger_share_than_it_was_designed_for() {
    let few = 40;
    let replicates = replicates(few);
    // The small suites alone where time is short: they are those with the largest shares.
    let rows = TABLE.iter().filter(|(cases, ..)| replicates > few || *cases == 500);
    let (mut seed, mut sums, mut cells) = (100, [0.0; 2], 0.0);
    for (cases, rate, margin, table) in rows {
        for (difference, designed) in DIFFERENCES.into_iter().zip(table) {
            seed += 1;
            let truth = Truth { cases: *cases, rate: *rate, difference, margin: *margin };
            let (mean, spread, [passed, failed]) = share(truth, seed, replicates);
            println!(
                "seed {seed}: {cases} cases, pass rate {rate}, margin {margin}, difference {difference:+}: {mean:.3} of the \
                 suite (table {designed}), passed {passed:.3}, failed {failed:.3}"
            );
            let most = designed + TOLERANCE + 4.0 * spread;
            assert!(mean <= most, "seed {seed}: {mean:.3} of the suite, and {designed} were designed");
            sums = [sums[0] + mean, sums[1] + designed];
            cells += 1.0;
        }
    }
    let [mean, designed] = sums.map(|sum| sum / cells);
    println!("in the mean {mean:.3} of the suite (table {designed:.3})");
    assert!(
        mean <= designed + TOLERANCE,
        "in the mean {mean:.3} of the suite, and {designed:.3} were designed"
    );
}

/// The mean share of the suite that is looked at, its standard error, and how many of the runs passed and failed.
pub(crate) fn share(truth: Truth, seed: u64, replicates: u64) -> (f64, f64, [f64; 2]) {
    let (mut sum, mut squares, mut decided) = (0.0, 0.0, [0.0; 2]);
    for replicate in 0..replicates {
        let Stop { decision, n, .. } = run(truth, &mut Chance::new((seed << 32) + replicate));
        let share = n as f64 / truth.cases as f64;
        (sum, squares) = (sum + share, squares + share * share);
        decided[0] += f64::from(u8::from(decision == Decision::Pass));
        decided[1] += f64::from(u8::from(decision == Decision::Fail));
    }
    let runs = replicates as f64;
    let mean = sum / runs;
    let spread = ((squares / runs - mean * mean).max(0.0) / runs).sqrt();
    (mean, spread, decided.map(|number| number / runs))
}

/// One run, as a gate with `stop_early` sees it: given up where it hardly can decide any more.
fn run(truth: Truth, chance: &mut Chance) -> Stop {
    let Truth { cases, rate, difference, margin } = truth;
    let discordant = discordance(rate, (rate + difference).min(1.0), CORRELATION);
    let (lost, gained) = ((discordant - difference) / 2.0, (discordant + difference) / 2.0);
    let mut gate = Population::new(Demand::of_cases(margin, cases, ALPHA));
    loop {
        let drawn = chance.next();
        let change = if drawn < lost {
            -1.0
        } else if drawn < lost + gained {
            1.0
        } else {
            0.0
        };
        if let Some(stop) = gate.push(Some(change + margin)) {
            return stop;
        }
    }
}
