//! What a person reads: Markdown, fit for a terminal and for a page.

use std::fmt::Write as _;

use crate::figures::Finding;
use crate::measure::Measured;

/// A row for each quantity, a column for each measurement.
pub(crate) fn table(all: &[Measured]) -> String {
    type Cell = fn(&Measured) -> String;
    let rows: [(&str, Cell); 13] = [
        ("cases", |m| m.workload.cases.to_string()),
        ("latency (ms)", |m| m.workload.latency_ms.to_string()),
        ("in flight: limit, peak", |m| format!("{}, {}", m.workload.in_flight, m.in_flight_peak)),
        ("store", |m| m.store.clone()),
        ("wall (s)", |m| format!("{:.2}", m.wall_s)),
        ("ideal wall (s)", |m| format!("{:.2}", m.ideal_wall_s)),
        ("efficiency", |m| optional(m.efficiency, 3)),
        ("cases/s", |m| format!("{:.0}", m.cases_per_s)),
        ("client CPU (s per 1,000 cases)", |m| format!("{:.3}", m.cpu_s_per_1000_cases)),
        ("peak memory (MiB)", |m| format!("{:.1}", m.peak_rss_mib)),
        ("store (bytes per case)", |m| optional(m.store_bytes_per_case, 0)),
        ("provider calls", |m| m.calls.to_string()),
        ("start to first call (s)", |m| format!("{:.3}", m.first_call_s)),
    ];
    let mut text = String::new();
    for (place, (name, cell)) in rows.iter().enumerate() {
        let _ = write!(text, "| {name:<30} |");
        for measured in all {
            let _ = write!(text, " {:>12} |", cell(measured));
        }
        text.push('\n');
        if place == 0 {
            let _ =
                writeln!(text, "|{}|{}", "-".repeat(32), format!("{}:|", "-".repeat(13)).repeat(all.len()));
        }
    }
    text
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// A line for each figure.
pub(crate) fn findings(all: &[Finding]) -> String {
    let mut text = String::new();
    for finding in all {
        let word = if finding.reached { "reached" } else { "MISSED " };
        let _ = writeln!(text, "{word}  {}: {:.3}", finding.wanted, finding.measured);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures;
    use crate::workload::Workload;

    fn measured(workload: Workload) -> Measured {
        Measured {
            workload,
            store: "sqlite".to_owned(),
            wall_s: 5.125,
            ideal_wall_s: workload.ideal_wall_s(),
            efficiency: (workload.latency_ms > 0).then_some(0.9756),
            cases_per_s: 1951.2,
            cpu_s_per_1000_cases: 0.31,
            peak_rss_mib: 40.0,
            store_bytes_per_case: Some(801.4),
            calls: workload.cases,
            in_flight_peak: 200,
            first_call_s: 0.25,
        }
    }

    #[test]
    fn unknown_is_a_dash_and_a_missed_figure_is_loud() {
        let all: Vec<_> = figures::WORKLOADS.map(measured).into();
        let text = table(&all);
        assert!(text.contains("| efficiency                     |        0.976 |            – |"), "{text}");
        let text = findings(&figures::findings(&all));
        assert!(
            text.starts_with("reached  efficiency at 100 ms: at least 0.95: 0.976\nMISSED   CPU"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 5);
    }
}
