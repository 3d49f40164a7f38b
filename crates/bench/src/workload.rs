//! What is run: a suite of N cases on one model, as files in a folder of its own.

use std::convert::Infallible;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The size of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Cases, one call each.
    pub(crate) cases: u64,
    /// How long the provider takes for each.
    pub(crate) latency_ms: u64,
    /// The account's limit.
    pub(crate) in_flight: u32,
}

impl Workload {
    /// The shortest time in which the calls fit, in seconds.
    pub(crate) fn ideal_wall_s(&self) -> f64 {
        self.cases as f64 * self.latency_ms as f64 / 1_000.0 / f64::from(self.in_flight)
    }

    /// Writes suite.yaml, cases.jsonl and assay.toml.
    pub(crate) fn write(&self, folder: &Path, base_url: &str) -> io::Result<()> {
        fs::write(folder.join("suite.yaml"), SUITE)?;
        let in_flight = self.in_flight;
        fs::write(
            folder.join("assay.toml"),
            format!(
                "[providers.fake]\nkind = \"openai\"\nbase_url = \"{base_url}\"\n\
                 [providers.fake.limits]\nin_flight = {in_flight}\n"
            ),
        )?;
        write_cases(folder, self.cases)
    }
}

/// Writes a cases.jsonl of so many cases.
pub(crate) fn write_cases(folder: &Path, cases: u64) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join("cases.jsonl"))?);
    for number in 0..cases {
        writeln!(file, r#"{{"id": "case-{number}", "number": {number}, "text": "{TEXT}"}}"#)?;
    }
    file.flush()
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cases × {} ms, {} in flight", self.cases, self.latency_ms, self.in_flight)
    }
}

/// The provider answers with the prompt, so every case passes and no answer equals another.
const SUITE: &str = r#"suite: benchmark
prompts:
  - name: repeat
    text: "Message {{ number }} of a customer, to be repeated as it stands: {{ text }}"
models:
  - fake/echo
cases:
  - file: cases.jsonl
    id: id
score:
  - type: contains
    value: "Message {{ number }} of"
"#;

/// As long as a short message of a person.
const TEXT: &str = "The parcel that I ordered two weeks ago has arrived today, but the lamp in it is broken and one of \
    the screws is missing. I would like to have it replaced, or else my money back. Could you tell me how to go on?";

/// Where the measured run keeps its results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// In a file in the folder of the workload.
    Sqlite,
    /// Somewhere else, as `--store` of assay names it.
    Url(String),
}

impl StoreKind {
    /// The text it is read from.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Url(url) => url,
        }
    }

    /// The word for reports: no URL, which may hold a password.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Url(_) => "postgres",
        }
    }
}

impl FromStr for StoreKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "sqlite" { Self::Sqlite } else { Self::Url(text.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ideal_wall_is_calls_times_latency_over_in_flight() {
        let workload = Workload { cases: 10_000, latency_ms: 100, in_flight: 200 };
        assert!((workload.ideal_wall_s() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn every_case_is_a_line_of_json() {
        let folder = tempfile::tempdir().unwrap();
        Workload { cases: 3, latency_ms: 0, in_flight: 1 }.write(folder.path(), "http://x/v1").unwrap();
        let text = fs::read_to_string(folder.path().join("cases.jsonl")).unwrap();
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((rows.len(), &rows[2]["id"]), (3, &"case-2".into()));
    }
}
