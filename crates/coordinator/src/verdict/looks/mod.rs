//! The evidence of one rule of a gate that looks at a run again and again, unit after unit of the committed order.
//!
//! ```text
//!   the expected value ──────────▶ betting, with a horizon of as many units as may come
//!   this suite's own number ─────▶ betting without replacement; where there are clusters, only what is certain
//!   latency, cost ───────────────▶ none: judged once, on what came
//! ```
//! - `question`: what a rule asks, and who bets on it
//! - `own`: what is refuted of it, for people
//! - `best`: before a run, whether it could pass at all
//!
//! A further round of trials of the same cases begins with a wealth of its own; what decides is the average over rounds.

mod best;
mod own;
mod question;

use assay_common::verdict::Decision;

use super::stats::Interval;
use super::stats::sequential::{Stage, average};
use own::Refuted;
use question::Bettors;

pub use best::could_pass;
pub(super) use question::Question;

/// Where the evidence stands after so many looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Looks {
    question: Question,
    bettors: Bettors,
    /// What is refuted; only where somebody will read it.
    refuted: Option<Refuted>,
    /// ln of the wealths for a pass and a fail that earlier rounds of trials ended with.
    earlier: Vec<[f64; 2]>,
    /// What was decided first, what had been seen by then, and in how many rounds of trials.
    decided: Option<(Decision, Seen, usize)>,
    seen: Seen,
    /// Cases of every round with a value, and the sum of their values.
    cases: u64,
    sum: f64,
    /// The cases of the unit that is coming in.
    open: Vec<Option<f64>>,
    /// Whether nothing more is asked: a suite's own number takes one round of trials.
    closed: bool,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    /// Units of the first round of trials: a further round brings no further ones.
    units: u64,
    /// Those of them with a case that has a value.
    scored: u64,
    /// Cases without a value, in every round.
    errored: u64,
}

impl Looks {
    /// Before the first unit. `bounds`: whether somebody will ask for [`Looks::bounds`], which costs much more than a look.
    pub(super) fn new(question: Question, bounds: bool) -> Self {
        Self {
            bettors: question.bettors(),
            refuted: question.refuted().filter(|_| bounds),
            question,
            earlier: Vec::new(),
            decided: None,
            seen: Seen::default(),
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
        let known = values.iter().flatten().count();
        self.seen.units += u64::from(is_first_round);
        self.seen.scored += u64::from(is_first_round && known > 0);
        self.seen.errored += (values.len() - known) as u64;
        (self.cases, self.sum) = (self.cases + known as u64, self.sum + values.iter().flatten().sum::<f64>());
        if let (Some(refuted), [value], true) = (&mut self.refuted, values.as_slice(), is_first_round) {
            refuted.push(*value);
        }
        self.bettors.push(&self.question, &values);
        if self.decided.is_none() {
            self.decided = self.decide().map(|decision| (decision, self.seen, self.rounds()));
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
                    self.refuted = None;
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
        self.at_decision().units
    }

    /// How many of [`Looks::looked_at`] have a case that got a result under all versions in question.
    pub(super) fn scored(&self) -> u64 {
        self.at_decision().scored
    }

    /// How many cases of [`Looks::looked_at`], of every round of trials, did not: they counted at their worst for either verdict.
    pub(super) fn errored(&self) -> u64 {
        self.at_decision().errored
    }

    fn at_decision(&self) -> Seen {
        self.decided.map_or(self.seen, |(_, seen, _)| seen)
    }

    /// In how many rounds of trials it was decided; all so far while it is not.
    pub(super) fn rounds(&self) -> usize {
        self.decided.map_or(self.earlier.len() + 1, |(.., rounds)| rounds)
    }

    /// How many units were looked at in all.
    pub(super) fn units(&self) -> u64 {
        self.seen.units
    }

    /// Whether no further unit of this run is expected to decide it.
    pub(super) fn is_futile(&self) -> bool {
        let Bettors::Expected(population) = &self.bettors else { return false };
        self.decided.is_none() && population.stop().is_some_and(|stop| stop.stage == Stage::Futility)
    }

    /// How many units there are that were not looked at.
    pub(super) fn units_left(&self) -> u64 {
        self.question.extent.units.saturating_sub(self.seen.units)
    }

    /// Whether every case that there is has been looked at: then a suite's own number is known.
    pub(super) fn is_whole(&self) -> bool {
        self.units_left() == 0
    }

    /// Whether half of the risk of error was kept for a test of the complete run, and the run is complete.
    pub(super) fn has_last_look(&self) -> bool {
        self.question.last_look && self.seen.units >= self.question.horizon
    }

    /// The mean of the values so far.
    pub(super) fn observed(&self) -> Option<f64> {
        (self.cases > 0).then(|| self.sum / self.cases as f64)
    }

    /// What is not refuted at any look so far: of the expected value, or of this suite's own number once it is complete. Of
    /// the latter also what is impossible.
    pub(super) fn bounds(&self) -> Option<Interval> {
        let refuted = self.refuted.as_ref().map(Refuted::bounds);
        match &self.bettors {
            Bettors::Expected(_) => refuted,
            Bettors::Suite(_) => {
                let [low, high] = refuted.unwrap_or(self.question.range);
                let [least, most] = self.possible();
                Some([low.max(least), high.min(most)])
            }
        }
    }

    /// Whether what [`Looks::bounds`] leaves out of this suite's own number is impossible, and not only refuted.
    pub(super) fn is_certain(&self) -> bool {
        self.refuted.is_none()
    }

    /// What this suite's own number can come to still.
    fn possible(&self) -> Interval {
        let cases = self.question.extent.cases as f64;
        let unknown = cases - self.cases as f64;
        self.question.range.map(|end| (self.sum + unknown * end) / cases)
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
