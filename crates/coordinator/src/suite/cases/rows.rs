//! Rows of a file, one after the other: JSON lines, CSV, and JSON lists without holding the file in memory; YAML as
//! a tree.

use std::ops::ControlFlow;

use assay_common::case::Vars;
use serde_json::Value;

use super::super::folder::{Found, Refusal};
use super::super::hint::counted;
use super::super::yaml;
use super::json::{each_json, json_row};
use super::metered::{Meter, Metered};

/// The longest YAML file: it is read as a whole.
const MAX_YAML_BYTES: u64 = 16 << 20;

/// How a file of rows is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    JsonLines,
    Csv,
    Json,
    Yaml,
}

impl Format {
    /// The endings of files that hold cases.
    pub(super) const EXTENSIONS: [&'static str; 4] = [".jsonl", ".csv", ".json", ".yaml"];

    pub(super) fn of(extension: &str) -> Option<Self> {
        Some(match extension {
            "jsonl" | "ndjson" => Self::JsonLines,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "yaml" | "yml" => Self::Yaml,
            _ => return None,
        })
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug)]
pub(in super::super) struct Fault {
    pub(in super::super) line: usize,
    /// In characters, from 1.
    pub(in super::super) column: Option<usize>,
    pub(in super::super) message: String,
    pub(in super::super) hint: Option<String>,
    /// The line itself, where it is at hand.
    pub(in super::super) text: Option<String>,
}

impl Fault {
    /// A fault of a whole row.
    pub(in super::super) fn on(line: usize, message: impl Into<String>) -> Self {
        Self { line, column: None, message: message.into(), hint: None, text: None }
    }
}

/// Takes a row and its line, or what is wrong with it.
pub(super) type OnRow<'a> = dyn FnMut(usize, Result<Vars, Fault>) -> ControlFlow<()> + 'a;

/// Takes a line and its number, or what is wrong with it.
pub(in super::super) type OnLine<'a> = dyn FnMut(usize, Result<&str, Fault>) -> ControlFlow<()> + 'a;

/// Calls `on_row` for every row in order, until it breaks off.
pub(super) fn each_row(found: &Found, format: Format, on_row: &mut OnRow<'_>) -> Result<(), Refusal> {
    if format == Format::Yaml {
        each_yaml(found, on_row)?;
        return Ok(());
    }
    let opened = Metered::new(found.open()?);
    let (reader, meter) = opened.map_err(|error| found.cannot_read(&error))?;
    match format {
        Format::Csv => each_csv(reader, &meter, on_row),
        Format::Json => each_json(reader, &meter, on_row),
        Format::JsonLines | Format::Yaml => each_line(reader, &meter, &mut |line, text| {
            let row = match text {
                Ok(text) => json_row(line, text),
                Err(fault) => Err(fault),
            };
            on_row(line, row)
        }),
    }
    Ok(())
}

/// Calls `on_line` for every line that is not blank.
pub(super) fn each_line(mut reader: Metered, meter: &Meter, on_line: &mut OnLine<'_>) {
    let mut bytes = Vec::new();
    loop {
        let line = meter.line();
        let text = match reader.read_line(&mut bytes) {
            Ok(false) => return,
            Ok(true) => str::from_utf8(&bytes).map_err(|_| Fault::on(line, "the line is not UTF-8")),
            Err(error) => {
                let _ = on_line(line, Err(Fault::on(line, error.to_string())));
                return;
            }
        };
        let blank = text.as_ref().is_ok_and(|text| text.trim().is_empty());
        if !blank && on_line(line, text).is_break() {
            return;
        }
    }
}

fn each_csv(reader: Metered, meter: &Meter, on_row: &mut OnRow<'_>) {
    let mut reader = csv::ReaderBuilder::new().from_reader(reader);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            let _ = on_row(1, Err(csv_fault(&error, 1)));
            return;
        }
    };
    let twice =
        header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|other| other == *name));
    if let Some((_, name)) = twice {
        let _ = on_row(1, Err(Fault::on(1, format!("the column `{name}` is given twice"))));
        return;
    }
    if header.iter().any(str::is_empty) && !header.is_empty() {
        let _ = on_row(1, Err(Fault::on(1, "a column without a name")));
        return;
    }
    let mut record = csv::StringRecord::new();
    loop {
        meter.begin_row();
        let read = reader.read_record(&mut record);
        let line = record.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let row = match read {
            Ok(false) => return,
            Ok(true) => Ok(header
                .iter()
                .zip(record.iter())
                .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
                .collect()),
            Err(error) => {
                let fault = csv_fault(&error, line);
                let ends = error.is_io_error();
                if on_row(fault.line, Err(fault)).is_break() || ends {
                    return;
                }
                continue;
            }
        };
        if on_row(line, row).is_break() {
            return;
        }
    }
}

fn csv_fault(error: &csv::Error, near: usize) -> Fault {
    let line = error.position().map_or(near, |place| usize::try_from(place.line()).unwrap_or(usize::MAX));
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {}, but the header has {expected_len}", counted(*len, "field"))
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    Fault::on(line.max(1), message)
}

fn each_yaml(found: &Found, on_row: &mut OnRow<'_>) -> Result<(), Refusal> {
    let source = found.read(MAX_YAML_BYTES)?;
    let whole = |fault: yaml::Fault| {
        let (line, column) = fault.at.map_or((1, 1), |mark| (mark.line, mark.column));
        Fault { column: Some(column), hint: fault.hint, ..Fault::on(line, fault.message) }
    };
    let (tree, faults) = match yaml::parse(&source.text) {
        Ok(read) => read,
        Err(fault) => {
            let fault = whole(fault);
            let _ = on_row(fault.line, Err(fault));
            return Ok(());
        }
    };
    for fault in faults {
        let fault = whole(fault);
        if on_row(fault.line, Err(fault)).is_break() {
            return Ok(());
        }
    }
    if !matches!(tree.value, yaml::Value::List(_)) {
        let fault =
            Fault::on(tree.at.line, format!("the file is {}, but a list of maps is wanted", tree.kind()));
        let _ = on_row(tree.at.line, Err(fault));
    }
    for item in tree.items() {
        let row = match item.json() {
            Value::Object(vars) => Ok(vars),
            _ => Err(Fault::on(item.at.line, format!("the row is {}, but a map is wanted", item.kind()))),
        };
        if on_row(item.at.line, row).is_break() {
            break;
        }
    }
    Ok(())
}
