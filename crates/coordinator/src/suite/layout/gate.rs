//! The shape of `gate:`.

use super::super::shape::{Kind, Range, Shape, optional, required};
use super::{DURATION, MAX_REPEATS, NOT_NEGATIVE, UNIT};

pub(super) static GATE: Shape = Shape {
    name: "the gate",
    one_of: &[],
    fields: &[&[
        optional(
            "confidence",
            Kind::Share(Range { min: 0.5, max: 1.0, open: (true, true) }),
            "Confidence of intervals and tests. Default: 0.95.",
        ),
        optional(
            "stop_early",
            Kind::Flag,
            "Decide as soon as the evidence allows, and cancel the rest. Default: false.",
        ),
        optional(
            "max_error_rate",
            Kind::Share(UNIT),
            "More errored jobs than this share: inconclusive, whatever the scores say.",
        ),
        optional("min_cases", Kind::Integer(1, i64::MAX), "Fewer scored cases than this: inconclusive."),
        optional(
            "max_cases",
            Kind::Integer(1, i64::MAX),
            "Begin with `min_cases` cases (100 without it), and draw further ones while inconclusive, up to so many.",
        ),
        optional(
            "max_repeats",
            Kind::Integer(1, MAX_REPEATS as i64),
            "Add further rounds of `repeats` trials while inconclusive, up to so many trials of each case.",
        ),
        optional(
            "expires",
            DURATION,
            "How long a passing verdict may be used for a promotion, such as `14d`.",
        ),
        required(
            "rules",
            Kind::ListOf(&Kind::Map(&RULE)),
            "Each is judged by itself; the gate passes when all that decide pass.",
        ),
    ]],
};

static RULE: Shape = Shape {
    name: "a rule",
    one_of: &["min", "max", "max_drop", "max_increase"],
    fields: &[&[
        required(
            "metric",
            Kind::Name,
            "`pass_rate`, `mean_score`, `latency_p95_ms` (any percentile), `cost_per_case_usd`, or a scorer's `metric`.",
        ),
        optional(
            "name",
            Kind::Name,
            "What people call it; unique. Default: made of metric, bound and slice.",
        ),
        optional("slice", Kind::MapOf(&Kind::Text), "The cases it looks at: every tag named has this value."),
        optional("min", Kind::Share(NOT_NEGATIVE), "At least this."),
        optional("max", Kind::Share(NOT_NEGATIVE), "At most this."),
        optional(
            "max_drop",
            Kind::Share(NOT_NEGATIVE),
            "At most this much below the baseline, paired by case.",
        ),
        optional(
            "max_increase",
            Kind::Share(NOT_NEGATIVE),
            "At most this share above the baseline, such as `10%`.",
        ),
        optional(
            "tier",
            Kind::Word(&["critical", "supporting", "advisory"]),
            "critical must pass, supporting must not fail, advisory is shown and never decides. Default: critical.",
        ),
        optional(
            "estimand",
            Kind::Word(&["suite", "population"]),
            "What the number estimates. Default: suite for min and max, population for comparisons.",
        ),
    ]],
};
