//! Is the expected difference no worse than the margin? A look after every unit, at a cost that does not grow.

use assay_common::verdict::Decision;

use super::futility::Futility;
use super::wealth::{Mixture, Wealth};

/// What is asked, and of how many units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// The least and the greatest of a unit's values y: its difference plus the margin, summed over its cases where the unit
    /// is a cluster. A pass says that the mean of y is above 0, a fail that it is below. For cases [m − 1, m + 1]; for
    /// clusters s times that, with s the most cases in one.
    pub range: [f64; 2],
    /// How many units there are to look at.
    pub planned: u64,
    /// The chance that a version which is too bad passes.
    pub alpha: f64,
    /// The chance that a version which is good enough fails.
    pub alpha_fail: f64,
    /// How wealth is bet.
    pub mixture: Mixture,
    /// When to give up; never without.
    pub futility: Option<Futility>,
}

impl Demand {
    /// Of single cases, with differences in [−1, 1]: is a drop of `margin` ruled out, or shown?
    pub fn of_cases(margin: f64, planned: u64, alpha: f64) -> Self {
        Self {
            range: [margin - 1.0, margin + 1.0],
            planned,
            alpha,
            alpha_fail: alpha,
            mixture: Mixture::default(),
            futility: Some(Futility::default()),
        }
    }
}

/// Why no further unit is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The evidence sufficed.
    Sequential,
    /// The rest was not expected to change anything.
    Futility,
    /// There were no more units.
    End,
}

/// A look that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What it came to.
    pub decision: Decision,
    /// Why it ended.
    pub stage: Stage,
    /// After how many units.
    pub n: u64,
}

/// Two bettors over the units in committed order: one against "too bad", who says pass, one against "good enough", who says
/// fail. Either decides when his wealth reaches 1/α; what one gains on a unit the other loses, so both never do at once.
///
/// The chance to pass a version whose expected difference is the margin or worse is at most α, however often one looks
/// (Ville 1939). Where units are large clusters, give the sequence half of α and a clustered t test on the complete run the
/// other half.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    demand: Demand,
    pass: Wealth,
    fail: Wealth,
    n: u64,
    /// Of differences, scaled to [−1, 1].
    sum: f64,
    squares: f64,
    stop: Option<Stop>,
}

impl Population {
    /// Before the first unit.
    pub fn new(demand: Demand) -> Self {
        let [low, high] = demand.range;
        let wealth = |bound, alpha| Wealth::new(bound, high - low, demand.planned, alpha, demand.mixture);
        Self {
            pass: wealth(-low, demand.alpha),
            fail: wealth(high, demand.alpha_fail),
            demand,
            n: 0,
            sum: 0.0,
            squares: 0.0,
            stop: None,
        }
    }

    /// Looks at the next unit of the committed order: its value y, or `None` where a case of it ended without a result, which
    /// counts at its worst for either verdict. Returns what the look came to; once it has stopped, later units change the
    /// wealth and not the verdict.
    pub fn push(&mut self, y: Option<f64>) -> Option<Stop> {
        let [low, high] = self.demand.range;
        self.pass.push(y.unwrap_or(low));
        self.fail.push(-y.unwrap_or(high));
        self.n += 1;
        let (centre, half) = (f64::midpoint(low, high), (high - low) / 2.0);
        // For giving up, what is unknown is as likely to help as to harm.
        let difference = y.map_or(0.0, |y| (y - centre) / half);
        self.sum += difference;
        self.squares += difference * difference;
        if self.stop.is_none() {
            self.stop = self.look();
        }
        self.stop
    }

    /// What was decided, and when.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// ln of the wealth for a pass and for a fail.
    pub fn ln_wealth(&self) -> [f64; 2] {
        [self.pass.ln(), self.fail.ln()]
    }

    /// What could be said already although some units are missing before `further` ones: those in order, `None` where one is
    /// missing. Valid whatever they turn out to be.
    pub fn peek(&self, further: &[Option<f64>]) -> Option<Decision> {
        let [low, high] = self.demand.range;
        let decides = |wealth: &Wealth, sign: f64, worst: f64| {
            wealth.decides_with(further.iter().map(|y| sign * y.unwrap_or(worst)))
        };
        match (decides(&self.pass, 1.0, low), decides(&self.fail, -1.0, high)) {
            (true, _) => Some(Decision::Pass),
            (_, true) => Some(Decision::Fail),
            _ => None,
        }
    }

    fn look(&self) -> Option<Stop> {
        let stop = |decision, stage| Some(Stop { decision, stage, n: self.n });
        if self.pass.decides() {
            return stop(Decision::Pass, Stage::Sequential);
        }
        if self.fail.decides() {
            return stop(Decision::Fail, Stage::Sequential);
        }
        if self.n >= self.demand.planned {
            return stop(Decision::Inconclusive, Stage::End);
        }
        let futility =
            self.demand.futility.filter(|futility| futility.is_due(self.n, self.demand.planned))?;
        let [low, high] = self.demand.range;
        let mean = self.sum / self.n as f64;
        let excess = mean + f64::midpoint(low, high) / ((high - low) / 2.0);
        // One more discordant unit than was seen: no spread seen is not no spread.
        let variance = (self.squares + 1.0) / (self.n as f64 + 2.0) - mean * mean;
        let futile = futility.is_futile(excess, variance, self.n, self.demand.planned, self.demand.alpha);
        if futile { stop(Decision::Inconclusive, Stage::Futility) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(margin: f64, planned: u64) -> Population {
        Population::new(Demand { futility: None, ..Demand::of_cases(margin, planned, 0.05) })
    }

    fn stop(
        mut gate: Population,
        differences: impl IntoIterator<Item = Option<f64>>,
        margin: f64,
    ) -> Option<Stop> {
        differences.into_iter().find_map(|d| gate.push(d.map(|d| d + margin)))
    }

    #[test]
    fn how_many_cases_that_do_not_change_pass() {
        let check = |margin, planned, between: std::ops::RangeInclusive<u64>| {
            let stop = stop(gate(margin, planned), std::iter::repeat_n(Some(0.0), 1_000), margin).unwrap();
            assert_eq!((stop.decision, stop.stage), (Decision::Pass, Stage::Sequential));
            assert!(between.contains(&stop.n), "{}", stop.n);
        };
        check(0.05, 500, 90..=110);
        check(0.02, 500, 230..=260);
    }

    #[test]
    fn a_straight_run_of_losses_fails_within_ten() {
        let stop = stop(gate(0.02, 500), std::iter::repeat_n(Some(-1.0), 20), 0.02).unwrap();
        assert_eq!(stop.decision, Decision::Fail);
        assert!(stop.n <= 10, "{}", stop.n);
    }

    #[test]
    fn what_is_missing_helps_neither_side() {
        let (mut whole, mut gap) = (gate(0.05, 100), gate(0.05, 100));
        for at in 0..40 {
            whole.push(Some(0.05));
            gap.push((at != 7).then_some(0.05));
        }
        let ([pass, fail], [pass_gap, fail_gap]) = (whole.ln_wealth(), gap.ln_wealth());
        assert!(pass_gap < pass && fail_gap < fail);
    }

    #[test]
    fn looking_past_a_gap_takes_more_evidence_and_never_less() {
        let mut gate = gate(0.05, 500);
        (0..60).for_each(|_| assert_eq!(gate.push(Some(0.05)), None));
        let quiet = |more: usize, missing: usize| [vec![None; missing], vec![Some(0.05); more]].concat();
        let least = |missing| (0..500).find(|more| gate.peek(&quiet(*more, missing)).is_some()).unwrap();
        assert!(least(0) > 35 && least(1) > least(0) && least(2) > least(1));
        assert_eq!(gate.peek(&vec![Some(-0.95); 40]), Some(Decision::Fail));
    }
}
