//! One side of a comparison: terminal jobs become cases, and the rows of tables.

use std::collections::BTreeMap;

use assay_common::suite::Suite;
use assay_store::OutcomeRow;

use super::super::measure::{Cell, Quantity, Scale, Value};
use super::super::quantiles::Quantiles;
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
    open: Option<Head>,
}

/// The case that jobs are coming for.
#[derive(Debug)]
struct Head {
    position: u64,
    id: String,
    cluster: Option<String>,
    tags: BTreeMap<String, String>,
}

/// A case whose jobs have all come.
#[derive(Clone, Debug)]
pub struct ClosedCase {
    /// Its place in the dataset.
    pub position: u64,
    /// Its id.
    pub id: String,
    /// Its cluster.
    pub cluster: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
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
            variants,
            open: None,
        }
    }

    /// Adds a terminal job of any variant. All jobs of a case come together; the first of the next case gives the one before.
    /// Rounds of trials that a gate added are passed over: their cases would come again.
    pub fn push(&mut self, row: &OutcomeRow) -> Option<ClosedCase> {
        if row.ordinal >= self.first_round {
            return None;
        }
        let closed = match &self.open {
            Some(head) if head.position == row.position => None,
            _ => {
                let closed = self.close();
                self.open = Some(Head {
                    position: row.position,
                    id: row.case_id.clone(),
                    cluster: row.cluster.clone(),
                    tags: row.tags.clone(),
                });
                closed
            }
        };
        if let Some(index) = self.variants.iter().position(|variant| *variant == row.variant) {
            self.tallies[index].add_job(row);
            self.cells[index].add(row, &[]);
        }
        closed
    }

    /// The last case.
    pub fn close(&mut self) -> Option<ClosedCase> {
        let Head { position, id, cluster, tags } = self.open.take()?;
        let scale = self.scale;
        for (tally, cell) in self.tallies.iter_mut().zip(&self.cells) {
            tally.add_case(cell, scale, true);
        }
        let trials = self.cells.iter().map(|cell| Trials::of(cell, scale)).collect();
        self.cells.iter_mut().for_each(|cell| *cell = Cell::new(0));
        Some(ClosedCase { position, id, cluster, tags, trials })
    }

    /// The rows of its variants, after the last job. `versions` are the version numbers of the prompt entries; `planned`: the
    /// jobs there were to be.
    pub fn reports(
        &self,
        versions: &[Option<i64>],
        quantiles: &Quantiles,
        planned: u64,
    ) -> Vec<VariantReport> {
        let jobs = planned / u64::from(self.suite.product().variants).max(1);
        let row = |(variant, tally): (&u32, &Tally)| {
            let version = versions.get(self.suite.variant(*variant).prompt).copied().flatten();
            tally.report(self.suite, *variant, self.scale, version, quantiles, jobs)
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
