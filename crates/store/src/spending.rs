//! Spending: what the calls of each account with a cap cost in a day of UTC. A call counts against the day on which money
//! was set aside for it, in [`crate::reserve`]; [`crate::settle`] turns that into what it came to.

use std::collections::BTreeMap;

use assay_common::clock::Micros;
use assay_common::money::NanoUsd;
use serde_json::json;

use crate::account::AccountProblem;
use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::event::Event;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::plain;

pub(crate) const SQL: &[&str] = &[SPENDING, CAPS, SET_CAP, CLEAR_CAP];

/// What an account with a cap has spent in a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// The provider's name in assay.toml.
    pub account: String,
    /// The least and the most that the files of those who called that day say it may cost.
    pub configured: [NanoUsd; 2],
    /// What somebody has set it to instead.
    pub set: Option<SetCap>,
    /// What is known to have been spent.
    pub cost: NanoUsd,
    /// What is set aside for calls whose cost is not known yet.
    pub reserved: NanoUsd,
    /// What a call needed and the cap had not left, and since when.
    pub short: Option<(NanoUsd, Micros)>,
}

/// A cap that somebody has set in place of what files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCap {
    /// The most that a day may cost.
    pub most: NanoUsd,
    /// When it was set.
    pub at: Micros,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Spending {
    /// The cap that holds. Where files disagree, each worker is held to its own, and all together to the most of them.
    pub fn cap(&self) -> NanoUsd {
        self.set.as_ref().map_or(self.configured[1], |set| set.most)
    }

    /// Why the account takes no calls, where it takes none. What a call was short of before the cap was raised, it is short of no
    /// more, though nobody has called since.
    pub fn problem(&self) -> Option<AccountProblem> {
        let (short, since) = self.short?;
        let caps = match &self.set {
            Some(set) => [set.most; 2],
            None => [self.configured[1], self.configured[0]],
        };
        let gone = self.cost.0.saturating_add(self.reserved.0);
        // Of files that disagree one may be short and another not.
        let cap = caps.into_iter().find(|cap| short.0 > cap.0.saturating_sub(gone))?;
        Some(problem(cap, self.cost, self.reserved, short, since))
    }
}

fn problem(cap: NanoUsd, cost: NanoUsd, reserved: NanoUsd, short: NanoUsd, since: Micros) -> AccountProblem {
    let [cap, cost, reserved, short] = [cap, cost, reserved, short].map(NanoUsd::usd);
    let detail = format!(
        "its ${cap} for the day (UTC) have no ${short} left for the next call: ${cost} went, ${reserved} is set aside"
    );
    AccountProblem { kind: AccountProblem::SPENT.to_owned(), detail, since }
}

/// The money of an account is spent for the day: told once for each cap that it had that day.
pub(crate) fn of_spent(
    account: &str,
    (cap, cost, reserved): (i64, i64, i64),
    short: i64,
    now: Micros,
) -> Event {
    let [cap, cost, reserved, short] = [cap, cost, reserved, short].map(NanoUsd);
    let AccountProblem { kind, detail, .. } = problem(cap, cost, reserved, short, now);
    let data = json!({"account": account, "problem": kind, "detail": detail});
    let key = format!("{account}\0{kind}\0{}\0{}", now.day(), cap.0);
    Event::new("attention.account", &key, now, format!("{account} needs attention: {detail}"), data)
}

#[derive(sqlx::FromRow)]
struct Row {
    account: String,
    least_cap_nano: i64,
    most_cap_nano: i64,
    cost_nano: i64,
    reserved_nano: i64,
    short_nano: Option<i64>,
    short_at: Option<i64>,
}

const SPENDING: &str = "
    SELECT account, least_cap_nano, most_cap_nano, cost_nano, reserved_nano, short_nano, short_at
    FROM spending WHERE day = $1 ORDER BY account";

const CAPS: &str = "SELECT account, cap_nano, set_at, set_by, reason FROM caps ORDER BY account";

impl Store {
    /// What each account with a cap has spent on the day of this moment, by account; one that was not called that day has
    /// spent nothing and is left out.
    pub async fn spending(&self, at: Micros) -> Result<Vec<Spending>, StoreError> {
        let mut caps = self.caps().await?;
        let rows: Vec<Row> = reading!(self, |conn| {
            Ok(sqlx::query_as(SPENDING).bind(at.day()).fetch_all(&mut *conn).await?)
        })?;
        let of = |row: Row| Spending {
            set: caps.remove(&row.account),
            account: row.account,
            configured: [NanoUsd(row.least_cap_nano), NanoUsd(row.most_cap_nano)],
            cost: NanoUsd(row.cost_nano),
            reserved: NanoUsd(row.reserved_nano),
            short: row.short_nano.map(NanoUsd).zip(row.short_at.map(Micros)),
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// The caps that somebody has set, by account.
    pub async fn caps(&self) -> Result<BTreeMap<String, SetCap>, StoreError> {
        let rows: Vec<(String, i64, i64, String, String)> =
            reading!(self, |conn| { Ok(sqlx::query_as(CAPS).fetch_all(&mut *conn).await?) })?;
        let cap = |(account, most, at, by, reason)| {
            (account, SetCap { most: NanoUsd(most), at: Micros(at), by, reason })
        };
        Ok(rows.into_iter().map(cap).collect())
    }

    /// Every account with a problem now, by name: those that workers report, and those whose money for the day is spent.
    pub async fn problems(&self, now: Micros) -> Result<Vec<(String, AccountProblem)>, StoreError> {
        let mut problems = self.account_problems().await?;
        let spent = self.spending(now).await?;
        problems.extend(spent.into_iter().filter_map(|of| Some((of.account.clone(), of.problem()?))));
        problems.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(problems)
    }
}

const SET_CAP: &str = "
    INSERT INTO caps (account, cap_nano, set_at, set_by, reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account) DO UPDATE
    SET cap_nano = excluded.cap_nano, set_at = excluded.set_at, set_by = excluded.set_by, reason = excluded.reason";

const CLEAR_CAP: &str = "DELETE FROM caps WHERE account = $1";

impl Store {
    /// Sets the cap of an account for all who call it, from their next call on; by the actor of `entry`, for the reason
    /// given. `None` goes back to what files say. `false`: nothing was set.
    pub async fn set_cap(
        &self,
        account: String,
        to: Option<NanoUsd>,
        reason: String,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let changed = match to {
                Some(most) => {
                    let query = sqlx::query(SET_CAP).bind(&account).bind(most.0).bind(entry.at.0);
                    let query = query.bind(plain(&entry.actor)).bind(plain(&reason));
                    query.execute(&mut *conn).await?.rows_affected() > 0
                }
                None => sqlx::query(CLEAR_CAP).bind(&account).execute(&mut *conn).await?.rows_affected() > 0,
            };
            if changed {
                append_audit!(conn, &entry);
            }
            Ok(changed)
        })
    }
}
