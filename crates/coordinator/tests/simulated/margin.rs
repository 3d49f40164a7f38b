//! Runs whose truth is just at the margin: how often the gate passes or fails them, which is an error either way.

use assay_common::verdict::Decision;
use assay_coordinator::verdict::stats::sequential::{Demand, Population};

use crate::chance::Chance;
use crate::replicates;

const ALPHA: f64 = 0.05;

/// A margin, and the share of cases that are lost on top of it and gained: what is true is a drop of just the margin.
struct Cell {
    seed: u64,
    planned: u64,
    margin: f64,
    gained: f64,
}

const CELLS: [Cell; 4] = [
    Cell { seed: 1, planned: 200, margin: 0.05, gained: 0.0 },
    Cell { seed: 2, planned: 200, margin: 0.05, gained: 0.04 },
    Cell { seed: 3, planned: 400, margin: 0.02, gained: 0.03 },
    Cell { seed: 4, planned: 100, margin: 0.1, gained: 0.2 },
];

#[test]
fn a_version_just_at_the_margin_seldom_passes_and_seldom_fails() {
    let replicates = replicates(300);
    let runs = replicates as f64;
    // Four standard deviations above alpha: by chance once in thirty thousand.
    let most = runs * ALPHA + 4.0 * (runs * ALPHA * (1.0 - ALPHA)).sqrt();
    for cell in CELLS {
        let mut chance = Chance::new(cell.seed);
        let [mut passed, mut failed, mut looked_at] = [0_u64; 3];
        for _ in 0..replicates {
            let (decision, n) = run(&cell, &mut chance);
            passed += u64::from(decision == Decision::Pass);
            failed += u64::from(decision == Decision::Fail);
            looked_at += n;
        }
        println!(
            "seed {}: {} cases, margin {}, gained {}: passed {:.4}, failed {:.4}, looked at {:.3} of the suite",
            cell.seed,
            cell.planned,
            cell.margin,
            cell.gained,
            passed as f64 / runs,
            failed as f64 / runs,
            looked_at as f64 / (runs * cell.planned as f64),
        );
        assert!(passed as f64 <= most && failed as f64 <= most, "seed {}: {passed} and {failed}", cell.seed);
        assert!(passed + failed > 0, "seed {}: it never decides", cell.seed);
    }
}

/// What one run comes to, and after how many cases.
fn run(cell: &Cell, chance: &mut Chance) -> (Decision, u64) {
    let demand = Demand { futility: None, ..Demand::of_cases(cell.margin, cell.planned, ALPHA) };
    let mut gate = Population::new(demand);
    loop {
        let drawn = chance.next();
        let difference = if drawn < cell.gained {
            1.0
        } else if drawn < 2.0 * cell.gained + cell.margin {
            -1.0
        } else {
            0.0
        };
        if let Some(stop) = gate.push(Some(difference + cell.margin)) {
            return (stop.decision, stop.n);
        }
    }
}
