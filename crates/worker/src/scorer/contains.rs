//! `contains`, `contains-any`, `contains-all` and their `i` forms: texts that occur in the output.

use serde_json::Value;

use super::value::{describe, read_text};
use super::{Grade, quoted};

/// How many of the texts must occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// The one there is.
    One,
    /// At least one.
    Any,
    /// Every one.
    All,
}

/// Whether the case of letters matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// It does.
    Same,
    /// It does not.
    Either,
}

/// The texts looked for; at least one.
#[derive(Debug)]
pub(super) struct Texts(Vec<Text>);

#[derive(Debug)]
struct Text {
    written: String,
    lower: String,
}

impl Texts {
    /// A single text.
    pub(super) fn read_one(value: Value) -> Result<Self, String> {
        read_text(value).map(|text| Self::of(vec![text]))
    }

    /// A list, one string with commas between the texts, or one number.
    pub(super) fn read_list(value: Value) -> Result<Self, String> {
        let texts = match value {
            Value::Array(items) => items.into_iter().map(read_text).collect::<Result<_, _>>()?,
            Value::String(text) => split_on_commas(&text),
            Value::Number(number) => vec![number.to_string()],
            other => {
                return Err(format!(
                    "the value is a list or a string with commas between its texts, not {}",
                    describe(&other)
                ));
            }
        };
        // "All of nothing" would pass whatever the output says.
        if texts.is_empty() { Err("the value names no text to look for".into()) } else { Ok(Self::of(texts)) }
    }

    fn of(texts: Vec<String>) -> Self {
        let with_lower = |written: String| Text { lower: written.to_lowercase(), written };
        Self(texts.into_iter().map(with_lower).collect())
    }
}

pub(super) fn grade(texts: &Texts, quantity: Quantity, case: Case, output: &str) -> Grade {
    let lower = if case == Case::Either { output.to_lowercase() } else { String::new() };
    let occurs = |text: &&Text| match case {
        Case::Same => output.contains(&text.written),
        Case::Either => lower.contains(&text.lower),
    };
    let decides = match quantity {
        Quantity::Any => texts.0.iter().find(occurs).map(|found| (true, found)),
        Quantity::One | Quantity::All => {
            texts.0.iter().find(|text| !occurs(text)).map(|lacks| (false, lacks))
        }
    };
    match decides {
        Some((true, found)) => Grade { pass: true, reason: format!("contains {}", quoted(&found.written)) },
        Some((false, lacks)) => Grade {
            pass: false,
            reason: format!("{} does not contain {}", quoted(output), quoted(&lacks.written)),
        },
        None if quantity == Quantity::Any => {
            Grade { pass: false, reason: format!("{} contains none of {}", quoted(output), list(texts)) }
        }
        None if quantity == Quantity::All => {
            Grade { pass: true, reason: format!("contains all of {}", list(texts)) }
        }
        None => Grade { pass: true, reason: format!("contains {}", list(texts)) },
    }
}

fn list(texts: &Texts) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<_> = texts.0.iter().take(SHOWN).map(|text| quoted(&text.written)).collect();
    if texts.0.len() > SHOWN {
        shown.push(format!("{} more", texts.0.len() - SHOWN));
    }
    shown.join(", ")
}

/// The texts between commas, trimmed; blank ones are left out. Inside double quotes a comma is text, `\"` is a
/// quote, and an empty text counts.
fn split_on_commas(list: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = list.trim_start();
    while !rest.is_empty() {
        let (text, after) = match take_quoted(rest) {
            Some((text, after)) => (Some(text), after),
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let text = rest[..end].trim();
                ((!text.is_empty()).then(|| text.to_owned()), &rest[end..])
            }
        };
        texts.extend(text);
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    texts
}

/// A quoted text at the start of `list` and what follows it: a comma or nothing. A quote that is not closed, or
/// goes on after it is, is text like any other.
fn take_quoted(list: &str) -> Option<(String, &str)> {
    let inside = list.strip_prefix('"')?;
    let mut text = String::new();
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' | '\\' if escaped => text.push(c),
            c if escaped => text.extend(['\\', c]),
            '\\' => {}
            '"' => {
                let after = inside[at + 1..].trim_start();
                return (after.is_empty() || after.starts_with(',')).then_some((text, after));
            }
            c => text.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_split_outside_quotes() {
        let check = |list: &str, expected: &[&str]| assert_eq!(split_on_commas(list), expected, "{list}");
        check("a,b", &["a", "b"]);
        check("  a , ,  b c ", &["a", "b c"]);
        check(r#""a, b", c"#, &["a, b", "c"]);
        check(r#""say \"hi\", Ann","x\\""#, &[r#"say "hi", Ann"#, r"x\"]);
        check(r#""",a"#, &["", "a"]);
        check(r#""5" wide, 6" wide"#, &[r#""5" wide"#, r#"6" wide"#]);
        check(r#""open, b"#, &[r#""open"#, "b"]);
        check(r#""tab\t""#, &[r"tab\t"]);
        check("", &[]);
        check(" , ", &[]);
        check("é,ü", &["é", "ü"]);
    }
}
