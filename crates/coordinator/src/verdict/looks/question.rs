//! What a rule asks of the units of a run, and who bets on the answer.

use assay_common::gate::{Bound, Estimand, Gate, Rule};
use assay_common::suite::Suite;

use super::super::extent::Extent;
use super::super::stats::Interval;
use super::super::stats::sequential::{Demand, Finite, Futility, Mixture, Population, Sequence};
use super::own::{Own, Refuted};

/// From so many cases in a unit on, a bet on units alone sees too little, and half of the risk of error is kept for one test
/// of the complete run.
const LARGE_CLUSTERS: f64 = 5.0;

/// Distances from a rule's bound at which it is said what is refuted: near ones finely, far ones coarsely.
const STEPS: [f64; 17] =
    [0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9];

/// What a rule asks of the units of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Question {
    /// The value that is held against 0 is `sign`·x + `shift`, with x a case's rate or difference.
    pub(super) sign: f64,
    shift: f64,
    /// The least and the greatest x.
    pub(super) range: [f64; 2],
    pub(super) estimand: Estimand,
    pub(super) extent: Extent,
    pub(super) clustered: bool,
    /// What 1/x can be at most a multiple of.
    grain: f64,
    /// Units that may come in one round.
    pub(super) horizon: u64,
    /// Rounds of trials that may come.
    rounds: u32,
    /// The chance to pass what should not.
    pub(super) alpha: f64,
    /// The chance to fail what should not.
    pub(super) alpha_fail: f64,
    /// Whether half of both is kept for a test of the complete run.
    pub(super) last_look: bool,
}

impl Question {
    /// What `rule` asks; `None` where it has no evidence that may be looked at more than once. `family` is how many rules
    /// can fail a version: each may do so by mistake with a share of the risk, so that the one that is named is to blame.
    pub(in super::super) fn of(
        suite: &Suite,
        gate: &Gate,
        rule: &Rule,
        extent: Extent,
        grain: f64,
        family: usize,
    ) -> Option<Self> {
        let comparable = !rule.bound.compares() || gate.nothing_live.is_none();
        if !gate.looks_again() || !rule.metric.higher_is_better() || extent.cases == 0 || !comparable {
            return None;
        }
        let amount = rule.bound.amount().as_f64();
        let (sign, shift, range) = match rule.bound {
            Bound::Min(_) => (1.0, -amount, [0.0, 1.0]),
            Bound::Max(_) => (-1.0, amount, [0.0, 1.0]),
            Bound::MaxDrop(_) => (1.0, amount, [-1.0, 1.0]),
            Bound::MaxIncrease(_) => return None,
        };
        let clustered = suite.dataset.clustered;
        let expected = rule.estimand == Estimand::Population;
        let last_look = expected && clustered && extent.cases as f64 >= LARGE_CLUSTERS * extent.units as f64;
        let share = if last_look { 0.5 } else { 1.0 };
        let alpha = share * (1.0 - gate.confidence.as_f64());
        let drawn = suite.product().cases as f64 / suite.dataset.cases.max(1) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a share of a number of units")]
        let horizon = (extent.units as f64 * drawn).ceil() as u64;
        let rounds = gate.max_repeats.map_or(1, |most| (most / suite.repeats.max(1)).max(1));
        let question = Self {
            sign,
            shift,
            range,
            estimand: rule.estimand,
            extent,
            clustered,
            grain,
            horizon,
            rounds,
            alpha,
            alpha_fail: alpha / family.max(1) as f64,
            last_look,
        };
        let [low, high] = question.held();
        // A bound at the end of what is possible leaves nothing to bet on one side.
        (!expected || (low < 0.0 && high > 0.0)).then_some(question)
    }

    /// The least and the greatest of a case's value that is held against 0.
    fn held(&self) -> Interval {
        let [a, b] = self.range.map(|x| self.sign * x + self.shift);
        [a.min(b), a.max(b)]
    }

    /// The value of x that the rule's bound names.
    fn bound(&self) -> f64 {
        -self.sign * self.shift
    }

    pub(super) fn bettors(&self) -> Bettors {
        if self.estimand == Estimand::Suite {
            return Bettors::Suite(self.own(self.bound()));
        }
        Bettors::Expected(Box::new(Population::new(Demand {
            range: self.held().map(|end| end * self.extent.largest as f64),
            planned: self.horizon,
            alpha: self.alpha,
            alpha_fail: self.alpha_fail,
            mixture: Mixture::default(),
            // How a further round would go is not foreseen.
            futility: (self.rounds == 1).then(Futility::default),
        })))
    }

    /// Is this suite's own number at least `bound`, or at most where less is better?
    pub(super) fn own(&self, bound: f64) -> Finite {
        let (cases, grain, bets) = (self.extent.cases, self.grain, Mixture::default().bets);
        match self.range[0] < 0.0 {
            true => Finite::no_worse(-bound, cases, grain, self.alpha, bets),
            false if self.sign > 0.0 => Finite::at_least(bound, cases, grain, self.alpha, bets),
            false => Finite::at_least(1.0 - bound, cases, grain, self.alpha, bets),
        }
    }

    /// What [`Question::own`] takes of a case: its x in [0, 1], turned round where less is better.
    pub(super) fn unit(&self, x: f64) -> f64 {
        match self.range[0] < 0.0 {
            true => f64::midpoint(x, 1.0),
            false if self.sign > 0.0 => x,
            false => 1.0 - x,
        }
    }

    /// What a case adds to its unit's value that is held against 0.
    pub(super) fn value(&self, x: f64) -> f64 {
        self.sign * x + self.shift
    }

    /// What is kept to say afterwards which values of x are refuted. Of clusters nothing is: of this suite's own number only
    /// what is certain counts then, and of the expected one the grid would have to be bet on by cluster.
    pub(super) fn refuted(&self) -> Option<Refuted> {
        if self.clustered {
            return None;
        }
        let [low, high] = self.range;
        let bound = self.bound();
        let far = STEPS.iter().flat_map(|step| [bound + step, bound - step]);
        let inside = |theta: &f64| *theta > low && *theta < high;
        let thetas = far.chain([bound]).filter(inside);
        Some(match self.estimand {
            Estimand::Suite => Refuted::Own(Own::new(*self, thetas)),
            Estimand::Population => {
                let thetas = thetas.collect();
                let mixture = Mixture::default();
                Refuted::Expected(Sequence::between(self.range, thetas, self.horizon, self.alpha, mixture))
            }
        })
    }
}

/// Who bets: of an expected value unit by unit, of this suite's own number case by case.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bettors {
    Expected(Box<Population>),
    Suite(Finite),
}

impl Bettors {
    /// Looks at the cases of a unit.
    pub(super) fn push(&mut self, question: &Question, values: &[Option<f64>]) {
        match self {
            Self::Expected(population) => {
                let _ = population.push(values.iter().map(|x| x.map(|x| question.value(x))).sum());
            }
            Self::Suite(finite) => values.iter().for_each(|x| finite.push(x.map(|x| question.unit(x)))),
        }
    }
}
