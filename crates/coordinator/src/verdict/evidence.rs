//! What one rule of the gate saw of one candidate on one model.

use assay_common::gate::{Metric, Rule};
use assay_store::OutcomeRow;

use super::looks::Looks;
use super::measure::{Cell, Cost, Quantity, Scale, Value};
use super::quantiles::nearest_rank;
use super::stats::{Discordance, Ratio, Sample, Timed};

/// The figures that a rule is judged by, for one candidate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evidence {
    /// Index of the rule.
    pub(super) rule: usize,
    /// The candidate's variant.
    pub(super) candidate: u32,
    /// The baseline's variant on the same model, where the rule compares.
    pub(super) baseline: Option<u32>,
    /// Cases of the rule's slice that were scored, under both arms where the rule compares.
    pub(super) cases: u64,
    /// What was measured on them, in the first round of trials.
    pub(super) figures: Figures,
    /// Where looking again and again stands, for gates and rules that do so.
    pub(super) looks: Option<Looks>,
}

/// The sums behind a rule, by what it measures and whether it compares.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Figures {
    /// A rate of the candidate's own.
    Rate(Rate),
    /// The difference between the arms, case by case.
    Difference(Box<Difference>),
    /// Money.
    Cost(Box<Spending>),
    /// A quantile of latency, in microseconds.
    Latency(Latency),
}

/// A rate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) quantity: Quantity,
    /// Scored cases.
    pub(super) scored: Sample,
    /// Errored cases.
    pub(super) errored: u64,
}

/// The difference candidate − baseline. A case that errored in either arm is kept at its worst value for either
/// side: dropping it would hide what made it fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) quantity: Quantity,
    /// Cases scored under both arms.
    pub(super) scored: Sample,
    /// The same and errored ones at −1: the worst for a pass.
    pub(super) lowest: Sample,
    /// The same and errored ones at +1: the worst for a fail.
    pub(super) highest: Sample,
    /// Of scored cases: how many lost all, how many gained all.
    pub(super) discordance: Discordance,
    /// Errored cases.
    pub(super) errored: u64,
    /// Clusters with an errored case.
    pub(super) errored_clusters: u64,
    cluster_errored: bool,
}

/// Something of both arms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Arms<T> {
    pub(super) candidate: T,
    pub(super) baseline: Option<T>,
}

/// What the scored cases cost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spending {
    /// What it comes to.
    pub(super) totals: Arms<Cost>,
    /// The candidate's, case by case, in dollars.
    pub(super) own: Sample,
    /// The candidate's by the baseline's, where the rule compares.
    pub(super) ratio: Ratio,
}

/// Latencies under a rule: a number for each job in its slice, since what they have to do with one another is their time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latency {
    pub(super) percent: u8,
    /// Of the candidate and of the baseline, in microseconds, each with its case's place in the run.
    pub(super) held: [Vec<Timed>; 2],
    cases: u32,
    /// Known when all results have been seen.
    pub(super) quantile: Arms<Option<i64>>,
}

/// Nano-dollars in a dollar.
const DOLLAR: i64 = 1_000_000_000;

impl Evidence {
    /// Nothing seen yet. `names` are the metrics that rules ask for by name.
    pub(super) fn new(
        index: usize,
        rule: &Rule,
        arms: (u32, Option<u32>),
        names: &[String],
        scale: Scale,
        looks: Option<Looks>,
    ) -> Self {
        let baseline = arms.1.filter(|_| rule.bound.compares());
        let quantity = match &rule.metric {
            Metric::PassRate => Some(Quantity::Reduced),
            Metric::MeanScore => Some(Quantity::Score),
            Metric::Named(name) => names.iter().position(|known| known == name).map(Quantity::Named),
            Metric::Latency(_) | Metric::CostPerCase => None,
        };
        let figures = match (&rule.metric, quantity) {
            (Metric::Latency(percent), _) => Figures::Latency(Latency {
                percent: *percent,
                held: Default::default(),
                cases: 0,
                quantile: Arms { candidate: None, baseline: baseline.map(|_| None) },
            }),
            (_, Some(quantity)) if baseline.is_some() => {
                Figures::Difference(Box::new(Difference::new(quantity, scale)))
            }
            (_, Some(quantity)) => {
                Figures::Rate(Rate { quantity, scored: Sample::new(scale.one()), errored: 0 })
            }
            (_, None) => Figures::Cost(Box::new(Spending {
                totals: Arms { candidate: Cost::default(), baseline: baseline.map(|_| Cost::default()) },
                own: Sample::new(DOLLAR),
                ratio: Ratio::default(),
            })),
        };
        Self { rule: index, candidate: arms.0, baseline, cases: 0, figures, looks }
    }

    /// Looks at a job of the rule's slice, under any variant.
    pub(super) fn add_job(&mut self, row: &OutcomeRow) {
        let Figures::Latency(Latency { held: [candidate, baseline], cases, .. }) = &mut self.figures else {
            return;
        };
        let timed = row.latency_us.map(|micros| (*cases, micros));
        if row.variant == self.candidate {
            candidate.extend(timed);
        } else if Some(row.variant) == self.baseline {
            baseline.extend(timed);
        }
    }

    /// Looks at a case of the rule's slice all of whose jobs have come, and those of every case before it.
    pub(super) fn look_at_case(&mut self, cells: &[Cell], scale: Scale) {
        let Some(looks) = &mut self.looks else { return };
        let value = |index: u32, quantity| match cells[index as usize].value(quantity, scale) {
            Value::Scored(value) => Some(Some(value as f64 / scale.one() as f64)),
            Value::Errored => Some(None),
            Value::Absent => None,
        };
        let value = match (&self.figures, self.baseline) {
            (Figures::Rate(rate), _) => value(self.candidate, rate.quantity),
            (Figures::Difference(difference), Some(baseline)) => {
                let arms = [baseline, self.candidate].map(|arm| value(arm, difference.quantity));
                arms[0].zip(arms[1]).map(|(before, after)| Some(after? - before?))
            }
            _ => return,
        };
        // What was not asked is no evidence of anything.
        if let Some(value) = value {
            looks.add_case(value);
        }
    }

    /// Looks at a case of the rule's slice whose jobs have all come.
    pub(super) fn add_case(&mut self, cells: &[Cell], scale: Scale) {
        let candidate = &cells[self.candidate as usize];
        let baseline = self.baseline.map(|index| &cells[index as usize]);
        let scored = candidate.is_scored(scale) && baseline.is_none_or(|cell| cell.is_scored(scale));
        let counted = match (&mut self.figures, baseline) {
            (Figures::Rate(rate), _) => rate.add(candidate.value(rate.quantity, scale)),
            (Figures::Difference(difference), Some(baseline)) => {
                let quantity = difference.quantity;
                difference.add(baseline.value(quantity, scale), candidate.value(quantity, scale), scale.one())
            }
            (Figures::Cost(spending), _) if scored => {
                spending.add(candidate.cost(), baseline.map(Cell::cost));
                true
            }
            (Figures::Latency(latency), _) => {
                latency.cases += 1;
                scored
            }
            _ => scored,
        };
        self.cases += u64::from(counted);
    }

    /// All cases of a cluster have been looked at.
    pub(super) fn close_cluster(&mut self) {
        match &mut self.figures {
            Figures::Rate(rate) => rate.scored.close_cluster(),
            Figures::Difference(difference) => difference.close_cluster(),
            Figures::Cost(spending) => {
                spending.own.close_cluster();
                spending.ratio.close_cluster();
            }
            Figures::Latency(_) => {}
        }
    }

    /// All results have been seen: works out the quantiles.
    pub(super) fn finish(&mut self) {
        let Figures::Latency(latency) = &mut self.figures else { return };
        let percent = latency.percent;
        let [candidate, baseline] = latency.held.each_ref().map(|held| {
            nearest_rank(&mut held.iter().map(|(_, micros)| *micros).collect::<Vec<_>>(), percent)
        });
        latency.quantile = Arms { candidate, baseline: self.baseline.map(|_| baseline) };
    }
}

impl Spending {
    fn add(&mut self, candidate: Cost, baseline: Option<Cost>) {
        self.totals.candidate.absorb(candidate);
        if let (Some(sum), Some(baseline)) = (&mut self.totals.baseline, baseline) {
            sum.absorb(baseline);
        }
        let nanos = |cost: Cost| cost.nanos().and_then(|nanos| i64::try_from(nanos).ok());
        if let Some(candidate) = nanos(candidate) {
            self.own.push(candidate);
            if let Some(baseline) = baseline.and_then(nanos) {
                self.ratio.push(baseline, candidate);
            }
        }
    }
}

impl Rate {
    fn add(&mut self, value: Value) -> bool {
        match value {
            Value::Scored(value) => self.scored.push(value),
            Value::Errored => self.errored += 1,
            Value::Absent => {}
        }
        matches!(value, Value::Scored(_))
    }
}

impl Difference {
    fn new(quantity: Quantity, scale: Scale) -> Self {
        let sample = Sample::new(scale.one());
        Self {
            quantity,
            scored: sample.clone(),
            lowest: sample.clone(),
            highest: sample,
            discordance: Discordance::default(),
            errored: 0,
            errored_clusters: 0,
            cluster_errored: false,
        }
    }

    fn add(&mut self, baseline: Value, candidate: Value, one: i64) -> bool {
        match (baseline, candidate) {
            (Value::Scored(before), Value::Scored(after)) => {
                let difference = after - before;
                [&mut self.scored, &mut self.lowest, &mut self.highest]
                    .into_iter()
                    .for_each(|sample| sample.push(difference));
                self.discordance.lost += u64::from(difference == -one);
                self.discordance.gained += u64::from(difference == one);
                self.discordance.n += 1;
                true
            }
            (Value::Absent, _) | (_, Value::Absent) => false,
            (Value::Errored, _) | (_, Value::Errored) => {
                self.lowest.push(-one);
                self.highest.push(one);
                self.errored += 1;
                self.cluster_errored = true;
                false
            }
        }
    }

    fn close_cluster(&mut self) {
        self.scored.close_cluster();
        self.lowest.close_cluster();
        self.highest.close_cluster();
        self.errored_clusters += u64::from(std::mem::take(&mut self.cluster_errored));
    }
}
