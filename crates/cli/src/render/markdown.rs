//! The report as Markdown, for a pull request. Everything from prompts and answers is escaped.

use std::fmt::Write as _;

use assay_common::verdict::{Decision, Verdict};
use assay_common::visible::visible;
use assay_coordinator::report::{NamedFlips, Report};
use assay_coordinator::verdict::VariantReport;

use super::{attempts, jobs, percent};

/// The report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let outcome = report.verdict.as_ref().map_or(&*report.run.state, |verdict| word(verdict.outcome));
    let _ = writeln!(text, "## {}: {outcome}\n", escape(&report.run.suite));
    let _ = writeln!(text, "{}", variants(&report.variants));
    for flips in &report.flips {
        let _ = writeln!(text, "{}", self::flips(flips));
    }
    if let Some(verdict) = &report.verdict {
        let _ = writeln!(text, "{}", rules(verdict));
        if !report.attempts.is_empty() {
            let _ = writeln!(text, "{}\n", attempts(&report.attempts));
        }
    }
    let _ = writeln!(
        text,
        "Run `{}`, {}, suite revision `{}`.",
        report.run.id,
        jobs(&report.run),
        report.run.revision.short()
    );
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
            escape(&variant.label),
            escape(&variant.model_label),
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
        escape(&flips.candidate),
        escape(&flips.baseline),
        escape(&flips.model),
        flips.improved,
        flips.regressed,
        flips.unchanged
    );
    if !flips.worse.is_empty() {
        text.push_str("\n| worse | before | after |\n|---|---|---|\n");
    }
    for excerpt in &flips.worse {
        let cells = [&excerpt.case, &excerpt.before_output, &excerpt.after_output].map(|cell| escape(cell));
        let _ = writeln!(text, "| {} | {} | {} |", cells[0], cells[1], cells[2]);
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
                escape(&rule.name),
                escape(&version.label),
                escape(&rule.model_label),
                escape(&rule.reason),
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

/// Text that Markdown and HTML show as it stands, in one table cell.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A mention would notify somebody.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_a_model_says_stays_text() {
        let hostile = "<img src=x onerror=alert(1)> | [x](javascript:1) @team\n# `code`";
        let escaped = escape(hostile);
        assert_eq!(
            escaped,
            r"&lt;img src=x onerror=alert(1)&gt; \| \[x\](javascript:1) &#64;team \# \`code\`"
        );
        assert_eq!(escape("a\u{202e}b"), r"a\\u{202e}b");
    }
}
