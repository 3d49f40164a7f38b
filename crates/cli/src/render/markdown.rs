//! The report as Markdown, for a pull request. Answers stand in code, where nothing is read; all else from outside is escaped. What matters
//! most has room first: the verdict with its rules, then pass rates, then what changed.

use assay_common::verdict::{Decision, Verdict};
use assay_coordinator::report::{Excerpt, NamedFlips, Report};
use assay_coordinator::verdict::VariantReport;

use super::escape::{cell, code, fenced, html};
use super::page::{Page, Part};
use super::{attempts, jobs, last_whole, percent, tier};

/// The report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut page = Page::default();
    let outcome = report.verdict.as_ref().map_or(&*report.run.state, |verdict| word(verdict.outcome));
    let heading = format!("## {}: {outcome}\n\n", cell(&report.run.suite));
    page.add(Part::whole(0, "the heading", heading));
    page.add(variants(&report.variants));
    for change in report.changes.iter().filter(|change| !change.diff.is_empty()) {
        let (candidate, baseline) = (html(&change.candidate), html(&change.baseline));
        let summary = format!("<details><summary>{baseline} → {candidate}: the prompt</summary>\n\n");
        let text = format!("{summary}{}\n</details>\n\n", fenced("diff", &change.diff));
        page.add(Part::whole(5, "what changed in the prompts", text));
    }
    for flips in &report.flips {
        self::flips(&mut page, flips);
    }
    if let Some(verdict) = &report.verdict {
        page.add(rules(verdict, 1, String::new()));
        if !report.attempts.is_empty() {
            page.add(Part::whole(3, "the attempts", format!("{}\n\n", attempts(&report.attempts))));
        }
        for (whole, verdict) in
            report.attempts.iter().filter_map(|attempt| Some((attempt, attempt.verdict.as_ref()?)))
        {
            page.add(rules(verdict, 3, format!("{}:\n\n", last_whole(whole))));
        }
    }
    if let Some(quarantine) = &report.quarantine {
        let cases: Vec<_> = quarantine.cases.iter().map(|held| cell(&held.case)).collect();
        let outcome = word(quarantine.verdict.outcome);
        let text = format!("Without what is under quarantine ({}): {outcome}\n\n", cases.join(", "));
        page.add(Part::whole(3, "the quarantine", text));
    }
    let costs: Option<Vec<f64>> = report.variants.iter().map(|variant| variant.cost_usd).collect();
    let cost = costs.map_or_else(String::new, |costs| format!(", ${:.4}", costs.iter().sum::<f64>()));
    let run = &report.run;
    let end = format!("Run `{}`, {}{cost}, suite revision `{}`.\n", run.id, jobs(run), run.revision.short());
    page.add(Part::whole(0, "the run", end));
    page.finish(&format!("`assay status {}` shows everything.", run.id))
}

fn variants(variants: &[VariantReport]) -> Part {
    let header = "| prompt | model | pass rate | interval | passed | failed | errored | cancelled | cost |\n";
    let row = |variant: &VariantReport| {
        format!(
            "| {} | {} | {} | {} – {} | {} | {} | {} | {} | {} |\n",
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
        )
    };
    Part {
        name: "the pass rates",
        rank: 2,
        open: format!("{header}|---|---|--:|---|--:|--:|--:|--:|--:|\n"),
        items: variants.iter().map(row).collect(),
        close: "\n".to_owned(),
    }
}

/// How many cases changed sides, and then which: where there is no room for these, their number still stands there.
fn flips(page: &mut Page, flips: &NamedFlips) {
    let sentence = format!(
        "**{}** against **{}** on {}: {} better, {} worse, {} the same.\n",
        cell(&flips.candidate),
        cell(&flips.baseline),
        cell(&flips.model),
        flips.improved,
        flips.regressed,
        flips.unchanged
    );
    page.add(Part::whole(3, "how many cases changed sides", sentence));
    for (heading, excerpts) in [("Worse", &flips.worse), ("Better", &flips.better)] {
        let item = |excerpt: &Excerpt| {
            let [before, after] = [&excerpt.before_output, &excerpt.after_output].map(|text| code(text));
            format!("- {}: {before} → {after}\n", cell(&excerpt.case))
        };
        page.add(Part {
            name: "the cases that changed sides",
            rank: 4,
            open: format!("\n{heading}:\n\n"),
            items: excerpts.iter().map(item).collect(),
            close: String::new(),
        });
    }
    page.add(Part::whole(3, "how many cases changed sides", "\n".to_owned()));
}

/// A line for each rule, with its tier where it may not decide, below a `heading`.
fn rules(verdict: &Verdict, rank: u8, heading: String) -> Part {
    let rows = verdict.versions.iter().flat_map(|version| {
        version.rules.iter().map(|rule| {
            format!(
                "| {} | {}{} | {} | {} | {} |\n",
                word(rule.outcome),
                cell(&rule.name),
                tier(rule),
                cell(&version.label),
                cell(&rule.model_label),
                cell(&rule.reason),
            )
        })
    });
    Part {
        name: "the rules",
        rank,
        open: heading + "| | rule | version | model | why |\n|---|---|---|---|---|\n",
        items: rows.collect(),
        close: "\n".to_owned(),
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "✅ pass",
        Decision::Inconclusive => "❔ inconclusive",
        Decision::Fail => "❌ fail",
    }
}
