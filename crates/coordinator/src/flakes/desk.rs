//! Who puts cases under quarantine, and takes them out: with the evidence of the ledger, an owner and an end.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::{Quarantine, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ledger::{self, Ledger, LedgerLine, MIN_TRIALS};
use super::quarantine::{LONGEST, ONE_OF, evidence};
use crate::release::desk::{line_of, reason_of};
use crate::release::{Desk, ReleaseError};
use crate::report::civil;

/// Runs whose repeats are evidence.
const RUNS: u32 = 100;
/// Cases read at a time.
const CASES: u32 = 10_000;

/// A case under quarantine, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// The suite's name.
    pub suite: String,
    /// The case.
    pub case: String,
    /// The model, as tables name it.
    pub model: String,
    /// Who sees to it that the case stops wavering.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// RFC 3339, in UTC: runs made from then on are judged without it as well.
    pub added_at: String,
    /// Until when.
    pub expires_at: String,
    /// When it was taken out before that; null where it was not.
    pub removed_at: Option<String>,
    /// Repeats under the baseline when it was added.
    pub trials: u64,
    /// How many of them passed.
    pub passed: u64,
}

impl QuarantineEntry {
    fn of(held: Quarantine) -> Self {
        let Quarantine {
            suite,
            case,
            model,
            added_at,
            expires_at,
            removed_at,
            owner,
            reason,
            trials,
            passed,
        } = held;
        let [added_at, expires_at] = [added_at, expires_at].map(civil);
        let removed_at = removed_at.map(civil);
        Self { suite, case, model, owner, reason, added_at, expires_at, removed_at, trials, passed }
    }
}

/// Which case is meant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineNamed {
    /// The case.
    pub case: String,
    /// The model, as tables name it; may be absent where there is one to choose.
    #[serde(default)]
    pub model: Option<String>,
    /// The suite's name: that of the latest run to add, not needed where there is one to remove from.
    #[serde(default)]
    pub suite: Option<String>,
}

/// A case to put under quarantine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineAsked {
    /// The case.
    pub case: String,
    /// The model, as tables name it; may be absent where the case wavers on one.
    #[serde(default)]
    pub model: Option<String>,
    /// The suite's name; that of the latest run when absent.
    #[serde(default)]
    pub suite: Option<String>,
    /// Who sees to it that the case stops wavering.
    pub owner: String,
    /// Why it wavers, as far as that is known.
    pub reason: String,
    /// How long, in seconds, at most [`LONGEST`].
    pub expires_s: u64,
}

/// What is under quarantine at a moment, in a suite or in all; `all`: also what was and is no more.
pub async fn list(
    store: &Store,
    suite: Option<String>,
    all: bool,
    now: Micros,
) -> Result<Vec<QuarantineEntry>, StoreError> {
    let held = store.quarantines(suite).await?.into_iter();
    Ok(held.filter(|held| all || held.holds_at(now)).map(QuarantineEntry::of).collect())
}

impl Desk<'_> {
    /// Puts a case under quarantine for runs to come, where the baseline's history convicts it and the suite has room.
    pub async fn add_quarantine(&mut self, asked: QuarantineAsked) -> Result<QuarantineEntry, ReleaseError> {
        let owner = line_of(&asked.owner, "an owner says who sees to the case")?;
        let reason = reason_of(&asked.reason)?;
        let expires = bounded(Duration::from_secs(asked.expires_s))?;
        let now = self.clock.now();
        let ledger = ledger::read(self.store, asked.suite, RUNS, now).await?.ok_or_else(|| {
            unknown("no run of the suite is over yet", "the baseline's repeats are what convicts a case")
        })?;
        known(self.store, &ledger.suite, &asked.case, asked.model.as_deref()).await?;
        let LedgerLine { model, trials, passed, .. } =
            convicted(&ledger, &asked.case, asked.model.as_deref())?.clone();
        let Ledger { suite, cases, .. } = ledger;
        let held = self.store.quarantines(Some(suite.clone())).await?;
        let is_it = |held: &Quarantine| (&held.case, &held.model) == (&asked.case, &model);
        if held.iter().any(|held| held.holds_at(now) && is_it(held)) {
            return Err(ReleaseError::State(format!(
                "`{}` is under quarantine on {model} already",
                asked.case
            )));
        }
        let detail = json!({"suite": suite, "model": model, "owner": owner, "reason": reason,
            "expires_at": civil(now.plus(expires)), "trials": trials, "passed": passed});
        let entry = self.entry("quarantine.add", asked.case.clone(), detail);
        let expires_at = entry.at.plus(expires);
        let (case, added_at, removed_at) = (asked.case, entry.at, None);
        let added = Quarantine {
            suite,
            case,
            model,
            added_at,
            expires_at,
            removed_at,
            owner,
            reason,
            trials,
            passed,
        };
        // Counted where it is written: of two who add at once, the second may be one too many.
        let most = (cases / ONE_OF).max(1);
        if !self.store.add_quarantine(added.clone(), most, entry).await? {
            return Err(ReleaseError::State(format!(
                "{most} of {cases} cases are under quarantine on {}; more than one in {ONE_OF} would hide the suite from its gate",
                added.model
            )));
        }
        Ok(QuarantineEntry::of(added))
    }

    /// Takes out the one quarantine that is meant, for runs to come.
    pub async fn remove_quarantine(
        &mut self,
        named: QuarantineNamed,
    ) -> Result<QuarantineEntry, ReleaseError> {
        let QuarantineNamed { case, model, suite } = named;
        let now = self.clock.now();
        let mut held = self.store.quarantines(suite).await?;
        held.retain(|held| {
            held.holds_at(now) && held.case == case && model.as_ref().is_none_or(|model| held.model == *model)
        });
        let (Some(meant), others) = (held.pop(), held) else {
            return Err(unknown(
                &format!("the case `{case}` is not under quarantine there"),
                "`assay quarantine list` shows what is",
            ));
        };
        if !others.is_empty() {
            let named = |held: &Quarantine| format!("the suite {} and the model {}", held.suite, held.model);
            let choices: Vec<_> = others.iter().chain([&meant]).map(named).collect();
            return Err(ReleaseError::Input(format!(
                "the case `{case}` is under quarantine more than once; say which: {}",
                choices.join(", or ")
            )));
        }
        let detail = json!({"suite": meant.suite, "model": meant.model});
        let entry = self.entry("quarantine.remove", case.clone(), detail);
        let at = entry.at;
        // Somebody else may have been faster: then it is out all the same.
        self.store.remove_quarantine(meant.suite.clone(), case, meant.model.clone(), at, entry).await?;
        Ok(QuarantineEntry::of(Quarantine { removed_at: Some(at), ..meant }))
    }
}

fn unknown(what: &str, hint: &str) -> ReleaseError {
    ReleaseError::Unknown { what: what.to_owned(), hint: Some(hint.to_owned()) }
}

fn bounded(expires: Duration) -> Result<Duration, ReleaseError> {
    if expires.is_zero() {
        return Err(ReleaseError::Input("a quarantine of no length would hold for no run".to_owned()));
    }
    if expires > LONGEST {
        return Err(ReleaseError::Input(
            "a quarantine lasts at most 30d; look at the case again then".to_owned(),
        ));
    }
    Ok(expires)
}

/// The latest run of the suite has the case and the model.
async fn known(store: &Store, suite: &str, case: &str, model: Option<&str>) -> Result<(), ReleaseError> {
    let Some(run) = store.runs_over(Some(suite.to_owned()), 1).await?.pop() else { return Ok(()) };
    let Some(frozen) = store.suite(run.revision).await? else { return Ok(()) };
    let models: Vec<_> = (0..frozen.models.len()).map(|index| frozen.model_label(index)).collect();
    if let Some(model) = model.filter(|model| !models.iter().any(|known| known == model)) {
        let what = format!("the suite `{suite}` has no model `{model}`");
        return Err(unknown(&what, &format!("its models: {}", models.join(", "))));
    }
    let mut after = None;
    loop {
        let page = store.case_names(frozen.dataset.digest.clone(), after, CASES).await?;
        let Some(last) = page.last() else {
            return Err(ReleaseError::Unknown {
                what: format!("the suite `{suite}` has no case `{case}`"),
                hint: None,
            });
        };
        if page.iter().any(|name| name.id == case) {
            return Ok(());
        }
        after = Some(last.position);
    }
}

/// The evidence against a case, from the baseline's history alone.
fn convicted<'l>(
    ledger: &'l Ledger,
    case: &str,
    model: Option<&str>,
) -> Result<&'l LedgerLine, ReleaseError> {
    let found = match model {
        Some(model) => evidence(ledger, case, model),
        None => {
            let models = ledger.lines.iter().filter(|line| line.case == case).map(|line| &line.model);
            let mut models: Vec<_> = models.collect();
            models.sort_unstable();
            models.dedup();
            if models.len() > 1 {
                return Err(ReleaseError::Input(format!(
                    "`{case}` wavers on several models; say which with --model MODEL"
                )));
            }
            models.first().and_then(|model| evidence(ledger, case, model))
        }
    };
    found.ok_or_else(|| {
        ReleaseError::State(format!(
            "the baseline of `{}` is not flaky on `{case}`: quarantine needs {MIN_TRIALS} repeats that disagree too often; `assay flaky` \
             shows what there is",
            ledger.suite
        ))
    })
}
