//! What a provider account suffers from: reported by the workers that meet it, shown to the person who can mend it.

use assay_common::clock::Micros;

use crate::error::StoreError;
use crate::event::{append_event, of_account};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::plain;

/// Why an account takes no calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProblem {
    /// Its class, in the worker's word (`quota`, `unauthorized`, …).
    pub kind: String,
    /// What the provider said.
    pub detail: String,
    /// Since when.
    pub since: Micros,
}

impl AccountProblem {
    /// The kind of one that ends by itself, at the moment that its detail tells.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// The kind of one that says that too many calls fail for all of them to be tried again at once.
    pub const RETRIES: &str = "retries";
    /// The kind of one that says that the account has cost that day what it may cost.
    pub const SPENT: &str = "spent";
}

pub(crate) const SQL: &[&str] = &[KIND, REPORT, CLEAR, PROBLEMS];

const KIND: &str = "SELECT kind FROM accounts WHERE account = $1";

const REPORT: &str = "
    INSERT INTO accounts (account, kind, detail, since, reported_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account) DO UPDATE
    SET kind = excluded.kind, detail = excluded.detail, since = excluded.since, reported_at = excluded.reported_at";

const CLEAR: &str = "DELETE FROM accounts WHERE account = $1";

impl Store {
    /// Records what `account` suffers from, in place of what was known; `None`: it works again. What is new and does not end by
    /// itself is told outside.
    pub async fn report_account(
        &self,
        account: String,
        problem: Option<AccountProblem>,
        now: Micros,
    ) -> Result<(), StoreError> {
        writing!(self, |conn| {
            match &problem {
                Some(problem) => {
                    let query = sqlx::query_scalar(KIND).bind(&account);
                    let known: Option<String> = query.fetch_optional(&mut *conn).await?;
                    let passes = problem.kind == AccountProblem::RATE_LIMITED;
                    if !passes && known.is_none_or(|known| known != problem.kind) {
                        append_event!(conn, &of_account(&account, problem));
                    }
                    sqlx::query(REPORT)
                        .bind(&account)
                        .bind(plain(&problem.kind))
                        .bind(plain(&problem.detail))
                        .bind(problem.since.0)
                        .bind(now.0)
                        .execute(&mut *conn)
                        .await?
                }
                None => sqlx::query(CLEAR).bind(&account).execute(&mut *conn).await?,
            };
            Ok(())
        })
    }
}

const PROBLEMS: &str = "SELECT account, kind, detail, since FROM accounts ORDER BY account";

impl Store {
    /// Every account with a problem, by name.
    pub async fn account_problems(&self) -> Result<Vec<(String, AccountProblem)>, StoreError> {
        let rows: Vec<(String, String, String, i64)> =
            reading!(self, |conn| { Ok(sqlx::query_as(PROBLEMS).fetch_all(&mut *conn).await?) })?;
        let problem =
            |(account, kind, detail, since)| (account, AccountProblem { kind, detail, since: Micros(since) });
        Ok(rows.into_iter().map(problem).collect())
    }
}
