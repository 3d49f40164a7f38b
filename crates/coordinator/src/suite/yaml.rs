//! YAML as a tree that knows where each key and each value stands. The only room that knows the YAML library.
//!
//! Every problem of the text itself is found here: syntax, keys given twice, numbers that do not fit, and whatever
//! is out of all proportion (nesting, aliases that multiply).

mod fault;
mod raw;

use std::collections::HashMap;

use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::diagnostic::Mark;
use super::exact::{Inexact, inexact};
pub(super) use fault::Fault;
use raw::Raw;

/// The most values in one document.
const MAX_NODES: usize = 250_000;
/// The most values that aliases may repeat.
const MAX_REPEATED: usize = 50_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
    /// The bytes of the source it was written as; empty where the library does not say.
    pub(super) bytes: std::ops::Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number and how it was written.
    Number(Number, String),
    /// A number that cannot be held, as it was written. A fault has said so: nothing more is told of it.
    Unfit(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Mark,
    pub(super) value: Node,
}

/// Reads one document. Faults that leave the tree readable come with it.
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Fault>), Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        // Keys given twice are found below, all of them at once.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // A tag says what a value is to be made into: nothing here does that.
        reject_unsupported_tags: true,
        // They are refused below, in our words and with their place.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let read: Result<Spanned<Raw>, _> = serde_saphyr::from_str_with_options(text, options);
    let raw = read.map_err(|error| Fault::of(&error).at_tab(text))?;
    let mut faults = Vec::new();
    let node = Node::of(raw, text, &mut faults);
    Ok((node, faults))
}

impl Node {
    fn of(raw: Spanned<Raw>, text: &str, faults: &mut Vec<Fault>) -> Self {
        let at = mark(raw.defined);
        let bytes = bytes(raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Integer(number) => {
                let written = as_written(text, &bytes).unwrap_or_else(|| number.to_string());
                Value::Number(number, written)
            }
            Raw::Float(number) => {
                let written = as_written(text, &bytes).unwrap_or_else(|| format!("{number:?}"));
                let is_integer = written.bytes().all(|byte| byte.is_ascii_digit() || b"-+".contains(&byte));
                match (Number::from_f64(number), inexact(&written).filter(|_| is_integer)) {
                    (Some(number), None) => Value::Number(number, written),
                    (_, unfit) => {
                        let Inexact { message, hint } = unfit.unwrap_or_else(|| Inexact {
                            message: format!("{written} is no finite number"),
                            hint: format!("quote it if it is a text: \"{written}\""),
                        });
                        faults.push(Fault { at, message, hint });
                        Value::Unfit(written)
                    }
                }
            }
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| Self::of(item, text, faults)).collect())
            }
            Raw::Map(entries) => {
                let mut first_at = HashMap::new();
                let mut kept = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let at = mark(key.defined);
                    let value = Self::of(value, text, faults);
                    if let Some(first) = first_at.insert(key.value.0.clone(), at.line) {
                        faults.push(Fault {
                            at,
                            message: format!("the key `{}` is given twice", key.value.0),
                            hint: format!("the first one is on line {first}"),
                        });
                        continue;
                    }
                    kept.push(Entry { key: key.value.0, at, value });
                }
                Value::Map(kept)
            }
        };
        Self { at, value, bytes }
    }

    /// The entry of `key`, where this is a map that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value of `key`, where this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A text, or a number as it was written.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) | Value::Unfit(text) => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number, _) => number.as_f64(),
            _ => None,
        }
    }

    /// A number, or a percentage written as text.
    pub(super) fn share(&self) -> Option<f64> {
        match &self.value {
            Value::Text(text) => {
                let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
                percent.is_finite().then_some(percent / 100.0)
            }
            _ => self.number(),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Number(number, _) => number.as_i64(),
            _ => None,
        }
    }

    /// A truth value.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Every text inside, itself included.
    pub(super) fn texts(&self) -> Vec<&Node> {
        match &self.value {
            Value::Text(_) => vec![self],
            Value::List(items) => items.iter().flat_map(Self::texts).collect(),
            Value::Map(entries) => entries.iter().flat_map(|entry| entry.value.texts()).collect(),
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Unfit(_) => Vec::new(),
        }
    }

    /// What is wrong with the first number inside that would not be read as it is written.
    pub(super) fn rounded(&self) -> Option<Fault> {
        match &self.value {
            Value::Number(number, written) if number.is_f64() => {
                inexact(written).map(|Inexact { message, hint }| Fault { at: self.at, message, hint })
            }
            Value::List(items) => items.iter().find_map(Self::rounded),
            Value::Map(entries) => entries.iter().find_map(|entry| entry.value.rounded()),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(..) | Value::Unfit(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The same value as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number, _) => serde_json::Value::Number(number.clone()),
            Value::Text(text) | Value::Unfit(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.json())).collect())
            }
        }
    }
}

/// The source of a scalar, where the library says which it is: not behind aliases.
fn as_written(text: &str, bytes: &std::ops::Range<usize>) -> Option<String> {
    text.get(bytes.clone()).filter(|written| !written.is_empty()).map(str::to_owned)
}

fn bytes(location: Location) -> std::ops::Range<usize> {
    let span = location.span();
    let size = |number: Option<u64>| usize::try_from(number.unwrap_or(0)).unwrap_or(0);
    let start = size(span.byte_offset());
    start..start.saturating_add(size(span.byte_len()))
}

fn mark(location: Location) -> Mark {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    Mark { line: size(location.line()), column: size(location.column()), width: size(location.span().len()) }
}
