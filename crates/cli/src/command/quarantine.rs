//! `assay quarantine`: cases known to waver. It writes to the store, with a row of the audit.

use std::io::Write as _;
use std::time::Duration;

use anyhow::anyhow;
use assay_common::clock::{Clock, Micros};
use assay_coordinator::flakes::{self, Ledger, LedgerLine, quarantine};
use assay_coordinator::report::civil;
use assay_store::{Quarantine, Schema, Store};
use serde_json::{Value, json};

use crate::args::QuarantineCommand;
use crate::audit::entry;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Runs whose repeats are evidence.
const RUNS: u32 = 100;
/// Cases read at a time.
const CASES: u32 = 10_000;

/// Adds, lists or removes.
pub(crate) async fn call(settings: &Settings, command: QuarantineCommand) -> Result<Exit, Exit> {
    if settings.server.is_some() {
        return Err(Exit::Input(anyhow!("a quarantine is made in the store: give --store URL")));
    }
    let store = Store::open(&settings.store, Schema::Require).await?;
    match command {
        QuarantineCommand::Add { case, model, suite, owner, reason, expires } => {
            for (flag, text) in [("--owner", &owner), ("--reason", &reason)] {
                if text.trim().is_empty() {
                    return Err(Exit::Input(anyhow!(
                        "{flag} is empty: say who sees to the case, and why it wavers"
                    )));
                }
            }
            let expires = bounded(expires.0)?;
            let now = Clock::system().now();
            let ledger = flakes::read(&store, suite, RUNS, now).await?;
            let ledger = ledger.ok_or_else(|| Exit::Input(anyhow!("no run of the suite is over yet")))?;
            known(&store, &ledger.suite, &case, model.as_deref()).await?;
            let line = convicted(&ledger, &case, model.as_deref())?;
            let added = Quarantine {
                suite: ledger.suite.clone(),
                case,
                model: line.model.clone(),
                added_at: now,
                expires_at: now.plus(expires),
                removed_at: None,
                owner,
                reason,
                trials: line.trials,
                passed: line.passed,
            };
            add(&store, added, ledger.cases).await
        }
        QuarantineCommand::List { suite, all } => list(settings, &store, suite, all).await,
        QuarantineCommand::Remove { case, model, suite } => remove(&store, &case, model, suite).await,
    }
}

/// Takes out the one quarantine that is meant.
async fn remove(
    store: &Store,
    case: &str,
    model: Option<String>,
    suite: Option<String>,
) -> Result<Exit, Exit> {
    let now = Clock::system().now();
    let mut held = store.quarantines(suite).await?;
    held.retain(|held| {
        held.holds_at(now) && held.case == case && model.as_ref().is_none_or(|model| held.model == *model)
    });
    let (Some(meant), others) = (held.pop(), held) else {
        return Err(Exit::Input(anyhow!(
            "the case `{case}` is not under quarantine there; `assay quarantine list` shows what is"
        )));
    };
    if !others.is_empty() {
        let named = |held: &Quarantine| format!("--suite {} --model {}", held.suite, held.model);
        let choices: Vec<_> = others.iter().chain([&meant]).map(named).collect();
        return Err(Exit::Input(anyhow!(
            "the case `{case}` is under quarantine more than once; say which: {}",
            choices.join(", or ")
        )));
    }
    let detail = json!({"suite": meant.suite, "model": meant.model});
    let removed = entry("quarantine.remove", case, detail)?;
    // Somebody else may have been faster: then it is out all the same.
    store.remove_quarantine(meant.suite, case.to_owned(), meant.model, now, removed).await?;
    let _ = writeln!(std::io::stderr(), "the case `{case}` counts again in runs to come");
    Ok(Exit::Done)
}

/// The latest run of the suite has the case and the model.
async fn known(store: &Store, suite: &str, case: &str, model: Option<&str>) -> Result<(), Exit> {
    let Some(run) = store.runs_over(Some(suite.to_owned()), 1).await?.pop() else { return Ok(()) };
    let Some(frozen) = store.suite(run.revision).await? else { return Ok(()) };
    let models: Vec<_> = (0..frozen.models.len()).map(|index| frozen.model_label(index)).collect();
    if let Some(model) = model.filter(|model| !models.iter().any(|known| known == model)) {
        return Err(Exit::Input(anyhow!(
            "the suite `{suite}` has no model `{model}`; its models: {}",
            models.join(", ")
        )));
    }
    let mut after = None;
    loop {
        let page = store.case_names(frozen.dataset.digest.clone(), after, CASES).await?;
        let Some(last) = page.last() else {
            return Err(Exit::Input(anyhow!("the suite `{suite}` has no case `{case}`")));
        };
        if page.iter().any(|name| name.id == case) {
            return Ok(());
        }
        after = Some(last.position);
    }
}

/// The evidence against a case, from the baseline's history alone.
fn convicted<'l>(ledger: &'l Ledger, case: &str, model: Option<&str>) -> Result<&'l LedgerLine, Exit> {
    let found = match model {
        Some(model) => quarantine::evidence(ledger, case, model),
        None => {
            let models = ledger.lines.iter().filter(|line| line.case == case).map(|line| &line.model);
            let mut models: Vec<_> = models.collect();
            models.sort_unstable();
            models.dedup();
            if models.len() > 1 {
                return Err(Exit::Input(anyhow!(
                    "`{case}` wavers on several models; say which with --model MODEL"
                )));
            }
            models.first().and_then(|model| quarantine::evidence(ledger, case, model))
        }
    };
    found.ok_or_else(|| {
        Exit::Input(anyhow!(
            "the baseline of `{}` is not flaky on `{case}`: quarantine needs {} repeats that disagree too often; `assay flaky` \
             shows what there is",
            ledger.suite,
            flakes::ledger::MIN_TRIALS
        ))
    })
}

fn bounded(expires: Duration) -> Result<Duration, Exit> {
    if expires.is_zero() {
        return Err(Exit::Input(anyhow!("--expires: a quarantine of no length would hold for no run")));
    }
    if expires > quarantine::LONGEST {
        return Err(Exit::Input(anyhow!(
            "--expires: a quarantine lasts at most 30d; look at the case again then"
        )));
    }
    Ok(expires)
}

/// The number of the suite's cases bounds how many may be under quarantine on a model.
async fn add(store: &Store, added: Quarantine, cases: u64) -> Result<Exit, Exit> {
    let known = store.quarantines(Some(added.suite.clone())).await?;
    let holding: Vec<_> = known.iter().filter(|held| held.holds_at(added.added_at)).collect();
    if holding.iter().any(|held| (&held.case, &held.model) == (&added.case, &added.model)) {
        return Err(Exit::Input(anyhow!("`{}` is under quarantine on {} already", added.case, added.model)));
    }
    let detail = json!({"suite": added.suite, "model": added.model, "owner": added.owner, "reason": added.reason,
        "expires_at": civil(added.expires_at), "trials": added.trials, "passed": added.passed});
    let row = entry("quarantine.add", &added.case, detail)?;
    let told = format!(
        "`{}` is under quarantine on {} until {}: {} of {} repeats of the baseline passed",
        added.case,
        added.model,
        civil(added.expires_at),
        added.passed,
        added.trials
    );
    let most = (cases / quarantine::ONE_OF).max(1);
    let full = format!(
        "{most} of {cases} cases are under quarantine on {}; more than one in {} would hide the suite from its gate",
        added.model,
        quarantine::ONE_OF
    );
    // Counted where it is written: of two who add at once, the second may be one too many.
    if !store.add_quarantine(added, most, row).await? {
        return Err(Exit::Input(anyhow!(full)));
    }
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{told}");
    Ok(Exit::Done)
}

async fn list(settings: &Settings, store: &Store, suite: Option<String>, all: bool) -> Result<Exit, Exit> {
    let now: Micros = Clock::system().now();
    let mut held = store.quarantines(suite).await?;
    held.retain(|held| all || held.holds_at(now));
    let mut out = anstream::stdout().lock();
    if settings.json {
        let held: Vec<_> = held.iter().map(document).collect();
        writeln!(out, "{}", render::json(&held)?)?;
    } else {
        write!(out, "{}", render::quarantines(&held))?;
    }
    Ok(Exit::Done)
}

fn document(held: &Quarantine) -> Value {
    json!({
        "suite": held.suite,
        "case": held.case,
        "model": held.model,
        "owner": held.owner,
        "reason": held.reason,
        "added_at": civil(held.added_at),
        "expires_at": civil(held.expires_at),
        "removed_at": held.removed_at.map(civil),
        "trials": held.trials,
        "passed": held.passed,
    })
}
