//! What a person reads of shared limits: Markdown, fit for a terminal and for a page.

use std::fmt::Write as _;

use super::{Found, Measured, renewals};

/// A row for each scenario, and a line for what needs no fleet.
pub(crate) fn table(found: &Found) -> String {
    let mut text = if found.scenarios.is_empty() { String::new() } else { rows(&found.scenarios) };
    if let Some(renewed) = &found.renewals {
        text.push_str(&renewals::line(renewed));
    }
    text
}

fn rows(all: &[Measured]) -> String {
    let mut text = format!(
        "| {:<8} | {:>7} | {:>14} | {:>8} | {:>6} | {:>12} | {:>7} | {:>4} | {:>10} | {:<22} |\n",
        "",
        "workers",
        "limit a minute",
        "troubled",
        "used",
        "worst window",
        "peak",
        "429",
        "PostgreSQL",
        "figure"
    );
    for (place, width) in [8, 7, 14, 8, 6, 12, 7, 4, 10, 22].into_iter().enumerate() {
        // Names are on the left, numbers on the right.
        let end = if matches!(place, 0 | 9) { "-" } else { ":" };
        let _ = write!(text, "|{}{end}", "-".repeat(width + 1));
    }
    text.push_str("|\n");
    for measured in all {
        let Measured { scenario, windows, peak, refused, troubled, postgres } = measured;
        let worst = windows.iter().copied().reduce(f64::min).unwrap_or_default();
        let limit = format!("{} {}", scenario.per_minute, scenario.dimension.word());
        let verdict = if measured.is_reached() { "reached" } else { "MISSED" };
        let _ = writeln!(
            text,
            "| {:<8} | {:>7} | {limit:>14} | {troubled:>8} | {:>6} | {:>12} | {:>7} | {refused:>4} | {:>10} | {:<22} |",
            scenario.name,
            scenario.workers,
            percent(measured.used()),
            percent(worst),
            percent(*peak),
            postgres.map_or_else(|| "–".to_owned(), percent),
            format!("{verdict}: 0, ≥ {:.0} %", scenario.least * 100.0),
        );
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::limits::scenario::SCENARIOS;

    #[test]
    fn a_single_429_misses_the_figure() {
        let measured = |scenario, refused| Measured {
            scenario,
            windows: vec![0.99, 0.965],
            peak: 0.985,
            refused,
            troubled: 2,
            postgres: Some(0.042),
        };
        let text = rows(&[measured(SCENARIOS[1], 0), measured(SCENARIOS[3], 1), measured(SCENARIOS[2], 0)]);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert!(rows.iter().all(|row| row.len() == 12), "{text}");
        let kills = [
            "kills",
            "10",
            "600 requests",
            "2",
            "97.8 %",
            "96.5 %",
            "98.5 %",
            "0",
            "4.2 %",
            "reached: 0, ≥ 97 %",
        ];
        assert_eq!(rows[2][1..11], kills);
        assert_eq!((rows[3][8], rows[3][10]), ("1", "MISSED: 0, ≥ 95 %"));
        assert_eq!(rows[4][10], "MISSED: 0, ≥ 98 %");
    }
}
