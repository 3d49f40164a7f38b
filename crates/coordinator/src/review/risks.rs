//! Risks that a team takes knowingly: written down with somebody who answers for each, and a deadline.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::{NewRisk, Risk, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::release::desk::{line_of, reason_of};
use crate::release::registry::{find, moment};
use crate::release::{Desk, ReleaseError};
use crate::report::civil;

/// The last millisecond of a day, after its first moment.
const DAY: Duration = Duration::from_millis(24 * 60 * 60 * 1_000 - 1);

/// A risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskEntry {
    /// 1, 2, 3, …
    pub number: i64,
    /// What may go wrong.
    pub title: String,
    /// The prompt it is of.
    pub prompt: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Until when something is done about it.
    pub deadline: String,
    /// Whether that had passed while it was open.
    pub overdue: bool,
    /// When it was written down.
    pub added_at: String,
    /// By whom.
    pub added_by: String,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// By whom.
    pub closed_by: Option<String>,
    /// What was done about it.
    pub outcome: Option<String>,
}

impl RiskEntry {
    /// A risk as it stood just before a moment.
    fn of(risk: Risk, before: Micros) -> Self {
        let Risk { number, taken, closed_at, closed_by, outcome } = risk;
        let closed_at = closed_at.filter(|at| *at < before);
        let is_closed = closed_at.is_some();
        Self {
            number,
            title: taken.title,
            prompt: taken.prompt,
            owner: taken.owner,
            deadline: civil(taken.deadline_at),
            overdue: !is_closed && taken.deadline_at < before,
            added_at: civil(taken.added_at),
            added_by: taken.added_by,
            closed_at: closed_at.map(civil),
            closed_by: closed_by.filter(|_| is_closed),
            outcome: outcome.filter(|_| is_closed),
        }
    }
}

/// The risks that were open just before a moment, the most pressing first; `all`: also those that were closed.
pub async fn list(store: &Store, before: Micros, all: bool) -> Result<Vec<RiskEntry>, ReleaseError> {
    let risks = store.risks(before, all).await?;
    Ok(risks.into_iter().map(|risk| RiskEntry::of(risk, before)).collect())
}

/// A risk to write down, as it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskAsked {
    /// What may go wrong.
    pub title: String,
    /// The prompt it is of.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Until when something is done about it: a day, to its end, or a moment.
    pub deadline: String,
}

impl Desk<'_> {
    /// Writes a risk down.
    pub async fn add_risk(&mut self, asked: RiskAsked) -> Result<RiskEntry, ReleaseError> {
        let title = line_of(&asked.title, "a title says what may go wrong")?;
        let owner = line_of(&asked.owner, "an owner says who answers for it")?;
        if let Some(prompt) = &asked.prompt {
            find(self.store, prompt).await?;
        }
        let deadline = moment(&asked.deadline).ok_or_else(|| {
            ReleaseError::Input(format!("`{}` is no deadline, such as 2026-12-01", asked.deadline))
        })?;
        let is_day = !asked.deadline.contains(['T', 't', ' ']);
        let deadline_at = if is_day { deadline.plus(DAY) } else { deadline };
        let detail =
            json!({"title": title, "prompt": asked.prompt, "owner": owner, "deadline": civil(deadline_at)});
        let entry = self.entry("risk.add", asked.prompt.clone().unwrap_or_default(), detail);
        if deadline_at <= entry.at {
            return Err(ReleaseError::Input(format!("the deadline {} has passed", asked.deadline)));
        }
        let (added_at, added_by) = (entry.at, entry.actor.clone());
        let taken = NewRisk { title, prompt: asked.prompt, owner, deadline_at, added_at, added_by };
        let number = self.store.add_risk(taken, entry).await?;
        self.risk(number).await
    }

    /// Closes a risk; `outcome` says what was done about it.
    pub async fn close_risk(&mut self, number: i64, outcome: &str) -> Result<RiskEntry, ReleaseError> {
        let outcome = reason_of(outcome)?;
        let entry = self.entry("risk.close", number.to_string(), json!({"reason": outcome}));
        let closed = self.store.close_risk(number, outcome, entry).await?;
        let risk = self.risk(number).await?;
        if closed {
            return Ok(risk);
        }
        let by = risk.closed_by.unwrap_or_default();
        Err(ReleaseError::State(format!("risk {number} is closed already, by {by}")))
    }

    async fn risk(&self, number: i64) -> Result<RiskEntry, ReleaseError> {
        let risk = self.store.risk(number).await?.ok_or_else(|| ReleaseError::Unknown {
            what: format!("there is no risk {number}"),
            hint: Some("`assay risk list --all` shows them all".to_owned()),
        })?;
        Ok(RiskEntry::of(risk, Micros(self.clock.now().0 + 1)))
    }
}
