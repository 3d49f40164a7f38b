//! How reasons are worded.

use assay_common::gate::Rule;
use assay_common::verdict::Decision;

use super::super::stats::Interval;

/// The most decimals that tell two numbers apart.
const MOST_DECIMALS: usize = 9;

/// At most so many decimals, without trailing zeros, with a real minus sign.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let fixed = format!("{value:.decimals$}");
    let short = match fixed.contains('.') {
        true => fixed.trim_end_matches('0').trim_end_matches('.'),
        false => &fixed,
    };
    match short.strip_prefix('-') {
        Some("0") => "0".to_owned(),
        Some(rest) => format!("−{rest}"),
        None => short.to_owned(),
    }
}

/// A measured number with three significant digits, or as many more as it takes to tell it from what it is held
/// against.
pub(super) fn measured(value: f64, against: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=9")]
    let least = (2.0 - magnitude).clamp(0.0, MOST_DECIMALS as f64) as usize;
    (least..MOST_DECIMALS)
        .map(|decimals| (number(value, decimals), number(against, decimals)))
        .find(|(value, against)| value != against)
        .map_or_else(|| number(value, MOST_DECIMALS), |(value, _)| value)
}

/// A share as points: 0.012 is 1.2.
pub(super) fn points(share: f64) -> String {
    number(share * 100.0, 1)
}

/// A difference as points, a gain with its sign too: +36.4 is no drop.
pub(super) fn signed_points(difference: f64) -> String {
    let points = points(difference);
    if difference > 0.0 && points != "0" { format!("+{points}") } else { points }
}

/// `1 case`, `2 cases`.
pub(super) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `1 case is`, `2 cases are`.
pub(super) fn count_is(n: u64, what: &str) -> String {
    format!("{} {}", count(n, what), if n == 1 { "is" } else { "are" })
}

/// The bounds that decided, in points and told apart from what they are held `against`: `at least −1.4 points with 95 %
/// confidence`.
pub(super) fn bounds(bounds: Interval, against: f64, decision: Decision, confidence: f64) -> String {
    let [low, high] = bounds.map(|bound| measured(bound * 100.0, against * 100.0));
    let sure = format!("with {} % confidence", number(confidence * 100.0, 4));
    match decision {
        Decision::Pass => format!("at least {low} points {sure}"),
        Decision::Fail => format!("at most {high} points {sure}"),
        Decision::Inconclusive => format!("from {low} to {high} points, each end {sure},"),
    }
}

/// What it would take to decide, in two digits: an estimate from what was seen is no better. Nothing where it is unknown.
pub(super) fn needed(more: Option<u64>, unit: &str) -> String {
    let Some(more) = more else { return String::new() };
    let magnitude = 10_u64.pow(more.max(1).ilog10().saturating_sub(1));
    let some = more.div_ceil(magnitude) * magnitude;
    let about = if more < 10 { "" } else { "some " };
    format!("; {about}{} like these would decide", count(some, &format!("more {unit}")))
}

/// Why a rule has nothing to look at.
pub(super) fn nothing_scored(rule: &Rule, compares: bool) -> String {
    let tags: Vec<_> = rule.slice.iter().map(|(tag, value)| format!("{tag} = {value}")).collect();
    let of = if tags.is_empty() { String::new() } else { format!(" with {}", tags.join(", ")) };
    let metric = match &rule.metric {
        assay_common::gate::Metric::Named(name) => format!(" for `{name}`"),
        _ => String::new(),
    };
    let under = if compares { " under both versions" } else { "" };
    format!("no case{of} was scored{metric}{under}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_look_equal_when_they_are_not() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(number(0.92, 3), "0.92");
        check(number(-1.25, 1), "−1.2");
        check(number(-0.04, 1), "0");
        check(number(1700.0, 3), "1700");
        check(measured(0.9, 0.9), "0.9");
        check(measured(1840.2, 2000.0), "1840");
        check(measured(0.000_123_4, 0.01), "0.000123");
        check(measured(0.954_321, 0.92), "0.954");
        check(measured(0.899_96, 0.9), "0.89996");
        check(points(0.02), "2");
        check(signed_points(0.364), "+36.4");
        check(signed_points(-0.012), "−1.2");
        check(signed_points(0.000_1), "0");
        let bounds = |decision| bounds([-0.04, 0.016], -0.02, decision, 0.95);
        check(bounds(Decision::Pass), "at least −4 points with 95 % confidence");
        check(bounds(Decision::Fail), "at most 1.6 points with 95 % confidence");
        check(bounds(Decision::Inconclusive), "from −4 to 1.6 points, each end with 95 % confidence,");
        check(needed(Some(341), "case"), "; some 350 more cases like these would decide");
        check(needed(Some(1), "cluster"), "; 1 more cluster like these would decide");
        check(needed(None, "case"), "");
        check(count(1, "case"), "1 case");
        check(count(0, "case"), "0 cases");
    }
}
