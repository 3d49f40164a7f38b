//! What is refuted of the number that a rule asks for, as bounds that agree with what was decided.

use assay_common::verdict::Decision;

use super::super::stats::Interval;
use super::super::stats::sequential::{Finite, Sequence};
use super::question::Question;

/// What is kept for bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refuted {
    /// Of the expected value.
    Expected(Sequence),
    /// Of this suite's own number.
    Own(Own),
}

impl Refuted {
    /// Looks at the next case of the committed order; `None` where it ended without a value.
    pub(super) fn push(&mut self, x: Option<f64>) {
        match self {
            Self::Expected(sequence) => sequence.push(x),
            Self::Own(own) => own.push(x),
        }
    }

    /// The ends of what is not refuted.
    pub(super) fn bounds(&self) -> Interval {
        match self {
            Self::Expected(sequence) => sequence.bounds(),
            Self::Own(own) => own.bounds,
        }
    }
}

/// The bettors of a rule on this suite's own number, kept for other bounds than the rule's as well: what one of them has
/// decided once stays decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Own {
    question: Question,
    /// Of each bound that is not decided yet.
    open: Vec<(f64, Finite)>,
    bounds: Interval,
}

impl Own {
    /// Before the first case, for these bounds inside of what is possible.
    pub(super) fn new(question: Question, thetas: impl Iterator<Item = f64>) -> Self {
        let open = thetas.map(|theta| (theta, question.own(theta))).collect();
        Self { question, open, bounds: question.range }
    }

    fn push(&mut self, x: Option<f64>) {
        let Self { question, open, bounds: [low, high] } = self;
        let x = x.map(|x| question.unit(x));
        open.retain_mut(|(theta, finite)| {
            finite.push(x);
            let Some(decision) = finite.decision() else { return true };
            // Where less is better, a pass says "at most this".
            match (decision == Decision::Pass) == (question.sign > 0.0) {
                true => *low = low.max(*theta),
                false => *high = high.min(*theta),
            }
            false
        });
    }
}
