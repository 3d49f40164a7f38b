//! When a delivery is tried again, and when it is given up.

use std::time::Duration;

/// The pauses after the first, second, … attempt, in seconds: within a minute at first, then over a day.
const PAUSES: [u64; 10] = [5, 30, 120, 600, 1_800, 3_600, 3 * 3_600, 6 * 3_600, 6 * 3_600, 6 * 3_600];

/// The pause after this many attempts have failed; `None`: that was the last.
pub(super) fn pause_after(attempts: u32) -> Option<Duration> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    PAUSES.get(index).copied().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |attempts| pause_after(attempts).map(|pause| pause.as_secs());
        assert_eq!(
            (seconds(1), seconds(4), seconds(10), seconds(11)),
            (Some(5), Some(600), Some(21_600), None)
        );
        let pauses: Vec<_> = (1..).map_while(seconds).collect();
        assert!(pauses.is_sorted() && pauses.iter().sum::<u64>() > 24 * 3_600, "{pauses:?}");
    }
}
