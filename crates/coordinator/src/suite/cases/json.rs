//! Rows in JSON: one to a line, or a list that is handed on while it is read.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::fault::{Fault, Spot};
use super::metered::{Meter, Metered};
use super::numbers::{Numbers, Watched};
use super::rows::OnRow;
use crate::unique;
use assay_common::case::Vars;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// One line of JSON.
pub(in super::super) fn json_row(line: usize, text: &str) -> Result<Vars, Fault> {
    let Row(vars) = serde_json::from_str(text).map_err(|error| {
        let message = format!("the row does not parse: {}", without_place(&error));
        Fault::new(line, before(error.column()), message, "a row is one JSON object on one line")
    })?;
    if !vars.values().any(may_be_rounded) {
        return Ok(vars);
    }
    let mut numbers = Numbers::from(line);
    numbers.feed(text.as_bytes());
    numbers.changed().map_or(Ok(vars), Err)
}

/// The byte that ends at this column.
fn before(column: usize) -> Spot {
    Spot::Bytes(column.saturating_sub(1)..column)
}

/// Whether its text has to be looked at: an integer that fits 64 bits is read as it is.
fn may_be_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(may_be_rounded),
        Value::Object(fields) => fields.values().any(may_be_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The rows of a JSON list.
pub(super) fn each_json(reader: Metered, meter: &Meter, on_row: &mut OnRow<'_>) {
    let stopped = Cell::new(false);
    let numbers = Rc::new(RefCell::new(Numbers::from(meter.line())));
    let watched = Watched { inner: reader, numbers: Rc::clone(&numbers) };
    let mut deserializer = serde_json::Deserializer::from_reader(watched);
    let rows = Rows { meter, numbers: &numbers, on_row: &mut *on_row, stopped: &stopped };
    let read = rows.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let (Err(error), false) = (read, stopped.get()) {
        // A row of the wrong kind is known only behind its end; a syntax error is where it is.
        let in_row = error.is_data() && meter.row_line() > 0;
        let (line, spot) = match in_row {
            true => (meter.row_line(), Spot::Row),
            false => (error.line().max(1), before(error.column().max(1))),
        };
        let message = format!("the file does not parse: {}", without_place(&error));
        let hint = "a file of cases is a list of objects: [{\"name\": \"value\"}]";
        let _ = on_row(line, Err(Fault::new(line, spot, message, hint)));
    }
}

/// A JSON list whose items are handed on as they are read.
struct Rows<'a, 'b> {
    meter: &'a Meter,
    numbers: &'a RefCell<Numbers>,
    on_row: &'a mut OnRow<'b>,
    stopped: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            self.meter.begin_row();
            let Some((line, Row(vars))) = items.next_element_seed(Lined(self.meter))? else { return Ok(()) };
            let row = self.numbers.borrow_mut().changed().map_or(Ok(vars), Err);
            if (self.on_row)(line, row).is_break() {
                self.stopped.set(true);
                return Err(A::Error::custom("stopped"));
            }
        }
    }
}

/// A row with the line it begins on.
struct Lined<'a>(&'a Meter);

impl<'de> DeserializeSeed<'de> for Lined<'_> {
    type Value = (usize, Row);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let line = self.0.mark_row();
        Row::deserialize(deserializer).map(|row| (line, row))
    }
}

/// An object without a doubled key.
struct Row(Vars);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one field for each variable")
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Row, A::Error> {
                unique::fields(fields).map(Row)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
