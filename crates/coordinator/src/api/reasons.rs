//! Why nothing of a run moves, as far as the store knows.

use std::collections::BTreeSet;

use assay_common::suite::Suite;
use assay_store::{AccountProblem, Run, RunState};

use super::Api;
use super::document::{Reason, ReasonKind};
use super::error::ApiError;
use super::steer::PAUSE;
use crate::report::civil;

/// What a member that executes jobs calls itself.
const WORKER: &str = "worker";

/// Everything that keeps an open run from moving; nothing while it moves.
pub(super) async fn reasons(api: &Api, suite: &Suite, run: &Run) -> Result<Vec<Reason>, ApiError> {
    let store = &api.environment.store;
    let mut reasons = Vec::new();
    match run.state {
        RunState::Paused => reasons.push(paused(api, run).await?),
        RunState::Cancelling => reasons.push(Reason {
            kind: ReasonKind::Cancelling,
            detail: format!("it is being cancelled: {}", run.reason.as_deref().unwrap_or("no reason given")),
            hint: None,
        }),
        RunState::Running | RunState::Completed | RunState::Cancelled => {}
    }
    if api.now() >= run.deadline_at {
        let detail = format!("its deadline passed at {}", civil(run.deadline_at));
        reasons.push(Reason { kind: ReasonKind::Deadline, detail, hint: None });
    }
    let ours: BTreeSet<_> = suite.models.iter().map(|model| model.provider.as_str()).collect();
    let problems = store.account_problems().await?.into_iter();
    // A problem may be told of one model of an account: `provider/model`.
    let concerns = |account: &str| ours.contains(account.split('/').next().unwrap_or(account));
    reasons.extend(
        problems
            .filter(|(account, _)| concerns(account))
            .map(|(account, problem)| of_account(&account, problem)),
    );
    if !store.members().await?.iter().any(|member| member.kind == WORKER) {
        reasons.push(Reason {
            kind: ReasonKind::NoWorker,
            detail: "no worker is alive".to_owned(),
            hint: Some("start one with `assay worker` on the same store and queue".to_owned()),
        });
    }
    let standing = store.standing(run.id).await?;
    if let Some(due) = standing.next_due
        && run.state == RunState::Running
        && due > api.now()
        && !standing.running
        && !standing.fresh
    {
        let detail = format!("every open job waits for its next try, the first until {}", civil(due));
        reasons.push(Reason { kind: ReasonKind::Waiting, detail, hint: None });
    }
    Ok(reasons)
}

/// Who paused it, when, and why.
async fn paused(api: &Api, run: &Run) -> Result<Reason, ApiError> {
    let last = api.environment.store.last_audit(run.id.to_string(), PAUSE).await?;
    let detail = last.map_or_else(
        || "it is paused".to_owned(),
        |entry| {
            let why = entry.detail["reason"].as_str().unwrap_or("no reason given").to_owned();
            format!("paused by {} at {}: {why}", entry.actor, civil(entry.at))
        },
    );
    Ok(Reason {
        kind: ReasonKind::Paused,
        detail,
        hint: Some(format!("let it go on with `assay resume {}`", run.id)),
    })
}

fn of_account(account: &str, problem: AccountProblem) -> Reason {
    let AccountProblem { kind, detail, since } = problem;
    Reason {
        kind: ReasonKind::Account,
        detail: format!("{account} needs attention since {}: {kind}: {detail}", civil(since)),
        hint: Some("mend the account; the run goes on by itself".to_owned()),
    }
}
