//! The evidence of one rule of a gate that looks at a run again and again, unit after unit of the committed order.
//!
//! ```text
//!   the expected value ──────────▶ betting, with a horizon of as many units as may come
//!   this suite's own number ─────▶ betting without replacement; where there are clusters, only what is certain
//!   latency, cost ───────────────▶ none: judged once, on what came
//! ```
//! A further round of trials of the same cases begins with a wealth of its own; what decides is the average over rounds.

use assay_common::gate::{Bound, Estimand, Gate, Rule};
use assay_common::suite::Suite;
use assay_common::verdict::Decision;

use super::extent::Extent;
use super::stats::Interval;
use super::stats::sequential::{Demand, Finite, Futility, Mixture, Population, Sequence, Stage, average};

/// From so many cases in a unit on, a bet on units alone sees too little, and half of the risk of error is kept for one test
/// of the complete run.
const LARGE_CLUSTERS: f64 = 5.0;

/// Distances from a rule's bound at which it is said what is refuted: near ones finely, far ones coarsely.
const STEPS: [f64; 17] =
    [0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9];

/// What a rule asks of the units of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Question {
    /// The value that is held against 0 is `sign`·x + `shift`, with x a case's rate or difference.
    sign: f64,
    shift: f64,
    /// The least and the greatest x.
    range: [f64; 2],
    estimand: Estimand,
    extent: Extent,
    clustered: bool,
    /// What 1/x can be at most a multiple of.
    grain: f64,
    /// Units that may come in one round.
    horizon: u64,
    /// Rounds of trials that may come.
    rounds: u32,
    /// The chance to pass what should not.
    alpha: f64,
    /// The chance to fail what should not.
    alpha_fail: f64,
    /// Whether half of both is kept for a test of the complete run.
    last_look: bool,
}

impl Question {
    /// What `rule` asks; `None` where it has no evidence that may be looked at more than once. `family` is how many rules
    /// can fail a version: each may do so by mistake with a share of the risk, so that the one that is named is to blame.
    pub(super) fn of(
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

    fn bettors(&self) -> Bettors {
        let held = self.held();
        if self.estimand == Estimand::Suite {
            let (cases, grain, bets) = (self.extent.cases, self.grain, Mixture::default().bets);
            return Bettors::Suite(match self.range[0] < 0.0 {
                true => Finite::no_worse(self.shift, cases, grain, self.alpha, bets),
                false if self.sign > 0.0 => Finite::at_least(-self.shift, cases, grain, self.alpha, bets),
                false => Finite::at_least(1.0 - self.shift, cases, grain, self.alpha, bets),
            });
        }
        let futility = Futility::default();
        Bettors::Expected(Box::new(Population::new(Demand {
            range: held.map(|end| end * self.extent.largest as f64),
            planned: self.horizon,
            alpha: self.alpha,
            alpha_fail: self.alpha_fail,
            mixture: Mixture::default(),
            // How a further round would go is not foreseen.
            futility: (self.rounds == 1).then_some(futility),
        })))
    }

    fn sequence(&self) -> Option<Sequence> {
        if self.estimand == Estimand::Suite || self.clustered {
            return None;
        }
        let [low, high] = self.range;
        let bound = -self.sign * self.shift;
        let far = STEPS.iter().flat_map(|step| [bound + step, bound - step]);
        let thetas = far.chain([bound]).filter(|theta| *theta > low && *theta < high).collect();
        Some(Sequence::between(self.range, thetas, self.horizon, self.alpha, Mixture::default()))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Bettors {
    Expected(Box<Population>),
    Suite(Finite),
}

/// Where the evidence stands after so many looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Looks {
    question: Question,
    bettors: Bettors,
    /// What is not refuted; only where somebody will read it.
    sequence: Option<Sequence>,
    /// ln of the wealths for a pass and a fail that earlier rounds of trials ended with.
    earlier: Vec<[f64; 2]>,
    /// What was decided first, after how many units, and in how many rounds of trials.
    decided: Option<(Decision, u64, usize)>,
    /// Units of the first round of trials: a further round brings no further ones.
    units: u64,
    /// Cases of every round with a value, and the sum of their values.
    cases: u64,
    sum: f64,
    /// The cases of the unit that is coming in.
    open: Vec<Option<f64>>,
    /// Whether nothing more is asked: a suite's own number takes one round of trials.
    closed: bool,
}

impl Looks {
    /// Before the first unit. `bounds`: whether somebody will ask for [`Looks::bounds`], which costs much more than a look.
    pub(super) fn new(question: Question, bounds: bool) -> Self {
        Self {
            bettors: question.bettors(),
            sequence: question.sequence().filter(|_| bounds),
            question,
            earlier: Vec::new(),
            decided: None,
            units: 0,
            cases: 0,
            sum: 0.0,
            open: Vec::new(),
            closed: false,
        }
    }

    /// Adds a case to the open unit; `None` where it ended without a value, which counts at its worst for either verdict.
    pub(super) fn add_case(&mut self, value: Option<f64>) {
        if !self.closed {
            self.open.push(value);
        }
    }

    /// All of the open unit has come: looks at it. Nothing when it is empty.
    pub(super) fn close_unit(&mut self) {
        let values = std::mem::take(&mut self.open);
        if values.is_empty() {
            return;
        }
        let is_first_round = self.earlier.is_empty();
        self.units += u64::from(is_first_round);
        let known = values.iter().flatten();
        (self.cases, self.sum) = (self.cases + known.clone().count() as u64, self.sum + known.sum::<f64>());
        if let (Some(sequence), [value], true) = (&mut self.sequence, values.as_slice(), is_first_round) {
            sequence.push(*value);
        }
        self.bettors.push(&self.question, &values);
        if self.decided.is_none() {
            self.decided = self.decide().map(|decision| (decision, self.units, self.rounds()));
        }
    }

    /// What is open will never be whole.
    pub(super) fn discard(&mut self) {
        self.open.clear();
    }

    /// A further round of trials of the same cases begins.
    pub(super) fn next_round(&mut self) {
        match &self.bettors {
            Bettors::Suite(_) => self.closed = true,
            Bettors::Expected(population) => {
                self.earlier.push(population.ln_wealth());
                self.bettors = self.question.bettors();
                // What it says is about the first round alone: it is told where that was enough.
                if self.decided.is_none() {
                    self.sequence = None;
                }
            }
        }
    }

    /// What was decided.
    pub(super) fn decision(&self) -> Option<Decision> {
        self.decided.map(|(decision, ..)| decision)
    }

    /// After how many units it was decided; all so far while it is not.
    pub(super) fn looked_at(&self) -> u64 {
        self.decided.map_or(self.units, |(_, units, _)| units)
    }

    /// In how many rounds of trials it was decided; all so far while it is not.
    pub(super) fn rounds(&self) -> usize {
        self.decided.map_or(self.earlier.len() + 1, |(.., rounds)| rounds)
    }

    /// How many units were looked at in all.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// Whether no further unit of this run is expected to decide it.
    pub(super) fn is_futile(&self) -> bool {
        let Bettors::Expected(population) = &self.bettors else { return false };
        self.decided.is_none() && population.stop().is_some_and(|stop| stop.stage == Stage::Futility)
    }

    /// Whether every case that there is has been looked at: then a suite's own number is known.
    pub(super) fn is_whole(&self) -> bool {
        self.units >= self.question.extent.units
    }

    /// Whether half of the risk of error was kept for a test of the complete run, and the run is complete.
    pub(super) fn has_last_look(&self) -> bool {
        self.question.last_look && self.units >= self.question.horizon
    }

    /// The mean of the values so far.
    pub(super) fn observed(&self) -> Option<f64> {
        (self.cases > 0).then(|| self.sum / self.cases as f64)
    }

    /// What is not refuted at any look so far: of the expected value, or of this suite's own number once it is complete.
    pub(super) fn bounds(&self) -> Option<Interval> {
        match &self.bettors {
            Bettors::Expected(_) => self.sequence.as_ref().map(Sequence::bounds),
            Bettors::Suite(_) => {
                let [least, most] = self.question.range;
                let cases = self.question.extent.cases as f64;
                let unknown = cases - self.cases as f64;
                Some([least, most].map(|end| (self.sum + unknown * end) / cases))
            }
        }
    }

    /// The wealth of the side that has more, as a share of what decides, each as ln.
    pub(super) fn progress(&self) -> (f64, f64) {
        let [pass, fail] = self.ln_wealth();
        let [for_pass, for_fail] = self.targets();
        if pass / for_pass >= fail / for_fail { (pass, for_pass) } else { (fail, for_fail) }
    }

    fn decide(&self) -> Option<Decision> {
        let Bettors::Suite(finite) = &self.bettors else { return self.rich(self.ln_wealth()) };
        // Clusters come whole, so cases are in no random order: only what is certain counts.
        let certain = finite.certain();
        if self.question.clustered { certain } else { certain.or_else(|| self.rich(finite.ln_wealth())) }
    }

    fn rich(&self, [pass, fail]: [f64; 2]) -> Option<Decision> {
        let [for_pass, for_fail] = self.targets();
        match (pass >= for_pass, fail >= for_fail) {
            (true, _) => Some(Decision::Pass),
            (_, true) => Some(Decision::Fail),
            _ => None,
        }
    }

    /// ln of the wealth that passes and of that which fails.
    fn targets(&self) -> [f64; 2] {
        [-self.question.alpha.ln(), -self.question.alpha_fail.ln()]
    }

    fn ln_wealth(&self) -> [f64; 2] {
        let current = match &self.bettors {
            Bettors::Expected(population) => population.ln_wealth(),
            Bettors::Suite(finite) => finite.ln_wealth(),
        };
        [0, 1].map(|side| {
            let rounds: Vec<f64> = self.earlier.iter().chain([&current]).map(|wealth| wealth[side]).collect();
            average(&rounds)
        })
    }
}

impl Bettors {
    fn push(&mut self, question: &Question, values: &[Option<f64>]) {
        match self {
            Self::Expected(population) => {
                let held = |x: &Option<f64>| x.map(|x| question.sign * x + question.shift);
                let _ = population.push(values.iter().map(held).sum());
            }
            Self::Suite(finite) => {
                let unit = |x: f64| match question.range[0] < 0.0 {
                    true => f64::midpoint(x, 1.0),
                    false if question.sign > 0.0 => x,
                    false => 1.0 - x,
                };
                values.iter().for_each(|x| finite.push(x.map(unit)));
            }
        }
    }
}
