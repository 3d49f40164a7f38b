//! The two databases behind a store, and the macros that run one body on either of them.
//!
//! A body is written once and compiled once for each database: `reading!` gives it a connection, `writing!` a
//! transaction. Rust sees concrete types on both sides, so there is no generic and no `dyn` between a method and its
//! SQL.

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, Transaction};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::task::JoinHandle;

use crate::error::StoreError;
use crate::journal::Journal;

mod log;

use log::Log;

/// How long a connection is waited for, and a new one may take. Whoever waits longer is told so by an error; waiting less is
/// no news, on a busy machine least of all.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a SQLite transaction waits for that of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite readers; each is a thread.
const READERS: u32 = 4;
/// What a SQLite reader keeps of the file's pages, in KiB (below 0: no number of pages). Every commit of the writer empties it, and
/// the system keeps them too.
const READER_CACHE: &str = "-512";
/// Pages of a SQLite write-ahead log after which it is copied into the file: 16 MiB.
const WAL_PAGES: &str = "4096";
/// Bytes that a SQLite write-ahead log may keep once it is copied: more have gathered while somebody read for long.
const WAL_KEPT: &str = "33554432";
/// Connections of one process to PostgreSQL, beside that of its beat.
const CONNECTIONS: u32 = 10;
/// Statements kept prepared by each connection: more than this crate has.
const PREPARED: usize = 300;
/// Rows that SQLite's thread reads ahead of whoever takes them: the two wait for each other once in so many.
const ROWS_AHEAD: usize = 200;
/// Collisions with other transactions after which one is given up.
const COLLISIONS: u32 = 10;

/// Connections to a database.
pub(crate) enum Pools {
    /// Many readers, one writer: SQLite has one writer at a time anyway, and a queue in front of it is fair. A database in
    /// memory has no journal.
    Sqlite { readers: SqlitePool, writer: Box<Writer>, journal: Option<Box<Journal>> },
    /// One pool for both, and the pulse.
    Postgres(Postgres),
}

/// Connections to PostgreSQL.
pub(crate) struct Postgres {
    /// For everything that may have to wait for others.
    pub(crate) pool: PgPool,
    /// One more for the beat of this process: however many wait for a locked table, nobody takes it for dead.
    pub(crate) pulse: PgPool,
}

impl Deref for Postgres {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

impl Pools {
    /// Pools on the SQLite file at `path`; connects on first use. `create`: makes the file, in WAL mode.
    pub(crate) fn sqlite(path: &Path, create: bool) -> Self {
        let options = sqlite_options(path)
            // What a statement needs for taking itself back, and sorting, stays off the disk.
            .pragma("temp_store", "MEMORY")
            // Pages are written again and again: the longer the log, the fewer copies of each go into the file.
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .pragma("journal_size_limit", WAL_KEPT)
            // Whose commit is to survive a power cut waits for the disk by itself, and the others do not wait for it.
            .synchronous(SqliteSynchronous::Normal);
        let readers = options.clone().pragma("query_only", "ON").pragma("cache_size", READER_CACHE);
        let writer = options.create_if_missing(create);
        // WAL rests in the file: set once, where the file may be made.
        let writer = if create { writer.journal_mode(SqliteJournalMode::Wal) } else { writer };
        Self::Sqlite {
            readers: readers_of(readers),
            writer: Box::new(Writer { options: writer, connection: Mutex::new(None), log: Log::of(path) }),
            journal: Some(Box::new(Journal::beside(path))),
        }
    }

    /// A database in memory, which ends with its last connection. Its readers take no locks: whoever asks for it lets one
    /// transaction end before the next begins.
    pub(crate) fn memory() -> Self {
        /// Sets one apart from the others of this process.
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("file:assay-simulated-{}", OPENED.fetch_add(1, Ordering::Relaxed));
        let writer = sqlite_options(Path::new(&name)).in_memory(true).shared_cache(true);
        Self::Sqlite {
            readers: readers_of(writer.clone().pragma("read_uncommitted", "ON")),
            writer: Box::new(Writer { options: writer, connection: Mutex::new(None), log: Log::default() }),
            journal: None,
        }
    }

    /// A pool on the PostgreSQL database of `options`, whose connections nobody waits for longer than `patience`; connects on
    /// first use.
    pub(crate) fn postgres(options: PgConnectOptions, patience: Duration) -> Self {
        let options = options.options([
            // The server ends what hangs: a client that stopped waiting would leave the transaction open, and one that is frozen or
            // cut off in the midst of one would keep what it has locked from those who bury it.
            ("statement_timeout", "60s"),
            ("idle_in_transaction_session_timeout", "2s"),
            // A plan that is kept is one for the tables as they were. Ours grow from nothing to millions of rows within a
            // minute, and a plan made for a hundred reads all of them for every batch.
            ("plan_cache_mode", "force_custom_plan"),
        ]);
        let options = options.statement_cache_capacity(PREPARED);
        let pool = |connections| {
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(patience)
                .acquire_slow_threshold(patience);
            pool.connect_lazy_with(options.clone())
        };
        Self::Postgres(Postgres { pool: pool(CONNECTIONS), pulse: pool(1) })
    }

    /// Closes every connection, after what is under way.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer, .. } => {
                // The last connection to close folds the WAL into the file, so it must be the one that may write.
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(Postgres { pool, pulse }) => {
                pool.close().await;
                pulse.close().await;
            }
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(PREPARED)
        .row_buffer_size(ROWS_AHEAD)
}

/// What a commit that has returned survives. On PostgreSQL the server's own setting decides, for every commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut.
    Machine,
    /// The end of any process. A power cut may undo the latest of these commits, in their order: for what can be done
    /// again.
    Process,
}

/// Connections that read a SQLite file. They do not go stale: no pings before use, no recycling.
fn readers_of(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .acquire_slow_threshold(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

/// The one connection that writes to a SQLite file, and the line before it, which is fair. No pool: that would ask the
/// connection's thread after every use whether it is still there.
pub(crate) struct Writer {
    options: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
    log: Log,
}

/// The writer's turn.
pub(crate) struct Turn<'w>(MappedMutexGuard<'w, SqliteConnection>);

impl Writer {
    /// The connection, once the transactions before are over; each of its statements commits by itself.
    pub(crate) async fn ready(&self) -> Result<Turn<'_>, sqlx::Error> {
        let waiting = tokio::time::timeout(ACQUIRE_TIMEOUT, self.connection.lock());
        let mut turn = waiting.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if let Some(connection) = turn.as_mut().filter(|connection| connection.is_in_transaction()) {
            // The last transaction failed, and its end is on the way.
            let _ = connection.ping().await;
        }
        // A full disk ends a transaction behind the driver's back: it would take the connection for one inside it for ever.
        if let Some(lost) = turn.take_if(|connection| connection.is_in_transaction()) {
            let _ = lost.close().await;
        }
        if turn.is_none() {
            *turn = Some(self.options.connect().await?);
        }
        MutexGuard::try_map(turn, Option::as_mut).map(Turn).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Waits until what was committed survives what `durability` says. Not to be called in one's turn: the next may write
    /// while the disk is waited for.
    pub(crate) async fn settled(&self, durability: Durability) -> Result<(), sqlx::Error> {
        match durability {
            Durability::Machine => self.log.sync().await.map_err(sqlx::Error::Io),
            Durability::Process => Ok(()),
        }
    }

    async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // What is not folded into the file now is by whoever opens it next.
            let _ = connection.close().await;
        }
    }
}

impl Turn<'_> {
    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
        // A deferred transaction that begins with a read could not upgrade past another process's write.
        Transaction::begin(&mut *self.0, Some("BEGIN IMMEDIATE".into_sql_str())).await
    }

    /// The connection, for what is no transaction.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
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
        let read = std::pin::pin!(async {
            match store.pools() {
                $crate::pools::Pools::Sqlite { readers, .. } => {
                    let mut connection = readers.acquire().await?;
                    let $conn: &mut sqlx::SqliteConnection = &mut connection;
                    $body
                }
                $crate::pools::Pools::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    let $conn: &mut sqlx::PgConnection = &mut connection;
                    $body
                }
            }
        });
        $crate::seam::carried_out(store, true, read).await.map_err(|error| store.placed(error))
    }};
}

/// Runs `$body` with `$conn`, a connection inside one transaction, and commits it, to survive a power cut unless
/// `$durability` asks for less. The body ends in `Ok(…)`; an error rolls everything back. On PostgreSQL it runs again
/// after a collision, so it must not use up what it captures.
///
/// It runs in a task of its own, which a caller that stops waiting does not end: a transaction that is cancelled while
/// it begins would leave a pooled connection inside a transaction nobody knows of (sqlx issue 4393).
macro_rules! writing {
    ($store:expr, |$conn:ident| $body:block) => {
        $crate::pools::writing!($store, $crate::pools::Durability::Machine, |$conn| $body)
    };
    ($store:expr, $durability:expr, |$conn:ident| $body:block) => {{
        let store = $store.clone();
        // On the heap, where the task takes it anyway: callers stay small.
        let write = Box::pin(async move {
            match store.pools() {
                $crate::pools::Pools::Sqlite { writer, .. } => {
                    let mut turn = writer.ready().await?;
                    let mut transaction = turn.begin().await?;
                    let $conn: &mut sqlx::SqliteConnection = &mut transaction;
                    let done: Result<_, $crate::error::StoreError> = async { $body }.await;
                    let done = done?;
                    assay_common::crash_point!(Committing);
                    transaction.commit().await?;
                    drop(turn);
                    assay_common::crash_point!(Committed);
                    writer.settled($durability).await?;
                    Ok(done)
                }
                $crate::pools::Pools::Postgres(pool) => {
                    let mut collisions = 0;
                    loop {
                        let mut transaction = pool.begin().await?;
                        let $conn: &mut sqlx::PgConnection = &mut transaction;
                        let done: Result<_, $crate::error::StoreError> = async { $body }.await;
                        let done = match done {
                            Ok(done) => {
                                assay_common::crash_point!(Committing);
                                let committed = transaction.commit().await;
                                assay_common::crash_point!(Committed);
                                committed.map(|()| done).map_err(Into::into)
                            }
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
        $crate::seam::written($store, write).await.map_err(|error| $store.placed(error))
    }};
}

/// Runs `$body` with `$conn`, a connection on which each statement is a transaction of its own: for what needs no more
/// than one, a third of the way to the database and back. In a task of its own, as [`writing!`]. On PostgreSQL `pulse` in front
/// of the body asks for the connection that waits for nobody.
macro_rules! stating {
    ($store:expr, $durability:expr, |$conn:ident| $body:block) => {
        $crate::pools::stating!($store, $durability, pool, |$conn| $body)
    };
    ($store:expr, $durability:expr, $line:ident, |$conn:ident| $body:block) => {{
        let store = $store.clone();
        // On the heap, where the task takes it anyway: callers stay small.
        let write = Box::pin(async move {
            match store.pools() {
                $crate::pools::Pools::Sqlite { writer, .. } => {
                    let mut turn = writer.ready().await?;
                    let $conn = turn.connection();
                    let done: Result<_, $crate::error::StoreError> = async { $body }.await;
                    drop(turn);
                    writer.settled($durability).await?;
                    done
                }
                $crate::pools::Pools::Postgres(postgres) => {
                    let mut connection = postgres.$line.acquire().await?;
                    let $conn: &mut sqlx::PgConnection = &mut connection;
                    $body
                }
            }
        });
        $crate::seam::written($store, write).await.map_err(|error| $store.placed(error))
    }};
}

pub(crate) use {locking, reading, stating, writing};

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

#[cfg(test)]
mod tests;
