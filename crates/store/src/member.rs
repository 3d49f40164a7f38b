//! Members: the processes that can hold claims. One row each; that its beat changes is all a member has to show.
//!
//! A member that is gone gives back what it held: because it left, or because it was buried by whoever watched its beat.

use std::collections::BTreeSet;

use assay_common::clock::Micros;
use assay_common::id::MemberId;

use crate::cancel::cancel_pending;
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, reading, writing};
use crate::row::{parsed, whole};

pub(crate) const SQL: &[&str] = &[JOIN, BEAT, MEMBERS, FORGET, FREE, FORGET_ALL, FREE_ALL];

/// One process that can hold claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// What the process is.
    pub kind: String,
    /// Where it runs.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Raised by the member every second; says nothing but that it changes.
    pub beat: i64,
    /// When it joined.
    pub joined_at: Micros,
}

const JOIN: &str = "
    INSERT INTO members (id, kind, host, pid, beat, joined_at) VALUES ($1, $2, $3, $4, 0, $5)
    ON CONFLICT (id) DO UPDATE SET beat = members.beat + 1";

impl Store {
    /// Makes a member, which may claim from now on.
    pub async fn join(
        &self,
        member: MemberId,
        kind: &'static str,
        host: String,
        pid: u32,
        now: Micros,
    ) -> Result<(), StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(JOIN).bind(member.to_string()).bind(kind).bind(&host);
            query.bind(i64::from(pid)).bind(now.0).execute(&mut *conn).await?;
            Ok(())
        })
    }
}

const BEAT: &str = "UPDATE members SET beat = beat + 1 WHERE id = $1";

impl Store {
    /// Raises a member's beat. `false`: it was buried or has left, and must join again before it claims.
    pub async fn beat(&self, member: MemberId) -> Result<bool, StoreError> {
        writing!(self, Durability::Process, |conn| {
            let beaten = sqlx::query(BEAT).bind(member.to_string()).execute(&mut *conn).await?;
            Ok(beaten.rows_affected() > 0)
        })
    }
}

const MEMBERS: &str = "SELECT id, kind, host, pid, beat, joined_at FROM members ORDER BY id";

impl Store {
    /// Every member, the oldest first.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<(String, String, String, i64, i64, i64)> =
            reading!(self, |conn| { Ok(sqlx::query_as(MEMBERS).fetch_all(&mut *conn).await?) })?;
        let member = |(id, kind, host, pid, beat, joined_at): (String, _, _, _, _, _)| {
            Ok(Member {
                id: parsed(&id, "members.id")?,
                kind,
                host,
                pid: whole(pid, "members.pid")?,
                beat,
                joined_at: Micros(joined_at),
            })
        };
        rows.into_iter().map(member).collect()
    }
}

// Before its jobs are freed: a claim of this member that is under way holds the row, so it is waited for, and its jobs
// are freed with the others; a later claim finds no row and is refused.
const FORGET: &str = "DELETE FROM members WHERE id = $1";

// Only an open run has running jobs; naming the runs lets the index `jobs_running` find them.
const FREE: &str = "
    UPDATE jobs SET state = 'pending', member = NULL, not_before = $2, crash_claims = crash_claims + $3
    WHERE state = 'running' AND member = $1
        AND run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused', 'cancelling'))
    RETURNING run_id";

impl Store {
    /// Declares a member dead: what it held is pending again, due at once, each with a crash claim more. Returns how
    /// many jobs that was.
    pub async fn bury(&self, member: MemberId, now: Micros) -> Result<u64, StoreError> {
        self.part_with(member, now, 1).await
    }

    /// Lets a member go in peace: as [`Store::bury`], and no crash is counted.
    pub async fn leave(&self, member: MemberId, now: Micros) -> Result<u64, StoreError> {
        self.part_with(member, now, 0).await
    }

    async fn part_with(&self, member: MemberId, now: Micros, crashes: i64) -> Result<u64, StoreError> {
        let member = member.to_string();
        writing!(self, |conn| {
            sqlx::query(FORGET).bind(&member).execute(&mut *conn).await?;
            let query = sqlx::query_scalar(FREE).bind(&member).bind(given_back_at(now)).bind(crashes);
            let freed: Vec<String> = query.fetch_all(&mut *conn).await?;
            for run in freed.iter().collect::<BTreeSet<_>>() {
                cancel_pending!(conn, run);
            }
            Ok(freed.len() as u64)
        })
    }
}

const FORGET_ALL: &str = "DELETE FROM members";

const FREE_ALL: &str = "
    UPDATE jobs SET state = 'pending', member = NULL, not_before = $1, crash_claims = crash_claims + 1
    WHERE state = 'running'
        AND run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused', 'cancelling'))
    RETURNING run_id";

impl Store {
    /// Buries every member, for whoever has become the only owner of the store. Returns how many jobs were freed.
    pub async fn bury_all(&self, now: Micros) -> Result<u64, StoreError> {
        writing!(self, |conn| {
            sqlx::query(FORGET_ALL).execute(&mut *conn).await?;
            let query = sqlx::query_scalar(FREE_ALL).bind(given_back_at(now));
            let freed: Vec<String> = query.fetch_all(&mut *conn).await?;
            for run in freed.iter().collect::<BTreeSet<_>>() {
                cancel_pending!(conn, run);
            }
            Ok(freed.len() as u64)
        })
    }
}

/// The `not_before` of a job that was given back at `now`: never 0, which says that it was not.
pub(crate) fn given_back_at(now: Micros) -> i64 {
    now.0.max(1)
}
