//! The shape of the suite file: every key, what it may be and what it means.

mod gate;
mod scorers;

use assay_common::config::Span;
use assay_common::reduce::Reducer;

use super::hint::quoted_list;
use super::shape::{Form, Kind, Range, Shape, optional, required};
use gate::GATE;
use scorers::SCORERS;

/// The most trials of a case.
pub(super) const MAX_REPEATS: u32 = 1_000;
/// The longest a run may take: ten years.
pub(super) const MAX_DEADLINE_SECONDS: u64 = 10 * 366 * 86_400;
/// The largest weight of a scorer.
pub(super) const MAX_WEIGHT: f64 = 1e6;

/// From 0 to 1.
const UNIT: Range = Range::closed(0.0, 1.0);
const NOT_NEGATIVE: Range = Range::closed(0.0, f64::INFINITY);
const POSITIVE: Range = Range { open: (true, false), ..NOT_NEGATIVE };

const DURATION: Kind = Kind::Form(Form {
    complaint: |text| match text.parse::<Span>() {
        Ok(span) if span.0.as_millis() == 0 => Some("a length of time above zero is wanted".into()),
        Ok(span) if span.0.as_secs() > MAX_DEADLINE_SECONDS => Some("at most ten years".into()),
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
        optional("repeats", Kind::Integer(1, MAX_REPEATS as i64), "Trials of each case. Default: 1."),
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
            Kind::Name,
            "The version that is live on this channel, instead of `file`; the baseline unless another entry is.",
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

const REDUCER: Kind = Kind::Form(Form {
    complaint: |text| match Reducer::parse(text) {
        Some(_) => None,
        None => Some(format!(
            "`{text}` is no way to reduce trials, where k stands for a number, such as `pass^3`; there is {}",
            quoted_list(&Reducer::FORMS, "and")
        )),
    },
    pattern: Some("^(mean|median|mode|majority|all|any|at-least\\([0-9]+\\)|pass[@^][0-9]+)$"),
});
