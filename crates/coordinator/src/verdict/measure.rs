//! What one case came to under one variant, and its value for a metric.

use assay_common::gate::Metric;
use assay_common::outcome::Outcome;
use assay_common::reduce::Reducer;
use assay_common::score::{Millionths, NamedScore};
use assay_common::scorer::Scorer;
use assay_common::suite::Suite;
use assay_store::Mark;

/// The most that 1 is: squares of sums over ten million cases still fit 128 bits.
const MAX_ONE: u64 = 1_000_000_000_000;

/// How the trials of a case become a value. Values are whole multiples of 1/[`Scale::one`], fine enough for every mean
/// over trials, over the scorers of a metric and over weights to be exact, and for pass@k and pass^k. Where that would
/// take more than [`MAX_ONE`], they are rounded to what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    trials: u32,
    reduce: Reducer,
    one: i64,
}

impl Scale {
    /// That of a suite.
    pub(super) fn of(suite: &Suite) -> Self {
        let trials = suite.repeats.max(1);
        let base = Millionths::ONE.0.unsigned_abs() * u64::from(trials);
        let finest = MAX_ONE / base;
        let rules = suite.gate.iter().flat_map(|gate| &gate.rules);
        let scorers = rules.filter_map(|rule| match &rule.metric {
            Metric::Named(name) => Some(scorers_of(suite, name).map(|_| 1).sum()),
            _ => None,
        });
        let weights = || suite.scorers.iter().filter_map(|scorer| u64::try_from(scorer.weight.0).ok());
        let shared = weights().fold(0, gcd).max(1);
        let weight = weights().map(|weight| weight / shared).sum();
        let reduced = suite.reduce.denominator(trials).map_or(MAX_ONE, |all| all / gcd(all, base));
        let factor = scorers.chain([weight, reduced]).fold(1, |factor, by| {
            least_common_multiple(factor, by.max(1)).filter(|factor| *factor <= finest).unwrap_or(finest)
        });
        Self { trials, reduce: suite.reduce, one: i64::try_from(base * factor).unwrap_or(i64::MAX) }
    }

    /// What 1 is.
    pub(super) fn one(self) -> i64 {
        self.one
    }

    /// A value in multiples of 1/`one`, the nearest.
    pub(super) fn rescaled(self, value: i64, one: i64) -> i64 {
        round_div(i128::from(value) * i128::from(one), i128::from(self.one))
    }

    /// The nearest millionth, for people.
    pub(super) fn millionths(self, value: i64) -> Millionths {
        let millionths = i128::from(value) * i128::from(Millionths::ONE.0);
        Millionths(round_div(millionths, i128::from(self.one)))
    }
}

/// Whether a metric's value of a case is always 0 or 1.
pub(super) fn is_binary(suite: &Suite, metric: &Metric) -> bool {
    match metric {
        Metric::PassRate => suite.reduce.is_binary(suite.repeats.max(1)),
        Metric::MeanScore => {
            let weighty = suite.scorers.iter().filter(|scorer| scorer.weight > Millionths::ZERO);
            suite.repeats <= 1 && is_one_binary(weighty)
        }
        Metric::Named(name) => suite.repeats <= 1 && is_one_binary(scorers_of(suite, name)),
        Metric::Latency(_) | Metric::CostPerCase => false,
    }
}

/// Two scorers have a mean between.
fn is_one_binary<'s>(mut scorers: impl Iterator<Item = &'s Scorer>) -> bool {
    scorers.next().is_some_and(|scorer| scorer.check.is_binary()) && scorers.next().is_none()
}

fn scorers_of<'s>(suite: &'s Suite, metric: &'s str) -> impl Iterator<Item = &'s Scorer> {
    suite.scorers.iter().filter(move |scorer| scorer.metric.as_deref() == Some(metric))
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    (a / gcd(a, b)).checked_mul(b)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
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

/// Scores added up, in millionths, each as often as it weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scores {
    sum: i128,
    weight: i128,
}

impl Scores {
    fn add(&mut self, score: Millionths, weight: i64) {
        self.sum += i128::from(score.0) * i128::from(weight);
        self.weight += i128::from(weight);
    }

    /// The mean in multiples of 1/[`Scale::one`].
    fn mean(self, scale: Scale) -> Option<i64> {
        let millionths = i128::from(Millionths::ONE.0);
        (self.weight > 0).then(|| round_div(self.sum * i128::from(scale.one), self.weight * millionths))
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
    pub(super) fn add(&mut self, mark: &Mark) {
        match mark.cost {
            Some(cost) => {
                self.nanos += i128::from(cost.0);
                self.known = true;
            }
            None => self.unknown |= is_answered(mark.outcome),
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

    /// Adds a trial. `scores` are its scorers' findings; without them its weighted score counts, rounded as it is.
    pub(super) fn add(&mut self, mark: &Mark, scores: &[NamedScore], names: &[String]) {
        match mark.outcome {
            Outcome::Passed => {
                self.passed += 1;
                self.first_passed = earlier(self.first_passed, mark.ordinal);
            }
            Outcome::Failed => {
                self.failed += 1;
                self.first_failed = earlier(self.first_failed, mark.ordinal);
            }
            Outcome::Errored(_) => self.errored += 1,
            Outcome::Cancelled => {}
        }
        self.cost.add(mark);
        if !is_answered(mark.outcome) {
            return;
        }
        for named in scores {
            self.score.add(named.score.value, named.weight.0);
            let index = names.iter().position(|name| named.metric.as_ref() == Some(name));
            index.into_iter().for_each(|index| self.named[index].add(named.score.value, 1));
        }
        // Where nothing weighs anything the score was given, not made of others.
        if scores.iter().all(|named| named.weight <= Millionths::ZERO) {
            mark.score.into_iter().for_each(|score| self.score.add(score, Millionths::ONE.0));
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
            Quantity::Reduced => scale.reduce.reduce(self.passed, scale.trials, scale.one),
            Quantity::Score => self.score.mean(scale),
            Quantity::Named(index) => self.named[index].mean(scale),
        };
        value.map_or(Value::Absent, Value::Scored)
    }

    /// How many of its trials came to an end with a result.
    pub(super) fn trials(&self) -> u32 {
        self.passed + self.failed + self.errored
    }

    /// What its trials cost.
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// The first trial that passed, or failed: the one to look at when that is the surprise.
    pub(super) fn example(&self, passed: bool) -> Option<u64> {
        if passed { self.first_passed } else { self.first_failed }
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
    fn rounds_to_the_nearest() {
        let check = |value, by, expected| assert_eq!(round_div(value, by), expected, "{value}/{by}");
        check(7, 2, 4);
        check(6, 4, 2);
        check(5, 4, 1);
        check(-7, 4, -2);
        check(0, 9, 0);
    }
}
