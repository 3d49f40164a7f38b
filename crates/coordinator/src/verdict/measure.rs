//! What one case came to under one variant, and its value for a metric.

use assay_common::gate::Metric;
use assay_common::outcome::Outcome;
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::suite::Suite;
use assay_store::OutcomeRow;

/// How the trials of a case become a value. Values are whole multiples of 1/[`Scale::one`], fine enough for a
/// mean over trials to be exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    trials: u32,
    reduce: Reducer,
}

impl Scale {
    /// That of a suite.
    pub(super) fn of(suite: &Suite) -> Self {
        Self { trials: suite.repeats.max(1), reduce: suite.reduce }
    }

    /// What 1 is.
    pub(super) fn one(self) -> i64 {
        Millionths::ONE.0 * i64::from(self.trials)
    }

    /// The nearest millionth, for people.
    pub(super) fn millionths(self, value: i64) -> Millionths {
        Millionths(round_div(i128::from(value), i128::from(self.trials)))
    }

    /// Whether a metric's value of a case is always 0 or 1.
    pub(super) fn is_binary(self, metric: &Metric) -> bool {
        matches!(metric, Metric::PassRate) && self.reduce.is_binary(self.trials)
    }

    fn reduced(self, passed: u32) -> Option<i64> {
        match self.reduce {
            // Not by way of millionths: two of three would be a little more than 2/3.
            Reducer::Mean => Some(Millionths::ONE.0 * i64::from(passed)),
            other => other.reduce(passed, self.trials).map(|value| value.0 * i64::from(self.trials)),
        }
    }
}

/// A metric whose value lies in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// The reduced value.
    Reduced,
    /// The mean weighted score of the trials.
    Score,
    /// The mean of the scores under one of the names that rules ask for, by index.
    Named(usize),
}

/// A case's value for a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Every trial was scored; in multiples of 1/[`Scale::one`].
    Scored(i64),
    /// A trial errored.
    Errored,
    /// A trial was cancelled or has not ended, or no trial has such a score: neither scored nor errored.
    Absent,
}

/// The trials of one case under one variant, as far as they have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    passed: u32,
    failed: u32,
    errored: u32,
    score: Scores,
    named: Vec<Scores>,
    cost: Cost,
    first_passed: Option<u64>,
    first_failed: Option<u64>,
}

/// Scores added up, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scores {
    pub(super) sum: i128,
    pub(super) count: u64,
}

impl Scores {
    pub(super) fn add(&mut self, score: Millionths) {
        self.sum += i128::from(score.0);
        self.count += 1;
    }
}

/// Money added up: known only while the cost of every answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    nanos: i128,
    known: bool,
    unknown: bool,
}

impl Cost {
    /// Adds a job's. What an error cost counts where it is known; an answer of unknown cost makes the sum unknown.
    pub(super) fn add(&mut self, row: &OutcomeRow) {
        match row.cost {
            Some(cost) => {
                self.nanos += i128::from(cost.0);
                self.known = true;
            }
            None => self.unknown |= is_answered(row.outcome),
        }
    }

    pub(super) fn absorb(&mut self, other: Cost) {
        self.nanos += other.nanos;
        self.known |= other.known;
        self.unknown |= other.unknown;
    }

    /// In nano-dollars.
    pub(super) fn nanos(self) -> Option<i128> {
        (self.known && !self.unknown).then_some(self.nanos)
    }
}

impl Cell {
    /// Without trials; `names` are the metrics that rules ask for by name.
    pub(super) fn new(names: usize) -> Self {
        Self { named: vec![Scores::default(); names], ..Self::default() }
    }

    /// Adds a trial.
    pub(super) fn add(&mut self, row: &OutcomeRow, names: &[String]) {
        match row.outcome {
            Outcome::Passed => {
                self.passed += 1;
                self.first_passed = earlier(self.first_passed, row.ordinal);
            }
            Outcome::Failed => {
                self.failed += 1;
                self.first_failed = earlier(self.first_failed, row.ordinal);
            }
            Outcome::Errored(_) => self.errored += 1,
            Outcome::Cancelled => {}
        }
        self.cost.add(row);
        if !is_answered(row.outcome) {
            return;
        }
        row.score.into_iter().for_each(|score| self.score.add(score));
        for named in &row.scores {
            let index = names.iter().position(|name| named.metric.as_ref() == Some(name));
            index.into_iter().for_each(|index| self.named[index].add(named.score.value));
        }
    }

    /// Whether every trial was scored; an error or a trial that never came leaves the case out.
    pub(super) fn is_scored(&self, scale: Scale) -> bool {
        self.errored == 0 && self.passed + self.failed == scale.trials
    }

    /// Its value for a quantity.
    pub(super) fn value(&self, quantity: Quantity, scale: Scale) -> Value {
        if self.errored > 0 {
            return Value::Errored;
        }
        if !self.is_scored(scale) {
            return Value::Absent;
        }
        let value = match quantity {
            Quantity::Reduced => scale.reduced(self.passed),
            Quantity::Score => self.mean(self.score, scale),
            Quantity::Named(index) => self.mean(self.named[index], scale),
        };
        value.map_or(Value::Absent, Value::Scored)
    }

    /// The sum of its weighted scores and their number.
    pub(super) fn scores(&self) -> Scores {
        self.score
    }

    /// What its trials cost.
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// The first trial that passed, or failed: the one to look at when that is the surprise.
    pub(super) fn example(&self, passed: bool) -> Option<u64> {
        if passed { self.first_passed } else { self.first_failed }
    }

    fn mean(&self, scores: Scores, scale: Scale) -> Option<i64> {
        let trials = i128::from(scale.trials);
        (scores.count > 0).then(|| round_div(scores.sum * trials, i128::from(scores.count)))
    }
}

/// Whether a job ended with an answer that was judged.
pub(super) fn is_answered(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Passed | Outcome::Failed)
}

fn earlier(first: Option<u64>, ordinal: u64) -> Option<u64> {
    Some(first.map_or(ordinal, |first| first.min(ordinal)))
}

/// The nearest whole number, halves upwards. `by` is above 0.
fn round_div(value: i128, by: i128) -> i64 {
    i64::try_from((2 * value + by).div_euclid(2 * by)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_three_is_exactly_two_thirds() {
        let scale = Scale { trials: 3, reduce: Reducer::Mean };
        assert_eq!(scale.reduced(2).map(|value| value * 3), Some(2 * scale.one()));
        assert_eq!(scale.millionths(2_000_000), Millionths(666_667));
        let majority = Scale { trials: 3, reduce: Reducer::Majority };
        assert_eq!(majority.reduced(2), Some(majority.one()));
    }

    #[test]
    fn rounds_to_the_nearest() {
        let check = |value, by, expected| assert_eq!(round_div(value, by), expected, "{value}/{by}");
        check(7, 2, 4);
        check(6, 4, 2);
        check(5, 4, 1);
        check(-7, 4, -2);
        check(0, 9, 0);
    }
}
