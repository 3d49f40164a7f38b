//! The leader of a fleet: elected by a lock on a connection of its own, fenced by an epoch in the store.
//!
//! The lock says who leads now; PostgreSQL lets go of it when the connection ends. The epoch says whose writes count:
//! each new leader raises it, and every transaction that only a leader may commit looks at it first, so that one who
//! was frozen, or whose connection ended without his knowing, changes nothing any more.

use assay_common::clock::Micros;
use assay_common::id::{MemberId, RunId};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::cancel::{CANCEL_RUN, LOCK_RUN};
use crate::error::StoreError;
use crate::event::{append_event, of_held_run};
use crate::open::{Store, postgres_options};
use crate::pools::{Locking, Speaks as _, locking, reading, writing};
use crate::row::{parsed, plain};
use crate::seam::Session;
use crate::url::StoreUrl;

pub(crate) const SQL: &[&str] = &[EPOCH.sqlite, EPOCH.postgres, RAISE_EPOCH, LEADER, PAUSE_RUN];
/// Statements about locks that only PostgreSQL has.
pub(crate) const POSTGRES_SQL: &[&str] = &[TRY_LOCK, DEPOSE, ALIVE];

/// On whose authority a run is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mandate {
    /// `assay run`, for the run of its own suite. Nobody else may be there (SQLite: the file's lock), or another may
    /// drive the same run beside it: each of its writes is safe then too.
    Own,
    /// The leader of the fleet since it raised the epoch to this.
    Epoch(i64),
}

// Shared, so that a new leader waits for what the old one is just committing.
pub(crate) const EPOCH: Locking = locking!("SELECT epoch FROM leadership WHERE scope = 'fleet'", "FOR SHARE");

/// Ends the transaction with [`StoreError::Deposed`] unless the mandate holds.
macro_rules! assert_mandate {
    ($conn:ident, $mandate:expr) => {
        if let $crate::leader::Mandate::Epoch(epoch) = $mandate {
            let text = $crate::leader::EPOCH.text($crate::pools::Speaks::dialect(&*$conn));
            let current: Option<i64> = sqlx::query_scalar(text).fetch_optional(&mut *$conn).await?;
            if current != Some(epoch) {
                return Err($crate::error::StoreError::Deposed { epoch, current: current.unwrap_or(0) });
            }
        }
    };
}

pub(crate) use assert_mandate;

const RAISE_EPOCH: &str = "
    INSERT INTO leadership (scope, epoch, member, since) VALUES ('fleet', 1, $1, $2)
    ON CONFLICT (scope) DO UPDATE SET epoch = leadership.epoch + 1, member = excluded.member, since = excluded.since
    RETURNING epoch";

impl Store {
    /// Makes `member` the leader: from now on writes under an older epoch are refused.
    pub async fn raise_epoch(&self, member: MemberId, now: Micros) -> Result<Mandate, StoreError> {
        let epoch = writing!(self, |conn| {
            let query = sqlx::query_scalar(RAISE_EPOCH).bind(member.to_string()).bind(now.0);
            Ok(query.fetch_one(&mut *conn).await?)
        })?;
        Ok(Mandate::Epoch(epoch))
    }
}

const LEADER: &str = "SELECT member FROM leadership WHERE scope = 'fleet'";

impl Store {
    /// The leader of the latest epoch, whether or not it still lives.
    pub async fn leader(&self) -> Result<Option<MemberId>, StoreError> {
        let member: Option<String> =
            reading!(self, |conn| { Ok(sqlx::query_scalar(LEADER).fetch_optional(&mut *conn).await?) })?;
        member.map(|member| parsed(&member, "leadership.member")).transpose()
    }
}

/// A connection of its own, on which the lock of the leader is asked for and held.
#[derive(Debug)]
pub struct Candidacy(Hold);

#[derive(Debug)]
enum Hold {
    /// On SQLite the file's lock stands for it.
    File,
    Postgres(PgConnection),
    Simulated(Session),
}

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(7022083106486904161)";

// The session of a leader that no longer beats: frozen, or cut off without the server's knowing.
const DEPOSE: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT)) = 7022083106486904161";

const ALIVE: &str = "SELECT TRUE";

impl Candidacy {
    /// Connects to the store at `url`.
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let unreachable = |source| StoreError::Unreachable { url: store.url().to_string(), source };
        if let Some(session) = Session::open(store).await {
            return Ok(Self(Hold::Simulated(session?)));
        }
        match store.url() {
            StoreUrl::Sqlite(_) => Ok(Self(Hold::File)),
            StoreUrl::Postgres(url) => {
                let options = postgres_options(url).map_err(unreachable)?;
                Ok(Self(Hold::Postgres(options.connect().await.map_err(unreachable)?)))
            }
        }
    }

    /// Takes the lock if nobody has it. Once taken, it is held until this is dropped or its connection ends.
    pub async fn try_lock(&mut self) -> Result<bool, StoreError> {
        match &mut self.0 {
            Hold::File => Ok(true),
            Hold::Postgres(connection) => ask(connection, TRY_LOCK).await,
            Hold::Simulated(session) => session.try_lock().await,
        }
    }

    /// Ends the session that holds the lock. It can be taken a moment later.
    pub async fn depose(&mut self) -> Result<(), StoreError> {
        match &mut self.0 {
            Hold::File => Ok(()),
            Hold::Postgres(connection) => ask(connection, DEPOSE).await.map(|_| ()),
            Hold::Simulated(session) => session.depose().await,
        }
    }

    /// Whether the connection, and with it the lock, still stands.
    pub async fn is_alive(&mut self) -> bool {
        match &mut self.0 {
            Hold::File => true,
            Hold::Postgres(connection) => ask(connection, ALIVE).await.is_ok(),
            Hold::Simulated(session) => session.is_alive().await.is_ok(),
        }
    }

    /// Lets go of the lock.
    pub async fn end(self) {
        if let Hold::Postgres(connection) = self.0 {
            // Whether or not it hears of it, the server lets go of the lock.
            let _ = connection.close().await;
        }
    }
}

async fn ask(connection: &mut PgConnection, question: &'static str) -> Result<bool, StoreError> {
    let answer: Option<bool> = sqlx::query_scalar(question).fetch_optional(connection).await?;
    Ok(answer.unwrap_or(false))
}

const PAUSE_RUN: &str = "UPDATE runs SET state = 'paused', reason = $2 WHERE id = $1 AND state = 'running'";

impl Store {
    /// As [`Store::cancel`], decided by whoever drives the run.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn give_up(
        &self,
        mandate: Mandate,
        run: RunId,
        reason: String,
        now: Micros,
    ) -> Result<bool, StoreError> {
        self.end(mandate, CANCEL_RUN, run, reason, now).await
    }

    /// Ends a run by `statement`, which binds its id, the reason and the moment, and cancels what of it waits. `false` when
    /// the statement changed nothing.
    pub(crate) async fn end(
        &self,
        mandate: Mandate,
        statement: &'static str,
        run: RunId,
        reason: String,
        now: Micros,
    ) -> Result<bool, StoreError> {
        let id = run.to_string();
        let stopped = writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let query = sqlx::query(statement).bind(&id).bind(plain(&reason)).bind(now.0);
            Ok(query.execute(&mut *conn).await?.rows_affected() > 0)
        })?;
        self.cancel_rest(run).await?;
        Ok(stopped)
    }

    /// Pauses a running run, for a reason that a person should look at and is told of: no claim is granted after this
    /// returns. `false` when it was not running.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn hold_up(
        &self,
        mandate: Mandate,
        run: RunId,
        reason: String,
        now: Micros,
    ) -> Result<bool, StoreError> {
        let id = run.to_string();
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let query = sqlx::query(PAUSE_RUN).bind(&id).bind(plain(&reason));
            let paused = query.execute(&mut *conn).await?.rows_affected() > 0;
            if paused {
                append_event!(conn, &of_held_run(run, &reason, now));
            }
            Ok(paused)
        })
    }
}
