//! From the path of a suite file to a suite that can run, or to everything that is wrong with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use assay_common::config::Config;
use assay_common::money::NanoUsd;
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::suite::{DatasetRef, Priority, Suite};

use super::cases::CaseSource;
use super::check::check_map;
use super::diagnostic::{Diagnostic, Findings, Mark, Problems};
use super::folder::{Folder, Found, Refusal};
use super::freeze::LoadedFiles;
use super::gate::{Offer, seconds};
use super::layout::SUITE;
use super::prompts::labels;
use super::recordings::Expected;
use super::source::Source;
use super::templates::Wants;
use super::yaml::{self, Node, Value};

/// The longest suite file, in bytes.
const MAX_SUITE_BYTES: u64 = 16 << 20;
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
}

/// Reads and validates the suite at `path` with everything it refers to. Nothing is stored, nothing is called; of
/// large files only some 40 bytes a row are held.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(path: &Path, config: &Config) -> Result<Loaded, Problems> {
    load_for(path, Some(config))
}

/// As [`load()`], for a suite that another machine runs: which providers there are, and what they cost, is for that
/// machine's configuration to say.
///
/// # Errors
/// As [`load()`].
pub fn load_structure(path: &Path) -> Result<Loaded, Problems> {
    load_for(path, None)
}

fn load_for(path: &Path, config: Option<&Config>) -> Result<Loaded, Problems> {
    let refused = |refusal: Refusal| {
        let mut findings = Findings::default();
        findings.push(Diagnostic::error(path, refusal.message).maybe_hint(refusal.hint));
        findings.into_problems(path)
    };
    let folder = Folder::of(path).map_err(refused)?;
    let suite =
        Found { shown: path.to_owned(), real: path.to_owned() }.read(MAX_SUITE_BYTES).map_err(refused)?;
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
        findings.push(Diagnostic::error(path, "the suite is empty"));
        return Err(findings.into_problems(path));
    }
    check_map(&suite, &tree, &SUITE, &mut findings);
    let mut loader = Loader { config, folder, suite, findings, wants: Wants::default() };
    let (suite, files) = loader.suite(&tree);
    Ok(Loaded { suite, files, warnings: loader.findings.finish(path)? })
}

/// What every part of the suite is read with.
pub(super) struct Loader<'a> {
    /// The configuration it will run under, where that is known.
    pub(super) config: Option<&'a Config>,
    pub(super) folder: Folder,
    pub(super) suite: Source,
    pub(super) findings: Findings,
    pub(super) wants: Wants,
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
        self.error(at, refusal.message).hint = refusal.hint;
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
        let mut census = self.count_cases(part("cases"), &sources);
        // Where a file is missing, so may be the cases that have a variable.
        if complete && census.cases() > 0 {
            let wants = std::mem::take(&mut self.wants);
            wants.check(&census, &mut self.findings);
        }

        let repeats = part("repeats").integer().and_then(|repeats| u32::try_from(repeats).ok());
        let repeats = repeats.filter(|repeats| *repeats > 0).unwrap_or(1);
        let expected = Expected { census: &census, labels: labels(part("prompts")), repeats };
        let recordings = self.recordings(&mut models, &expected);

        let reduce = text("reduce").and_then(Reducer::parse).unwrap_or_default();
        if reduce.least_trials() > repeats {
            let at = part("reduce").at;
            let least = reduce.least_trials();
            self.error(at, format!("`{reduce}` needs at least {least} trials, and `repeats` is {repeats}"));
        }
        if let Some(budget) = tree.get("budget_usd") {
            self.check_prices(budget, &models);
        }
        let gate = tree.get("gate").map(|gate| {
            let offer = Offer {
                metrics: metrics_of(part("score")),
                tags: tags_of(part("cases")),
                prompts: part("prompts").items().len(),
                cases: (census.cases() > 0).then(|| census.cases()),
            };
            self.gate(gate, &offer)
        });
        let (digest, checkpoints) = census.digest();
        let suite = Suite {
            name: text("suite").unwrap_or_default().to_owned(),
            owner: text("owner").map(str::to_owned),
            description: text("description").map(str::to_owned),
            prompts,
            models: models.into_iter().map(|entry| entry.model).collect(),
            dataset: DatasetRef { digest, cases: census.cases(), clustered: census.clustered() },
            scorers,
            threshold: part("threshold").share().and_then(Millionths::from_f64),
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
        if suite.product().jobs().is_none() {
            self.error(tree.at, "more jobs than can be counted: cases × prompts × models × repeats");
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
