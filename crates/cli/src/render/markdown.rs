//! The report as Markdown, for a pull request. Answers stand in code, where nothing is read; all else from outside is escaped.

use std::fmt::Write as _;

use assay_common::verdict::{Decision, Verdict};
use assay_coordinator::report::{NamedFlips, Report};
use assay_coordinator::verdict::VariantReport;

use super::escape::{cell, code, fenced, html};
use super::{attempts, jobs, last_whole, percent};

/// The report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let outcome = report.verdict.as_ref().map_or(&*report.run.state, |verdict| word(verdict.outcome));
    let _ = writeln!(text, "## {}: {outcome}\n", cell(&report.run.suite));
    let _ = writeln!(text, "{}", variants(&report.variants));
    for change in report.changes.iter().filter(|change| !change.diff.is_empty()) {
        let (candidate, baseline) = (html(&change.candidate), html(&change.baseline));
        let _ = writeln!(text, "<details><summary>{baseline} → {candidate}: the prompt</summary>\n");
        let _ = writeln!(text, "{}\n</details>\n", fenced("diff", &change.diff));
    }
    for flips in &report.flips {
        let _ = writeln!(text, "{}", self::flips(flips));
    }
    if let Some(verdict) = &report.verdict {
        let _ = writeln!(text, "{}", rules(verdict));
        if !report.attempts.is_empty() {
            let _ = writeln!(text, "{}\n", attempts(&report.attempts));
        }
        for (whole, verdict) in
            report.attempts.iter().filter_map(|attempt| Some((attempt, attempt.verdict.as_ref()?)))
        {
            let _ = writeln!(text, "{}:\n\n{}", last_whole(whole), rules(verdict));
        }
    }
    if let Some(quarantine) = &report.quarantine {
        let cases: Vec<_> = quarantine.cases.iter().map(|held| cell(&held.case)).collect();
        let outcome = word(quarantine.verdict.outcome);
        let _ = writeln!(text, "Without what is under quarantine ({}): {outcome}\n", cases.join(", "));
    }
    let costs: Option<Vec<f64>> = report.variants.iter().map(|variant| variant.cost_usd).collect();
    let cost = costs.map_or_else(String::new, |costs| format!(", ${:.4}", costs.iter().sum::<f64>()));
    let run = &report.run;
    let _ =
        writeln!(text, "Run `{}`, {}{cost}, suite revision `{}`.", run.id, jobs(run), run.revision.short());
    text
}

fn variants(variants: &[VariantReport]) -> String {
    let mut text =
        "| prompt | model | pass rate | interval | passed | failed | errored | cancelled | cost |\n"
            .to_owned();
    text.push_str("|---|---|--:|---|--:|--:|--:|--:|--:|\n");
    for variant in variants {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} – {} | {} | {} | {} | {} | {} |",
            cell(&variant.label),
            cell(&variant.model_label),
            variant.pass_rate.map_or_else(|| "–".to_owned(), percent),
            percent(variant.interval[0]),
            percent(variant.interval[1]),
            variant.passed,
            variant.failed,
            variant.errored,
            variant.cancelled,
            variant.cost_usd.map_or_else(|| "–".to_owned(), |usd| format!("${usd:.4}")),
        );
    }
    text
}

fn flips(flips: &NamedFlips) -> String {
    let mut text = format!(
        "**{}** against **{}** on {}: {} better, {} worse, {} the same.\n",
        cell(&flips.candidate),
        cell(&flips.baseline),
        cell(&flips.model),
        flips.improved,
        flips.regressed,
        flips.unchanged
    );
    for (heading, excerpts) in [("Worse", &flips.worse), ("Better", &flips.better)] {
        if !excerpts.is_empty() {
            let _ = writeln!(text, "\n{heading}:\n");
        }
        for excerpt in excerpts {
            let [before, after] = [&excerpt.before_output, &excerpt.after_output].map(|text| code(text));
            let _ = writeln!(text, "- {}: {before} → {after}", cell(&excerpt.case));
        }
    }
    text
}

fn rules(verdict: &Verdict) -> String {
    let mut text = "| | rule | version | model | why |\n|---|---|---|---|---|\n".to_owned();
    for version in &verdict.versions {
        for rule in &version.rules {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                word(rule.outcome),
                cell(&rule.name),
                cell(&version.label),
                cell(&rule.model_label),
                cell(&rule.reason),
            );
        }
    }
    text
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "✅ pass",
        Decision::Inconclusive => "❔ inconclusive",
        Decision::Fail => "❌ fail",
    }
}
