//! What is not refuted at any look so far, as bounds that may be read at any time.

use super::super::{Interval, edge};
use super::finite::Side;
use super::grid::Grid;
use super::wealth::{Mixture, Wealth};

/// One-sided bounds at level `alpha` of the mean of values in [0, 1], given with how often each occurred: the means that the
/// grid has not refuted. Valid at any time and for any stopping; the order of the values does not matter.
///
/// Each gambler's factor falls as the mean rises, so what is refuted is an interval whose edge is found by halving.
/// Waudby-Smith & Ramdas 2024 (JRSS-B 86:1).
pub fn mean_bounds(values: &[(f64, u64)], alpha: f64, bets: u32) -> Interval {
    let refuted = |mean: f64, value: fn(f64) -> f64| {
        let mut grid = Grid::new(bets);
        for (x, times) in values.iter().filter(|(_, times)| *times > 0) {
            let x = value(*x);
            if mean > 0.0 || x > 0.0 {
                grid.push_times(x / mean - 1.0, *times as f64);
            }
        }
        grid.ln_wealth() >= -alpha.ln()
    };
    let low = edge(0.0, 1.0, |mean| refuted(mean, |x| x));
    let high = edge(1.0, 0.0, |mean| refuted(1.0 - mean, |x| 1.0 - x));
    [low, high]
}

/// One-sided bounds at level `alpha` of the mean that a suite of `planned` values in [0, 1] will have when all are in, from
/// the first ones in committed order: what is logically possible and not refuted. They meet at the last value.
pub fn finite_bounds(values: &[f64], planned: u64, alpha: f64, bets: u32) -> Interval {
    let refuted = |mean: f64, value: fn(f64) -> f64| {
        let mut side = Side::new(mean, planned, bets);
        values.iter().for_each(|x| side.push(value(*x)));
        side.ln() >= -alpha.ln()
    };
    let low = edge(0.0, 1.0, |mean| refuted(mean, |x| x));
    let high = edge(1.0, 0.0, |mean| refuted(1.0 - mean, |x| 1.0 - x));
    [low, high]
}

/// Bounds of the expected difference that agree with the verdict of [`Population`](super::Population): the same wealth is
/// kept for each difference of a grid, and what was refuted once stays refuted.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Rising values.
    steps: Vec<Step>,
    /// The least and the greatest value of a case.
    range: Interval,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    theta: f64,
    /// Against "at most this" and "at least this"; `None` once refuted.
    above: Option<Wealth>,
    below: Option<Wealth>,
}

impl Sequence {
    /// Before the first case: for differences in half points up to twenty points either way and in points beyond, and for
    /// −`margin`.
    pub fn new(margin: f64, planned: u64, alpha: f64, mixture: Mixture) -> Self {
        let near = (-40..=40).map(|half_points| f64::from(half_points) / 200.0);
        let far = (21..=99).flat_map(|points| [f64::from(points) / 100.0, f64::from(-points) / 100.0]);
        let thetas: Vec<f64> = near.chain(far).chain([-margin]).collect();
        Self::over(thetas, planned, alpha, mixture)
    }

    /// Before the first case, for these differences in (−1, 1).
    pub fn over(thetas: Vec<f64>, planned: u64, alpha: f64, mixture: Mixture) -> Self {
        Self::between([-1.0, 1.0], thetas, planned, alpha, mixture)
    }

    /// The same of values in `range`, for these inside of it.
    pub fn between(
        range: Interval,
        mut thetas: Vec<f64>,
        planned: u64,
        alpha: f64,
        mixture: Mixture,
    ) -> Self {
        let [least, most] = range;
        thetas.sort_by(f64::total_cmp);
        thetas.dedup();
        let step = |theta: f64| {
            let wealth = |bound| Some(Wealth::new(bound, most - least, planned, alpha, mixture));
            Step { theta, above: wealth(theta - least), below: wealth(most - theta) }
        };
        Self { steps: thetas.into_iter().map(step).collect(), range }
    }

    /// Looks at the next case of the committed order: its difference, or `None` where it ended without a result.
    pub fn push(&mut self, difference: Option<f64>) {
        let [least, most] = self.range;
        for Step { theta, above, below } in &mut self.steps {
            for (wealth, y) in
                [(above, difference.unwrap_or(least) - *theta), (below, *theta - difference.unwrap_or(most))]
            {
                if let Some(open) = wealth {
                    open.push(y);
                    if open.decides() {
                        *wealth = None;
                    }
                }
            }
        }
    }

    /// The ends of what has been refuted from below and from above: each holds with confidence 1 − α at all looks together.
    pub fn bounds(&self) -> Interval {
        let low = self.steps.iter().take_while(|step| step.above.is_none()).last();
        let high = self.steps.iter().rev().take_while(|step| step.below.is_none()).last();
        [low.map_or(self.range[0], |step| step.theta), high.map_or(self.range[1], |step| step.theta)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Demand, Population};
    use super::*;

    #[test]
    fn bounds_agree_with_the_verdict_and_only_ever_narrow() {
        let (margin, planned) = (0.05, 300);
        let mut gate = Population::new(Demand { futility: None, ..Demand::of_cases(margin, planned, 0.05) });
        let mut sequence = Sequence::new(margin, planned, 0.05, Mixture::default());
        let mut before = sequence.bounds();
        for at in 0..planned {
            let difference = if at % 20 == 3 {
                1.0
            } else if at % 25 == 7 {
                -1.0
            } else {
                0.0
            };
            let stop = gate.push(Some(difference + margin));
            sequence.push(Some(difference));
            let bounds = sequence.bounds();
            assert!(bounds[0] >= before[0] && bounds[1] <= before[1]);
            let passed = stop.is_some_and(|stop| stop.decision == assay_common::verdict::Decision::Pass);
            assert_eq!(bounds[0] >= -margin, passed, "after {at}");
            before = bounds;
        }
        assert!(before[0] >= -margin, "it passes in the end: {before:?}");
    }

    #[test]
    fn bounds_of_nothing_are_everything_and_those_of_a_complete_suite_meet() {
        assert_eq!(mean_bounds(&[], 0.05, 20), [0.0, 1.0]);
        let values = [1.0, 0.0, 1.0, 1.0, 0.5];
        let [low, high] = finite_bounds(&values, 5, 0.05, 20);
        assert!((low - 0.7).abs() < 1e-6 && (high - 0.7).abs() < 1e-6, "{low} {high}");
    }
}
