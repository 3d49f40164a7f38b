//! One side of a comparison: terminal jobs become cases, and the rows of tables.

use std::collections::HashMap;

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
    /// Jobs of a round of trials.
    round: u64,
    /// The cases of all rounds, where a gate may have added some: each comes again in every round.
    rounds: Option<Rounds>,
    /// Indices of variants in the suite, each once.
    variants: Vec<u32>,
    tallies: Vec<Tally>,
    cells: Vec<Cell>,
    /// Of each variant, in microseconds.
    latencies: Vec<Vec<i64>>,
    /// The round and the place of the case that jobs are coming for.
    open: Option<(u64, u64)>,
}

/// Pico-dollars in a nano-dollar.
const PICOS_IN_NANO: i128 = 1_000;

/// Cases that come in several rounds of trials, with their places in the dataset, in the order of the first.
#[derive(Debug, Default)]
struct Rounds {
    cases: Vec<(u64, Vec<Summed>)>,
    /// Where the case of a place stands among them.
    at: HashMap<u64, usize>,
}

/// What a case came to under one variant in the rounds so far.
#[derive(Clone, Copy, Debug, Default)]
struct Summed {
    /// Of the values of rounds that were scored, and how many those are.
    sum: i64,
    scored: i64,
    errored: bool,
    cost: i64,
    unknown_cost: bool,
    rounds: i64,
    examples: [Option<u64>; 2],
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
    /// Of a trial in the mean, in pico-dollars (a cheap call costs few nano-dollars), where that of every answer is known: sides
    /// may differ in how many trials they ask.
    pub(super) cost: Option<i64>,
    /// The ordinals of its first trial that passed, and that failed.
    pub(super) examples: [Option<u64>; 2],
}

impl<'a> Side<'a> {
    /// Before the first job of a run of which so many were planned in the end. `variants` are indices of the suite's, each once.
    pub fn new(suite: &'a Suite, variants: Vec<u32>, planned: u64) -> Self {
        let round = suite.product().jobs().unwrap_or(u64::MAX).max(1);
        Self {
            suite,
            scale: Scale::of(suite),
            round,
            rounds: (planned > round).then(Rounds::default),
            tallies: vec![Tally::default(); variants.len()],
            cells: vec![Cell::new(0); variants.len()],
            latencies: vec![Vec::new(); variants.len()],
            variants,
            open: None,
        }
    }

    /// Adds a terminal job of any variant. All jobs of a case come together; the first of the next case gives the one before,
    /// unless it may come again in a further round of trials.
    pub fn push(&mut self, mark: &Mark) -> Option<ClosedCase> {
        let of = (mark.ordinal / self.round, mark.position);
        let closed = if self.open == Some(of) { None } else { self.close_case() };
        self.open = Some(of);
        if let Some(index) = self.variants.iter().position(|variant| *variant == mark.variant) {
            self.latencies[index].extend(mark.latency_us);
            self.tallies[index].add_job(mark);
            self.cells[index].add(mark, &[], &[]);
        }
        closed
    }

    /// What is left after the last job: the last case, or all of several rounds of trials, each the mean over its rounds.
    pub fn close(&mut self) -> Vec<ClosedCase> {
        let last = self.close_case();
        self.rounds.take().map_or_else(|| last.into_iter().collect(), Rounds::close)
    }

    fn close_case(&mut self) -> Option<ClosedCase> {
        let (round, position) = self.open.take()?;
        let scale = self.scale;
        for (tally, cell) in self.tallies.iter_mut().zip(&self.cells) {
            tally.add_case(cell, scale, round == 0);
        }
        let trials = self.cells.iter().map(|cell| Trials::of(cell, scale)).collect();
        self.cells.iter_mut().for_each(|cell| *cell = Cell::new(0));
        let case = ClosedCase { position, trials };
        match &mut self.rounds {
            Some(rounds) => {
                rounds.add(case);
                None
            }
            None => Some(case),
        }
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
        let jobs = planned / u64::from(self.suite.product().variants).max(1);
        let row = |(variant, tally): (&u32, &Tally)| {
            let version = versions.get(self.suite.variant(*variant).prompt).copied().flatten();
            tally.report(self.suite, *variant, self.scale, version, &quantiles, jobs)
        };
        self.variants.iter().zip(&self.tallies).map(row).collect()
    }
}

impl Rounds {
    /// Adds a case in its next round.
    fn add(&mut self, case: ClosedCase) {
        let ClosedCase { position, trials } = case;
        let at = *self.at.entry(position).or_insert(self.cases.len());
        if at == self.cases.len() {
            self.cases.push((position, vec![Summed::default(); trials.len()]));
        }
        let (_, summed) = &mut self.cases[at];
        summed.iter_mut().zip(trials).for_each(|(summed, trials)| summed.add(trials));
    }

    fn close(self) -> Vec<ClosedCase> {
        let case = |(position, summed): (u64, Vec<Summed>)| ClosedCase {
            position,
            trials: summed.into_iter().map(Summed::mean).collect(),
        };
        self.cases.into_iter().map(case).collect()
    }
}

impl Summed {
    fn add(&mut self, trials: Trials) {
        match trials.value {
            Value::Scored(value) => (self.sum, self.scored) = (self.sum + value, self.scored + 1),
            Value::Errored => self.errored = true,
            Value::Absent => {}
        }
        self.rounds += 1;
        self.cost += trials.cost.unwrap_or(0);
        self.unknown_cost |= trials.cost.is_none();
        for (known, new) in self.examples.iter_mut().zip(trials.examples) {
            *known = known.or(new);
        }
    }

    /// The mean over the rounds that came. An error in any of them leaves the case out, as it does in one.
    fn mean(self) -> Trials {
        let value = match self.scored {
            _ if self.errored => Value::Errored,
            0 => Value::Absent,
            scored => Value::Scored(self.sum / scored),
        };
        let cost = (!self.unknown_cost && self.rounds > 0).then(|| self.cost / self.rounds);
        Trials { value, cost, examples: self.examples }
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
        let cost = cell
            .cost()
            .nanos()
            .and_then(|nanos| i64::try_from(nanos * PICOS_IN_NANO / i128::from(cell.trials().max(1))).ok());
        Self { value, cost, examples: [cell.example(true), cell.example(false)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(value: Value, cost: Option<i64>, examples: [Option<u64>; 2]) -> Trials {
        Trials { value, cost, examples }
    }

    #[test]
    fn a_case_of_several_rounds_is_their_mean() {
        let check = |rounds: &[Trials], expected: (Value, Option<i64>, [Option<u64>; 2])| {
            let mut all = Rounds::default();
            for round in rounds {
                for position in [7, 3] {
                    all.add(ClosedCase { position, trials: vec![*round] });
                }
            }
            let cases = all.close();
            assert_eq!(cases.iter().map(|case| case.position).collect::<Vec<_>>(), [7, 3]);
            for case in cases {
                let [Trials { value, cost, examples }] = case.trials[..] else { panic!("one variant") };
                assert_eq!((value, cost, examples), expected);
            }
        };
        let pass = trials(Value::Scored(ONE), Some(10), [Some(1), None]);
        let fail = trials(Value::Scored(0), Some(30), [None, Some(9)]);
        let absent = trials(Value::Absent, None, [None, None]);
        check(&[pass], (Value::Scored(ONE), Some(10), [Some(1), None]));
        check(&[pass, fail], (Value::Scored(ONE / 2), Some(20), [Some(1), Some(9)]));
        check(&[fail, fail, pass], (Value::Scored(ONE / 3), Some(23), [Some(1), Some(9)]));
        // A round that has not come says nothing; one that errored leaves the case out.
        check(&[pass, absent], (Value::Scored(ONE), None, [Some(1), None]));
        check(&[pass, trials(Value::Errored, None, [None, None])], (Value::Errored, None, [Some(1), None]));
    }
}
