//! What changed between two runs or versions: as text for a terminal, as Markdown for a pull request.

mod markdown;
mod text;

use assay_coordinator::compare::{FlippedAnswer, PairReport};
use assay_coordinator::verdict::paired::{CostRatio, Difference, Test};

pub(crate) use markdown::markdown;
pub(crate) use text::text;

use super::percent;

/// How a pair is named.
fn title(pair: &PairReport) -> String {
    let (before, after) = (&pair.before, &pair.after);
    let name = |label: &str, prompt: &str, version: Option<i64>| match version {
        Some(number) => format!("{label} ({prompt}@{number})"),
        None => label.to_owned(),
    };
    let old = name(&before.label, &before.prompt, before.version);
    let new = name(&after.label, &after.prompt, after.version);
    match (old == new, before.model_label == after.model_label) {
        (true, true) => format!("{new} on {}", after.model_label),
        (true, false) => format!("{new}: {} → {}", before.model_label, after.model_label),
        (false, true) => format!("{old} → {new} on {}", after.model_label),
        (false, false) => format!("{old} on {} → {new} on {}", before.model_label, after.model_label),
    }
}

/// The rows of a pair's table: what, before, after.
fn rows(pair: &PairReport) -> Vec<[String; 3]> {
    let (before, after) = (&pair.before, &pair.after);
    let mut rows = vec![
        ["pass rate".to_owned(), rate(before.pass_rate), rate(after.pass_rate)],
        ["interval".to_owned(), range(before.interval), range(after.interval)],
        ["cases".to_owned(), before.cases.to_string(), after.cases.to_string()],
        ["errored jobs".to_owned(), before.errored.to_string(), after.errored.to_string()],
    ];
    let dollars = |usd: Option<f64>| usd.map_or_else(unknown, |usd| format!("${usd:.4}"));
    let millis = |ms: Option<f64>| ms.map_or_else(unknown, |ms| format!("{ms:.0}"));
    if before.cost_usd.or(after.cost_usd).is_some() {
        rows.push(["cost".to_owned(), dollars(before.cost_usd), dollars(after.cost_usd)]);
    }
    let (old, new) = (before.latency_ms, after.latency_ms);
    if old.p50.or(new.p50).is_some() {
        rows.push(["p50 ms".to_owned(), millis(old.p50), millis(new.p50)]);
        rows.push(["p95 ms".to_owned(), millis(old.p95), millis(new.p95)]);
    }
    rows
}

/// The difference in one sentence.
fn sentence(difference: &Difference, confidence: f64) -> String {
    let Some(points) = difference.difference else {
        return "no case was scored on both sides".to_owned();
    };
    let interval = difference.interval.map_or_else(
        || "no interval, since no case differs from another".to_owned(),
        |[low, high]| format!("{} % interval {} to {}", confidence * 100.0, signed(low), signed(high)),
    );
    let p = difference.p.map_or_else(String::new, |p| {
        let test = match difference.test {
            Test::Mcnemar => "McNemar, mid-p",
            Test::StudentT => "Student's t, by cluster",
        };
        format!(", {} ({test})", p_value(p))
    });
    format!("{} points on {} cases, {interval}{p}", signed(points), difference.cases)
}

/// What answers cost, in one sentence.
fn cost(ratio: &CostRatio, confidence: f64) -> String {
    let interval = ratio.interval.map_or_else(String::new, |[low, high]| {
        format!(", {} % interval {low:.2} to {high:.2}", confidence * 100.0)
    });
    format!("cost × {:.2}{interval}, on {} cases", ratio.ratio, ratio.cases)
}

/// Which way a case went.
fn way(flip: &FlippedAnswer) -> String {
    let word = |value: f64| match value {
        0.0 => "fail".to_owned(),
        1.0 => "pass".to_owned(),
        between => format!("{between:.2}"),
    };
    let flaky = if flip.flaky { " (flaky)" } else { "" };
    format!("{} → {}{flaky}", word(flip.before), word(flip.after))
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(unknown, percent)
}

fn range([low, high]: [f64; 2]) -> String {
    format!("{} – {}", percent(low), percent(high))
}

/// A difference in points, to a tenth.
fn signed(difference: f64) -> String {
    let points = difference * 100.0;
    if points.abs() < 0.05 { "0.0".to_owned() } else { format!("{points:+.1}") }
}

fn p_value(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

fn unknown() -> String {
    "–".to_owned()
}
