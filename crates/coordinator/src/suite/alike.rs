//! Metrics that are one number under two names, or one of which never lies above the other: what [`super::never`] has to know of two
//! rules before it can say that they never hold together.

use assay_common::gate::Metric;
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::scorer::Scorer;

/// How the answers of a suite are judged.
#[derive(Clone, Copy)]
pub(super) struct Judging<'a> {
    /// Its scorers; none where one of them cannot be read, and nothing is known.
    pub(super) scorers: &'a [Scorer],
    /// The weighted score at which a case passes, instead of when all pass.
    pub(super) threshold: Option<Millionths>,
    /// Trials of each case, and how they become one value.
    pub(super) repeats: u32,
    pub(super) reduce: Reducer,
}

impl Judging<'_> {
    /// The metric that is always the same number: where one scorer alone decides, its metric and the mean score are the pass rate.
    pub(super) fn same_as(&self, metric: &Metric) -> Metric {
        let Some(sole) = self.sole() else { return metric.clone() };
        let is_its = match metric {
            Metric::MeanScore => true,
            Metric::Named(name) => {
                let mut named = self.named(name);
                named.next() == Some(sole) && named.next().is_none()
            }
            Metric::PassRate | Metric::Latency(_) | Metric::CostPerCase => return metric.clone(),
        };
        let decides = self.counts_trials() && !self.passes_all();
        match (is_its, decides) {
            (true, true) => Metric::PassRate,
            (true, false) => Metric::MeanScore,
            (false, _) => metric.clone(),
        }
    }

    /// Whether one metric can never be above another: an answer that passes has satisfied every scorer that weighs anything.
    pub(super) fn never_above(&self, low: &Metric, high: &Metric) -> bool {
        let (low, high) = (self.same_as(low), self.same_as(high));
        if low == high {
            return true;
        }
        let by_all = self.threshold.is_none() && self.counts_trials() && self.weighty().next().is_some();
        let of_all = match &high {
            Metric::MeanScore => true,
            Metric::Named(name) => self.named(name).all(is_weighty) && self.named(name).next().is_some(),
            Metric::PassRate | Metric::Latency(_) | Metric::CostPerCase => false,
        };
        low == Metric::PassRate && by_all && of_all
    }

    /// Whether an answer passes whatever its score.
    pub(super) fn passes_all(&self) -> bool {
        self.threshold == Some(Millionths::ZERO)
    }

    /// Whether the pass rate is the share of trials that passed.
    fn counts_trials(&self) -> bool {
        self.repeats == 1 || self.reduce == Reducer::Mean
    }

    /// The one scorer that weighs anything, where it says yes or no.
    fn sole(&self) -> Option<&Scorer> {
        let mut weighty = self.weighty();
        weighty.next().filter(|sole| sole.check.is_binary() && weighty.next().is_none())
    }

    fn weighty(&self) -> impl Iterator<Item = &Scorer> {
        self.scorers.iter().filter(|scorer| is_weighty(scorer))
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Scorer> {
        self.scorers.iter().filter(move |scorer| scorer.metric.as_deref() == Some(name))
    }
}

fn is_weighty(scorer: &Scorer) -> bool {
    scorer.weight > Millionths::ZERO
}

#[cfg(test)]
mod tests {
    use assay_common::scorer::Check;

    use super::*;

    fn scorer(metric: &str, weight: i64) -> Scorer {
        let check = Check::Contains { value: "x".into() };
        let metric = Some(metric.to_owned());
        Scorer { check, negated: false, weight: Millionths(weight), metric, extract: None }
    }

    #[test]
    fn what_one_scorer_decides_has_three_names() {
        let check = |weights: &[(&str, i64)], threshold, (repeats, reduce), expected: [Metric; 2]| {
            let scorers: Vec<_> = weights.iter().map(|(metric, weight)| scorer(metric, *weight)).collect();
            let judging = Judging { scorers: &scorers, threshold, repeats, reduce };
            let found = [Metric::Named("a".into()), Metric::MeanScore].map(|metric| judging.same_as(&metric));
            assert_eq!(found, expected, "{weights:?}");
        };
        let (rate, score, a) = (Metric::PassRate, Metric::MeanScore, Metric::Named("a".into()));
        let (once, thrice) = ((1, Reducer::Any), (3, Reducer::Mean));
        check(&[("a", 1)], None, once, [rate.clone(), rate.clone()]);
        check(&[("a", 1), ("b", 0)], Some(Millionths(500_000)), thrice, [rate.clone(), rate.clone()]);
        check(&[("a", 1)], None, (3, Reducer::Any), [score.clone(), score.clone()]);
        check(&[("a", 1)], Some(Millionths::ZERO), once, [score.clone(), score.clone()]);
        check(&[("a", 1), ("a", 0)], None, once, [a.clone(), rate.clone()]);
        check(&[("a", 0), ("b", 1)], None, once, [a.clone(), rate]);
        check(&[("a", 1), ("b", 1)], None, once, [a.clone(), score.clone()]);
        check(&[], None, once, [a, score]);
    }

    #[test]
    fn the_pass_rate_is_never_above_what_every_pass_has_satisfied() {
        let check = |weights: &[(&str, i64)], threshold, high: Metric, expected: bool| {
            let scorers: Vec<_> = weights.iter().map(|(metric, weight)| scorer(metric, *weight)).collect();
            let judging = Judging { scorers: &scorers, threshold, repeats: 1, reduce: Reducer::Mean };
            assert_eq!(judging.never_above(&Metric::PassRate, &high), expected, "{weights:?}");
            assert!(
                !judging.never_above(&high, &Metric::PassRate) || judging.same_as(&high) == Metric::PassRate
            );
        };
        let a = || Metric::Named("a".into());
        check(&[("a", 1), ("b", 1)], None, a(), true);
        check(&[("a", 1), ("b", 1)], None, Metric::MeanScore, true);
        check(&[("a", 1), ("b", 1)], Some(Millionths(500_000)), a(), false);
        check(&[("a", 0), ("b", 1), ("c", 1)], None, a(), false);
        check(&[("a", 1), ("a", 0), ("b", 1)], None, a(), false);
        check(&[("a", 1), ("b", 1)], None, Metric::CostPerCase, false);
        check(&[("a", 1)], None, a(), true);
        check(&[], None, a(), false);
    }
}
