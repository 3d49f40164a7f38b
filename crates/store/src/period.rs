//! A period looked back on: what was released, judged and wrong in it. What runs came to is in [`crate::run_end`].

use assay_common::clock::Micros;

use crate::channel::{Release, ReleaseRow, linked_seq};
use crate::error::StoreError;
use crate::incident::{Incident, IncidentRow};
use crate::open::Store;
use crate::pools::reading;
use crate::row::whole;

pub(crate) const SQL: &[&str] =
    &[RELEASES_BETWEEN, VERDICTS_BETWEEN, INCIDENTS_DURING, INCIDENT_EVENTS_DURING];

const RELEASES_BETWEEN: &str = "
    SELECT prompt, channel, seq, kind, number, digest, previous, released_at, released_by, origin, reason, verdict_run
    FROM releases WHERE released_at >= $1 AND released_at < $2 AND kind <> 'rehearsal'
    ORDER BY released_at, prompt, channel, seq";

const VERDICTS_BETWEEN: &str = "
    SELECT prompt, state, COUNT(*) FROM verdicts WHERE created_at >= $1 AND created_at < $2
    GROUP BY prompt, state ORDER BY prompt, state";

impl Store {
    /// What was released in a period, but for rehearsals, in its order.
    pub async fn releases_between(&self, from: Micros, to: Micros) -> Result<Vec<Release>, StoreError> {
        let rows: Vec<ReleaseRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(RELEASES_BETWEEN).bind(from.0).bind(to.0).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(ReleaseRow::into_release).collect()
    }

    /// How many verdicts of which word were recorded on each prompt in a period.
    pub async fn verdicts_between(
        &self,
        from: Micros,
        to: Micros,
    ) -> Result<Vec<(String, String, u64)>, StoreError> {
        let rows: Vec<(String, String, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(VERDICTS_BETWEEN).bind(from.0).bind(to.0).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(|(prompt, state, count)| Ok((prompt, state, whole(count, "count")?))).collect()
    }
}

const INCIDENTS_DURING: &str = "
    SELECT number, prompt, channel, version, digest, kind, summary, owner, began_at, opened_at, opened_by,
        acknowledged_at, recovered_at, rollback, resolved_at, cause
    FROM incidents WHERE opened_at < $2 AND (resolved_at IS NULL OR resolved_at >= $1) ORDER BY number";

const INCIDENT_EVENTS_DURING: &str = "
    SELECT incident, happened_at, action, detail FROM incident_events
    WHERE happened_at < $2 AND incident IN (
        SELECT number FROM incidents WHERE opened_at < $2 AND (resolved_at IS NULL OR resolved_at >= $1))
    ORDER BY incident, seq";

/// What happened to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The incident's number.
    pub incident: i64,
    /// When.
    pub at: Micros,
    /// As [`crate::IncidentEvent::action`].
    pub action: String,
    /// What was said; of a resolution its cause.
    pub detail: String,
    /// The release that a link names: its place in the channel's history, and when it was.
    pub link: Option<(i64, Micros)>,
}

impl Store {
    /// The incidents that were open at some moment of a period, as they stand now, and what had happened to them by its end,
    /// in the order of the incidents and then of their events.
    pub async fn incidents_during(
        &self,
        from: Micros,
        to: Micros,
    ) -> Result<(Vec<Incident>, Vec<Happened>), StoreError> {
        type Rows = (Vec<IncidentRow>, Vec<(i64, i64, String, String)>);
        let (incidents, events): Rows = reading!(self, |conn| {
            let query = sqlx::query_as(INCIDENTS_DURING).bind(from.0).bind(to.0);
            let incidents = query.fetch_all(&mut *conn).await?;
            let query = sqlx::query_as(INCIDENT_EVENTS_DURING).bind(from.0).bind(to.0);
            Ok((incidents, query.fetch_all(&mut *conn).await?))
        })?;
        let incidents: Vec<_> =
            incidents.into_iter().map(IncidentRow::into_incident).collect::<Result<_, _>>()?;
        let mut happened = Vec::with_capacity(events.len());
        for (number, at, action, detail) in events {
            let incident = incidents.iter().find(|incident| incident.number == number);
            let link = match (incident, linked_seq(&detail)) {
                (Some(Incident { opening, .. }), Some(seq)) if action == "linked" => {
                    let release = self.nth_release(&opening.prompt, &opening.channel, seq).await?;
                    release.map(|release| (seq, release.released_at))
                }
                _ => None,
            };
            happened.push(Happened { incident: number, at: Micros(at), action, detail, link });
        }
        Ok((incidents, happened))
    }
}
