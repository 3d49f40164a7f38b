//! Resume: somebody lifts what holds the calls of an account back, because he knows better than the provider said. Whoever has
//! leased its limits hears of it with his next renewal ([`crate::lease`]).

use assay_common::clock::Micros;

use crate::account::AccountProblem;
use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::lease::{BookRow, books, store_clock};
use crate::open::Store;
use crate::pools::{Dialect, Locking, Speaks as _, locking, writing};
use crate::row::to_json;

pub(crate) const SQL: &[&str] =
    &[BOOKS.sqlite, BOOKS.postgres, WRITE_BOOK, PROBLEMS, CLEAR_PAUSE, WAITING_POOLS, CALL_BACK];

// Locks in the order in which renewals take them.
const BOOKS: Locking = locking!(
    "SELECT scope, ledger_us, seen_at, paused_until, dimensions, resumed FROM provider_limits
    WHERE scope = $1 OR SUBSTR(scope, 1, LENGTH($1) + 1) = $1 || '/' ORDER BY scope",
    "FOR NO KEY UPDATE"
);

const WRITE_BOOK: &str = "
    UPDATE provider_limits SET paused_until = $2, dimensions = $3, resumed = resumed + 1 WHERE scope = $1";

// Others end when they are mended, or are none of the account.
const PROBLEMS: &str = "
    SELECT COUNT(*) FROM accounts
    WHERE (account = $1 OR SUBSTR(account, 1, LENGTH($1) + 1) = $1 || '/') AND kind NOT IN ('unserved', 'retries')";

const CLEAR_PAUSE: &str = "DELETE FROM accounts WHERE account = $1 AND kind = $2";

const WAITING_POOLS: &str = "
    SELECT run_pools.run_id, run_pools.pool FROM runs JOIN run_pools ON run_pools.run_id = runs.id
    WHERE runs.state IN ('running', 'paused') AND run_pools.provider = $1 ORDER BY run_pools.run_id, run_pools.pool";

const CALL_BACK: &str = "
    UPDATE jobs SET not_before = $3
    WHERE run_id = $1 AND pool = $2 AND state = 'pending' AND not_before > 0 AND not_before > $3";

impl Store {
    /// Lifts what holds the calls of an account and of all its models back, at once: pauses, the waiting for another probe of
    /// what is in trouble, and what its jobs were told to wait. By the actor of `entry`. `false`: nothing held them back.
    /// `now` is the clock where the store has none of its own.
    pub async fn resume_account(
        &self,
        account: String,
        entry: AuditEntry,
        now: Micros,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let pools: Vec<(String, String)> =
                sqlx::query_as(WAITING_POOLS).bind(&account).fetch_all(&mut *conn).await?;
            let mut waiting = 0;
            for (run, pool) in pools {
                let query = sqlx::query(CALL_BACK).bind(run).bind(pool).bind(now.0);
                waiting += query.execute(&mut *conn).await?.rows_affected();
            }
            let query = sqlx::query_scalar(PROBLEMS).bind(&account);
            let problems: i64 = query.fetch_one(&mut *conn).await?;
            // The last: all who renew wait from here on.
            let query = sqlx::query_as(BOOKS.text(conn.dialect())).bind(&account);
            let rows: Vec<BookRow> = query.fetch_all(&mut *conn).await?;
            let clock = store_clock!(conn, now);
            let mut books = books(rows, Vec::new())?;
            let mut lifted = false;
            for (_, book) in &mut books {
                lifted |= book.resume(clock);
            }
            let changed = lifted || problems > 0 || waiting > 0;
            if changed {
                for (scope, book) in books {
                    let query = sqlx::query(WRITE_BOOK).bind(scope);
                    let query = query.bind(book.paused_until.map(|until| until.0));
                    query.bind(to_json(&book.known)?).execute(&mut *conn).await?;
                }
                let query = sqlx::query(CLEAR_PAUSE).bind(&account).bind(AccountProblem::RATE_LIMITED);
                query.execute(&mut *conn).await?;
                append_audit!(conn, &entry);
            }
            Ok(changed)
        })
    }
}
