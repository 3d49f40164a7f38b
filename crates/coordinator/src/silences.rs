//! Silences: for how long each member has not beaten, as far as this process has watched. What watches beats, the sweep of
//! whoever leads and the election of whoever stands by, notes them here; [`crate::reasons`] says which jobs wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::id::MemberId;

/// What was last noted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Silences(Arc<Mutex<HashMap<MemberId, Duration>>>);

impl Silences {
    /// Notes for how long each member has been silent, in place of what was known.
    pub(crate) fn note(&self, silences: impl IntoIterator<Item = (MemberId, Duration)>) {
        *self.lock() = silences.into_iter().collect();
    }

    /// The members that have been silent for so long or longer.
    pub(crate) fn of_at_least(&self, least: Duration) -> HashMap<MemberId, Duration> {
        self.lock()
            .iter()
            .filter(|(_, silent)| **silent >= least)
            .map(|(id, silent)| (*id, *silent))
            .collect()
    }

    /// What is in it is whole at every moment.
    fn lock(&self) -> MutexGuard<'_, HashMap<MemberId, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
