//! The words in which the shape of a file is declared, once: [`check`](super::check) holds a file against it,
//! [`schema`](super::schema) tells it to editors.

/// A map with known keys.
#[derive(Debug)]
pub(super) struct Shape {
    /// What it is, as in "unknown key of …".
    pub(super) name: &'static str,
    /// Its keys, in groups so that shapes can share some.
    pub(super) fields: &'static [&'static [Field]],
    /// Exactly one of these keys is present, unless there are none.
    pub(super) one_of: &'static [&'static str],
}

/// One key of a map.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
    /// What it means, for editors.
    pub(super) doc: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A name in one line: not empty, at most [`MAX_NAME_CHARS`], no control characters.
    Name,
    /// Any text; a number stands for its own text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A number in a range.
    Number(Range),
    /// A number in a range, or a percentage such as `10%`.
    Share(Range),
    /// One of some words.
    Word(&'static [&'static str]),
    /// A text with a form of its own.
    Form(Form),
    /// Whatever YAML can say.
    Anything,
    /// A map from names to values of one kind.
    MapOf(&'static Kind),
    /// A list of at least one value of one kind.
    ListOf(&'static Kind),
    /// A map with known keys.
    Map(&'static Shape),
    /// Alternatives told apart by the kind of value that is written: scalar, list or map.
    Either(&'static [Kind]),
    /// Maps told apart by their `type`, which `not-` may precede.
    Typed(&'static [(&'static str, Kind)]),
    /// Maps told apart by which of these keys they have.
    Keyed(&'static [(&'static str, &'static Shape)]),
    /// Part of the plan, not of this version: refused with this sentence.
    Later(&'static str),
}

/// The longest name.
pub(super) const MAX_NAME_CHARS: usize = 200;

/// A range of numbers; the ends belong to it unless they are open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: f64,
    pub(super) max: f64,
    /// Whether the ends themselves are left out.
    pub(super) open: (bool, bool),
}

impl Range {
    /// From `min` to `max`, both included.
    pub(super) const fn closed(min: f64, max: f64) -> Self {
        Self { min, max, open: (false, false) }
    }

    /// Whether `value` lies in it.
    pub(super) fn contains(&self, value: f64) -> bool {
        let above = if self.open.0 { value > self.min } else { value >= self.min };
        let below = if self.open.1 { value < self.max } else { value <= self.max };
        above && below
    }

    /// Such as "from 0 to 2", "above 0".
    pub(super) fn words(&self) -> String {
        let Self { min, max, open } = self;
        match (open, max.is_finite()) {
            ((false, _), false) => format!("{min} or more"),
            ((true, _), false) => format!("above {min}"),
            ((false, false), true) => format!("from {min} to {max}"),
            ((true, true), true) => format!("above {min} and below {max}"),
            ((true, false), true) => format!("above {min} and at most {max}"),
            ((false, true), true) => format!("{min} or more and below {max}"),
        }
    }
}

/// A text that is read into something.
#[derive(Debug)]
pub(super) struct Form {
    /// The reader's complaint, if it has one.
    pub(super) complaint: fn(&str) -> Option<String>,
    /// What editors may check, as a regular expression.
    pub(super) pattern: Option<&'static str>,
}

impl Shape {
    /// Every key.
    pub(super) fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        let groups: &'static [&'static [Field]] = self.fields;
        groups.iter().copied().flatten()
    }
}

/// A key that must be there.
pub(super) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, required: true, kind, doc }
}

/// A key that may be there.
pub(super) const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, required: false, kind, doc }
}
