//! Suites and runs written as strings: `"+-e"` is three cases that passed, failed and errored.

use std::collections::BTreeMap;

use assay_common::gate::{Amount, Bound, Estimand, Gate, Metric, Rule, Tier};
use assay_common::id::Digest;
use assay_common::model::{Model, Sampling};
use assay_common::money::NanoUsd;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::prompt::{PromptBody, PromptEntry};
use assay_common::reduce::Reducer;
use assay_common::score::{Millionths, NamedScore, Score};
use assay_common::scorer::{Check, Scorer};
use assay_common::suite::{DatasetRef, Priority, Suite};
use assay_common::usage::Usage;
use assay_common::verdict::{Decision, RuleVerdict, Verdict};
use assay_coordinator::verdict::{Aggregate, Aggregation, Extents, Quantiles, judge};
use assay_store::OutcomeRow;

/// A suite of so many prompt entries on one model, one trial a case, with a gate of these rules.
pub(crate) fn suite(prompts: usize, rules: Vec<Rule>) -> Suite {
    let entry = |index: usize| {
        let body = PromptBody::text(&format!("prompt {index}"));
        PromptEntry {
            name: "triage".into(),
            label: format!("v{index}"),
            owner: None,
            baseline: false,
            digest: body.digest(),
            body,
        }
    };
    Suite {
        name: "suite".into(),
        owner: None,
        description: None,
        prompts: (0..prompts).map(entry).collect(),
        models: vec![model("one")],
        dataset: DatasetRef { digest: Digest::of(b"cases"), cases: 0, clustered: false },
        scorers: vec![scorer(Some("routing")), scorer(None)],
        threshold: None,
        repeats: 1,
        reduce: Reducer::Mean,
        priority: Priority::Normal,
        budget: None,
        deadline_seconds: 60,
        gate: Some(Gate {
            confidence: Millionths(950_000),
            stop_early: false,
            max_error_rate: None,
            min_cases: None,
            max_cases: None,
            max_repeats: None,
            expires_seconds: None,
            nothing_live: None,
            rules,
        }),
    }
}

/// One of the scorers; each weighs the same.
fn scorer(metric: Option<&str>) -> Scorer {
    Scorer {
        check: Check::Contains { value: "x".into() },
        negated: false,
        weight: Millionths::ONE,
        metric: metric.map(str::to_owned),
        extract: None,
    }
}

pub(crate) fn model(name: &str) -> Model {
    Model { provider: "echo".into(), model: name.into(), sampling: Sampling::default(), recording: None }
}

/// A critical rule on all cases, such as `rule("pass_rate", Bound::Min, 0.9)`.
pub(crate) fn rule(metric: &str, bound: fn(Amount) -> Bound, amount: f64) -> Rule {
    let bound = bound(Amount::from_f64(amount).unwrap());
    Rule {
        name: metric.into(),
        metric: Metric::parse(metric),
        slice: BTreeMap::new(),
        bound,
        tier: Tier::Critical,
        estimand: if bound.compares() { Estimand::Population } else { Estimand::Suite },
    }
}

/// A run of a suite: for each variant a string of trials, those of a case together. `+` passed, `-` failed,
/// `e` errored, `c` cancelled, `.` never came; white space is for the eye.
///
/// A job costs 1 nano-dollar × (its case's position + 1) × (its variant + 1), takes as many microseconds, and scores
/// 0.75 when it passed, 0.25 when it failed: the mean of `routing`, 1 or 0, and of a scorer that always says 0.5.
pub(crate) struct Run {
    pub(crate) suite: Suite,
    pub(crate) rows: Vec<OutcomeRow>,
}

impl Run {
    /// Runs `suite` with these answers; the dataset has as many cases as they cover.
    pub(crate) fn new(mut suite: Suite, answers: &[&str]) -> Self {
        let trials: Vec<Vec<char>> =
            answers.iter().map(|arm| arm.chars().filter(|c| !c.is_whitespace()).collect()).collect();
        assert_eq!(trials.len(), suite.prompts.len() * suite.models.len(), "one string for each variant");
        assert!(trials.iter().all(|arm| arm.len() == trials[0].len()), "all arms have the same cases");
        suite.dataset.cases = trials[0].len() as u64 / u64::from(suite.repeats);
        let product = suite.product();
        let rows = (0..product.jobs().unwrap()).filter_map(|ordinal| {
            let place = product.place(ordinal);
            let at = place.rank * u64::from(product.trials) + u64::from(place.trial) - 1;
            let outcome = outcome(trials[place.variant as usize][usize::try_from(at).unwrap()])?;
            Some(row(ordinal, place.rank, place.variant, place.trial, outcome))
        });
        let rows = rows.collect();
        Self { suite, rows }
    }

    /// Puts every `size` cases into a cluster.
    pub(crate) fn clustered(mut self, size: u64) -> Self {
        self.suite.dataset.clustered = true;
        for row in &mut self.rows {
            row.cluster = Some(format!("cluster {}", row.position / size));
        }
        self
    }

    /// Changes every job.
    pub(crate) fn with(mut self, change: impl Fn(&mut OutcomeRow)) -> Self {
        self.rows.iter_mut().for_each(change);
        self
    }

    /// Aggregated, with the quantiles that the store would look up.
    pub(crate) fn aggregate(&self) -> Aggregate {
        self.aggregate_rows(&self.rows)
    }

    pub(crate) fn aggregate_rows<'a>(&self, rows: impl IntoIterator<Item = &'a OutcomeRow>) -> Aggregate {
        let mut aggregation = aggregation(&self.suite);
        rows.into_iter().for_each(|row| aggregation.push(row));
        aggregation.finish(&self.quantiles(), &self.versions(), self.suite.product().jobs().unwrap())
    }

    /// The verdict of the gate on the run as a completed one.
    pub(crate) fn verdict(&self) -> Verdict {
        judge(&self.suite, &self.aggregate(), true, &self.versions()).unwrap()
    }

    /// The verdict of the first rule on the first candidate.
    pub(crate) fn first_rule(&self) -> RuleVerdict {
        self.verdict().versions[0].rules[0].clone()
    }

    pub(crate) fn outcome(&self) -> Decision {
        self.verdict().outcome
    }

    fn versions(&self) -> Vec<Option<i64>> {
        (1..).take(self.suite.prompts.len()).map(Some).collect()
    }

    fn quantiles(&self) -> Quantiles {
        let mut quantiles = Quantiles::default();
        let percents = Quantiles::NEEDED;
        let variants = 0..self.suite.product().variants;
        for (variant, percent) in
            variants.flat_map(|variant| percents.iter().map(move |percent| (variant, *percent)))
        {
            let of_variant = self.rows.iter().filter(|row| row.variant == variant);
            let mut latencies: Vec<i64> = of_variant.filter_map(|row| row.latency_us).collect();
            latencies.sort_unstable();
            let rank = (latencies.len() * usize::from(percent)).div_ceil(100);
            if let Some(micros) = rank.checked_sub(1).and_then(|index| latencies.get(index)) {
                quantiles.insert(variant, percent, *micros);
            }
        }
        quantiles
    }
}

/// So many of each sign, one after the other.
pub(crate) fn signs(parts: &[(&str, usize)]) -> String {
    parts.iter().map(|(sign, times)| sign.repeat(*times)).collect()
}

/// Before the first job of a suite whose rules look at all cases, each a unit of its own.
pub(crate) fn aggregation(suite: &Suite) -> Aggregation<'_> {
    Aggregation::counted(suite, &Extents::uncounted(suite).unwrap_or_default())
}

pub(crate) fn outcome(sign: char) -> Option<Outcome> {
    match sign {
        '+' => Some(Outcome::Passed),
        '-' => Some(Outcome::Failed),
        'e' => Some(Outcome::Errored(ErrorKind::Provider)),
        'c' => Some(Outcome::Cancelled),
        '.' => None,
        other => panic!("`{other}` is no outcome"),
    }
}

/// A terminal job.
pub(crate) fn row(ordinal: u64, position: u64, variant: u32, trial: u32, outcome: Outcome) -> OutcomeRow {
    let passed = outcome == Outcome::Passed;
    let answered = passed || outcome == Outcome::Failed;
    let size = i64::try_from((position + 1) * (u64::from(variant) + 1)).unwrap();
    let score = |metric: Option<&str>, value| NamedScore {
        scorer: "contains".into(),
        metric: metric.map(str::to_owned),
        weight: Millionths::ONE,
        score: Score { value, pass: passed, reason: String::new() },
    };
    let scores =
        vec![score(Some("routing"), Millionths::from_bool(passed)), score(None, Millionths(500_000))];
    OutcomeRow {
        ordinal,
        generation: 0,
        variant,
        trial,
        position,
        case_id: format!("case {position}"),
        cluster: None,
        tags: BTreeMap::from([(
            "language".to_owned(),
            if position.is_multiple_of(2) { "de" } else { "en" }.to_owned(),
        )]),
        outcome,
        score: answered.then_some(Millionths(if passed { 750_000 } else { 250_000 })),
        scores: if answered { scores } else { Vec::new() },
        usage: Usage { input_tokens: answered.then_some(10), output_tokens: answered.then_some(2) },
        cost: answered.then_some(NanoUsd(size)),
        latency_us: answered.then_some(size),
    }
}
