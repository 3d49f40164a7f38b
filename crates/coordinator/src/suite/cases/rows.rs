//! Rows of a file, one after the other: JSON lines, CSV, and JSON lists without holding the file in memory; YAML as
//! a tree.

use std::io::Read as _;
use std::ops::ControlFlow;

use assay_common::case::Vars;
use serde_json::Value;

use super::super::folder::{Found, Refusal};
use super::super::hint::counted;
use super::super::yaml;
use super::fault::{Fault, Spot};
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
            Ok(true) => str::from_utf8(&bytes).map_err(|_| Fault::not_text(line)),
            Err(error) => {
                let _ = on_line(line, Err(Fault::unread(line, &error)));
                return;
            }
        };
        let blank = text.as_ref().is_ok_and(|text| text.trim().is_empty());
        if !blank && on_line(line, text).is_break() {
            return;
        }
    }
}

/// Put behind a CSV file: a row of its own, unless a quote was never closed, which then takes it in. The csv crate takes
/// the end of the file for the end of such a value, and whatever rows it has swallowed would be lost without a word.
const CSV_END: &str = "\n\0end\n";

fn each_csv(reader: Metered, meter: &Meter, on_row: &mut OnRow<'_>) {
    let mut reader = csv::ReaderBuilder::new().from_reader(reader.chain(CSV_END.as_bytes()));
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            let _ = on_row(1, Err(csv_fault(&error, 1)));
            return;
        }
    };
    let fault = if is_unclosed(&header) { Some(unclosed(1)) } else { fault_of_header(&header) };
    if let Some(fault) = fault {
        let _ = on_row(1, Err(fault));
        return;
    }
    let mut record = csv::StringRecord::new();
    loop {
        meter.begin_row();
        let read = reader.read_record(&mut record);
        let line = record.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        if is_unclosed(&record) {
            let _ = on_row(line, Err(unclosed(line)));
            return;
        }
        if record.len() == 1 && record.iter().all(|field| field == CSV_END.trim_ascii()) {
            return;
        }
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
                if on_row(line, Err(fault)).is_break() || ends {
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

fn is_unclosed(record: &csv::StringRecord) -> bool {
    record.iter().next_back().is_some_and(|field| field.ends_with(CSV_END))
}

fn unclosed(line: usize) -> Fault {
    let hint = "close it; inside such a value a double quote is written twice";
    Fault::on(line, "a double quote opens a value in this row, and none closes it", hint)
}

/// Columns are variables: each has a name of its own.
fn fault_of_header(header: &csv::StringRecord) -> Option<Fault> {
    let twice =
        header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|other| other == *name));
    if let Some((at, name)) = twice {
        let message = format!("the column `{name}` is given twice");
        return Some(Fault::new(1, Spot::Column(at), message, "give each column a name of its own"));
    }
    let nameless = header.iter().position(str::is_empty)?;
    let hint = "the first line of a CSV file names the columns";
    Some(Fault::new(1, Spot::Column(nameless), "a column without a name", hint))
}

fn csv_fault(error: &csv::Error, near: usize) -> Fault {
    let line = error.position().map_or(near, |place| usize::try_from(place.line()).unwrap_or(usize::MAX));
    let line = line.max(1);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let columns = usize::try_from(*expected_len).unwrap_or(usize::MAX);
            let message =
                format!("the row has {}, but the header has {expected_len}", counted(*len, "field"));
            let hint = "put double quotes around a value that holds a comma";
            Fault::new(line, Spot::Column(columns), message, hint)
        }
        csv::ErrorKind::Utf8 { .. } => Fault::not_text(line),
        csv::ErrorKind::Io(error) => Fault::unread(line, error),
        _ => Fault::on(line, error.to_string(), "rows are comma-separated values as RFC 4180 has them"),
    }
}

fn each_yaml(found: &Found, on_row: &mut OnRow<'_>) -> Result<(), Refusal> {
    let source = found.read(MAX_YAML_BYTES)?;
    let (tree, faults) = match yaml::parse(&source.text) {
        Ok(read) => read,
        Err(fault) => {
            let _ = on_row(fault.at.line, Err(fault.into()));
            return Ok(());
        }
    };
    for fault in faults {
        if on_row(fault.at.line, Err(fault.into())).is_break() {
            return Ok(());
        }
    }
    let wanted = |node: &yaml::Node, what: &str, wanted: &str| {
        let message = format!("{what} is {}, but {wanted} is wanted", node.kind());
        Fault::new(
            node.at.line,
            Spot::Mark(node.at),
            message,
            "a row is a map of variables: `- {name: value}`",
        )
    };
    if !matches!(tree.value, yaml::Value::List(_)) {
        let _ = on_row(tree.at.line, Err(wanted(&tree, "the file", "a list of maps")));
    }
    for item in tree.items() {
        let row = match (item.rounded(), item.json()) {
            (Some(fault), _) => Err(fault.into()),
            (None, Value::Object(vars)) => Ok(vars),
            (None, _) => Err(wanted(item, "the row", "a map")),
        };
        if on_row(item.at.line, row).is_break() {
            break;
        }
    }
    Ok(())
}
