//! What was asked for becomes a run and some of its variants.
//!
//! ```text
//!   0190a1b2-…             a run, all its variants
//!   0190a1b2-…:LABEL       those of one prompt or one model
//!   triage@3               version 3 of a prompt, in the newest completed run that has it
//!   triage@9f86d081        the same by the first digits of its digest
//!   triage@production      the version that is live on a channel
//!   production             the same, of the prompt that the other side names, or of the only one that is live there
//! ```

use std::collections::HashMap;

use assay_common::id::{Digest, RunId};
use assay_common::suite::Suite;
use assay_store::{Run, Store, StoreError};

use super::{CompareError, live};
use crate::release::registry;

/// Runs of a version that are looked at, newest first.
const MAX_RUNS: u32 = 50;
/// Characters of a run's id.
const RUN_CHARS: usize = 36;

/// What one side was asked for as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<T = What> {
    /// What it names.
    pub what: T,
    /// The label of a prompt or a model: nothing else of the side is compared.
    pub only: Option<String>,
}

/// What a side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The name of what is meant.
    Named(Named),
    /// A channel: what is meant depends on the other side.
    Channel(String),
}

/// What a side names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A run.
    Run(RunId),
    /// A version of a prompt.
    Version {
        /// The prompt.
        prompt: String,
        /// Its number, the first digits of its digest, or the channel on which it is live.
        version: String,
    },
}

/// A run with its suite, and the variants of it that are compared.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) asked: String,
    pub(super) run: Run,
    pub(super) suite: Suite,
    /// Indices of variants in the suite.
    pub(super) variants: Vec<u32>,
}

impl Side {
    /// Rounds of trials that were planned in the end: a gate may have added some.
    pub(super) fn rounds(&self) -> u64 {
        let round = self.suite.product().jobs().unwrap_or(u64::MAX).max(1);
        self.run.planned.div_ceil(round).max(1)
    }

    /// Cases that were planned in the end: a gate may have drawn some of them later, and others never.
    pub(super) fn cases(&self) -> u64 {
        let product = self.suite.product();
        (self.run.planned / product.jobs_per_case().max(1)).min(product.cases)
    }

    /// Whether its gate added cases or trials to those that it began with.
    pub(super) fn was_topped_up(&self) -> bool {
        self.suite.first_jobs().is_some_and(|first| self.run.planned > first)
    }

    /// Whether a case's value is always 0 or 1.
    pub(super) fn is_binary(&self) -> bool {
        self.rounds() == 1 && self.suite.reduce.is_binary(self.suite.repeats.max(1))
    }
}

impl Asked {
    /// Reads a side. `None` where it names neither a run nor a version nor a channel.
    pub fn parse(text: &str) -> Option<Self> {
        let narrowed = |rest: &str| match rest {
            "" => Some(None),
            rest => {
                rest.strip_prefix(':').filter(|label| !label.is_empty()).map(|label| Some(label.to_owned()))
            }
        };
        if let Some((id, rest)) = text.split_at_checked(RUN_CHARS)
            && let Ok(run) = id.parse()
        {
            return narrowed(rest).map(|only| Self { what: What::Named(Named::Run(run)), only });
        }
        if !text.contains('@') {
            let (channel, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let what = is_version(channel).then(|| What::Channel(channel.to_owned()))?;
            return narrowed(rest).map(|only| Self { what, only });
        }
        // A prompt's name may hold `@` and a model's label `:`, but no version and no channel holds either. That the channel of a
        // rehearsal is none is said by whoever looks it up.
        text.match_indices('@').find_map(|(at, _)| {
            let (prompt, rest) = (&text[..at], &text[at + 1..]);
            let (version, rest) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            if prompt.is_empty() || !is_version(version) {
                return None;
            }
            let what = Named::Version { prompt: prompt.to_owned(), version: version.to_owned() };
            narrowed(rest).map(|only| Self { what: What::Named(what), only })
        })
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'))
}

/// Finds both sides. Of several runs that would do, both come from one run where that is possible, else from the newest two on
/// the same cases, else from the newest.
pub(super) async fn find(store: &Store, before: &str, after: &str) -> Result<[Side; 2], CompareError> {
    let mut suites = Suites { store, known: HashMap::new() };
    let parse = |text: &str| Asked::parse(text).ok_or_else(|| CompareError::Unreadable(text.to_owned()));
    let [old, new] = live::named(store, [parse(before)?, parse(after)?]).await?;
    let (old, new) = (suites.candidates(before, &old).await?, suites.candidates(after, &new).await?);
    let pairs = || old.iter().flat_map(|old| new.iter().map(move |new| (old, new)));
    let same_run = |(old, new): &(&Candidate, &Candidate)| old.run.id == new.run.id;
    let same_cases =
        |(old, new): &(&Candidate, &Candidate)| old.suite.dataset.digest == new.suite.dataset.digest;
    let chosen = pairs().find(same_run).or_else(|| pairs().find(same_cases)).or_else(|| pairs().next());
    let (old, new) = chosen.ok_or_else(|| CompareError::NoPair("there is nothing to compare".to_owned()))?;
    Ok([old.side(before), new.side(after)])
}

/// A run that a side could mean.
struct Candidate {
    run: Run,
    suite: Suite,
    variants: Vec<u32>,
}

impl Candidate {
    fn side(&self, asked: &str) -> Side {
        let Self { run, suite, variants } = self;
        Side { asked: asked.to_owned(), run: run.clone(), suite: suite.clone(), variants: variants.clone() }
    }
}

/// The suites of runs, each read once.
struct Suites<'s> {
    store: &'s Store,
    known: HashMap<Digest, Suite>,
}

impl Suites<'_> {
    /// The runs that a side could mean, newest first; at least one.
    async fn candidates(&mut self, text: &str, asked: &Asked<Named>) -> Result<Vec<Candidate>, CompareError> {
        let (runs, digest) = match &asked.what {
            Named::Run(id) => {
                let unknown = || {
                    CompareError::Unknown(format!("there is no run {id}; `assay status` lists the latest"))
                };
                let run = self.store.run(*id).await?.ok_or_else(unknown)?;
                if run.pruned_at.is_some() {
                    let removed =
                        format!("the results of run {id} were removed by `assay prune`; its report is kept");
                    return Err(CompareError::Unknown(removed));
                }
                (vec![run], None)
            }
            Named::Version { prompt, version } => {
                let digest = registry::resolve(self.store, prompt, version).await?.digest;
                let runs = self.store.runs_with_prompt(digest.clone(), MAX_RUNS).await?;
                if runs.is_empty() {
                    return Err(CompareError::Unknown(format!(
                        "no completed run whose results are kept has {prompt}@{version}"
                    )));
                }
                (runs, Some((prompt, digest)))
            }
        };
        let mut found = Vec::with_capacity(runs.len());
        for run in runs {
            let suite = self.suite(&run).await?;
            let is_meant = |index: &u32| {
                let variant = suite.variant(*index);
                let prompt = &suite.prompts[variant.prompt];
                let version = digest.as_ref();
                let of_version =
                    version.is_none_or(|(name, digest)| prompt.name == **name && prompt.digest == *digest);
                let labels = [&prompt.label, &suite.model_label(variant.model)];
                of_version && asked.only.as_ref().is_none_or(|only| labels.contains(&only))
            };
            let variants: Vec<u32> = (0..suite.product().variants).filter(is_meant).collect();
            if !variants.is_empty() {
                found.push(Candidate { run, suite, variants });
            }
        }
        let nothing =
            || CompareError::Unknown(format!("`{text}`: no prompt and no model there has this label"));
        if found.is_empty() { Err(nothing()) } else { Ok(found) }
    }

    async fn suite(&mut self, run: &Run) -> Result<Suite, StoreError> {
        if let Some(suite) = self.known.get(&run.revision) {
            return Ok(suite.clone());
        }
        let suite = self.store.suite(run.revision.clone()).await?;
        let suite = suite.ok_or_else(|| {
            StoreError::Unreadable(format!("the store lacks suite revision {}", run.revision))
        })?;
        self.known.insert(run.revision.clone(), suite.clone());
        Ok(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_runs_and_versions_with_and_without_a_label() {
        let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        let run = || What::Named(Named::Run(id.parse().unwrap()));
        let version = |prompt: &str, version: &str| {
            What::Named(Named::Version { prompt: prompt.to_owned(), version: version.to_owned() })
        };
        let check = |text: &str, expected: Option<(What, Option<&str>)>| {
            let expected = expected.map(|(what, only)| Asked { what, only: only.map(str::to_owned) });
            assert_eq!(Asked::parse(text), expected, "{text}");
        };
        check(id, Some((run(), None)));
        check(&format!("{id}:ollama/llama3:8b"), Some((run(), Some("ollama/llama3:8b"))));
        check(&format!("{id}:"), None);
        check(&format!("{id}x"), None);
        check("triage@3", Some((version("triage", "3"), None)));
        check("team@home@12:a@b", Some((version("team@home", "12"), Some("a@b"))));
        check("triage@9f86d081", Some((version("triage", "9f86d081"), None)));
        check("triage@production:odd", Some((version("triage", "production"), Some("odd"))));
        check("triage@a b", None);
        check("triage@", None);
        check("@3", None);
        let channel = || What::Channel("production".to_owned());
        check("production", Some((channel(), None)));
        check("production:odd", Some((channel(), Some("odd"))));
        check("pro duction", None);
        check("", None);
    }
}
