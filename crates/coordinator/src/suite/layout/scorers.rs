//! The shape of `score:`: every scorer with the keys it has.

use assay_common::jsonpath::{JsonPath, JsonPathError};
use assay_common::pattern::Pattern;

use super::super::shape::{Field, Form, Kind, Range, Shape, optional, required};
use super::{MAX_WEIGHT, NOT_NEGATIVE};

const JUDGE: &str = "the scorer `judge` is not in this version; score with the others until it is";

/// Every scorer by its type, without `not-`.
pub(in super::super) static SCORERS: &[(&str, Kind)] = &[
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
        Kind::Number(Range::closed(0.0, MAX_WEIGHT)),
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

/// A scorer with keys of its own beside those of every scorer.
const fn scorer(fields: &'static [&'static [Field]]) -> Shape {
    Shape { name: "this scorer", one_of: &[], fields }
}

static EQUALS: Shape = scorer(&[
    SCORER,
    &[required(
        "value",
        Kind::Anything,
        "What the output must equal, as it stands; an object or a list: as JSON.",
    )],
]);

static ONE_TEXT: Shape = scorer(&[SCORER, &[required("value", Kind::Text, "The text to look for.")]]);

static SOME_TEXTS: Shape = scorer(&[
    SCORER,
    &[required(
        "value",
        Kind::Either(&[Kind::Text, Kind::ListOf(&Kind::Text)]),
        "A list of texts, or one text split on commas outside double quotes.",
    )],
]);

static REGEX: Shape =
    scorer(&[SCORER, &[required("value", Kind::Text, "A regular expression that must match somewhere.")]]);

static NUMBER: Shape = scorer(&[
    SCORER,
    &[
        required("value", Kind::Text, "The number wanted."),
        optional("tolerance", Kind::Number(NOT_NEGATIVE), "The largest difference that passes. Default: 0."),
    ],
]);

static IS_JSON: Shape = scorer(&[
    SCORER,
    &[optional(
        "value",
        Kind::Either(&[Kind::MapOf(&Kind::Anything), Kind::Flag, Kind::Text]),
        "A JSON Schema (draft-07 unless it names another) the output must satisfy.",
    )],
]);
