//! Terminal jobs are folded into what reports and gates need. Memory does not grow with the number of cases:
//! one case and one cluster are open at a time, all else is sums.
//!
//! The one exception are rules on the latency of a slice, which hold a number for each job in it.

use assay_common::gate::{Metric, Rule};
use assay_common::suite::{Suite, Variant};
use assay_store::OutcomeRow;

use super::evidence::Evidence;
use super::flips::Flips;
use super::measure::{Cell, Scale};
use super::quantiles::Quantiles;
use super::report::{Tally, VariantReport};

/// What results come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// By index of the variant: by prompt entry, then by model.
    pub variants: Vec<VariantReport>,
    /// For each candidate and model that has a baseline.
    pub flips: Vec<Flips>,
    /// For each candidate, model and rule, in this order.
    pub(super) evidence: Vec<Evidence>,
}

/// A fold over the terminal jobs of a run.
///
/// A case is *scored* when all its trials passed or failed, *errored* when any errored, and neither when a trial
/// was cancelled or has not ended.
#[derive(Debug)]
pub struct Aggregation<'a> {
    suite: &'a Suite,
    scale: Scale,
    /// The metrics that rules ask for by name.
    names: Vec<String>,
    tallies: Vec<Tally>,
    flips: Vec<Flips>,
    evidence: Vec<Evidence>,
    case: Option<OpenCase>,
    cells: Vec<Cell>,
}

/// The case that jobs are coming for.
#[derive(Debug)]
struct OpenCase {
    position: u64,
    id: String,
    /// Its cluster; itself when it has none.
    cluster: Option<String>,
    /// By index of evidence: whether the case is in the rule's slice.
    in_slice: Vec<bool>,
}

impl<'a> Aggregation<'a> {
    /// Before the first job.
    pub fn new(suite: &'a Suite) -> Self {
        let scale = Scale::of(suite);
        let rules = rules(suite);
        let mut names: Vec<String> = rules
            .iter()
            .filter_map(|rule| match &rule.metric {
                Metric::Named(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let arms = arms(suite);
        let evidence = arms.iter().flat_map(|arms| {
            let names = &names;
            rules.iter().enumerate().map(move |(index, rule)| Evidence::new(index, rule, *arms, names, scale))
        });
        let compared =
            arms.iter().filter_map(|(candidate, baseline)| baseline.map(|base| (*candidate, base)));
        let variants = suite.product().variants as usize;
        Self {
            suite,
            scale,
            tallies: vec![Tally::default(); variants],
            flips: compared.map(|(candidate, baseline)| Flips::new(candidate, baseline)).collect(),
            evidence: evidence.collect(),
            case: None,
            cells: vec![Cell::new(names.len()); variants],
            names,
        }
    }

    /// Adds a terminal job. All jobs of a case come together, and so do all cases of a cluster, as they do in
    /// the order of ordinals; else the order does not matter.
    ///
    /// # Panics
    /// When the job's variant is none of the suite's.
    pub fn push(&mut self, row: &OutcomeRow) {
        if self.case.as_ref().is_none_or(|case| case.position != row.position) {
            self.open_case(row);
        }
        self.tallies[row.variant as usize].add_job(row);
        self.cells[row.variant as usize].add(row, &self.names);
        let in_slice = self.case.iter().flat_map(|case| &case.in_slice);
        for (evidence, in_slice) in self.evidence.iter_mut().zip(in_slice) {
            if *in_slice {
                evidence.add_job(row);
            }
        }
    }

    /// After the last job. `versions` are the version numbers of the prompt entries.
    pub fn finish(mut self, quantiles: &Quantiles, versions: &[Option<i64>]) -> Aggregate {
        self.close_case();
        for evidence in &mut self.evidence {
            evidence.close_cluster();
            evidence.finish(quantiles);
        }
        let (suite, scale) = (self.suite, self.scale);
        let variants = (0..).zip(&self.tallies).map(|(index, tally)| {
            let version = versions.get(suite.variant(index).prompt).copied().flatten();
            tally.report(suite, index, scale, version, quantiles)
        });
        Aggregate { variants: variants.collect(), flips: self.flips, evidence: self.evidence }
    }

    fn open_case(&mut self, row: &OutcomeRow) {
        let before = self.close_case();
        let cluster_goes_on = row.cluster.is_some() && before.and_then(|case| case.cluster) == row.cluster;
        if !cluster_goes_on {
            self.evidence.iter_mut().for_each(Evidence::close_cluster);
        }
        let rules = rules(self.suite);
        let holds = |rule: &Rule| rule.slice.iter().all(|(tag, value)| row.tags.get(tag) == Some(value));
        self.case = Some(OpenCase {
            position: row.position,
            id: row.case_id.clone(),
            cluster: row.cluster.clone(),
            in_slice: self.evidence.iter().map(|evidence| holds(&rules[evidence.rule])).collect(),
        });
    }

    fn close_case(&mut self) -> Option<OpenCase> {
        let case = self.case.take()?;
        for (tally, cell) in self.tallies.iter_mut().zip(&self.cells) {
            tally.add_case(cell, self.scale);
        }
        for flips in &mut self.flips {
            flips.add_case(case.position, &case.id, &self.cells, self.scale);
        }
        for (evidence, in_slice) in self.evidence.iter_mut().zip(&case.in_slice) {
            if *in_slice {
                evidence.add_case(&self.cells, self.scale);
            }
        }
        self.cells.iter_mut().for_each(|cell| *cell = Cell::new(self.names.len()));
        Some(case)
    }
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
