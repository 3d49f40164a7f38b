//! What the store holds of a period: releases, incidents, verdicts counted, and what each run came to. No result is read.

use std::collections::{BTreeMap, HashMap};

use assay_common::clock::Micros;
use assay_common::id::RunId;
use assay_common::money::NanoUsd;
use assay_store::period::Happened;
use assay_store::{Incident, NewIncident, Release, RunEnd, Store, StoreError};

/// What happened from one moment until just before another.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What was released, but for rehearsals, in its order.
    pub(super) releases: Vec<Release>,
    /// Incidents that were open at some moment of it, as they stood at its end.
    pub(super) incidents: Vec<Incident>,
    /// Those of them that were opened in it begin with this moment.
    pub(super) from: Micros,
    /// The last end of each run that ended in it, in their order.
    pub(super) ends: Vec<RunEnd>,
    /// What had been spent before on runs that were opened again.
    pub(super) spent_before: HashMap<RunId, NanoUsd>,
}

impl Facts {
    /// Reads them.
    pub(super) async fn read(store: &Store, from: Micros, to: Micros) -> Result<Self, StoreError> {
        let (incidents, happened) = store.incidents_during(from, to).await?;
        let incidents = incidents.into_iter().map(|incident| as_it_stood(incident, &happened));
        // One that had been closed before, and was opened again after, was closed all the while.
        let incidents =
            incidents.filter(|incident| incident.resolved_at.is_none_or(|at| at >= from)).collect();
        let mut ends: BTreeMap<RunId, RunEnd> = BTreeMap::new();
        for end in store.run_ends(from, to).await? {
            ends.insert(end.run, end);
        }
        let mut ends: Vec<_> = ends.into_values().collect();
        ends.sort_by_key(|end| end.ended_at);
        Ok(Self {
            releases: store.releases_between(from, to).await?,
            incidents,
            from,
            ends,
            spent_before: store.spent_before(from, to).await?.into_iter().collect(),
        })
    }

    /// The incidents that were opened in it.
    pub(super) fn opened(&self) -> impl Iterator<Item = &NewIncident> {
        let openings = self.incidents.iter().map(|incident| &incident.opening);
        openings.filter(|opening| opening.opened_at >= self.from)
    }

    /// What was spent in it on a run.
    pub(super) fn spent(&self, end: &RunEnd) -> NanoUsd {
        let before = self.spent_before.get(&end.run).map_or(0, |cost| cost.0);
        NanoUsd((end.cost.0 - before).max(0))
    }
}

/// An incident after what had happened to it so far. `happened` is of all incidents, in order.
fn as_it_stood(mut incident: Incident, happened: &[Happened]) -> Incident {
    let (mut acknowledged, mut linked, mut resolved) = (None, false, None);
    for (_, at, action) in happened.iter().filter(|(number, ..)| *number == incident.number) {
        match action.as_str() {
            "acknowledged" => acknowledged = acknowledged.or(Some(*at)),
            "linked" => linked = true,
            "resolved" => {
                acknowledged = acknowledged.or(Some(*at));
                resolved = Some(*at);
            }
            "reopened" => resolved = None,
            _ => {}
        }
    }
    incident.cause = incident.cause.filter(|_| resolved.is_some() && incident.resolved_at == resolved);
    incident.acknowledged_at = acknowledged;
    incident.resolved_at = resolved;
    if !linked {
        (incident.recovered_at, incident.rollback) = (None, None);
    }
    incident
}

#[cfg(test)]
mod tests {
    use assay_common::id::Digest;
    use assay_store::IncidentKind;

    use super::*;
    use crate::release::document::IncidentDocument;

    /// An incident that was opened at 1, acknowledged at 2, recovered at 3, resolved at 4, reopened at 5 and resolved at 6.
    fn check(happened: usize, expected: (&str, Option<f64>)) {
        let words = ["opened", "acknowledged", "linked", "resolved", "reopened", "resolved"];
        let all: Vec<Happened> =
            (1..).zip(words).map(|(n, word)| (7, Micros(n * 1_000_000), word.to_owned())).collect();
        let opening = NewIncident {
            prompt: "p".to_owned(),
            channel: "c".to_owned(),
            version: 1,
            digest: Digest::of(b"p"),
            kind: IncidentKind::Manual,
            summary: String::new(),
            owner: None,
            began_at: Micros(0),
            opened_at: Micros(1_000_000),
            opened_by: "ann".to_owned(),
        };
        let incident = Incident {
            number: 7,
            opening,
            acknowledged_at: Some(Micros(2_000_000)),
            recovered_at: Some(Micros(3_000_000)),
            rollback: Some(2),
            resolved_at: Some(Micros(6_000_000)),
            cause: Some("the last".to_owned()),
        };
        let then = IncidentDocument::of(&as_it_stood(incident, &all[..happened]), &[]);
        assert_eq!((then.state.as_str(), then.seconds_to_recover), expected, "{happened}");
        assert_eq!(then.cause.is_some(), happened == 6, "{happened}");
    }

    #[test]
    fn what_was_closed_later_was_open_then() {
        check(1, ("open", None));
        check(2, ("acknowledged", None));
        check(3, ("acknowledged", Some(2.0)));
        check(4, ("resolved", Some(2.0)));
        check(5, ("acknowledged", Some(2.0)));
        check(6, ("resolved", Some(2.0)));
    }
}
