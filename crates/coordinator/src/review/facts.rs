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

/// An incident after what had happened to it so far, whatever became of it later. `happened` is of all incidents, in order.
fn as_it_stood(incident: Incident, happened: &[Happened]) -> Incident {
    let number = incident.number;
    let mut then = Incident {
        number,
        opening: incident.opening,
        acknowledged_at: None,
        recovered_at: None,
        rollback: None,
        resolved_at: None,
        cause: None,
    };
    for Happened { at, action, detail, link, .. } in happened.iter().filter(|one| one.incident == number) {
        match action.as_str() {
            "acknowledged" => then.acknowledged_at = then.acknowledged_at.or(Some(*at)),
            "linked" | "unlinked" => (then.rollback, then.recovered_at) = link.unzip(),
            "resolved" => {
                then.acknowledged_at = then.acknowledged_at.or(Some(*at));
                (then.resolved_at, then.cause) = (Some(*at), Some(detail.clone()));
            }
            "reopened" => (then.resolved_at, then.cause) = (None, None),
            _ => {}
        }
    }
    then
}

#[cfg(test)]
mod tests {
    use assay_common::id::Digest;
    use assay_store::IncidentKind;

    use super::*;
    use crate::release::document::IncidentDocument;

    fn happened(at: i64, action: &str, link: Option<i64>) -> Happened {
        Happened {
            incident: 7,
            at: Micros(at * 1_000_000),
            action: action.to_owned(),
            detail: format!("{action} at {at}"),
            link: link.map(|seq| (seq, Micros(at * 1_000_000))),
        }
    }

    /// An incident that was opened at 1, was rolled back at 3 and 8, and resolved at 4 and 9, after so much of it: its
    /// state, the seconds to recover, the rollback and the cause.
    fn check(so_far: usize, expected: (&str, Option<f64>, Option<i64>, Option<&str>)) {
        let all = [
            happened(1, "opened", None),
            happened(2, "acknowledged", None),
            happened(3, "linked", Some(2)),
            happened(4, "resolved", None),
            happened(5, "reopened", None),
            happened(6, "unlinked", None),
            happened(8, "linked", Some(5)),
            happened(9, "resolved", None),
        ];
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
        let now = Incident {
            number: 7,
            opening,
            acknowledged_at: Some(Micros(2_000_000)),
            recovered_at: Some(Micros(8_000_000)),
            rollback: Some(5),
            resolved_at: Some(Micros(9_000_000)),
            cause: Some("resolved at 9".to_owned()),
        };
        let then = as_it_stood(now.clone(), &all[..so_far]);
        let told = IncidentDocument::of(&then, &[]);
        let found = (told.state.as_str(), told.seconds_to_recover, told.rollback, told.cause.as_deref());
        assert_eq!(found, expected, "{so_far}");
        assert_eq!(then == now, so_far == all.len(), "{so_far}");
    }

    #[test]
    fn what_happened_later_leaves_it_as_it_was() {
        check(1, ("open", None, None, None));
        check(2, ("acknowledged", None, None, None));
        check(3, ("acknowledged", Some(2.0), Some(2), None));
        check(4, ("resolved", Some(2.0), Some(2), Some("resolved at 4")));
        check(5, ("acknowledged", Some(2.0), Some(2), None));
        check(6, ("acknowledged", None, None, None));
        check(7, ("acknowledged", Some(7.0), Some(5), None));
        check(8, ("resolved", Some(7.0), Some(5), Some("resolved at 9")));
    }
}
