//! The ledger of flakes. Nothing keeps it: it is added up from the results of a suite's latest runs, so it is never out of step
//! with them. Of each case, version and model it holds some forty bytes while it is made.
//!
//! Only what can be held against each other is added up: runs on the same cases, scored in the same way, of prompt versions
//! that the latest run has. Answers that are played back are no repeats: of those, one run counts.

use std::collections::HashMap;

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::suite::Suite;
use assay_store::{Run, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::verdict::stats::trials::flip_rate;
use crate::verdict::stats::{Stability, flake};

/// Repeats it takes to call a case flaky.
pub const MIN_TRIALS: u64 = 8;
/// How often a stable case may have a mishap.
const MISHAPS: f64 = 0.02;
/// The chance at which a stable case is called flaky.
const LEVEL: f64 = 0.001;
/// Lines that are named: a suite with more has another problem.
const MAX_LINES: usize = 1_000;
/// Jobs that are read; older runs are left out.
const MAX_JOBS: u64 = 2_000_000;

/// What repeats say of the cases of a suite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// The suite's name.
    pub suite: String,
    /// How many runs were added up.
    pub runs: u64,
    /// How many cases the suite has.
    pub cases: u64,
    /// Those whose repeats disagree: flaky ones first, then by how often they do.
    pub lines: Vec<LedgerLine>,
}

/// The repeats of a case under a version of a prompt on a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// The case.
    pub case: String,
    /// The label of the prompt in the latest run.
    pub label: String,
    /// Whether that is the baseline.
    pub baseline: bool,
    /// The digest of the prompt version.
    pub digest: Digest,
    /// The model, as tables name it.
    pub model: String,
    /// Repeats that passed or failed.
    pub trials: u64,
    /// How many passed.
    pub passed: u64,
    /// How many are on the rarer side.
    pub flips: u64,
    /// The chance that two repeats disagree; null for fewer than two.
    pub flip_rate: Option<f64>,
    /// `flaky`, or `suspect` where mishaps could explain it.
    pub class: FlakeClass,
    /// Whether the case is under quarantine on this model now.
    pub quarantined: bool,
}

/// What repeats that disagree say of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlakeClass {
    /// They disagree more often than rare mishaps explain.
    Flaky,
    /// They do not, or there are too few.
    Suspect,
}

impl FlakeClass {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flaky => "flaky",
            Self::Suspect => "suspect",
        }
    }
}

/// The repeats of a case under one variant of the latest run.
#[derive(Clone, Copy, Debug, Default)]
struct Repeats {
    trials: u64,
    passed: u64,
}

/// The ledger of a suite, or of that of the latest run, from its latest `runs` runs that are over; `None` where there is none.
pub async fn read(
    store: &Store,
    suite: Option<String>,
    runs: u32,
    now: Micros,
) -> Result<Option<Ledger>, StoreError> {
    let runs = store.runs_over(suite, runs).await?;
    let Some(latest) = runs.first() else { return Ok(None) };
    let suite = suite_of(store, latest).await?;
    let (added, repeats) = add_up(store, &suite, &runs, MAX_JOBS).await?;
    let now_held = store.quarantines(Some(suite.name.clone())).await?;
    let mut lines: Vec<_> = repeats.iter().filter_map(|(key, repeats)| classed(*key, *repeats)).collect();
    lines.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
    lines.truncate(MAX_LINES);
    let positions = lines.iter().map(|line| line.position).collect();
    let ids: HashMap<_, _> =
        store.case_ids(suite.dataset.digest.clone(), positions).await?.into_iter().collect();
    let named = |line: Classed| {
        let variant = suite.variant(line.variant);
        let prompt = &suite.prompts[variant.prompt];
        let case = ids.get(&line.position).cloned().unwrap_or_default();
        let model = suite.model_label(variant.model);
        let mut held = now_held.iter().filter(|held| held.holds_at(now));
        LedgerLine {
            quarantined: held.any(|held| held.case == case && held.model == model),
            case,
            label: prompt.label.clone(),
            baseline: suite.baseline() == Some(variant.prompt),
            digest: prompt.digest.clone(),
            model,
            trials: line.repeats.trials,
            passed: line.repeats.passed,
            flips: minority(line.repeats),
            flip_rate: flip_rate(line.repeats.passed, line.repeats.trials),
            class: line.class,
        }
    };
    let lines = lines.into_iter().map(named).collect();
    Ok(Some(Ledger { suite: suite.name.clone(), runs: added, cases: suite.dataset.cases, lines }))
}

/// The cases at some places that are flaky under a variant of `run`, from at most `jobs` jobs.
pub(crate) async fn flaky_at(
    store: &Store,
    run: &Run,
    suite: &Suite,
    variant: u32,
    positions: &[u64],
    jobs: u64,
) -> Result<Vec<u64>, StoreError> {
    let runs = store.runs_over(Some(suite.name.clone()), RUNS_TO_MARK).await?;
    let mut planned = 0;
    let within = |run: &&Run| {
        planned += run.planned;
        planned <= jobs
    };
    let enough = runs.iter().take_while(within).count() as u64 * u64::from(suite.repeats) >= MIN_TRIALS;
    if positions.is_empty() || !enough || !run.state.is_over() {
        return Ok(Vec::new());
    }
    let (_, repeats) = add_up(store, suite, &runs, jobs).await?;
    let is_flaky = |position: &u64| {
        let key = (variant, *position);
        let classed = repeats.get(&key).and_then(|repeats| classed(key, *repeats));
        classed.is_some_and(|line| line.class == FlakeClass::Flaky)
    };
    Ok(positions.iter().copied().filter(is_flaky).collect())
}

/// Runs that are added up to mark the cases of a comparison.
const RUNS_TO_MARK: u32 = 20;

/// The repeats of a case under a variant, by the variant's index and the case's place.
type Added = HashMap<(u32, u64), Repeats>;

/// Adds up the runs that can be held against `suite`, and counts them.
async fn add_up(store: &Store, suite: &Suite, runs: &[Run], jobs: u64) -> Result<(u64, Added), StoreError> {
    let mut added = Added::new();
    let mut suites: HashMap<Digest, Suite> = HashMap::new();
    let (mut counted, mut read) = (0, 0);
    let mut played = vec![false; suite.variants().count()];
    for run in runs {
        if !suites.contains_key(&run.revision) {
            suites.insert(run.revision.clone(), suite_of(store, run).await?);
        }
        let of_run = &suites[&run.revision];
        read += run.planned;
        if read > jobs && counted > 0 {
            break;
        }
        let like = of_run.dataset.digest == suite.dataset.digest
            && of_run.scorers == suite.scorers
            && of_run.threshold == suite.threshold;
        let fellows = if like { fellows(of_run, suite, &mut played) } else { HashMap::new() };
        if fellows.is_empty() {
            continue;
        }
        counted += 1;
        for line in store.trials(run.id).await? {
            if let Some(variant) = fellows.get(&line.variant) {
                let repeats = added.entry((*variant, line.position)).or_default();
                repeats.trials += line.trials;
                repeats.passed += line.passed;
            }
        }
    }
    Ok((counted, added))
}

/// The variants of a run that are variants of `suite`: the same version on the same model. Those that play back answers are
/// taken once.
fn fellows(of_run: &Suite, suite: &Suite, played: &mut [bool]) -> HashMap<u32, u32> {
    let mut fellows = HashMap::new();
    for (index, variant) in (0..).zip(of_run.variants()) {
        let is_same = |other: &assay_common::suite::Variant| {
            let (a, b) = (&of_run.prompts[variant.prompt], &suite.prompts[other.prompt]);
            (&a.name, &a.digest) == (&b.name, &b.digest)
                && of_run.models[variant.model] == suite.models[other.model]
        };
        let Some((fellow, other)) = (0u32..).zip(suite.variants()).find(|(_, other)| is_same(other)) else {
            continue;
        };
        let is_played = matches!(&*suite.models[other.model].provider, "recorded" | "echo");
        if is_played && std::mem::replace(&mut played[fellow as usize], true) {
            continue;
        }
        fellows.insert(index, fellow);
    }
    fellows
}

/// A case whose repeats disagree.
struct Classed {
    variant: u32,
    position: u64,
    repeats: Repeats,
    class: FlakeClass,
}

fn classed((variant, position): (u32, u64), repeats: Repeats) -> Option<Classed> {
    let class = match flake(repeats.passed, repeats.trials, MISHAPS, LEVEL).stability {
        _ if minority(repeats) == 0 => return None,
        Stability::Flaky if repeats.trials >= MIN_TRIALS => FlakeClass::Flaky,
        _ => FlakeClass::Suspect,
    };
    Some(Classed { variant, position, repeats, class })
}

fn minority(repeats: Repeats) -> u64 {
    repeats.passed.min(repeats.trials - repeats.passed)
}

/// Flaky ones first, then those that disagree most often, then by place.
fn order(line: &Classed) -> (FlakeClass, f64, u64, u32) {
    let rate = flip_rate(line.repeats.passed, line.repeats.trials).unwrap_or(0.0);
    (line.class, -rate, line.position, line.variant)
}

async fn suite_of(store: &Store, run: &Run) -> Result<Suite, StoreError> {
    let suite = store.suite(run.revision.clone()).await?;
    let lacks = |id: RunId| StoreError::Unreadable(format!("run {id} has no suite in the store"));
    suite.ok_or_else(|| lacks(run.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_repeats_make_nobody_flaky() {
        let check = |passed, trials, expected: Option<FlakeClass>| {
            let class = classed((0, 0), Repeats { trials, passed }).map(|line| line.class);
            assert_eq!(class, expected, "{passed} of {trials}");
        };
        check(5, 5, None);
        check(0, 20, None);
        check(3, 6, Some(FlakeClass::Suspect));
        check(7, 8, Some(FlakeClass::Suspect));
        check(5, 8, Some(FlakeClass::Flaky));
        check(16, 20, Some(FlakeClass::Flaky));
    }
}
