//! The three signals of the practice, of some prompts over some time: how often something went wrong with what is released, how much
//! of what was tried passes, and how many releases are taken back.

use std::collections::BTreeMap;

use assay_common::clock::Micros;
use assay_store::{IncidentKind, ReleaseKind, Signal, Store, StoreError, Subject};
use serde::{Deserialize, Serialize};

use super::facts::Facts;

/// The signals. Null is what cannot be said: no case was scored, nothing was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Incidents opened, but for those that an override opens.
    pub regression_incidents: u64,
    /// Of the cases that runs scored, the share that passed, each case of each prompt version and model counting once.
    pub pass_rate: Option<f64>,
    /// How many cases that is.
    pub cases: u64,
    /// Rollbacks for each version that was released; above 1 where older releases were taken back too.
    pub rollback_rate: Option<f64>,
    /// Versions released, by promotion or override.
    pub releases: u64,
    /// Rollbacks.
    pub rollbacks: u64,
}

impl Signals {
    /// One of them.
    pub fn value(&self, signal: Signal) -> Option<f64> {
        match signal {
            Signal::RegressionIncidents => Some(self.regression_incidents as f64),
            Signal::PassRate => self.pass_rate,
            Signal::RollbackRate => self.rollback_rate,
        }
    }
}

/// Whose prompts were whose at a moment.
pub(super) struct Owners(BTreeMap<String, Option<String>>);

impl Owners {
    /// Reads them.
    pub(super) async fn read(store: &Store, at: Micros) -> Result<Self, StoreError> {
        Ok(Self(store.owners(at).await?))
    }

    /// Who answers for a prompt.
    pub(super) fn owner(&self, prompt: &str) -> Option<&str> {
        self.0.get(prompt).and_then(Option::as_deref)
    }

    fn covers(&self, subject: &Subject, prompt: &str) -> bool {
        match subject {
            Subject::All => true,
            Subject::Owner(name) => self.owner(prompt) == Some(name),
            Subject::Prompt(name) => name == prompt,
        }
    }
}

/// The signals of a subject.
pub(super) fn signals(facts: &Facts, owners: &Owners, subject: &Subject) -> Signals {
    let mut signals = Signals::default();
    let covers = |prompt: &str| owners.covers(subject, prompt);
    for release in facts.releases.iter().filter(|release| covers(&release.prompt)) {
        match release.kind {
            ReleaseKind::Promotion | ReleaseKind::Override => signals.releases += 1,
            ReleaseKind::Rollback => signals.rollbacks += 1,
            ReleaseKind::Rehearsal => {}
        }
    }
    let regressions = facts.opened().filter(|opening| opening.kind != IncidentKind::Override);
    signals.regression_incidents = regressions.filter(|opening| covers(&opening.prompt)).count() as u64;
    let mut passed = 0.0;
    for sum in facts.ends.iter().flat_map(|end| &end.sums.variants).filter(|sum| covers(&sum.prompt)) {
        if let Some(rate) = sum.pass_rate {
            signals.cases += sum.cases;
            passed += rate * sum.cases as f64;
        }
    }
    signals.pass_rate = (signals.cases > 0).then(|| passed / signals.cases as f64);
    if signals.releases + signals.rollbacks > 0 {
        signals.rollback_rate = Some(signals.rollbacks as f64 / signals.releases.max(1) as f64);
    }
    signals
}

/// The signals of everything and of each prompt, over some time.
pub async fn measure(store: &Store, from: Micros, to: Micros) -> Result<Vec<(Subject, Signals)>, StoreError> {
    let facts = Facts::read(store, from, to).await?;
    let owners = Owners::read(store, to).await?;
    let subjects = owners.0.keys().cloned().map(Subject::Prompt);
    Ok([Subject::All]
        .into_iter()
        .chain(subjects)
        .map(|subject| {
            let signals = signals(&facts, &owners, &subject);
            (subject, signals)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use assay_common::id::Digest;
    use assay_store::Release;

    use super::*;

    /// Ann's prompt `a` was released twice and rolled back once, Bob's `b` was rolled back alone.
    fn check(subject: &Subject, expected: (u64, u64, Option<f64>)) {
        let prompt = |name: &str, owner: &str| (name.to_owned(), Some(owner.to_owned()));
        let release = |prompt: &str, kind| Release {
            prompt: prompt.to_owned(),
            channel: "production".to_owned(),
            seq: 1,
            kind,
            number: 1,
            digest: Digest::of(b"v"),
            previous: None,
            released_at: Micros(0),
            released_by: String::new(),
            origin: String::new(),
            reason: None,
            verdict_run: None,
        };
        let facts = Facts {
            releases: vec![
                release("a", ReleaseKind::Promotion),
                release("a", ReleaseKind::Override),
                release("a", ReleaseKind::Rollback),
                release("b", ReleaseKind::Rollback),
            ],
            ..Facts::default()
        };
        let owners = Owners([prompt("a", "ann"), prompt("b", "bob"), prompt("c", "ann")].into());
        let signals = signals(&facts, &owners, subject);
        assert_eq!((signals.releases, signals.rollbacks, signals.rollback_rate), expected, "{subject:?}");
        assert_eq!((signals.pass_rate, signals.regression_incidents), (None, 0));
    }

    #[test]
    fn each_subject_has_its_own() {
        check(&Subject::All, (2, 2, Some(1.0)));
        check(&Subject::Owner("ann".to_owned()), (2, 1, Some(0.5)));
        check(&Subject::Prompt("b".to_owned()), (0, 1, Some(1.0)));
        check(&Subject::Prompt("c".to_owned()), (0, 0, None));
    }
}
