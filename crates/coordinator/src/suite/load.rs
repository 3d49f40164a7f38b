//! From the path of a suite file to a suite that can run, or to everything that is wrong with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use assay_common::config::Config;
use assay_common::gate::{Metric, Rule};
use assay_common::money::NanoUsd;
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::suite::{DatasetRef, Priority, Suite};

use super::super::verdict::Sight;
use super::alike::Judging;
use super::cases::CaseSource;
use super::check::check_map;
use super::diagnostic::{Diagnostic, Findings, Mark, Problems, Severity};
use super::folder::{Folder, Found, Refusal};
use super::freeze::LoadedFiles;
use super::gate::{Offer, most_trials, seconds, slices};
use super::layout::{MAX_REPEATS, SUITE};
use super::live::Live;
use super::prompts::labels;
use super::recordings::Expected;
use super::source::Source;
use super::templates::Wants;
use super::yaml::{self, Node, Value};

/// The longest suite file, in bytes.
pub(super) const MAX_SUITE_BYTES: u64 = 16 << 20;
/// How long a run may take where its suite does not say.
const DEFAULT_DEADLINE_SECONDS: u64 = 24 * 60 * 60;

/// A valid suite, with what is needed to freeze it.
#[derive(Debug)]
pub struct Loaded {
    /// What a run executes.
    pub suite: Suite,
    /// The files it refers to, which [`Loaded::freeze`] reads a second time.
    pub files: LoadedFiles,
    /// What looks wrong and does not stop a run.
    pub warnings: Vec<Diagnostic>,
    /// What the rules of its gate on drops can be expected to see.
    pub sights: Vec<Sight>,
}

/// What this machine lacks for calling a provider that is configured, such as its key.
#[derive(Clone, Debug)]
pub struct Lack {
    /// What is missing.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Whether the suite can do without.
    pub severity: Severity,
}

/// Reads and validates the suite at `path` with everything it refers to. Nothing is stored, nothing is called; of
/// large files only some 40 bytes a row are held.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(path: &Path, config: &Config) -> Result<Loaded, Problems> {
    load_with(path, Some(config), &Live::default(), &|_| None)
}

/// As [`load()`], for a suite that another machine runs: which providers there are, and what they cost, is for that
/// machine's configuration to say.
///
/// # Errors
/// As [`load()`].
pub fn load_structure(path: &Path) -> Result<Loaded, Problems> {
    load_with(path, None, &Live::default(), &|_| None)
}

/// As [`load()`], with what is live where the suite asks for it; without a configuration as [`load_structure`]. `lack` says
/// of each provider what is missing for calling it from here: that is told with the rest, where the suite first names it.
///
/// # Errors
/// As [`load()`].
pub fn load_with(
    path: &Path,
    config: Option<&Config>,
    live: &Live,
    lack: &dyn Fn(&str) -> Option<Lack>,
) -> Result<Loaded, Problems> {
    let refused = |refusal: Refusal| {
        let mut findings = Findings::default();
        findings.push(refusal.told(|message| Diagnostic::error(path, message)));
        findings.into_problems(path)
    };
    let folder = Folder::of(path).map_err(refused)?;
    let suite = Found::given(path).read(MAX_SUITE_BYTES).map_err(refused)?;
    let mut findings = Findings::default();
    let tree = match yaml::parse(&suite.text) {
        Ok((tree, faults)) => {
            findings.extend(faults.into_iter().map(|fault| suite.fault(fault)));
            tree
        }
        Err(fault) => {
            findings.push(suite.fault(fault));
            return Err(findings.into_problems(path));
        }
    };
    if matches!(tree.value, Value::Null) {
        findings.push(suite.error(tree.at, "the suite is empty").hint("docs/suite.md has one to begin with"));
        return Err(findings.into_problems(path));
    }
    check_map(&suite, &tree, &SUITE, &mut findings);
    let (wants, sights) = Default::default();
    let suite = Rc::new(suite);
    let mut loader = Loader {
        config,
        live,
        lack,
        folder,
        suite,
        findings,
        wants,
        sights,
        left_out: false,
        nothing_live: None,
    };
    let (suite, files) = loader.suite(&tree);
    let Loader { findings, sights, .. } = loader;
    Ok(Loaded { suite, files, warnings: findings.finish(path)?, sights })
}

/// What every part of the suite is read with.
pub(super) struct Loader<'a> {
    /// The configuration it will run under, where that is known.
    pub(super) config: Option<&'a Config>,
    /// What is live where the suite asks for it.
    pub(super) live: &'a Live,
    /// What is missing for calling a provider from here.
    pub(super) lack: &'a dyn Fn(&str) -> Option<Lack>,
    pub(super) folder: Folder,
    pub(super) suite: Rc<Source>,
    pub(super) findings: Findings,
    pub(super) wants: Wants,
    /// What rules on drops can be expected to see.
    pub(super) sights: Vec<Sight>,
    /// Whether an entry was left out, because nothing is live where it asks.
    pub(super) left_out: bool,
    /// The channel of the entry that the others would be compared with, where it was left out.
    pub(super) nothing_live: Option<String>,
}

impl Loader<'_> {
    /// An error in the suite file.
    pub(super) fn error(&mut self, at: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.findings.push(self.suite.error(at, message))
    }

    /// A warning in the suite file.
    pub(super) fn warning(&mut self, at: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.findings.push(self.suite.error(at, message).into_warning())
    }

    /// A file that cannot be used, told where the suite names it.
    pub(super) fn refuse(&mut self, at: Mark, refusal: Refusal) {
        let told = refusal.told(|message| self.suite.error(at, message));
        self.findings.push(told);
    }

    /// The suite as far as it can be read. Where something is missing, the findings hold an error and what stands in
    /// for it is never seen.
    fn suite(&mut self, tree: &Node) -> (Suite, LoadedFiles) {
        let nothing = Node { at: tree.at, value: Value::Null, bytes: 0..0 };
        let part = |key: &str| tree.get(key).unwrap_or(&nothing);
        let text = |key: &str| tree.get(key).and_then(Node::text);

        let prompts = self.prompts(part("prompts"), text("owner"));
        let mut models = self.models(part("models"));
        let scorers = self.scorers(part("score"));
        let sources = self.case_sources(part("cases"));
        let complete =
            (0..part("cases").items().len()).all(|at| sources.iter().any(|source| source.entry == at));
        let slices = slices(part("gate"));
        let mut census = self.count_cases(part("cases"), &sources, &slices);
        // Where a file or a row cannot be read, so may be the cases that have a variable or a tag.
        let counted = complete && census.is_whole();
        if counted {
            let wants = std::mem::take(&mut self.wants);
            wants.check(&census, &mut self.findings);
            if let Err((source, refusal)) = wants.check_rendering(&census, &sources, &mut self.findings) {
                self.refuse(sources[source as usize].at, refusal);
            }
        }

        let told = part("repeats").integer().and_then(|repeats| u32::try_from(repeats).ok());
        let told = told.filter(|repeats| (1..=MAX_REPEATS).contains(repeats));
        let repeats = told.unwrap_or(1);
        let most_trials = tree.get("gate").map_or(repeats, |gate| most_trials(gate, repeats));
        let expected = Expected { census: &census, labels: labels(part("prompts")), repeats, most_trials };
        let recordings = self.recordings(&mut models, &expected);
        self.check_twins(&models);
        self.check_limits(&models);
        self.check_providers(&models);

        let reduce = text("reduce").and_then(Reducer::parse).unwrap_or_default();
        if reduce.least_trials() > repeats && (told.is_some() || tree.get("repeats").is_none()) {
            let at = part("reduce").at;
            let least = reduce.least_trials();
            self.error(at, format!("`{reduce}` needs at least {least} trials, and `repeats` is {repeats}"))
                .hint = Some(format!("set `repeats` to {least} or more"));
        }
        if let Some(budget) = tree.get("budget_usd") {
            self.check_prices(budget, &models);
        }
        let nothing_live = self.nothing_live.clone();
        let threshold = part("threshold").share().and_then(Millionths::from_f64);
        let is_read = scorers.len() == part("score").items().len();
        let judging = Judging { scorers: if is_read { &scorers } else { &[] }, threshold, repeats, reduce };
        let gate = tree.get("gate").map(|gate| {
            let offer = Offer {
                metrics: metrics_of(part("score")),
                tags: tags_of(part("cases")),
                prompts: if self.left_out { prompts.len() } else { part("prompts").items().len() },
                nothing_live: nothing_live.as_deref(),
                repeats,
                scored: tree.get("score").is_some(),
                judging,
                census: counted.then_some(&census),
                lacking: recordings.iter().filter_map(|file| file.lacking.clone()).collect(),
                unpriced: self.unpriced(&models),
                priced: self.priced(&models),
                timeless: self.timeless(&models),
            };
            self.gate(gate, &offer)
        });
        let of_scores = |rule: &Rule| matches!(rule.metric, Metric::PassRate | Metric::MeanScore);
        // A rule on scores has been told that there are none.
        if matches!(tree.value, Value::Map(_))
            && tree.get("score").is_none()
            && !gate.iter().flat_map(|gate| &gate.rules).any(of_scores)
        {
            self.warning(tree.at, "nothing is scored: every answer passes").hint =
                Some("add `score:` to judge answers".into());
        }
        let (digest, checkpoints) = census.digest();
        let suite = Suite {
            name: text("suite").unwrap_or_default().to_owned(),
            owner: text("owner").map(str::to_owned),
            description: text("description").map(str::to_owned),
            prompts,
            models: models.into_iter().map(|entry| entry.model).collect(),
            dataset: DatasetRef { digest, cases: census.cases(), clustered: census.clustered() },
            scorers,
            threshold,
            repeats,
            reduce,
            priority: match text("priority") {
                Some("interactive") => Priority::Interactive,
                Some("sweep") => Priority::Sweep,
                _ => Priority::Normal,
            },
            budget: part("budget_usd").number().and_then(NanoUsd::from_usd),
            deadline_seconds: tree.get("deadline").and_then(seconds).unwrap_or(DEFAULT_DEADLINE_SECONDS),
            gate,
        };
        if counted && !self.findings.has_errors() {
            self.check_best(tree, &suite, &census);
        }
        if suite.product().jobs().is_none() {
            self.error(tree.at, "more jobs than can be counted: cases × prompts × models × repeats").hint =
                Some("run a part of them".into());
        }
        (suite, LoadedFiles { cases: Arc::<[CaseSource]>::from(sources), checkpoints, recordings })
    }
}

fn metrics_of(score: &Node) -> BTreeSet<&str> {
    score.items().iter().filter_map(|scorer| scorer.get("metric")?.text()).collect()
}

fn tags_of(cases: &Node) -> BTreeSet<&str> {
    let tags = cases.items().iter().filter_map(|entry| entry.get("tags"));
    tags.flat_map(|tags| {
        let fields = tags.items().iter().filter_map(Node::text);
        fields.chain(tags.entries().iter().map(|entry| entry.key.as_str()))
    })
    .collect()
}
