//! The shape of the suite file: every key, what it may be and what it means.

use assay_common::config::Span;
use assay_common::jsonpath::{JsonPath, JsonPathError};
use assay_common::pattern::Pattern;
use assay_common::reduce::Reducer;

use super::hint::quoted_list;
use super::shape::{Field, Form, Kind, Range, Shape, optional, required};

/// From 0 to 1.
const UNIT: Range = Range::closed(0.0, 1.0);
const NOT_NEGATIVE: Range = Range::closed(0.0, f64::INFINITY);
const POSITIVE: Range = Range { open: (true, false), ..NOT_NEGATIVE };

const DURATION: Kind = Kind::Form(Form {
    complaint: |text| match text.parse::<Span>() {
        Ok(span) if span.0.as_millis() == 0 => Some("a length of time above zero is wanted".into()),
        Ok(span) if span.0.as_secs() > 10 * 366 * 86_400 => Some("at most ten years".into()),
        Ok(_) => None,
        Err(complaint) => Some(complaint),
    },
    pattern: Some("^\\s*([0-9]+(ms|s|m|h|d)\\s*)+$"),
});

/// The whole file.
pub(super) static SUITE: Shape = Shape {
    name: "the suite",
    one_of: &[],
    fields: &[&[
        required("suite", Kind::Name, "The suite's name."),
        optional("owner", Kind::Name, "Who answers for it."),
        optional("description", Kind::Text, "What it is for."),
        required(
            "prompts",
            Kind::ListOf(&Kind::Map(&PROMPT)),
            "Versions of prompts; each is run on every model and case.",
        ),
        required(
            "models",
            Kind::ListOf(&Kind::Either(&[Kind::Form(MODEL_NAME), Kind::Map(&MODEL)])),
            "What answers: `provider/model`, or a map with sampling parameters.",
        ),
        required(
            "cases",
            Kind::ListOf(&Kind::Keyed(&[("file", &CASE_FILE), ("vars", &CASE)])),
            "What is asked: files of cases, or single cases.",
        ),
        optional(
            "score",
            Kind::ListOf(&Kind::Typed(SCORERS)),
            "How an output is judged. All must pass unless `threshold` is set.",
        ),
        optional(
            "threshold",
            Kind::Share(UNIT),
            "A case passes at this weighted score, instead of when all scorers pass.",
        ),
        optional("repeats", Kind::Integer(1, 1000), "Trials of each case. Default: 1."),
        optional("reduce", REDUCER, "How the trials of a case become one value. Default: mean."),
        optional(
            "priority",
            Kind::Word(&["interactive", "normal", "sweep"]),
            "The run's weight against other runs. Default: normal.",
        ),
        optional("budget_usd", Kind::Number(POSITIVE), "The most a run may cost, in US dollars."),
        optional("deadline", DURATION, "The longest a run may take, such as `2h`. Default: 24h."),
        optional("gate", Kind::Map(&GATE), "What a prompt version must satisfy to ship."),
    ]],
};

static PROMPT: Shape = Shape {
    name: "a prompt",
    one_of: &["file", "text", "channel"],
    fields: &[&[
        required("name", Kind::Name, "The line of work; entries with one name are its versions."),
        optional(
            "label",
            Kind::Name,
            "What people call this entry in tables; unique in the suite. Default: the file's stem, else the name.",
        ),
        optional("owner", Kind::Name, "Who answers for it. Default: the suite's owner."),
        optional(
            "file",
            Kind::Name,
            "The prompt: text, or in .yaml and .json chat messages as a list of `role` and `content`.",
        ),
        optional("text", Kind::Text, "The prompt itself, instead of `file`."),
        optional(
            "baseline",
            Kind::Flag,
            "The entry the others are compared with. Default: the first of several.",
        ),
        optional(
            "channel",
            Kind::Later(
                "`channel` needs releases, which this version does not have: name a `file` or write a `text`",
            ),
            "The version that is live on a channel.",
        ),
    ]],
};

/// A chat prompt's message; the shape of a file of its own.
pub(super) static MESSAGES: Kind = Kind::ListOf(&Kind::Map(&MESSAGE));

static MESSAGE: Shape = Shape {
    name: "a message",
    one_of: &[],
    fields: &[&[
        required("role", Kind::Word(&["system", "developer", "user", "assistant"]), "Who speaks."),
        required("content", Kind::Text, "What is said."),
    ]],
};

const MODEL_NAME: Form = Form {
    complaint: |text| match text.split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => None,
        _ => Some(format!("`{text}` is no model; write `provider/model`, such as openai/gpt-4.1-mini")),
    },
    pattern: Some("^[^/]+/.+$"),
};

static MODEL: Shape = Shape {
    name: "a model",
    one_of: &[],
    fields: &[&[
        required("provider", Kind::Name, "A provider of assay.toml, or one known by name."),
        required("model", Kind::Name, "The provider's name for the model."),
        optional("temperature", Kind::Number(Range::closed(0.0, 2.0)), "Randomness."),
        optional("top_p", Kind::Number(Range { open: (true, false), ..UNIT }), "Nucleus mass."),
        optional("max_tokens", Kind::Integer(1, u32::MAX as i64), "The longest answer, in tokens."),
        optional("seed", Kind::Integer(i64::MIN, i64::MAX), "Asks for repeatable sampling."),
        optional(
            "stop",
            Kind::Either(&[Kind::Text, Kind::ListOf(&Kind::Text)]),
            "Texts that end the answer.",
        ),
        optional("frequency_penalty", Kind::Number(Range::closed(-2.0, 2.0)), "Against repeated words."),
        optional("presence_penalty", Kind::Number(Range::closed(-2.0, 2.0)), "Against repeated topics."),
        optional("file", Kind::Name, "For the provider `recorded`: the JSON lines of recorded answers."),
    ]],
};

static CASE_FILE: Shape = Shape {
    name: "a file of cases",
    one_of: &[],
    fields: &[&[
        required(
            "file",
            Kind::Name,
            "A .jsonl, .csv, .json or .yaml file, or a pattern such as `cases/*.jsonl`.",
        ),
        optional("id", Kind::Name, "The field that names a case. Default: a hash of its content."),
        optional(
            "cluster",
            Kind::Name,
            "The field shared by cases of one source: the statistics count sources.",
        ),
        optional("tags", Kind::ListOf(&Kind::Name), "The fields that slices are cut by."),
    ]],
};

static CASE: Shape = Shape {
    name: "a case",
    one_of: &[],
    fields: &[&[
        required("vars", Kind::MapOf(&Kind::Anything), "The case's variables."),
        optional("id", Kind::Name, "The case's name. Default: a hash of its content."),
        optional("cluster", Kind::Name, "The source it shares with other cases."),
        optional("tags", Kind::MapOf(&Kind::Text), "What slices are cut by: tag and value."),
    ]],
};

const JUDGE: &str = "the scorer `judge` is not in this version; score with the others until it is";

/// Every scorer by its type, without `not-`.
pub(super) static SCORERS: &[(&str, Kind)] = &[
    ("equals", Kind::Map(&EQUALS)),
    ("contains", Kind::Map(&ONE_TEXT)),
    ("icontains", Kind::Map(&ONE_TEXT)),
    ("contains-any", Kind::Map(&SOME_TEXTS)),
    ("icontains-any", Kind::Map(&SOME_TEXTS)),
    ("contains-all", Kind::Map(&SOME_TEXTS)),
    ("icontains-all", Kind::Map(&SOME_TEXTS)),
    ("regex", Kind::Map(&REGEX)),
    ("starts-with", Kind::Map(&ONE_TEXT)),
    ("number", Kind::Map(&NUMBER)),
    ("is-json", Kind::Map(&IS_JSON)),
    ("judge", Kind::Later(JUDGE)),
];

static SCORER: &[Field] = &[
    required("type", Kind::Text, "What is asked of the output; `not-` in front inverts the grade."),
    optional(
        "weight",
        Kind::Number(Range::closed(0.0, 1e6)),
        "Its share of the weighted score. Default: 1; at 0 it decides nothing.",
    ),
    optional("metric", Kind::Name, "Scores of one metric are aggregated under its name."),
    optional(
        "extract",
        Kind::Either(&[Kind::Form(EXTRACT), Kind::Map(&EXTRACT_JSON)]),
        "The part of the output to look at: a regular expression (its group 1), `last-number`, `last-line` or {json: $.path}.",
    ),
];

const EXTRACT: Form = Form {
    complaint: |text| match text {
        "last-number" | "last-line" => None,
        _ => Pattern::compile(text).err().map(|error| error.to_string()),
    },
    pattern: None,
};

static EXTRACT_JSON: Shape = Shape {
    name: "`extract`",
    one_of: &[],
    fields: &[&[required(
        "json",
        Kind::Form(Form {
            complaint: |text| match JsonPath::compile(text) {
                Ok(_) => None,
                // The parser's own words are several lines of its grammar.
                Err(JsonPathError::Invalid(_)) => Some(format!("`{text}` is no JSONPath, such as $.answer")),
                Err(error) => Some(error.to_string()),
            },
            pattern: Some("^\\$"),
        }),
        "A JSONPath (RFC 9535) into the output parsed as JSON.",
    )]],
};

static EQUALS: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[
        SCORER,
        &[required(
            "value",
            Kind::Anything,
            "What the output must equal, as it stands; an object or a list: as JSON.",
        )],
    ],
};

static ONE_TEXT: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[SCORER, &[required("value", Kind::Text, "The text to look for.")]],
};

static SOME_TEXTS: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[
        SCORER,
        &[required(
            "value",
            Kind::Either(&[Kind::Text, Kind::ListOf(&Kind::Text)]),
            "A list of texts, or one text split on commas outside double quotes.",
        )],
    ],
};

static REGEX: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[SCORER, &[required("value", Kind::Text, "A regular expression that must match somewhere.")]],
};

static NUMBER: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[
        SCORER,
        &[
            required("value", Kind::Text, "The number wanted."),
            optional(
                "tolerance",
                Kind::Number(NOT_NEGATIVE),
                "The largest difference that passes. Default: 0.",
            ),
        ],
    ],
};

static IS_JSON: Shape = Shape {
    name: "this scorer",
    one_of: &[],
    fields: &[
        SCORER,
        &[optional(
            "value",
            Kind::Either(&[Kind::MapOf(&Kind::Anything), Kind::Flag, Kind::Text]),
            "A JSON Schema (draft-07 unless it names another) the output must satisfy.",
        )],
    ],
};

const REDUCER: Kind = Kind::Form(Form {
    complaint: |text| match Reducer::parse(text) {
        Some(_) => None,
        None => Some(format!(
            "`{text}` is no way to reduce trials; there is {}",
            quoted_list(&Reducer::FORMS, "and")
        )),
    },
    pattern: Some("^(mean|median|mode|majority|all|any|at-least\\([0-9]+\\)|pass[@^][0-9]+)$"),
});

const TOP_UP: &str = "topping up is not in this version: a gate decides on the run's own cases and trials";

static GATE: Shape = Shape {
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
        optional("max_cases", Kind::Later(TOP_UP), "Further cases of the dataset while inconclusive."),
        optional("max_repeats", Kind::Later(TOP_UP), "Further trials while inconclusive."),
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
