//! Points of a job's path at which a process can be told to die, so that tests enumerate what each death leaves behind.
//!
//! They exist in builds with debug assertions alone: a release build knows neither the points nor the variable (ADR 0018).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that names a point and, after a colon, at which passing of it to die; 1 where it is left out.
pub const VARIABLE: &str = "ASSAY_CRASH_AT";

/// A point, in the order in which a run passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A chunk of a run's jobs is inserted.
    Expanded,
    /// Hints are on their way to the broker, which has not confirmed them.
    Sent,
    /// Jobs are claimed, and nobody works on them yet.
    Claimed,
    /// A job may call.
    Permitted,
    /// What a call may cost is set aside; it has not been made.
    Reserved,
    /// The provider has answered, and nothing of it is kept.
    Called,
    /// An answer is kept, and not scored.
    Kept,
    /// Settlements are committed, and their hints not acknowledged.
    Recorded,
    /// Hints are acknowledged.
    Acknowledged,
    /// A dead member's jobs are given back.
    Buried,
    /// A run has ended, and has no verdict.
    Finished,
    /// Its verdict is recorded, and nobody has been told.
    Judged,
    /// A transaction is about to commit.
    Committing,
    /// A transaction has committed, and nobody knows.
    Committed,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 14] = [
        Self::Expanded,
        Self::Sent,
        Self::Claimed,
        Self::Permitted,
        Self::Reserved,
        Self::Called,
        Self::Kept,
        Self::Recorded,
        Self::Acknowledged,
        Self::Buried,
        Self::Finished,
        Self::Judged,
        Self::Committing,
        Self::Committed,
    ];

    /// How the variable names it.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Ends this process at once where the variable says so: no destructor runs and nothing is flushed, as with `kill -9`.
///
/// # Panics
/// When the variable names no point: a test that kills nobody proves nothing.
#[expect(clippy::panic, reason = "a mistake in a test, which no release build can make")]
pub fn reach(point: Point) {
    static PLANNED: OnceLock<Option<(Point, AtomicU64)>> = OnceLock::new();
    let planned = PLANNED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (point, passing) = parsed(&text).unwrap_or_else(|| panic!("{VARIABLE}={text} names no point"));
        Some((point, AtomicU64::new(passing)))
    });
    if let Some((dies_at, left)) = planned
        && *dies_at == point
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

fn parsed(text: &str) -> Option<(Point, u64)> {
    let (name, passing) = text.split_once(':').unwrap_or((text, "1"));
    let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
    Some((point, passing.parse().ok().filter(|passing| *passing > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_its_passing() {
        assert_eq!(parsed("claimed"), Some((Point::Claimed, 1)));
        assert_eq!(parsed("committing:12"), Some((Point::Committing, 12)));
        for wrong in ["", "Claimed", "claimed:", "claimed:0", "claimed:x", "nowhere"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
