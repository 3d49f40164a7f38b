//! The report of a run: pass rates per prompt version, which cases flipped and how, the verdict.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use assay_common::verdict::{Decision, RuleVerdict, Verdict};
use assay_common::visible::{visible, visible_line};
use assay_coordinator::flakes::Quarantined;
use assay_coordinator::report::{Excerpt, NamedFlips, Report};
use assay_coordinator::verdict::VariantReport;
use assay_store::RunState;

use super::{attempts, held, jobs, last_whole, percent, table, tier};

/// The report as text. Only its own colours reach the terminal: names, answers and errors are made visible.
pub(crate) fn report(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", heading(report));
    let _ = writeln!(text, "{}\n", variants(&report.variants).trim_fmt());
    for error in &report.errors {
        let kind = error.kind.word();
        let (jobs, case) = (error.jobs, visible_line(&error.case));
        let _ = writeln!(text, "{jobs} errored ({kind}), such as {case}: {}\n", error.sample);
    }
    for flips in &report.flips {
        let _ = write!(text, "{}", self::flips(flips));
    }
    let mut text = visible(&text).into_owned();
    if let Some(verdict) = &report.verdict {
        text.push_str(&self::verdict(verdict));
        if !report.attempts.is_empty() {
            let _ = writeln!(text, "{}\n", attempts(&report.attempts));
        }
        for (whole, verdict) in
            report.attempts.iter().filter_map(|attempt| Some((attempt, attempt.verdict.as_ref()?)))
        {
            let _ = writeln!(text, "{}:\n{}", last_whole(whole), self::verdict(verdict));
        }
    }
    if let Some(quarantine) = &report.quarantine {
        text.push_str(&self::quarantine(quarantine));
    }
    text
}

fn heading(report: &Report) -> String {
    let run = &report.run;
    let how = if run.stopped_early { "stopped early" } else { &run.state };
    let mut line = format!("{}: {}, {how}", visible_line(&run.suite), jobs(run));
    if let Some(reason) = &run.reason {
        // A run that lacks nothing did not end for this reason: it was given no more for it.
        let lacks_nothing = run.state == RunState::Completed.word() && !run.stopped_early;
        let _ = write!(line, "{}{}", if lacks_nothing { "; " } else { " because " }, visible_line(reason));
    }
    line.push_str("\n\n");
    line
}

fn variants(variants: &[VariantReport]) -> comfy_table::Table {
    let measured = variants.iter().any(|variant| variant.latency_ms.p95.is_some());
    let priced = variants.iter().any(|variant| variant.cost_usd.is_some());
    let cancelled = variants.iter().any(|variant| variant.cancelled > 0);
    let mut header =
        vec!["PROMPT", "VERSION", "MODEL", "PASS RATE", "INTERVAL", "PASSED", "FAILED", "ERRORED"];
    let mut right = vec![3, 5, 6, 7];
    if cancelled {
        right.push(header.len());
        header.push("CANCELLED");
    }
    if measured {
        right.push(header.len());
        header.push("P95 MS");
    }
    if priced {
        right.push(header.len());
        header.push("COST");
    }
    let mut table = table(&header, &right);
    for variant in variants {
        let mut row = vec![
            visible_line(&variant.label).into_owned(),
            variant.version.map_or_else(
                || "–".to_owned(),
                |number| format!("{}@{number}", visible_line(&variant.prompt)),
            ),
            visible_line(&variant.model_label).into_owned(),
            variant.pass_rate.map_or_else(|| "–".to_owned(), percent),
            format!("{} – {}", percent(variant.interval[0]), percent(variant.interval[1])),
            variant.passed.to_string(),
            variant.failed.to_string(),
            variant.errored.to_string(),
        ];
        if cancelled {
            row.push(variant.cancelled.to_string());
        }
        if measured {
            row.push(variant.latency_ms.p95.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}")));
        }
        if priced {
            row.push(variant.cost_usd.map_or_else(|| "–".to_owned(), |usd| format!("${usd:.4}")));
        }
        table.add_row(row);
    }
    table
}

fn flips(flips: &NamedFlips) -> String {
    let mut text = format!(
        "{} against {} on {}: {} better, {} worse, {} the same\n",
        flips.candidate, flips.baseline, flips.model, flips.improved, flips.regressed, flips.unchanged
    );
    for (heading, count, excerpts) in
        [("worse", flips.regressed, &flips.worse), ("better", flips.improved, &flips.better)]
    {
        for excerpt in excerpts {
            let _ = writeln!(text, "  {heading:<7}{}", self::excerpt(excerpt));
        }
        let more = count.saturating_sub(excerpts.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "  {heading:<7}… and {more} more");
        }
    }
    text.push('\n');
    text
}

fn excerpt(excerpt: &Excerpt) -> String {
    let word = |value: f64| match value {
        0.0 => "fail".to_owned(),
        1.0 => "pass".to_owned(),
        between => format!("{between:.2}"),
    };
    format!(
        "{}  {} → {}  “{}” → “{}”",
        visible_line(&excerpt.case),
        word(excerpt.before),
        word(excerpt.after),
        excerpt.before_output,
        excerpt.after_output
    )
}

fn verdict(verdict: &Verdict) -> String {
    let mut text = String::new();
    for version in &verdict.versions {
        let name = match version.version {
            Some(number) => format!("{} ({}@{number})", version.label, version.prompt),
            None => version.label.clone(),
        };
        let _ = writeln!(text, "{}  {}", coloured(version.outcome), visible_line(&name));
        for rule in &version.rules {
            let _ = writeln!(text, "  {} {}", mark(rule.outcome), visible_line(&self::rule(rule)));
        }
        if let Some(lack) = version.lack() {
            let _ = writeln!(text, "  {} {lack}", mark(Decision::Inconclusive));
        }
    }
    let _ = writeln!(text, "Verdict: {}\n", coloured(verdict.outcome));
    text
}

/// What the verdict would be without the cases under quarantine, and why they are.
fn quarantine(quarantine: &Quarantined) -> String {
    let outcome = coloured(quarantine.verdict.outcome);
    let (cases, depends) = (quarantine.cases.len(), quarantine.changes_outcome);
    let depends = if depends { ": the outcome depends on them" } else { "" };
    let mut text = format!("Without {cases} under quarantine: {outcome}{depends}\n");
    for case in &quarantine.cases {
        let _ = writeln!(text, "  {}", visible_line(&held(case)));
    }
    text.push('\n');
    text
}

fn rule(rule: &RuleVerdict) -> String {
    format!("{} on {}{}: {}", rule.name, rule.model_label, tier(rule), rule.reason)
}

fn mark(decision: Decision) -> char {
    match decision {
        Decision::Pass => '✓',
        Decision::Inconclusive => '?',
        Decision::Fail => '✗',
    }
}

fn coloured(decision: Decision) -> String {
    let (colour, word) = match decision {
        Decision::Pass => (AnsiColor::Green, "PASS"),
        Decision::Inconclusive => (AnsiColor::Yellow, "INCONCLUSIVE"),
        Decision::Fail => (AnsiColor::Red, "FAIL"),
    };
    let style = Style::new().bold().fg_color(Some(colour.into()));
    format!("{style}{word}{style:#}")
}
