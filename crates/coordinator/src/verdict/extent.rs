//! How much there is for each rule to look at, counted before the first result: what looking again and again is planned by.

use std::collections::HashMap;

use assay_common::gate::{Gate, Rule};
use assay_common::suite::Suite;
use assay_store::TaggedUnit;

/// What a rule finds in the whole dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Cases in its slice.
    pub cases: u64,
    /// Units that hold any of them: cases, or clusters.
    pub units: u64,
    /// The most of them in one unit.
    pub largest: u64,
}

impl Extent {
    /// What is drawn of it at most, of a dataset of `all` cases: a slice of what is drawn is as large a share of its slice.
    pub fn drawn(self, gate: &Gate, all: u64) -> Self {
        let Some(drawn) = gate.max_cases.filter(|drawn| *drawn < all) else { return self };
        let share = |some: u64, round_up: u128| {
            let product = u128::from(some) * u128::from(drawn) + round_up;
            u64::try_from(product / u128::from(all)).unwrap_or(some)
        };
        Self {
            cases: share(self.cases, 0),
            units: share(self.units, u128::from(all) - 1),
            largest: self.largest,
        }
    }
}

/// The extent of each rule of a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents(Vec<Extent>);

impl Extents {
    /// Of a gate whose rules look at all cases, each a unit of its own; `None` where the dataset has to be counted.
    pub fn uncounted(suite: &Suite) -> Option<Self> {
        let Some(gate) = suite.gate.as_ref().filter(|gate| gate.looks_again()) else {
            return Some(Self::default());
        };
        let plain = !suite.dataset.clustered && gate.rules.iter().all(|rule| rule.slice.is_empty());
        let cases = suite.dataset.cases;
        plain.then(|| Self(vec![Extent { cases, units: cases, largest: 1 }; gate.rules.len()]))
    }

    /// That of the rule with this index; nothing was counted of one that is unknown.
    pub(crate) fn of(&self, rule: usize) -> Extent {
        self.0.get(rule).copied().unwrap_or_default()
    }
}

/// A count of the cases of a dataset, in any order.
#[derive(Debug)]
pub struct Count<'s> {
    rules: &'s [Rule],
    /// By unit, the cases that each rule looks at.
    units: HashMap<String, Vec<u64>>,
}

impl<'s> Count<'s> {
    /// Before the first case.
    pub fn new(suite: &'s Suite) -> Self {
        Self { rules: suite.gate.as_ref().map_or(&[], |gate| &gate.rules), units: HashMap::new() }
    }

    /// Counts a case.
    pub fn add(&mut self, case: TaggedUnit) {
        let cases = self.units.entry(case.unit).or_insert_with(|| vec![0; self.rules.len()]);
        for (cases, rule) in cases.iter_mut().zip(self.rules) {
            *cases += u64::from(rule.slice.iter().all(|(tag, value)| case.tags.get(tag) == Some(value)));
        }
    }

    /// What was counted.
    pub fn finish(self) -> Extents {
        let mut extents = vec![Extent::default(); self.rules.len()];
        for unit in self.units.values() {
            for (extent, cases) in extents.iter_mut().zip(unit) {
                extent.cases += cases;
                extent.units += u64::from(*cases > 0);
                extent.largest = extent.largest.max(*cases);
            }
        }
        Extents(extents)
    }
}
