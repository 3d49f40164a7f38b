//! The figures to reach, and whether a measurement reaches them.

use crate::measure::Measured;
use crate::releases::Moved;
use crate::resume::Resumed;
use crate::workload::Workload;

/// What is measured, in the order that [`findings`] reads: a slow provider, a fast one, ten times as many cases.
pub(crate) const WORKLOADS: [Workload; 3] = [
    Workload { cases: 10_000, latency_ms: 100, in_flight: 200 },
    Workload { cases: 10_000, latency_ms: 0, in_flight: 200 },
    Workload { cases: 100_000, latency_ms: 0, in_flight: 200 },
];

/// One figure.
pub(crate) struct Finding {
    /// What is asked for.
    pub(crate) wanted: &'static str,
    /// What was measured.
    pub(crate) measured: f64,
    /// Whether that will do.
    pub(crate) reached: bool,
}

/// Judges the measurements of [`WORKLOADS`].
pub(crate) fn findings(measured: &[Measured]) -> Vec<Finding> {
    let [slow, fast, many] = measured else { return Vec::new() };
    let at_least = |wanted, measured, least: f64| Finding { wanted, measured, reached: measured >= least };
    vec![
        at_least("efficiency at 100 ms: at least 0.95", slow.efficiency.unwrap_or_default(), 0.95),
        at_most("CPU seconds for 1,000 cases at 100 ms: at most 0.3", slow.cpu_s_per_1000_cases, 0.3),
        at_least("cases a second without latency: at least 3,000", fast.cases_per_s, 3_000.0),
        at_most("peak MiB at 100,000 cases: at most 100", many.peak_rss_mib, 100.0),
        at_most(
            "MiB above the peak at 10,000 cases: at most 20",
            many.peak_rss_mib - fast.peak_rss_mib,
            20.0,
        ),
    ]
}

/// Judges a run that was killed and went on.
pub(crate) fn of_resuming(resumed: &Resumed) -> [Finding; 2] {
    [
        at_most("seconds from resuming to the first call: at most 1", resumed.first_call_s, 1.0),
        at_most(
            "calls paid twice after a kill with 100 in flight: at most 100",
            resumed.calls_paid_twice as f64,
            100.0,
        ),
    ]
}

/// Judges the comparison of two runs.
pub(crate) fn of_comparing(wall_s: f64) -> Finding {
    at_most("seconds to compare two runs of 100,000 cases: at most 1", wall_s, 1.0)
}

/// Judges the review of a month.
pub(crate) fn of_reviewing(wall_s: f64) -> Finding {
    at_most("seconds to review a month of 1,000,000 results: at most 2", wall_s, 2.0)
}

/// Judges the moves of a channel.
pub(crate) fn of_releases(moved: &Moved) -> [Finding; 2] {
    [
        at_most("seconds of a promotion, process and all: at most 0.2", moved.promote_s, 0.2),
        at_most("seconds of a rollback, process and all: at most 0.2", moved.rollback_s, 0.2),
    ]
}

fn at_most(wanted: &'static str, measured: f64, most: f64) -> Finding {
    Finding { wanted, measured, reached: measured <= most }
}
