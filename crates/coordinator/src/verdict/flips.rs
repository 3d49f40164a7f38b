//! Which cases changed sides against the baseline.

use assay_common::score::Millionths;
use serde::Serialize;

use super::measure::{Cell, Quantity, Scale, Value};

/// How many cases are named each way.
const NAMED: usize = 10;

/// A candidate against the baseline on the same model, case by case. A case counts when it was scored under both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flips {
    /// Index of the candidate's variant.
    pub candidate: u32,
    /// Index of the baseline's variant.
    pub baseline: u32,
    /// Cases whose reduced value rose.
    pub improved: u64,
    /// Cases whose reduced value fell.
    pub regressed: u64,
    /// Cases whose reduced value stayed.
    pub unchanged: u64,
    /// The first that improved, in the order of the dataset.
    pub first_improved: Vec<Flip>,
    /// The first that regressed, in the order of the dataset.
    pub first_regressed: Vec<Flip>,
}

/// One case that changed sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Its place in the dataset.
    pub position: u64,
    /// Its id.
    pub case: String,
    /// Its reduced value under the baseline.
    pub baseline: Millionths,
    /// Its reduced value under the candidate.
    pub candidate: Millionths,
    /// The baseline's job to look at: its first trial that failed if the case improved, that passed if it regressed.
    pub baseline_ordinal: u64,
    /// The candidate's job to look at: its first trial that passed if the case improved, that failed if it regressed.
    pub candidate_ordinal: u64,
}

impl Flips {
    pub(super) fn new(candidate: u32, baseline: u32) -> Self {
        Self {
            candidate,
            baseline,
            improved: 0,
            regressed: 0,
            unchanged: 0,
            first_improved: Vec::new(),
            first_regressed: Vec::new(),
        }
    }

    /// Cases scored under both arms.
    pub fn compared(&self) -> u64 {
        self.improved + self.regressed + self.unchanged
    }

    /// Counts a case whose jobs have all come.
    pub(super) fn add_case(&mut self, position: u64, case: &str, cells: &[Cell], scale: Scale) {
        let (before, after) = (&cells[self.baseline as usize], &cells[self.candidate as usize]);
        let reduced = |cell: &Cell| cell.value(Quantity::Reduced, scale);
        let (Value::Scored(old), Value::Scored(new)) = (reduced(before), reduced(after)) else { return };
        let improved = new > old;
        let (count, first) = match new.cmp(&old) {
            std::cmp::Ordering::Equal => return self.unchanged += 1,
            std::cmp::Ordering::Greater => (&mut self.improved, &mut self.first_improved),
            std::cmp::Ordering::Less => (&mut self.regressed, &mut self.first_regressed),
        };
        *count += 1;
        let place = first.partition_point(|flip| flip.position < position);
        if place == NAMED {
            return;
        }
        // The arm with the higher value has a trial that passed, the other one has a trial that failed.
        let (Some(baseline_ordinal), Some(candidate_ordinal)) =
            (before.example(!improved), after.example(improved))
        else {
            return;
        };
        first.truncate(NAMED - 1);
        let (baseline, candidate) = (scale.millionths(old), scale.millionths(new));
        let case = case.to_owned();
        first
            .insert(place, Flip { position, case, baseline, candidate, baseline_ordinal, candidate_ordinal });
    }
}
