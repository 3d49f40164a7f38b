//! Holds a tree against its declared shape. Every key and value that does not fit is reported at its own place,
//! against the one alternative that was meant.

use assay_common::visible::is_one_line;

use super::diagnostic::{Findings, Mark};
use super::hint::{did_you_mean, quoted_list};
use super::shape::{Field, Kind, MAX_NAME_CHARS, Range, Shape};
use super::source::Source;
use super::yaml::{Node, Value};

/// Reports everything in `node`, a document of `source`, that is not `kind`. `what` names it in messages, `doc` says
/// what it is.
pub(super) fn check(
    source: &Source,
    node: &Node,
    kind: &'static Kind,
    (what, doc): (&str, &'static str),
    findings: &mut Findings,
) {
    Check { source, findings, doc }.value(node, kind, what);
}

/// The same for a document that is one map.
pub(super) fn check_map(source: &Source, node: &Node, shape: &'static Shape, findings: &mut Findings) {
    let doc = "write `key: value` pairs, such as `suite: triage`";
    Check { source, findings, doc }.map(node, shape, shape.name);
}

struct Check<'a> {
    source: &'a Source,
    findings: &'a mut Findings,
    /// What the field that is looked at means: the hint where there is no better one.
    doc: &'static str,
}

impl Check<'_> {
    fn error(&mut self, at: Mark, message: String, hint: Option<String>) {
        let hint = hint.unwrap_or_else(|| self.doc.to_owned());
        self.findings.push(self.source.error(at, message).hint(hint));
    }

    /// Looks at the value of a field, with what the field means at hand.
    fn field(&mut self, node: &Node, field: &'static Field, what: &str) {
        let outer = std::mem::replace(&mut self.doc, field.doc);
        self.value(node, &field.kind, what);
        self.doc = outer;
    }

    /// A value of the wrong kind; a missing one is told by its own sentence.
    fn mismatch(&mut self, node: &Node, wanted: &str, what: &str) {
        let hint = match node.value {
            Value::Null => Some("give it a value or delete the key".to_owned()),
            Value::Bool(_) => Some("quote it if it is a text".to_owned()),
            _ => None,
        };
        let message = match node.value {
            Value::Null => format!("{what} has no value: {wanted} is wanted"),
            _ => format!("{what} is {}, but {wanted} is wanted", node.kind()),
        };
        self.error(node.at, message, hint);
    }

    fn value(&mut self, node: &Node, kind: &'static Kind, what: &str) {
        if matches!(node.value, Value::Unfit(_)) {
            return;
        }
        match kind {
            Kind::Anything => {}
            Kind::Later(sentence) => self.error(node.at, (*sentence).to_owned(), None),
            Kind::Flag => {
                if node.flag().is_none() {
                    self.mismatch(node, "true or false", what);
                }
            }
            Kind::Integer(min, max) => self.integer(node, (*min, *max), what),
            Kind::Number(range) => self.number(node, node.number(), *range, "a number", what),
            Kind::Share(range) => {
                self.number(node, node.share(), *range, "a number or a percentage such as 10%", what);
            }
            Kind::Text | Kind::Name | Kind::Word(_) | Kind::Form(_) => match node.text() {
                Some(text) => self.text(node.at, text, kind, what),
                None => self.mismatch(node, "a text", what),
            },
            Kind::MapOf(inner) => {
                if !matches!(node.value, Value::Map(_)) {
                    self.mismatch(node, "a map", what);
                }
                for entry in node.entries() {
                    self.value(&entry.value, inner, &format!("`{}`", entry.key));
                }
            }
            Kind::ListOf(inner) => self.list(node, inner, what),
            Kind::Map(shape) => self.map(node, shape, what),
            Kind::Either(kinds) => match kinds.iter().find(|kind| fits(node, kind)) {
                Some(kind) => self.value(node, kind, what),
                None => {
                    let wanted: Vec<_> = kinds.iter().map(|kind| name_of(kind)).collect();
                    self.mismatch(node, &wanted.join(" or "), what);
                }
            },
            Kind::Typed(kinds) => self.typed(node, kinds, what),
            Kind::Keyed(shapes) => self.keyed(node, shapes, what),
        }
    }

    fn text(&mut self, at: Mark, text: &str, kind: &Kind, what: &str) {
        match kind {
            Kind::Word(words) if !words.contains(&text) => {
                let hint = did_you_mean(text, words.iter().copied());
                self.error(at, format!("{what} cannot be `{text}`"), hint);
            }
            Kind::Form(form) => {
                if let Some(complaint) = (form.complaint)(text) {
                    self.error(at, format!("{what}: {complaint}"), None);
                }
            }
            Kind::Name if text.trim().is_empty() => self.error(at, format!("{what} is empty"), None),
            Kind::Name if text.chars().count() > MAX_NAME_CHARS => {
                self.error(at, format!("{what} has more than {MAX_NAME_CHARS} characters"), None);
            }
            Kind::Name if !is_one_line(text) => {
                self.error(at, format!("{what} holds a line break or another control character"), None);
            }
            _ if text.contains('\0') => self.error(at, format!("{what} holds the character NUL"), None),
            _ => {}
        }
    }

    fn integer(&mut self, node: &Node, (min, max): (i64, i64), what: &str) {
        match node.integer() {
            None => self.mismatch(node, "a whole number", what),
            Some(value) if (min..=max).contains(&value) => {}
            Some(value) => {
                let range =
                    if max == i64::MAX { format!("{min} or more") } else { format!("from {min} to {max}") };
                self.error(node.at, format!("{what} is {value}, but must be {range}"), None);
            }
        }
    }

    fn number(&mut self, node: &Node, value: Option<f64>, range: Range, wanted: &str, what: &str) {
        match value {
            None => self.mismatch(node, wanted, what),
            Some(value) if range.contains(value) => {}
            Some(_) => {
                let written = node.text().unwrap_or_default();
                self.error(node.at, format!("{what} is {written}, but must be {}", range.words()), None);
            }
        }
    }

    fn list(&mut self, node: &Node, inner: &'static Kind, what: &str) {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.error(node.at, format!("{what} is an empty list"), None);
            }
            Value::List(items) => {
                let entry = format!("an entry of {what}");
                items.iter().for_each(|item| self.value(item, inner, &entry));
            }
            _ => self.mismatch(node, "a list", what),
        }
    }

    fn map(&mut self, node: &Node, shape: &'static Shape, what: &str) {
        if !matches!(node.value, Value::Map(_)) {
            return self.mismatch(node, "a map", what);
        }
        for entry in node.entries() {
            match shape.all_fields().find(|field| field.name == entry.key) {
                Some(field) if matches!(field.kind, Kind::Later(_)) => {
                    // The key is at fault, whatever its value.
                    self.field(&Node { at: entry.at, ..entry.value.clone() }, field, &entry.key);
                }
                Some(field) => self.field(&entry.value, field, &format!("`{}`", entry.key)),
                None => {
                    let keys = shape.all_fields().map(|field| field.name);
                    let hint = did_you_mean(&entry.key, keys);
                    self.error(entry.at, format!("unknown key `{}` in {}", entry.key, shape.name), hint);
                }
            }
        }
        let misspelt = misspelt(node, shape);
        let lacks = |field: &&Field| {
            field.required && node.entry(field.name).is_none() && !misspelt.contains(&field.name)
        };
        for field in shape.all_fields().filter(lacks) {
            let hint = Some(format!("add `{}`. {}", field.name, field.doc));
            self.error(node.at, format!("{} lacks the key `{}`", shape.name, field.name), hint);
        }
        if !shape.one_of.is_empty() {
            self.one_of(node, shape);
        }
    }

    fn one_of(&mut self, node: &Node, shape: &'static Shape) {
        let mut present = node.entries().iter().filter(|entry| shape.one_of.contains(&entry.key.as_str()));
        let choices = || {
            let named = |field: &&Field| shape.one_of.contains(&field.name);
            shape.all_fields().filter(named).filter(|field| !matches!(field.kind, Kind::Later(_)))
        };
        let keys = quoted_list(&choices().map(|field| field.name).collect::<Vec<_>>(), "or");
        match (present.next(), present.next()) {
            (None, _) if misspelt(node, shape).iter().any(|name| shape.one_of.contains(name)) => {}
            (None, _) => {
                let hint = choices().next().map(|field| format!("add `{}`. {}", field.name, field.doc));
                self.error(node.at, format!("{} lacks one of the keys {keys}", shape.name), hint);
            }
            (Some(first), Some(second)) => {
                let message = format!("{} has both `{}` and `{}`", shape.name, first.key, second.key);
                self.error(second.at, message, Some(format!("keep one of {keys}")));
            }
            _ => {}
        }
    }

    fn typed(&mut self, node: &Node, kinds: &'static [(&'static str, Kind)], what: &str) {
        let known = || {
            let known = kinds.iter().filter(|(_, kind)| !matches!(kind, Kind::Later(_)));
            known.map(|(name, _)| *name)
        };
        let Some(type_node) = node.get("type") else {
            if matches!(node.value, Value::Map(_)) {
                let hint = Some(format!("there is {}", quoted_list(&known().collect::<Vec<_>>(), "and")));
                self.error(node.at, format!("{what} lacks the key `type`"), hint);
            } else {
                self.mismatch(node, "a map", what);
            }
            return;
        };
        let Some(written) = type_node.text() else { return self.mismatch(type_node, "a text", "`type`") };
        let (not, name) = written.strip_prefix("not-").map_or(("", written), |name| ("not-", name));
        match kinds.iter().find(|(known, _)| *known == name) {
            Some((_, kind @ Kind::Later(_))) => self.value(type_node, kind, what),
            Some((_, kind)) => self.value(node, kind, what),
            None => {
                let hint = did_you_mean(name, known());
                let hint = hint.map(|hint| hint.replace("mean `", &format!("mean `{not}")));
                self.error(type_node.at, format!("unknown scorer `{written}`"), hint);
            }
        }
    }

    fn keyed(&mut self, node: &Node, shapes: &'static [(&'static str, &'static Shape)], what: &str) {
        if !matches!(node.value, Value::Map(_)) {
            return self.mismatch(node, "a map", what);
        }
        let keys: Vec<_> = shapes.iter().map(|(key, _)| *key).collect();
        let mut meant = shapes.iter().filter_map(|(key, shape)| Some((node.entry(key)?, *shape)));
        match (meant.next(), meant.next()) {
            (Some((_, shape)), None) => self.map(node, shape, what),
            (Some((first, _)), Some((second, _))) => {
                let message = format!("{what} has both `{}` and `{}`", first.key, second.key);
                self.error(second.at, message, Some(format!("keep one of {}", quoted_list(&keys, "or"))));
            }
            (None, _) => {
                let slip = node.entries().iter().find_map(|entry| {
                    let near = assay_common::nearest::nearest(&entry.key, keys.iter().copied())?;
                    Some((entry, near))
                });
                match slip {
                    Some((entry, near)) => {
                        let message = format!("unknown key `{}` in {what}", entry.key);
                        self.error(entry.at, message, Some(format!("did you mean `{near}`?")));
                    }
                    None => {
                        let message = format!("{what} lacks one of the keys {}", quoted_list(&keys, "or"));
                        let first = shapes.iter().flat_map(|(_, shape)| shape.all_fields()).next();
                        let hint = first.map(|field| format!("add `{}`. {}", field.name, field.doc));
                        self.error(node.at, message, hint);
                    }
                }
            }
        }
    }
}

/// Keys that an unknown key of `node` was probably meant to be: they have been told, and are not missing besides.
fn misspelt(node: &Node, shape: &'static Shape) -> Vec<&'static str> {
    let names = || shape.all_fields().map(|field| field.name);
    let unknown = node.entries().iter().filter(|entry| names().all(|name| name != entry.key));
    unknown.filter_map(|entry| assay_common::nearest::nearest(&entry.key, names())).collect()
}

/// Whether this alternative is meant: the kind of value decides, not whether it is right.
fn fits(node: &Node, kind: &Kind) -> bool {
    match (&node.value, kind) {
        (_, Kind::Anything) => true,
        (Value::List(_), kind) => matches!(kind, Kind::ListOf(_)),
        (Value::Map(_), kind) => matches!(kind, Kind::Map(_) | Kind::MapOf(_)),
        (Value::Bool(_), kind) => matches!(kind, Kind::Flag),
        (Value::Text(_) | Value::Number(..) | Value::Unfit(_), kind) => {
            matches!(kind, Kind::Text | Kind::Name | Kind::Form(_))
        }
        (Value::Null, _) => false,
    }
}

fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::ListOf(_) => "a list",
        Kind::Map(_) | Kind::MapOf(_) => "a map",
        Kind::Flag => "true or false",
        _ => "a text",
    }
}
