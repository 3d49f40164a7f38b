//! One vector: what goes in, what is expected, and what was found wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;

use assay_coordinator::verdict::stats::Interval;
use serde_json::Value;

pub(crate) struct Vector {
    pub(crate) kind: String,
    id: String,
    input: Value,
    expect: Value,
    /// Relative to max(1, |expected|).
    tolerance: f64,
    /// The keys of `expect` that were looked at.
    looked_at: RefCell<BTreeSet<String>>,
    wrong: RefCell<Vec<String>>,
}

impl Vector {
    pub(crate) fn read(line: &str) -> Self {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap().to_owned();
        Self {
            kind: text("kind"),
            id: text("id"),
            input: vector["input"].clone(),
            expect: vector["expect"].clone(),
            tolerance: vector["tol"].as_f64().unwrap(),
            looked_at: RefCell::default(),
            wrong: RefCell::default(),
        }
    }

    /// What was found wrong, and every expected value that nothing looked at.
    pub(crate) fn complaints(self) -> Vec<String> {
        let known = self.wrong.borrow().is_empty();
        let keys = self.expect.as_object().unwrap().keys();
        let (looked_at, mut wrong) = (self.looked_at.into_inner(), self.wrong.into_inner());
        let missed = keys.filter(|key| known && !looked_at.contains(*key));
        wrong.extend(missed.map(|key| format!("{}: nothing looks at `{key}`", self.id)));
        wrong
    }

    pub(crate) fn wrong(&self, what: impl std::fmt::Display) {
        self.wrong.borrow_mut().push(format!("{}: {what}", self.id));
    }

    /// An input of any shape.
    pub(crate) fn input(&self, key: &str) -> &Value {
        &self.input[key]
    }

    pub(crate) fn float(&self, key: &str) -> f64 {
        self.input[key].as_f64().unwrap_or_else(|| panic!("{}: no number `{key}`", self.id))
    }

    pub(crate) fn float_or(&self, key: &str, default: f64) -> f64 {
        self.input[key].as_f64().unwrap_or(default)
    }

    pub(crate) fn whole(&self, key: &str) -> u64 {
        let number = &self.input[key];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, which may be written as 5.0"
        )]
        let rounded = || number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64);
        number.as_u64().or_else(rounded).unwrap_or_else(|| panic!("{}: no whole number `{key}`", self.id))
    }

    /// How many bets the grid has.
    pub(crate) fn bets(&self) -> u32 {
        u32::try_from(self.input["J"].as_u64().unwrap_or(20)).unwrap()
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.input[key].as_str().unwrap_or_else(|| panic!("{}: no text `{key}`", self.id))
    }

    pub(crate) fn floats(&self, key: &str) -> Vec<f64> {
        list(&self.input[key])
    }

    /// Differences or values, as [`units`] reads them.
    pub(crate) fn units(&self, key: &str) -> Vec<Option<f64>> {
        units(&self.input[key])
    }

    /// The same where none is missing.
    pub(crate) fn known_units(&self, key: &str) -> Vec<f64> {
        self.units(key).into_iter().map(Option::unwrap).collect()
    }

    /// An expected value of any shape.
    pub(crate) fn expected(&self, key: &str) -> &Value {
        self.looked_at.borrow_mut().insert(key.to_owned());
        &self.expect[key]
    }

    /// A number; `null` stands for one that is infinite or undefined.
    pub(crate) fn close(&self, key: &str, actual: impl Into<Option<f64>>) {
        let expected = self.expected(key).clone();
        self.compare(key, &expected, actual.into());
    }

    /// Both bounds; without an interval both are undefined.
    pub(crate) fn close_interval(&self, keys: [&str; 2], actual: impl Into<Option<Interval>>) {
        let actual = actual.into();
        self.close(keys[0], actual.map(|[low, _]| low));
        self.close(keys[1], actual.map(|[_, high]| high));
    }

    pub(crate) fn close_list(&self, key: &str, actual: &[f64]) {
        let expected = self.expected(key).as_array().unwrap().clone();
        if expected.len() != actual.len() {
            return self.wrong(format!("{key} has {} values, not {}", actual.len(), expected.len()));
        }
        for (at, (expected, actual)) in expected.iter().zip(actual).enumerate() {
            self.compare(&format!("{key}[{at}]"), expected, Some(*actual));
        }
    }

    /// Points of a path: `at(n, key)` is the value after the n-th unit.
    pub(crate) fn close_points(&self, at: impl Fn(usize, &str) -> f64) {
        for point in self.expected("points").as_array().unwrap().clone() {
            let n = usize::try_from(point["n"].as_u64().unwrap()).unwrap();
            for (key, expected) in point.as_object().unwrap().iter().filter(|(key, _)| *key != "n") {
                self.compare(&format!("{key} after {n}"), expected, Some(at(n, key)));
            }
        }
    }

    pub(crate) fn same(&self, key: &str, actual: impl Into<Value>) {
        let (expected, actual) = (self.expected(key), actual.into());
        if *expected != actual {
            self.wrong(format!("{key} is {actual}, not {expected}"));
        }
    }

    fn compare(&self, what: &str, expected: &Value, actual: Option<f64>) {
        let actual = actual.filter(|actual| actual.is_finite());
        let close = match (expected.as_f64(), actual) {
            (None, None) => expected.is_null(),
            (Some(expected), Some(actual)) => {
                (actual - expected).abs() <= self.tolerance * expected.abs().max(1.0)
            }
            _ => false,
        };
        if !close {
            self.wrong(format!("{what} is {actual:?}, not {expected}"));
        }
    }
}

/// Numbers; `null` stands for one that is infinite.
pub(crate) fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::INFINITY)).collect()
}

/// Values as signs (`-`, `0`, `+`; `1` for a pass; `?` missing) or as numbers (`null` missing).
pub(crate) fn units(value: &Value) -> Vec<Option<f64>> {
    match value {
        Value::String(signs) => signs.chars().map(unit).collect(),
        numbers => numbers.as_array().unwrap().iter().map(Value::as_f64).collect(),
    }
}

fn unit(sign: char) -> Option<f64> {
    match sign {
        '-' => Some(-1.0),
        '0' => Some(0.0),
        '+' | '1' => Some(1.0),
        '?' => None,
        _ => panic!("`{sign}` is no result"),
    }
}
