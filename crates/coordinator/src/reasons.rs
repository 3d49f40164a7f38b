//! Why nothing of a run moves, as far as the store knows, and what to do about each. The API and the command line say the
//! same.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::suite::Suite;
use assay_store::{AccountProblem, Member, Run, RunState, Store, StoreError, StoreUrl, Suspect};
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::fleet::{BROKER, UNSERVED, queue_of};
use crate::limits::resume_command;
use crate::report::civil;
use crate::steer::Action;

/// What a member calls itself that executes jobs of a fleet, that drives runs, and that does both for one run.
const WORKER: &str = "worker";
const COORDINATOR: &str = "coordinator";
const RUN: &str = "run";

/// The kind of a problem that is none of an account: every open job was told to come back later.
pub(crate) const WAITING: &str = "waiting";
/// The kind of a run that somebody has paused.
pub(crate) const PAUSED: &str = "paused";

/// Why nothing of a run moves, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In one word.
    pub kind: ReasonKind,
    /// For a person.
    pub detail: String,
    /// What to do, where anything is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why nothing of a run moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// Somebody paused it.
    Paused,
    /// It is being cancelled.
    Cancelling,
    /// A provider account needs attention.
    Account,
    /// A provider account is over its rate limit, and takes calls again by itself.
    RateLimited,
    /// No worker serves one of its models: it lacks the key, or the provider.
    Unserved,
    /// No worker is alive.
    NoWorker,
    /// No coordinator is alive.
    NoCoordinator,
    /// The broker cannot be reached.
    Broker,
    /// Its budget waits for what is set aside for the calls in flight.
    Budget,
    /// A provider account has cost that day what it may cost.
    Spent,
    /// More calls fail than may be tried again at once.
    Retries,
    /// Jobs whose workers died run alone, one after the other.
    Suspect,
    /// Jobs are in the hands of a worker that no longer beats.
    Held,
    /// Every open job waits for its next try.
    Waiting,
    /// Its deadline has passed.
    Deadline,
}

impl ReasonKind {
    /// Whether somebody has to do something before the run moves, or it will not for long.
    pub fn needs_attention(self) -> bool {
        use ReasonKind::{Account, Broker, NoCoordinator, NoWorker, RateLimited, Spent, Unserved};
        matches!(self, Account | RateLimited | Spent | Unserved | NoWorker | NoCoordinator | Broker)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Asker<'a> {
    /// A coordinator, of its own store.
    Coordinator(&'a Environment),
    /// Somebody with the store in his hands.
    Reader,
}

/// Whose calls an account refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// `assay run` on one machine: it ends when its patience does, and the same command goes on.
    Alone,
    /// Workers that somebody keeps running.
    Fleet,
}

/// Everything that keeps an open run from moving; nothing while it moves.
pub async fn reasons(
    store: &Store,
    suite: &Suite,
    run: &Run,
    asker: Asker<'_>,
    now: Micros,
) -> Result<Vec<Reason>, StoreError> {
    let mut reasons = Vec::new();
    match run.state {
        RunState::Paused => reasons.push(paused(store, run).await?),
        RunState::Cancelling => reasons.push(cancelling(store, run).await?),
        RunState::Running | RunState::Completed | RunState::Cancelled => {}
    }
    // That of a paused run begins again with it.
    if run.state != RunState::Paused && now >= run.deadline_at {
        reasons.push(Reason {
            kind: ReasonKind::Deadline,
            detail: format!("its deadline passed at {}", civil(run.deadline_at)),
            hint: Some("raise `deadline` in the suite and start a new run".to_owned()),
        });
    }
    reasons.extend(budget(run));
    // A problem is told of an account, or of one model of it.
    let mut ours = BTreeSet::from([BROKER.to_owned()]);
    ours.extend(
        suite.models.iter().flat_map(|model| [model.provider.clone(), model.name(), queue_of(&model.pool())]),
    );
    let concerns = |account: &str| ours.contains(account);
    let problems = store.problems(now).await?.into_iter().filter(|(account, _)| concerns(account));
    let caller = match store.url() {
        StoreUrl::Sqlite(_) => Caller::Alone,
        StoreUrl::Postgres(_) => Caller::Fleet,
    };
    reasons.extend(problems.map(|(account, problem)| of_account(&account, problem, caller)));
    // Before who lives is looked at, which takes a moment: who claims in it has shown that he lives.
    let holders = store.holders(run.id).await?;
    let members = match asker {
        // Beside whatever else is wrong: where nobody leads, the dead still stand in the store.
        Asker::Reader => store.living_members().await?,
        Asker::Coordinator(_) => store.members().await?,
    };
    let missing = nobody(&members, store.url(), asker);
    let is_driven = missing.is_empty();
    reasons.extend(missing);
    reasons.extend(held(&holders, &members, store.url(), asker));
    reasons.extend(suspected(&store.suspects(run.id).await?));
    reasons.extend(waiting(store, run, is_driven, now).await?);
    Ok(reasons)
}

/// Who paused it, when, and why.
async fn paused(store: &Store, run: &Run) -> Result<Reason, StoreError> {
    let detail = match (&run.reason, told(store, run, Action::Pause).await?) {
        // Whoever drives it paused it, and its row says why.
        (Some(reason), _) => format!("it is paused: {reason}"),
        (None, Some(told)) => format!("paused {told}"),
        (None, None) => "it is paused".to_owned(),
    };
    let hint = Some(format!("let it go on with `assay resume {}`", run.id));
    Ok(Reason { kind: ReasonKind::Paused, detail, hint })
}

async fn cancelling(store: &Store, run: &Run) -> Result<Reason, StoreError> {
    let told = told(store, run, Action::Cancel).await?;
    let why = told.or_else(|| run.reason.clone()).unwrap_or_else(|| "no reason given".to_owned());
    let detail = format!("it is being cancelled: {why}");
    let hint = Some("wait for what is in flight: it is still recorded".to_owned());
    Ok(Reason { kind: ReasonKind::Cancelling, detail, hint })
}

/// By whom it was done last, when and why.
async fn told(store: &Store, run: &Run, action: Action) -> Result<Option<String>, StoreError> {
    let last = store.last_audit(run.id.to_string(), action.word()).await?;
    Ok(last.map(|entry| {
        let why = entry.detail["reason"].as_str().unwrap_or("no reason given");
        format!("by {} at {}: {why}", entry.actor, civil(entry.at))
    }))
}

fn budget(run: &Run) -> Option<Reason> {
    let (budget, short) = (run.budget?.usd(), run.short?.usd());
    let (spent, reserved) = (run.cost.usd(), run.reserved.usd());
    Some(Reason {
        kind: ReasonKind::Budget,
        detail: format!(
            "its budget of ${budget} has no ${short} left for the next call: ${spent} went, ${reserved} is set aside"
        ),
        hint: Some(
            "it goes on if the calls in flight turn out cheaper, and ends with what it has if not".to_owned(),
        ),
    })
}

/// What an account, a model or the broker suffers from, and what the one who keeps `caller` running does about it.
pub fn of_account(account: &str, problem: AccountProblem, caller: Caller) -> Reason {
    let AccountProblem { kind, detail, since } = problem;
    let since = civil(since);
    if account == BROKER {
        let hint = "start the broker, or look at the leading coordinator's --queue; runs go on by themselves";
        let detail = format!("the broker cannot be reached since {since}: {detail}");
        return Reason { kind: ReasonKind::Broker, detail, hint: Some(hint.to_owned()) };
    }
    if account.starts_with(BROKER) {
        let hint =
            "look at it in the broker; it holds nothing but hints, and may be deleted: it is made again";
        let detail = format!("a queue cannot be used since {since}: {detail}");
        return Reason { kind: ReasonKind::Broker, detail, hint: Some(hint.to_owned()) };
    }
    if kind == UNSERVED {
        let (what, hint) = detail.split_once(": ").unwrap_or((&detail, "start one with `assay worker`"));
        let detail = format!("{what}, since {since}");
        return Reason { kind: ReasonKind::Unserved, detail, hint: Some(hint.to_owned()) };
    }
    if kind == PAUSED {
        let hint = "`assay resume` with its id lets it go on";
        return Reason { kind: ReasonKind::Paused, detail, hint: Some(hint.to_owned()) };
    }
    if kind == WAITING {
        let hint = "go on with it then, or raise --patience";
        return Reason { kind: ReasonKind::Waiting, detail, hint: Some(hint.to_owned()) };
    }
    let detail = format!("{account} needs attention since {since}: {kind}: {detail}");
    let (kind, hint) = remedy(account, &kind, caller);
    Reason { kind, detail, hint: Some(hint) }
}

/// What to do about a trouble of an account, or of one model of it.
fn remedy(name: &str, trouble: &str, caller: Caller) -> (ReasonKind, String) {
    let then = match caller {
        Caller::Alone => "then the same command goes on",
        Caller::Fleet => "the run goes on by itself",
    };
    let account = |hint: &str| (ReasonKind::Account, format!("{hint}; {then}"));
    match (trouble, caller) {
        (AccountProblem::RATE_LIMITED, _) => (
            ReasonKind::RateLimited,
            format!(
                "wait, or lift it with {} if you know better; a lower `requests_per_minute` in assay.toml keeps it from happening",
                resume_command(name)
            ),
        ),
        (AccountProblem::SPENT, _) => (
            ReasonKind::Spent,
            format!(
                "wait until the day ends at 00:00 UTC, or raise the cap: `assay limits set ACCOUNT --budget-usd-per-day USD \
                 --reason TEXT`; {then}"
            ),
        ),
        (AccountProblem::RETRIES, _) => (
            ReasonKind::Retries,
            "look at the provider's status, or lower `in_flight` in assay.toml; what waits is tried by itself"
                .to_owned(),
        ),
        ("unauthorized", Caller::Alone) => {
            account("put a key that the provider takes into the variable or the file that holds this one")
        }
        ("unauthorized", Caller::Fleet) => account("start the worker again with a key that holds"),
        ("forbidden", _) => account("allow this key the model, or use another key"),
        ("quota" | "payment_required", _) => account(&format!(
            "pay, or raise the account's quota; {} has it tried at once",
            resume_command(name)
        )),
        ("unreachable", _) => account("check `base_url` in assay.toml and the network"),
        ("failing", _) => account("every call fails: look at the provider's status"),
        ("refusing", _) => (
            ReasonKind::Account,
            "look at the model's name and parameters in the suite, or go on with the rest as it is".to_owned(),
        ),
        _ => account("mend the account"),
    }
}

/// Who is missing. A store in a file is for one `assay run`, others need a coordinator and workers.
fn nobody(members: &[Member], url: &StoreUrl, asker: Asker<'_>) -> Vec<Reason> {
    let from_outside = matches!(asker, Asker::Reader);
    let is_there = |kind: &str| members.iter().any(|member| member.kind == kind);
    let reason = |kind, detail: &str, hint: &str| Reason {
        kind,
        detail: detail.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if from_outside && is_there(RUN) {
        return Vec::new();
    }
    if from_outside && matches!(url, StoreUrl::Sqlite(_)) {
        let hint = "the same `assay run SUITE` goes on with it";
        return vec![reason(ReasonKind::NoWorker, "nobody runs it", hint)];
    }
    let mut missing = Vec::new();
    if !is_there(WORKER) {
        let (detail, hint) = match url {
            StoreUrl::Sqlite(_) => (
                "workers cannot share a store in a file",
                "give the coordinator a PostgreSQL store, or use `assay run` on the file without one",
            ),
            StoreUrl::Postgres(_) => {
                ("no worker is alive", "start one with `assay worker` on the same store and queue")
            }
        };
        missing.push(reason(ReasonKind::NoWorker, detail, hint));
    }
    if from_outside && !is_there(COORDINATOR) {
        let hint = "start one with `assay coordinator` on the same store and queue";
        missing.push(reason(ReasonKind::NoCoordinator, "no coordinator is alive", hint));
    }
    missing
}

/// A worker that has not beaten for so long is more than busy.
const SILENT: Duration = Duration::from_secs(3);

/// How many of its jobs wait until a worker that does not beat is taken for dead. A reader has watched two beats; of a file he
/// knows whether anybody has it, and whoever has it next frees them at once.
fn held(holders: &[(MemberId, u64)], living: &[Member], url: &StoreUrl, asker: Asker<'_>) -> Option<Reason> {
    let (silent, until): (Vec<_>, _) = match asker {
        Asker::Coordinator(Environment { silences, timings, .. }) => {
            let silences = silences.of_at_least(SILENT);
            let silent: Vec<_> = holders.iter().filter(|(id, _)| silences.contains_key(id)).collect();
            let shortest = silent.iter().filter_map(|(id, _)| silences.get(id)).min()?;
            let left = timings.dead_after.saturating_sub(*shortest);
            let until = format!(
                "not beaten for {} s; they are free again within {} s",
                shortest.as_secs(),
                left.as_secs().max(1)
            );
            (silent, until)
        }
        Asker::Reader if matches!(url, StoreUrl::Sqlite(_)) => return None,
        Asker::Reader => {
            let is_silent = |id: &MemberId| living.iter().all(|member| member.id != *id);
            let until = "not beaten for 2 s; they are free again 30 s after the last beat, unless a coordinator's \
                         --dead-after says otherwise";
            (holders.iter().filter(|(id, _)| is_silent(id)).collect(), until.to_owned())
        }
    };
    let jobs: u64 = silent.iter().map(|(_, jobs)| jobs).sum();
    let are = if jobs == 1 { "1 job is".to_owned() } else { format!("{jobs} jobs are") };
    let who = match silent.len() {
        0 => return None,
        1 => "a worker that has".to_owned(),
        workers => format!("{workers} workers that have"),
    };
    Some(Reason {
        kind: ReasonKind::Held,
        detail: format!("{are} held by {who} {until}"),
        hint: Some(
            "nothing: it goes on by itself; a call that was in flight there is asked again".to_owned(),
        ),
    })
}

/// Which jobs run alone, and why.
fn suspected(suspects: &[Suspect]) -> Option<Reason> {
    let first = suspects.iter().find(|suspect| suspect.running).or(suspects.first())?;
    let Suspect { ordinal, case_id, deaths, running } = first;
    let which = match suspects.len() {
        1 => "a job was".to_owned(),
        jobs => format!("{jobs} jobs were"),
    };
    let stands = if *running { "runs alone now" } else { "waits to run alone" };
    Some(Reason {
        kind: ReasonKind::Suspect,
        detail: format!(
            "{which} running when a worker died, {deaths} times: job {ordinal} (case `{case_id}`) {stands}"
        ),
        hint: Some(
            "nothing: each of them runs alone; one whose worker dies twice more is errored as poison"
                .to_owned(),
        ),
    })
}

/// Every open job was given back, and none is due.
async fn waiting(
    store: &Store,
    run: &Run,
    is_driven: bool,
    now: Micros,
) -> Result<Option<Reason>, StoreError> {
    let hint = if is_driven {
        "nothing: it goes on then by itself"
    } else {
        "before that, nothing is gained by going on"
    };
    let standing = store.standing(run.id).await?;
    let waits = run.state == RunState::Running && !standing.running && !standing.fresh;
    Ok(standing.next_due.filter(|due| waits && *due > now).map(|due| Reason {
        kind: ReasonKind::Waiting,
        detail: format!("every open job waits for its next try, the first until {}", civil(due)),
        hint: Some(hint.to_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(account: &str, kind: &str, detail: &str, expected: (ReasonKind, &str, &str)) {
        let problem = AccountProblem { kind: kind.into(), detail: detail.into(), since: Micros(0) };
        let reason = of_account(account, problem, Caller::Fleet);
        let hint = reason.hint.unwrap_or_default();
        assert_eq!((reason.kind, reason.detail.as_str()), (expected.0, expected.1));
        assert!(hint.contains(expected.2), "{hint}");
    }

    #[test]
    fn suspects_are_named_the_running_one_first() {
        let suspect =
            |ordinal, running| Suspect { ordinal, case_id: format!("c{ordinal}"), deaths: 2, running };
        let check = |suspects: &[Suspect], expected: Option<&str>| {
            assert_eq!(suspected(suspects).map(|reason| reason.detail).as_deref(), expected);
        };
        check(&[], None);
        let alone = "a job was running when a worker died, 2 times: job 7 (case `c7`) waits to run alone";
        check(&[suspect(7, false)], Some(alone));
        let several = "2 jobs were running when a worker died, 2 times: job 9 (case `c9`) runs alone now";
        check(&[suspect(7, false), suspect(9, true)], Some(several));
    }

    #[test]
    fn whoever_does_not_beat_is_said_to_hold_what_he_has() {
        let url: StoreUrl = "postgres://localhost/assay".parse().unwrap();
        let id = |n| MemberId::new(uuid::Uuid::from_u128(n));
        let check = |holders: &[(u128, u64)], expected: Option<&str>| {
            let holders: Vec<_> = holders.iter().map(|(n, jobs)| (id(*n), *jobs)).collect();
            let reason = held(&holders, &[], &url, Asker::Reader);
            let told = reason.map(|reason| reason.detail);
            assert_eq!(
                told.as_deref().and_then(|told| told.split_once(" not ")).map(|(who, _)| who),
                expected
            );
        };
        check(&[], None);
        check(&[(1, 1)], Some("1 job is held by a worker that has"));
        check(&[(1, 2), (2, 1)], Some("3 jobs are held by 2 workers that have"));
        assert_eq!(held(&[(id(1), 1)], &[], &StoreUrl::Sqlite("a.db".into()), Asker::Reader), None);
    }

    #[test]
    fn every_trouble_has_its_remedy() {
        let since = "since 1970-01-01T00:00:00.000Z";
        let account = |kind: &str| format!("openai needs attention {since}: {kind}: words");
        let whole = |kind, remedy: &str| {
            check("openai", kind, "words", (ReasonKind::Account, &account(kind), remedy));
        };
        whole("unauthorized", "a key that holds");
        let alone = remedy("openai", "unauthorized", Caller::Alone).1;
        assert!(alone.contains("the variable or the file") && alone.ends_with("the same command goes on"));
        whole("forbidden", "another key");
        whole("quota", "quota; `assay limits resume openai --reason TEXT` has it tried");
        whole("payment_required", "pay");
        whole("unreachable", "base_url");
        whole("failing", "status");
        whole("unheard of", "mend the account");
        let limited = account("rate_limited");
        check("openai", "rate_limited", "words", (ReasonKind::RateLimited, &limited, "requests_per_minute"));
        check(
            "openai",
            "rate_limited",
            "words",
            (ReasonKind::RateLimited, &limited, "limits resume openai --reason"),
        );
        let spent = account("spent");
        check("openai", "spent", "words", (ReasonKind::Spent, &spent, "00:00 UTC"));
        let retries = account("retries");
        check("openai", "retries", "words", (ReasonKind::Retries, &retries, "in_flight"));
        let unserved = format!("no worker serves `openai/m`, {since}");
        check(
            "openai/m",
            "unserved",
            "no worker serves `openai/m`: start one whose environment has OPENAI_API_KEY",
            (ReasonKind::Unserved, &unserved, "start one whose environment has OPENAI_API_KEY"),
        );
        let broker = format!("the broker cannot be reached {since}: refused");
        check(BROKER, "unreachable", "refused", (ReasonKind::Broker, &broker, "start the broker"));
        let queue = format!("a queue cannot be used {since}: it is locked");
        let name = queue_of("openai.1");
        check(&name, "unreachable", "it is locked", (ReasonKind::Broker, &queue, "may be deleted"));
    }
}
