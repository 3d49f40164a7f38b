//! The two databases behind a store, and the macros that run one body on either of them.
//!
//! A body is written once and compiled once for each database: `reading!` gives it a connection, `writing!` a
//! transaction. Rust sees concrete types on both sides, so there is no generic and no `dyn` between a method and its
//! SQL.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use tokio::task::JoinHandle;

use crate::error::StoreError;

/// How long a connection is waited for, and a new one may take.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a SQLite transaction waits for that of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite readers; each is a thread.
const READERS: u32 = 4;
/// Connections of one process to PostgreSQL.
const CONNECTIONS: u32 = 10;
/// Statements kept prepared by each connection: more than this crate has.
const PREPARED: usize = 300;
/// Collisions with other transactions after which one is given up.
const COLLISIONS: u32 = 10;

/// Connections to a database.
pub(crate) enum Pools {
    /// Many readers, one writer: SQLite has one writer at a time anyway, and a queue in front of it is fair.
    Sqlite { readers: SqlitePool, writer: SqlitePool },
    /// One pool for both.
    Postgres(PgPool),
}

impl Pools {
    /// Pools on the SQLite file at `path`; connects on first use. `create`: makes the file, in WAL mode.
    pub(crate) fn sqlite(path: &Path, create: bool) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(PREPARED)
            // FULL for every transaction: a commit that has returned survives a power cut. Claims and beats could do
            // with NORMAL, but the level belongs to the connection, there is one writer, and changing it around
            // each transaction costs two statements and a state to keep; batches share the sync among hundreds
            // of rows instead.
            .synchronous(SqliteSynchronous::Full);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // Connections to a file do not go stale: no pings, no recycling.
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let readers = options.clone().pragma("query_only", "ON");
        let writer = options.create_if_missing(create);
        // WAL rests in the file: set once, where the file may be made.
        let writer = if create { writer.journal_mode(SqliteJournalMode::Wal) } else { writer };
        Self::Sqlite {
            readers: pool(READERS).connect_lazy_with(readers),
            writer: pool(1).connect_lazy_with(writer),
        }
    }

    /// A pool on the PostgreSQL database of `options`; connects on first use.
    pub(crate) fn postgres(options: PgConnectOptions) -> Self {
        // The server ends what hangs: a client that stopped waiting would leave the transaction open.
        let options =
            options.options([("statement_timeout", "60s"), ("idle_in_transaction_session_timeout", "60s")]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        Self::Postgres(pool.connect_lazy_with(options.statement_cache_capacity(PREPARED)))
    }

    /// Closes every connection, after what is under way.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                // The last connection to close folds the WAL into the file, so it must be the one that may write.
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Which database a statement is for, where the texts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What tells a body which database it was compiled for.
pub(crate) trait Speaks {
    /// The database at the other end.
    fn dialect(&self) -> Dialect;
}

impl Speaks for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
}

impl Speaks for PgConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
}

/// A statement that ends in a row lock on PostgreSQL. SQLite has no such clause and needs none: it has one writer.
#[derive(Clone, Copy)]
pub(crate) struct Locking {
    /// Without the lock.
    pub(crate) sqlite: &'static str,
    /// With it.
    pub(crate) postgres: &'static str,
}

impl Locking {
    /// The text for `dialect`.
    pub(crate) fn text(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// Writes a [`Locking`] from the text and the lock.
macro_rules! locking {
    ($text:literal, $lock:literal) => {
        $crate::pools::Locking { sqlite: $text, postgres: concat!($text, " ", $lock) }
    };
}

/// Runs `$body` with `$conn`, a connection that reads. The body ends in `Ok(…)`.
macro_rules! reading {
    ($store:expr, |$conn:ident| $body:block) => {{
        let store: &$crate::open::Store = $store;
        let read: Result<_, $crate::error::StoreError> = match store.pools() {
            $crate::pools::Pools::Sqlite { readers, .. } => {
                async {
                    let mut connection = readers.acquire().await?;
                    let $conn: &mut sqlx::SqliteConnection = &mut connection;
                    $body
                }
                .await
            }
            $crate::pools::Pools::Postgres(pool) => {
                async {
                    let mut connection = pool.acquire().await?;
                    let $conn: &mut sqlx::PgConnection = &mut connection;
                    $body
                }
                .await
            }
        };
        read.map_err(|error| store.placed(error))
    }};
}

/// Runs `$body` with `$conn`, a connection inside one transaction, and commits it. The body ends in `Ok(…)`; an error
/// rolls everything back. On PostgreSQL it runs again after a collision, so it must not use up what it captures.
///
/// It runs in a task of its own, which a caller that stops waiting does not end: a transaction that is cancelled while
/// it begins would leave a pooled connection inside a transaction nobody knows of (sqlx issue 4393).
macro_rules! writing {
    ($store:expr, |$conn:ident| $body:block) => {{
        let store = $store.clone();
        let task = tokio::spawn(async move {
            match store.pools() {
                $crate::pools::Pools::Sqlite { writer, .. } => {
                    // A deferred transaction that begins with a read could not upgrade past another process's write.
                    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                    let $conn: &mut sqlx::SqliteConnection = &mut transaction;
                    let done: Result<_, $crate::error::StoreError> = async { $body }.await;
                    let done = done?;
                    transaction.commit().await?;
                    Ok(done)
                }
                $crate::pools::Pools::Postgres(pool) => {
                    let mut collisions = 0;
                    loop {
                        let mut transaction = pool.begin().await?;
                        let $conn: &mut sqlx::PgConnection = &mut transaction;
                        let done: Result<_, $crate::error::StoreError> = async { $body }.await;
                        let done = match done {
                            Ok(done) => transaction.commit().await.map(|()| done).map_err(Into::into),
                            Err(error) => Err(error),
                        };
                        match done {
                            Err(error) if $crate::pools::try_again(&error, &mut collisions).await => {}
                            done => break done,
                        }
                    }
                }
            }
        });
        $crate::pools::joined(task).await.map_err(|error| $store.placed(error))
    }};
}

pub(crate) use {locking, reading, writing};

/// Whether a transaction that failed with `error` lost to another and may run again; waits a little first.
pub(crate) async fn try_again(error: &StoreError, collisions: &mut u32) -> bool {
    let StoreError::Database(sqlx::Error::Database(error)) = error else { return false };
    // A deadlock, or a serialisation failure.
    let collided = matches!(error.code().as_deref(), Some("40P01" | "40001"));
    *collisions += 1;
    if !collided || *collisions > COLLISIONS {
        return false;
    }
    tokio::time::sleep(Duration::from_millis(5) * *collisions).await;
    true
}

/// What a task came to. A panic goes on in the caller.
pub(crate) async fn joined<T>(task: JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    match task.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closing),
        },
    }
}
