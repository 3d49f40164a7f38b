//! Channels: which version of a prompt is live where. A channel's history is its rows; the last of them is what is live.
//!
//! **Invariant:** rows are added and never altered. Whoever moves a channel adds the row after the one he has seen, so of
//! two who saw the same one succeeds.

use std::str::FromStr;

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::event::{append_event, of_release};
use crate::incident::{LINK, NewIncident, OPEN_ON, add_event, open_incident, unlink_returned};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{parsed, plain};

pub(crate) const SQL: &[&str] = &[RELEASE_NEXT, LIVE, LIVE_AT, RELEASE, RELEASES, CHANNELS, LIVE_EVERYWHERE];

/// How a version came to be live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseKind {
    /// On a passing verdict.
    Promotion,
    /// Without one, for a reason.
    Override,
    /// Back to what was live before.
    Rollback,
    /// On a scratch channel.
    Rehearsal,
}

impl ReleaseKind {
    /// The word in rows and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Override => "override",
            Self::Rollback => "rollback",
            Self::Rehearsal => "rehearsal",
        }
    }
}

impl FromStr for ReleaseKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Promotion, Self::Override, Self::Rollback, Self::Rehearsal]
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| format!("`{word}` is no kind of release"))
    }
}

/// A version put on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// Its place in the history of the prompt on this channel, from 1.
    pub seq: i64,
    /// How it came to be live.
    pub kind: ReleaseKind,
    /// The version's number.
    pub number: i64,
    /// The version.
    pub digest: Digest,
    /// The release that a rollback from this one returns to.
    pub previous: Option<i64>,
    /// When. Never before the release before it, whatever clocks say.
    pub released_at: Micros,
    /// Who.
    pub released_by: String,
    /// From where.
    pub origin: String,
    /// Why, where it was said.
    pub reason: Option<String>,
    /// The run whose verdict it stands on.
    pub verdict_run: Option<RunId>,
}

impl Release {
    /// What an incident is told of the release that it is linked with: `release 4: rollback to version 2`.
    pub fn linking(&self) -> String {
        format!("release {}: {} to version {}", self.seq, self.kind.word(), self.number)
    }
}

/// The place of the release of which [`Release::linking`] told.
pub(crate) fn linked_seq(told: &str) -> Option<i64> {
    let (_, rest) = told.split_once("release ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// A channel to move.
#[derive(Clone, Debug)]
pub struct Move {
    /// The release to add, directly after the one that is live.
    pub release: Release,
    /// The incident that it opens.
    pub incident: Option<NewIncident>,
    /// The version that it takes off the channel, if that is how an incident ends.
    pub recovers: Option<Digest>,
    /// What the audit says of it.
    pub entry: AuditEntry,
}

/// What became of a [`Move`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is live. The numbers of the incident that was opened, or of those that are recovered from, the newest first.
    Live(Vec<i64>),
    /// Somebody else was first, with this. Nothing was changed.
    Raced(Box<Release>),
}

const RELEASE_NEXT: &str = "
    INSERT INTO releases (prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason,
        verdict_run)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT DO NOTHING";

impl Store {
    /// Moves a channel, unless somebody else has moved it since. The move, its incident and its audit are one transaction.
    pub async fn release_version(&self, planned: Move) -> Result<Moved, StoreError> {
        writing!(self, |conn| {
            let Move { release, incident, recovers, entry } = &planned;
            let query = sqlx::query(RELEASE_NEXT).bind(&release.prompt).bind(&release.channel);
            let query = query.bind(release.seq).bind(release.kind.word()).bind(release.number);
            let query =
                query.bind(release.digest.as_str()).bind(release.previous).bind(release.released_at.0);
            let query = query.bind(plain(&release.released_by)).bind(plain(&release.origin));
            let query = query.bind(release.reason.as_deref().map(plain));
            let query = query.bind(release.verdict_run.map(|run| run.to_string()));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                let query = sqlx::query_as(LIVE).bind(&release.prompt).bind(&release.channel);
                let row: ReleaseRow = query.fetch_one(&mut *conn).await?;
                return Ok(Moved::Raced(Box::new(row.into_release()?)));
            }
            append_audit!(conn, entry);
            if let Some(event) = of_release(release) {
                append_event!(conn, &event);
            }
            let query = sqlx::query_scalar(OPEN_ON).bind(&release.prompt).bind(&release.channel);
            let returned: Vec<i64> = query.bind(release.digest.as_str()).fetch_all(&mut *conn).await?;
            for number in returned {
                unlink_returned!(conn, number, release.released_at, &release.released_by);
            }
            let mut concerned = Vec::new();
            if let Some(incident) = incident {
                concerned.push(open_incident!(conn, incident).number());
            }
            if let Some(digest) = recovers {
                let query = sqlx::query_scalar(OPEN_ON).bind(&release.prompt).bind(&release.channel);
                let open: Vec<i64> = query.bind(digest.as_str()).fetch_all(&mut *conn).await?;
                for number in open {
                    concerned.push(number);
                    let query = sqlx::query(LINK).bind(number).bind(release.seq);
                    query.bind(release.released_at.0).execute(&mut *conn).await?;
                    let (at, by, told) = (release.released_at, &release.released_by, release.linking());
                    add_event!(conn, number, at, by, "linked", &told);
                }
            }
            Ok(Moved::Live(concerned))
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct ReleaseRow {
    prompt: String,
    channel: String,
    seq: i64,
    kind: String,
    number: i64,
    digest: String,
    previous: Option<i64>,
    released_at: i64,
    released_by: String,
    origin: String,
    reason: Option<String>,
    verdict_run: Option<String>,
}

impl ReleaseRow {
    pub(crate) fn into_release(self) -> Result<Release, StoreError> {
        Ok(Release {
            prompt: self.prompt,
            channel: self.channel,
            seq: self.seq,
            kind: parsed(&self.kind, "releases.kind")?,
            number: self.number,
            digest: parsed(&self.digest, "releases.digest")?,
            previous: self.previous,
            released_at: Micros(self.released_at),
            released_by: self.released_by,
            origin: self.origin,
            reason: self.reason,
            verdict_run: self.verdict_run.map(|run| parsed(&run, "releases.verdict_run")).transpose()?,
        })
    }
}

const LIVE: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases WHERE prompt = $1 AND channel = $2 ORDER BY seq DESC LIMIT 1";

const LIVE_AT: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases WHERE prompt = $1 AND channel = $2 AND released_at <= $3 ORDER BY seq DESC LIMIT 1";

const RELEASE: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases WHERE prompt = $1 AND channel = $2 AND seq = $3";

impl Store {
    /// What is live, or was at the moment `at`.
    pub async fn live(
        &self,
        prompt: &str,
        channel: &str,
        at: Option<Micros>,
    ) -> Result<Option<Release>, StoreError> {
        let row: Option<ReleaseRow> = reading!(self, |conn| {
            let query = sqlx::query_as(if at.is_some() { LIVE_AT } else { LIVE }).bind(prompt).bind(channel);
            let query = if let Some(at) = at { query.bind(at.0) } else { query };
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        row.map(ReleaseRow::into_release).transpose()
    }

    /// One release.
    pub async fn nth_release(
        &self,
        prompt: &str,
        channel: &str,
        seq: i64,
    ) -> Result<Option<Release>, StoreError> {
        let row: Option<ReleaseRow> = reading!(self, |conn| {
            let query = sqlx::query_as(RELEASE).bind(prompt).bind(channel).bind(seq);
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        row.map(ReleaseRow::into_release).transpose()
    }
}

const RELEASES: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases WHERE prompt = $1 AND kind <> 'rehearsal' AND (CAST($2 AS TEXT) IS NULL OR channel = $2)
    ORDER BY released_at DESC, seq DESC";

impl Store {
    /// The releases of a prompt, on one channel or on all, newest first; rehearsals are none.
    pub async fn releases(&self, prompt: &str, channel: Option<&str>) -> Result<Vec<Release>, StoreError> {
        let rows: Vec<ReleaseRow> = reading!(self, |conn| {
            let query = sqlx::query_as(RELEASES).bind(prompt).bind(channel);
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(ReleaseRow::into_release).collect()
    }
}

const CHANNELS: &str = "SELECT DISTINCT channel FROM releases WHERE kind <> 'rehearsal' ORDER BY channel";

const LIVE_EVERYWHERE: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases
    WHERE kind <> 'rehearsal' AND (CAST($1 AS TEXT) IS NULL OR prompt = $1)
        AND seq = (SELECT MAX(seq) FROM releases AS all_of
            WHERE all_of.prompt = releases.prompt AND all_of.channel = releases.channel)
    ORDER BY prompt, channel";

impl Store {
    /// Every channel that anything was released to.
    pub async fn channels(&self) -> Result<Vec<String>, StoreError> {
        reading!(self, |conn| { Ok(sqlx::query_scalar(CHANNELS).fetch_all(&mut *conn).await?) })
    }

    /// What is live on every channel, of one prompt or of all.
    pub async fn live_everywhere(&self, prompt: Option<&str>) -> Result<Vec<Release>, StoreError> {
        let rows: Vec<ReleaseRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(LIVE_EVERYWHERE).bind(prompt).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(ReleaseRow::into_release).collect()
    }
}
