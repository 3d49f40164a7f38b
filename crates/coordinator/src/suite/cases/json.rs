//! Rows in JSON: one to a line, or a list that is handed on while it is read.

use std::cell::Cell;
use std::fmt;

use super::fault::{Fault, Spot};
use super::metered::{Meter, Metered};
use super::rows::OnRow;
use crate::unique;
use assay_common::case::Vars;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// One line of JSON.
pub(in super::super) fn json_row(line: usize, text: &str) -> Result<Vars, Fault> {
    serde_json::from_str::<Row>(text).map(|row| row.0).map_err(|error| {
        let message = format!("the row does not parse: {}", without_place(&error));
        Fault::new(line, Spot::Byte(error.column()), message, "a row is one JSON object on one line")
    })
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The rows of a JSON list.
pub(super) fn each_json(reader: Metered, meter: &Meter, on_row: &mut OnRow<'_>) {
    let stopped = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let rows = Rows { meter, on_row: &mut *on_row, stopped: &stopped };
    let read = rows.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let (Err(error), false) = (read, stopped.get()) {
        // A row of the wrong kind is known only behind its end; a syntax error is where it is.
        let in_row = error.is_data() && meter.row_line() > 0;
        let (line, spot) = match in_row {
            true => (meter.row_line(), Spot::Row),
            false => (error.line().max(1), Spot::Byte(error.column().max(1))),
        };
        let message = format!("the file does not parse: {}", without_place(&error));
        let hint = "a file of cases is a list of objects: [{\"name\": \"value\"}]";
        let _ = on_row(line, Err(Fault::new(line, spot, message, hint)));
    }
}

/// A JSON list whose items are handed on as they are read.
struct Rows<'a, 'b> {
    meter: &'a Meter,
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
            if (self.on_row)(line, Ok(vars)).is_break() {
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
