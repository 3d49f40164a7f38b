//! One side of a comparison: terminal jobs become cases, and the rows of tables.

use assay_common::suite::Suite;
use assay_store::Mark;

use super::super::measure::{Cell, Quantity, Scale, Value};
use super::super::quantiles::{Quantiles, nearest_rank};
use super::super::report::{Tally, VariantReport};
use super::difference::ONE;

/// Some variants of a run, as their results come.
#[derive(Debug)]
pub struct Side<'a> {
    suite: &'a Suite,
    scale: Scale,
    /// Jobs of the first round of trials.
    first_round: u64,
    /// Indices of variants in the suite, each once.
    variants: Vec<u32>,
    tallies: Vec<Tally>,
    cells: Vec<Cell>,
    /// Of each variant, in microseconds.
    latencies: Vec<Vec<i64>>,
    /// The place of the case that jobs are coming for.
    open: Option<u64>,
}

/// A case whose jobs have all come.
#[derive(Clone, Debug)]
pub struct ClosedCase {
    /// Its place in the dataset.
    pub position: u64,
    /// What it came to under each variant of the side.
    pub(super) trials: Vec<Trials>,
}

/// What a case came to under one variant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trials {
    /// In multiples of 1/[`ONE`].
    pub(super) value: Value,
    /// In nano-dollars, where that of every answer is known.
    pub(super) cost: Option<i64>,
    /// The ordinals of its first trial that passed, and that failed.
    pub(super) examples: [Option<u64>; 2],
}

impl<'a> Side<'a> {
    /// Before the first job. `variants` are indices of the suite's, each once.
    pub fn new(suite: &'a Suite, variants: Vec<u32>) -> Self {
        Self {
            suite,
            scale: Scale::of(suite),
            first_round: suite.product().jobs().unwrap_or(u64::MAX),
            tallies: vec![Tally::default(); variants.len()],
            cells: vec![Cell::new(0); variants.len()],
            latencies: vec![Vec::new(); variants.len()],
            variants,
            open: None,
        }
    }

    /// Adds a terminal job of any variant. All jobs of a case come together; the first of the next case gives the one before.
    /// Rounds of trials that a gate added are passed over: their cases would come again.
    pub fn push(&mut self, mark: &Mark) -> Option<ClosedCase> {
        let index = self.variants.iter().position(|variant| *variant == mark.variant);
        if let (Some(index), Some(micros)) = (index, mark.latency_us) {
            self.latencies[index].push(micros);
        }
        if mark.ordinal >= self.first_round {
            return None;
        }
        let closed = match self.open {
            Some(position) if position == mark.position => None,
            _ => {
                let closed = self.close();
                self.open = Some(mark.position);
                closed
            }
        };
        if let Some(index) = index {
            self.tallies[index].add_job(mark);
            self.cells[index].add(mark, &[], &[]);
        }
        closed
    }

    /// The last case.
    pub fn close(&mut self) -> Option<ClosedCase> {
        let position = self.open.take()?;
        let scale = self.scale;
        for (tally, cell) in self.tallies.iter_mut().zip(&self.cells) {
            tally.add_case(cell, scale, true);
        }
        let trials = self.cells.iter().map(|cell| Trials::of(cell, scale)).collect();
        self.cells.iter_mut().for_each(|cell| *cell = Cell::new(0));
        Some(ClosedCase { position, trials })
    }

    /// The rows of its variants, after the last job. `versions` are the version numbers of the prompt entries; `planned`: the
    /// jobs there were to be.
    pub fn reports(mut self, versions: &[Option<i64>], planned: u64) -> Vec<VariantReport> {
        let mut quantiles = Quantiles::default();
        for (variant, latencies) in self.variants.iter().zip(&mut self.latencies) {
            for percent in Quantiles::NEEDED {
                if let Some(micros) = nearest_rank(latencies, percent) {
                    quantiles.insert(*variant, percent, micros);
                }
            }
        }
        // Of further rounds nothing is shown.
        let jobs = planned.min(self.first_round) / u64::from(self.suite.product().variants).max(1);
        let row = |(variant, tally): (&u32, &Tally)| {
            let version = versions.get(self.suite.variant(*variant).prompt).copied().flatten();
            tally.report(self.suite, *variant, self.scale, version, &quantiles, jobs)
        };
        self.variants.iter().zip(&self.tallies).map(row).collect()
    }
}

impl Trials {
    /// A case that the other side does not have.
    pub(super) const ABSENT: Self = Self { value: Value::Absent, cost: None, examples: [None; 2] };

    fn of(cell: &Cell, scale: Scale) -> Self {
        let value = match cell.value(Quantity::Reduced, scale) {
            Value::Scored(value) => Value::Scored(scale.rescaled(value, ONE)),
            unscored => unscored,
        };
        let cost = cell.cost().nanos().and_then(|nanos| i64::try_from(nanos).ok());
        Self { value, cost, examples: [cell.example(true), cell.example(false)] }
    }
}
