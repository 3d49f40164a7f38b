//! What a person reads of a measured fleet: Markdown, fit for a terminal and for a page; and whether the figures are
//! reached.

use std::fmt::Write as _;

use super::Measured;
use crate::figures::Finding;

/// A row for each quantity, then one for each part's processor time.
pub(crate) fn table(measured: &Measured) -> String {
    let Measured { cases, workers, .. } = measured;
    let mut text = format!("| {:<36} | {:>12} |\n", "cases, workers", format!("{cases}, {workers}"));
    let _ = writeln!(text, "|{}|{}:|", "-".repeat(38), "-".repeat(13));
    for (name, value, digits) in [
        ("submit to first call, idle (s)", measured.first_call_s, 3),
        ("submit until accepted (s)", measured.accepted_s, 2),
        ("accepted until the run is over (s)", measured.run_s, 2),
        ("jobs/s", measured.jobs_per_s, 0),
        ("peak memory of the client (MiB)", measured.client_mib, 1),
        ("peak memory of the coordinator (MiB)", measured.coordinator_mib, 1),
        ("peak memory of a worker (MiB)", measured.worker_mib, 1),
    ] {
        let _ = writeln!(text, "| {name:<36} | {value:>12.digits$} |");
    }
    let _ = writeln!(text, "\n| {:<36} | {:>12} | {:>12} |", "CPU (µs a job)", "submission", "run");
    let _ = writeln!(text, "|{}|{}:|{}:|", "-".repeat(38), "-".repeat(13), "-".repeat(13));
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |us| format!("{us:.1}"));
    for part in &measured.parts {
        let _ = writeln!(
            text,
            "| {:<36} | {:>12} | {:>12} |",
            part.name,
            shown(part.submit_us),
            shown(part.run_us)
        );
    }
    let submission = measured.parts.iter().map(|part| part.submit_us).sum();
    let _ =
        writeln!(text, "| {:<36} | {:>12} | {:>12} |", "all", shown(submission), shown(measured.run_us()));
    text
}

/// The figures to reach on two cores that carry everything.
pub(crate) fn findings(measured: &Measured) -> Vec<Finding> {
    let at_least = |wanted, measured, least: f64| Finding { wanted, measured, reached: measured >= least };
    let at_most = |wanted, measured, most: f64| Finding { wanted, measured, reached: measured <= most };
    let mut findings = vec![
        at_least("jobs a second: at least 3,000", measured.jobs_per_s, 3_000.0),
        at_most("seconds until a submission is accepted: at most 5", measured.accepted_s, 5.0),
        at_most("seconds from submit to first call: at most 1", measured.first_call_s, 1.0),
    ];
    // Not known where a server is on another machine.
    if let Some(us) = measured.run_us() {
        findings.insert(1, at_most("CPU µs a job over all processes: at most 400", us, 400.0));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Part;

    #[test]
    fn what_cannot_be_seen_is_a_dash_and_is_not_judged() {
        let part = |name, run_us| Part { name, submit_us: Some(1.0), run_us };
        let mut measured = Measured {
            cases: 100_000,
            workers: 2,
            first_call_s: 0.5,
            accepted_s: 5.5,
            run_s: 20.0,
            jobs_per_s: 5_000.0,
            client_mib: 30.0,
            coordinator_mib: 60.0,
            worker_mib: 50.0,
            parts: vec![part("workers", Some(100.0)), part("PostgreSQL", Some(120.5))],
        };
        let verdicts = |measured: &Measured| -> Vec<_> {
            findings(measured).into_iter().map(|finding| (finding.measured, finding.reached)).collect()
        };
        assert_eq!(verdicts(&measured), [(5_000.0, true), (220.5, true), (5.5, false), (0.5, true)]);
        assert!(
            table(&measured).ends_with(&format!("| {:<36} | {:>12} | {:>12} |\n", "all", "2.0", "220.5"))
        );
        measured.parts[1].run_us = None;
        assert_eq!(verdicts(&measured), [(5_000.0, true), (5.5, false), (0.5, true)]);
        assert!(table(&measured).ends_with(&format!("| {:<36} | {:>12} | {:>12} |\n", "all", "2.0", "–")));
    }
}
