//! Members: the processes that can hold claims. One row each; that its beat changes is all a member has to show.
//!
//! A member that is gone gives back what it held: because it left, or because it was buried by whoever watched its beat.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;

use crate::cancel::cancel_returned;
use crate::error::StoreError;
use crate::leader::{Mandate, assert_mandate};
use crate::lock::FileLock;
use crate::open::{Store, known_schema};
use crate::pools::{Durability, reading, stating, writing};
use crate::row::{json, parsed, to_json, whole};
use crate::suspect::{convict, is_convicted};
use crate::url::StoreUrl;

pub(crate) const SQL: &[&str] = &[JOIN, BEAT, MEMBERS, FORGET, FREE, FORGET_ALL, RELEASE_ALL, FREE_ALL];

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
    /// The assay it runs.
    pub version: String,
    /// The version of the store's schema that it knows.
    pub schema_version: i64,
    /// What it offered with its latest beat.
    pub offer: Offer,
}

/// What a member can do for runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The pools it serves, and how many hints of each it takes before it has settled the first.
    pub serves: BTreeMap<String, u32>,
    /// Providers it cannot call, and why, for people.
    pub lacks: BTreeMap<String, String>,
}

const JOIN: &str = "
    INSERT INTO members (id, kind, host, pid, beat, joined_at, version, schema_version)
    VALUES ($1, $2, $3, $4, 0, $5, $6, $7)
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
            let query = query.bind(i64::from(pid)).bind(now.0);
            query.bind(env!("CARGO_PKG_VERSION")).bind(known_schema()).execute(&mut *conn).await?;
            Ok(())
        })
    }
}

const BEAT: &str = "UPDATE members SET beat = beat + 1, serves = $2, lacks = $3 WHERE id = $1";

impl Store {
    /// Raises a member's beat, and says what it offers. `false`: it was buried or has left, and must join again before
    /// it claims.
    pub async fn beat(&self, member: MemberId, offer: &Offer) -> Result<bool, StoreError> {
        let (serves, lacks) = (to_json(&offer.serves)?, to_json(&offer.lacks)?);
        stating!(self, Durability::Process, pulse, |conn| {
            let query = sqlx::query(BEAT).bind(member.to_string()).bind(&serves).bind(&lacks);
            Ok(query.execute(&mut *conn).await?.rows_affected() > 0)
        })
    }
}

const MEMBERS: &str = "
    SELECT id, kind, host, pid, beat, joined_at, version, schema_version, serves, lacks FROM members ORDER BY id";

#[derive(sqlx::FromRow)]
struct MemberRow {
    id: String,
    kind: String,
    host: String,
    pid: i64,
    beat: i64,
    joined_at: i64,
    version: Option<String>,
    schema_version: Option<i64>,
    serves: Option<String>,
    lacks: Option<String>,
}

impl Store {
    /// Every member, the oldest first.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(MEMBERS).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(MemberRow::into_member).collect()
    }
}

/// Longer than it takes from one beat to the next.
const TWO_BEATS: Duration = Duration::from_millis(2_200);

impl Store {
    /// The members that are there, the oldest first. Where nobody leads, nobody buries the others: of a file this looks at its
    /// lock, and of PostgreSQL at two beats, which takes some seconds.
    pub async fn living_members(&self) -> Result<Vec<Member>, StoreError> {
        let members = self.members().await?;
        if members.is_empty() {
            return Ok(members);
        }
        if let StoreUrl::Sqlite(path) = self.url() {
            return Ok(if FileLock::is_held(path) { members } else { Vec::new() });
        }
        tokio::time::sleep(TWO_BEATS).await;
        let later = self.members().await?;
        let beat = |member: &Member| later.iter().find(|one| one.id == member.id).map(|one| one.beat);
        Ok(members.into_iter().filter(|member| beat(member).is_some_and(|beat| beat > member.beat)).collect())
    }
}

impl MemberRow {
    fn into_member(self) -> Result<Member, StoreError> {
        let serves = self.serves.as_deref().map(|text| json(text, "members.serves")).transpose()?;
        let lacks = self.lacks.as_deref().map(|text| json(text, "members.lacks")).transpose()?;
        Ok(Member {
            id: parsed(&self.id, "members.id")?,
            kind: self.kind,
            host: self.host,
            pid: whole(self.pid, "members.pid")?,
            beat: self.beat,
            joined_at: Micros(self.joined_at),
            version: self.version.unwrap_or_default(),
            schema_version: self.schema_version.unwrap_or_default(),
            offer: Offer { serves: serves.unwrap_or_default(), lacks: lacks.unwrap_or_default() },
        })
    }
}

// Before its jobs are freed: a claim of this member that is under way holds the row, so it is waited for, and its jobs
// are freed with the others; a later claim finds no row and is refused.
const FORGET: &str = "DELETE FROM members WHERE id = $1";

// A claim that ended with its member may have been paid for. Only an open run has running jobs; naming the runs lets the index `jobs_running` find them.
const FREE: &str = "
    UPDATE jobs SET state = 'pending', member = NULL, not_before = $2, crash_claims = crash_claims + $3,
        ambiguous = ambiguous + $3
    WHERE state = 'running' AND member = $1
        AND run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused', 'cancelling'))
    RETURNING run_id, crash_claims";

/// Ends those of the jobs just freed (run, crash claims) that are not to be asked again: of a run that is being cancelled, or
/// poison.
macro_rules! close_returned {
    ($conn:ident, $freed:expr, $now:expr) => {
        for run in $freed.iter().map(|(run, _)| run).collect::<BTreeSet<_>>() {
            cancel_returned!($conn, run);
        }
        let convicted = $freed.iter().filter(|(_, crash_claims)| is_convicted(*crash_claims));
        for run in convicted.map(|(run, _)| run).collect::<BTreeSet<_>>() {
            convict!($conn, run, $now);
        }
    };
}

impl Store {
    /// Declares a member dead: what it held is pending again, due at once, each with a crash claim more; a suspected job that
    /// it ran alone is errored as poison. Returns how many jobs it held.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended.
    pub async fn bury(&self, mandate: Mandate, member: MemberId, now: Micros) -> Result<u64, StoreError> {
        self.part_with(mandate, member, now, 1).await
    }

    /// Lets a member go in peace: as [`Store::bury`], and no crash is counted.
    pub async fn leave(&self, member: MemberId, now: Micros) -> Result<u64, StoreError> {
        self.part_with(Mandate::Own, member, now, 0).await
    }

    async fn part_with(
        &self,
        mandate: Mandate,
        member: MemberId,
        now: Micros,
        crashes: i64,
    ) -> Result<u64, StoreError> {
        let member = member.to_string();
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            sqlx::query(FORGET).bind(&member).execute(&mut *conn).await?;
            let query = sqlx::query_as(FREE).bind(&member).bind(given_back_at(now)).bind(crashes);
            let freed: Vec<(String, i64)> = query.fetch_all(&mut *conn).await?;
            close_returned!(conn, freed, now);
            Ok(freed.len() as u64)
        })
    }
}

const FORGET_ALL: &str = "DELETE FROM members";
const RELEASE_ALL: &str = "DELETE FROM leases";

const FREE_ALL: &str = "
    UPDATE jobs SET state = 'pending', member = NULL, not_before = $1, crash_claims = crash_claims + 1,
        ambiguous = ambiguous + 1
    WHERE state = 'running'
        AND run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused', 'cancelling'))
    RETURNING run_id, crash_claims";

impl Store {
    /// Buries every member, for whoever has become the only owner of the store: they are known to be gone, so what they had of any limit
    /// is free at once, and the answers that they kept are found by whoever claims their jobs. Returns how many jobs were freed.
    pub async fn bury_all(&self, now: Micros) -> Result<u64, StoreError> {
        self.recover_responses().await?;
        writing!(self, |conn| {
            sqlx::query(FORGET_ALL).execute(&mut *conn).await?;
            sqlx::query(RELEASE_ALL).execute(&mut *conn).await?;
            let query = sqlx::query_as(FREE_ALL).bind(given_back_at(now));
            let freed: Vec<(String, i64)> = query.fetch_all(&mut *conn).await?;
            close_returned!(conn, freed, now);
            Ok(freed.len() as u64)
        })
    }
}

/// The `not_before` of a job that was given back at `now`: never 0, which says that it was not.
pub(crate) fn given_back_at(now: Micros) -> i64 {
    now.0.max(1)
}
