//! The difference of pass rates on the cases of both arms, folded case by case.

use super::super::report::ratio;
use super::super::stats::{Discordance, Sample, mcnemar, quantile, tango_interval};
use super::shape::{Difference, Terms, Test};

/// What 1 is in values of cases: fine enough for values of suites that reduce differently to be subtracted.
pub(super) const ONE: i64 = 1_000_000_000_000;
/// The cases that were scored under both arms.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) differences: Sample,
    discordance: Discordance,
    before: i128,
    after: i128,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { differences: Sample::new(ONE), discordance: Discordance::default(), before: 0, after: 0 }
    }

    pub(super) fn add(&mut self, old: i64, new: i64) {
        let difference = new - old;
        self.differences.push(difference);
        self.before += i128::from(old);
        self.after += i128::from(new);
        self.discordance.lost += u64::from(difference == -ONE);
        self.discordance.gained += u64::from(difference == ONE);
        self.discordance.n += 1;
    }

    pub(super) fn difference(&self, terms: Terms) -> Difference {
        let cases = self.differences.n();
        let mean = |sum: i128| ratio(sum, i128::from(ONE) * i128::from(cases));
        let by_cases = terms.binary && !terms.clustered;
        let (interval, p, p_exact, test) = if by_cases {
            let tests = mcnemar(self.discordance);
            let interval = tango_interval(self.discordance, terms.confidence);
            (Some(interval), Some(tests.mid_p), Some(tests.exact), Test::Mcnemar)
        } else {
            let degrees = self.differences.clusters().saturating_sub(1);
            let spread = Some(&self.differences).filter(|differences| differences.has_spread());
            let p = match spread.and_then(|differences| differences.t(0.0)) {
                Some(t) => Some(2.0 * quantile::student_t_below(-t.abs(), degrees)),
                // No case differs: chance does as much whenever it is asked.
                None => self.differences.constant().filter(|all| *all == 0).map(|_| 1.0),
            };
            let interval = spread.and_then(|differences| differences.interval(terms.confidence));
            (interval, p, None, Test::StudentT)
        };
        let seen = cases > 0;
        Difference {
            cases,
            before: mean(self.before),
            after: mean(self.after),
            difference: self.differences.mean(),
            interval: interval.filter(|_| seen),
            p: p.filter(|_| seen),
            p_exact: p_exact.filter(|_| seen),
            test,
        }
    }
}
