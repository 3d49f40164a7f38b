//! Terminal jobs are folded into what reports and gates need. Memory does not grow with the number of cases:
//! one case and one cluster are open at a time, all else is sums.
//!
//! The one exception are rules on latency, which hold a number for each job they look at.

use std::borrow::Cow;

use assay_common::gate::{Estimand, Metric, Rule, Tier};
use assay_common::outcome::Outcome;
use assay_common::plan::Product;
use assay_common::suite::{Suite, Variant};
use assay_store::OutcomeRow;

use super::evidence::Evidence;
use super::extent::Extents;
use super::flips::Flips;
use super::looks::{Looks, Question};
use super::measure::{Cell, Scale, is_binary};
use super::quantiles::Quantiles;
use super::report::{Tally, VariantReport};

/// What results come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// By index of the variant: by prompt entry, then by model.
    pub variants: Vec<VariantReport>,
    /// For each candidate and model that has a baseline.
    pub flips: Vec<Flips>,
    /// Whether the gate ended the run before every job was asked: then it was decided on what is there.
    pub stopped_early: bool,
    /// For each candidate, model and rule, in this order.
    pub(super) evidence: Vec<Evidence>,
}

/// A fold over the terminal jobs of a run.
///
/// A case is *scored* when all its trials passed or failed, *errored* when any errored, and neither when a trial
/// was cancelled or has not ended. Further rounds of trials, which a gate may add, count as cases of their own in rates and
/// in what it looks at again and again, and nowhere else.
#[derive(Debug)]
pub struct Aggregation<'a> {
    suite: Cow<'a, Suite>,
    product: Product,
    scale: Scale,
    /// The metrics that rules ask for by name.
    names: Vec<String>,
    pub(super) tallies: Vec<Tally>,
    pub(super) flips: Vec<Flips>,
    pub(super) evidence: Vec<Evidence>,
    case: Option<OpenCase>,
    cells: Vec<Cell>,
    prefix: Prefix,
    /// Whether this is for a report.
    tells: bool,
}

/// The case that jobs are coming for.
#[derive(Debug)]
struct OpenCase {
    /// Its round of trials, from 0.
    round: u64,
    position: u64,
    id: String,
    /// Its cluster; itself when it has none.
    cluster: Option<String>,
    /// By index of evidence: whether the case is in the rule's slice.
    in_slice: Vec<bool>,
    /// How many of its jobs have come.
    jobs: u64,
}

/// How far results have come without a gap: only so far they are a random sample, whatever is quick and whatever is slow.
#[derive(Debug)]
struct Prefix {
    /// The ordinal that comes next.
    next: u64,
    /// Whether there was a gap.
    broken: bool,
}

impl<'a> Aggregation<'a> {
    /// Before the first job of a dataset that was counted, for a report.
    pub fn counted(suite: &'a Suite, extents: &Extents) -> Self {
        Self::over(Cow::Borrowed(suite), extents, true)
    }

    /// Before the first job, for somebody who looks while the run goes on: without what only a report tells.
    pub fn watching(suite: Suite, extents: &Extents) -> Aggregation<'static> {
        Aggregation::over(Cow::Owned(suite), extents, false)
    }

    fn over(suite: Cow<'a, Suite>, extents: &Extents, tells: bool) -> Self {
        let scale = Scale::of(&suite);
        let rules = rules(&suite);
        let mut names: Vec<String> = rules
            .iter()
            .filter_map(|rule| match &rule.metric {
                Metric::Named(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let arms = arms(&suite);
        let family = family(&suite);
        let evidence = arms.iter().flat_map(|arms| {
            let (names, suite) = (&names, &suite);
            rules.iter().enumerate().map(move |(index, rule)| {
                let grain = if is_binary(suite, &rule.metric) { 1.0 } else { 1.0 / scale.one() as f64 };
                let question = suite
                    .gate
                    .as_ref()
                    .and_then(|gate| Question::of(suite, gate, rule, extents.of(index), grain, family));
                let looks = question.map(|question| Looks::new(question, tells));
                Evidence::new(index, rule, *arms, names, scale, looks)
            })
        });
        let compared =
            arms.iter().filter_map(|(candidate, baseline)| baseline.map(|base| (*candidate, base)));
        let product = suite.product();
        let variants = product.variants as usize;
        Self {
            scale,
            product,
            tallies: vec![Tally::default(); variants],
            flips: compared.map(|(candidate, baseline)| Flips::new(candidate, baseline)).collect(),
            evidence: evidence.collect(),
            case: None,
            cells: vec![Cell::new(names.len()); variants],
            prefix: Prefix { next: 0, broken: false },
            tells,
            names,
            suite,
        }
    }

    /// The suite.
    pub(super) fn suite(&self) -> &Suite {
        &self.suite
    }

    /// Adds a terminal job. All jobs of a case come together, and so do all cases of a cluster, as they do in
    /// the order of ordinals; else the order does not matter, except to a gate that looks again and again: it sees no
    /// further than to the first ordinal that is missing.
    ///
    /// # Panics
    /// When the job's variant is none of the suite's.
    pub fn push(&mut self, row: &OutcomeRow) {
        self.reach(row);
        let mark = row.mark();
        self.tallies[row.variant as usize].add_job(&mark);
        self.cells[row.variant as usize].add(&mark, &row.scores, &self.names);
        let Some(case) = &self.case else { return };
        for (evidence, in_slice) in self.evidence.iter_mut().zip(&case.in_slice) {
            // Who only watches has no use for latencies.
            if *in_slice && self.tells {
                evidence.add_job(row);
            }
        }
    }

    /// Passes over a terminal job in its place, as though its case had not been asked of its variant.
    pub fn leave_out(&mut self, row: &OutcomeRow) {
        self.reach(row);
    }

    fn reach(&mut self, row: &OutcomeRow) {
        let round = row.ordinal / self.product.jobs().unwrap_or(u64::MAX).max(1);
        let in_order = row.ordinal == self.prefix.next && row.outcome != Outcome::Cancelled;
        if self.case.as_ref().is_none_or(|case| (case.round, case.position) != (round, row.position)) {
            self.open_case(row, round, in_order);
        }
        self.prefix.broken |= !in_order;
        self.prefix.next = row.ordinal + 1;
        if let Some(case) = &mut self.case {
            case.jobs += 1;
        }
    }

    /// Everything that was planned so far has come: no further job belongs to the case that came last, nor to its cluster
    /// where the dataset ends there.
    pub fn catch_up(&mut self) {
        let clustered = self.case.as_ref().is_some_and(|case| case.cluster.is_some());
        let ends = self.product.cases == self.suite.dataset.cases && self.at_end_of_round();
        if ends || !clustered {
            self.close_case();
            self.close_unit(false);
        }
    }

    /// After the last job. `versions` are the version numbers of the prompt entries; `planned`: the jobs there were to be.
    pub fn finish(mut self, quantiles: &Quantiles, versions: &[Option<i64>], planned: u64) -> Aggregate {
        self.catch_up();
        self.close_case();
        for evidence in &mut self.evidence {
            evidence.close_cluster();
            evidence.finish();
        }
        let (suite, scale) = (&self.suite, self.scale);
        let jobs = planned / u64::from(self.product.variants).max(1);
        let variants = (0..).zip(&self.tallies).map(|(index, tally)| {
            let version = versions.get(suite.variant(index).prompt).copied().flatten();
            tally.report(suite, index, scale, version, quantiles, jobs)
        });
        let variants = variants.collect();
        Aggregate { variants, flips: self.flips, stopped_early: false, evidence: self.evidence }
    }

    fn at_end_of_round(&self) -> bool {
        self.product.jobs().is_some_and(|jobs| jobs > 0 && self.prefix.next.is_multiple_of(jobs))
    }

    fn open_case(&mut self, row: &OutcomeRow, round: u64, in_order: bool) {
        let next_round = self.at_end_of_round() && round > 0;
        let cluster = self.close_case().and_then(|case| case.cluster);
        if next_round || cluster.is_none() || cluster != row.cluster {
            // What comes after a gap does not say whether a cluster before it was whole.
            self.close_unit(cluster.is_some() && !in_order);
        }
        if next_round {
            let looks = self.evidence.iter_mut().filter_map(|evidence| evidence.looks.as_mut());
            looks.for_each(Looks::next_round);
        }
        let rules = rules(&self.suite);
        let holds = |rule: &Rule| rule.slice.iter().all(|(tag, value)| row.tags.get(tag) == Some(value));
        self.case = Some(OpenCase {
            round,
            position: row.position,
            id: row.case_id.clone(),
            cluster: row.cluster.clone(),
            in_slice: self.evidence.iter().map(|evidence| holds(&rules[evidence.rule])).collect(),
            jobs: 0,
        });
    }

    fn close_case(&mut self) -> Option<OpenCase> {
        let case = self.case.take()?;
        let is_first_round = case.round == 0;
        self.prefix.broken |= case.jobs < self.product.jobs_per_case();
        for (tally, cell) in self.tallies.iter_mut().zip(&self.cells) {
            tally.add_case(cell, self.scale, is_first_round);
        }
        if is_first_round {
            for flips in &mut self.flips {
                flips.add_case(case.position, &case.id, &self.cells, self.scale);
            }
        }
        for (evidence, _) in self.evidence.iter_mut().zip(&case.in_slice).filter(|(_, in_slice)| **in_slice) {
            if is_first_round {
                evidence.add_case(&self.cells, self.scale);
            }
            if !self.prefix.broken {
                evidence.look_at_case(&self.cells, self.scale);
            }
        }
        self.cells.iter_mut().for_each(|cell| *cell = Cell::new(self.names.len()));
        Some(case)
    }

    /// The unit that is open has ended; `cut`: perhaps not all of it came.
    fn close_unit(&mut self, cut: bool) {
        for evidence in &mut self.evidence {
            evidence.close_cluster();
            match &mut evidence.looks {
                Some(looks) if cut || self.prefix.broken => looks.discard(),
                Some(looks) => looks.close_unit(),
                None => {}
            }
        }
    }
}

/// How many tests can fail a version, on each model by itself, in a gate that looks more than once.
fn family(suite: &Suite) -> usize {
    let deciding = rules(suite).iter().filter(|rule| rule.tier != Tier::Advisory);
    let tests =
        deciding.filter(|rule| rule.metric.higher_is_better() || rule.estimand == Estimand::Population);
    suite.models.len() * tests.count()
}

/// The candidates, as indices of prompt entries: all but the baseline; a sole entry is one without a baseline.
pub(super) fn candidates(suite: &Suite) -> (Vec<usize>, Option<usize>) {
    let baseline = suite.baseline().filter(|_| suite.prompts.len() > 1);
    ((0..suite.prompts.len()).filter(|prompt| Some(*prompt) != baseline).collect(), baseline)
}

/// Each candidate on each model, with the baseline on the same model, as indices of variants.
fn arms(suite: &Suite) -> Vec<(u32, Option<u32>)> {
    let (candidates, baseline) = candidates(suite);
    let index =
        |prompt, model| u32::try_from(suite.variant_index(Variant { prompt, model })).unwrap_or(u32::MAX);
    candidates
        .into_iter()
        .flat_map(|prompt| (0..suite.models.len()).map(move |model| (prompt, model)))
        .map(|(prompt, model)| (index(prompt, model), baseline.map(|baseline| index(baseline, model))))
        .collect()
}

fn rules(suite: &Suite) -> &[Rule] {
    suite.gate.as_ref().map_or(&[], |gate| &gate.rules)
}
