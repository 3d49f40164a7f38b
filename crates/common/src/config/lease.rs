//! How long a share of a limit is leased to a worker, and what of assay.toml makes no sense about that.

use std::time::Duration;

use super::{Config, Problem, Span};

/// How long a share holds without being renewed, where assay.toml does not say.
pub const DEFAULT_LEASE_TIME: Duration = Duration::from_secs(4);
/// How often shares are renewed, where assay.toml does not say.
pub const DEFAULT_LEASE_BEAT: Duration = Duration::from_secs(1);

/// A share that outlives this keeps what a worker left behind from everybody else for too long.
const LONGEST_LEASE: Duration = Duration::from_secs(10 * 60);
/// Renewals that follow closer would be the work of the store.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

impl Config {
    /// How long a worker's share of a limit holds without being renewed.
    pub fn lease_time(&self) -> Duration {
        self.lease_time.map_or(DEFAULT_LEASE_TIME, |span| span.0)
    }

    /// How often a worker renews its shares.
    pub fn lease_beat(&self) -> Duration {
        self.lease_beat.map_or(DEFAULT_LEASE_BEAT, |span| span.0)
    }
}

/// What is wrong with both together: a lease must outlive one renewal that was lost.
pub(super) fn problem(config: &Config) -> Option<Problem> {
    let said = |span: Option<Span>| if span.is_some() { "" } else { ", which it is where nothing is said" };
    let (time, beat) = (config.lease_time(), config.lease_beat());
    if beat < SHORTEST_BEAT {
        let what = format!("lease_beat = \"{}\": write 10ms or more", shown(beat));
        return Some(Problem::new(&["lease_beat"], what));
    }
    if time > LONGEST_LEASE {
        let what = format!("lease_time = \"{}\": write 10m or less", shown(time));
        return Some(Problem::new(&["lease_time"], what));
    }
    (beat.saturating_mul(2) > time).then(|| {
        let key = if config.lease_time.is_some() { "lease_time" } else { "lease_beat" };
        let what = format!(
            "lease_time = \"{}\"{} is less than twice lease_beat = \"{}\"{}: one lost renewal would stop every \
             call; make the lease longer or the beat shorter",
            shown(time),
            said(config.lease_time),
            shown(beat),
            said(config.lease_beat),
        );
        Problem::new(&[key], what)
    })
}

fn shown(length: Duration) -> String {
    match length.as_millis() {
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_outlives_a_lost_renewal() {
        let check = |text: &str, expected: Result<(u64, u64), &str>| {
            let config = Config::parse(text).map_err(|error| error.to_string());
            let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap();
            match (config, expected) {
                (Ok(config), Ok(expected)) => {
                    assert_eq!((millis(config.lease_time()), millis(config.lease_beat())), expected);
                }
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        check("", Ok((4_000, 1_000)));
        check("lease_time = \"500ms\"\nlease_beat = \"100ms\"", Ok((500, 100)));
        check("lease_time = \"2s\"", Ok((2_000, 1_000)));
        check("lease_time = \"1s\"", Err("line 1, column 1: lease_time = \"1s\" is less"));
        check("lease_beat = \"2001ms\"", Err("less than twice"));
        check("lease_beat = \"0s\"", Err("10ms or more"));
        check("lease_time = \"1h\"", Err("line 1, column 1: lease_time = \"3600s\": write 10m or less"));
        check("lease_time = \"soon\"", Err("length of time"));
    }
}
