//! Recorded answers: every line is checked against the suite it is to play back for.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use assay_common::case::{Recording, Vars};
use assay_common::id::Digest;
use serde_json::Value;

use super::cases::census::{Census, Rolling, fingerprint, row_error};
use super::cases::{Fault, each_recorded, json_row};
use super::diagnostic::Diagnostic;
use super::folder::Found;
use super::hint::{counted, did_you_mean};
use super::load::Loader;
use super::models::ModelEntry;
use super::yaml::Node;

/// How many problems of one file are told one by one.
const MAX_TOLD: u64 = 20;
/// How many unknown cases are named.
const MAX_NAMED: usize = 3;

/// The keys of a line.
const KEYS: [&str; 6] = ["case", "prompt", "trial", "output", "usage", "latency_ms"];
/// The keys of its `usage`.
const USAGE_KEYS: [&str; 4] = ["input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"];

/// A file of recorded answers, checked.
#[derive(Debug)]
pub(super) struct RecordingFile {
    pub(super) found: Found,
    pub(super) digest: Digest,
    pub(super) checkpoints: Vec<Digest>,
    pub(super) lines: u64,
}

/// What the lines are held against.
pub(super) struct Expected<'a> {
    pub(super) census: &'a Census,
    pub(super) labels: Vec<&'a str>,
    pub(super) repeats: u32,
}

impl Loader<'_> {
    /// Checks each file once, however many models play it back, and gives each model its digest.
    pub(super) fn recordings(
        &mut self,
        models: &mut [ModelEntry<'_>],
        expected: &Expected<'_>,
    ) -> Vec<RecordingFile> {
        let mut files: Vec<RecordingFile> = Vec::new();
        for entry in models {
            let Some(file) = entry.file else { continue };
            let Some(found) = file.text().map(|written| self.folder.file(written)) else { continue };
            let found = match found {
                Ok(found) => found,
                Err(refusal) => {
                    self.refuse(file.at, refusal);
                    continue;
                }
            };
            if let Some(known) = files.iter().find(|known| known.found.real == found.real) {
                entry.model.recording = Some(known.digest.clone());
                continue;
            }
            if let Some(read) = self.recording(file, found, expected) {
                entry.model.recording = Some(read.digest.clone());
                files.push(read);
            }
        }
        files
    }

    fn recording(&mut self, file: &Node, found: Found, expected: &Expected<'_>) -> Option<RecordingFile> {
        let mut tally = Tally::default();
        let mut rolling = Rolling::default();
        let mut problems: Vec<Diagnostic> = Vec::new();
        let mut wrong = 0;
        let read = each_recorded(&found, &mut |line, text| {
            let recording = text.and_then(|text| recording_of(line, text));
            match recording.and_then(|recording| tally.add(line, &recording, expected).map(|()| recording)) {
                Ok(recording) => {
                    rolling.add_framed(&bytes_of(&recording));
                }
                Err(fault) => {
                    wrong += 1;
                    if wrong <= MAX_TOLD {
                        problems.push(row_error(&found.shown, &fault));
                    }
                }
            }
            ControlFlow::Continue(())
        });
        if wrong > MAX_TOLD {
            let more = counted(wrong - MAX_TOLD, "more problem");
            problems.push(Diagnostic::error(&found.shown, format!("and {more} in this file")));
        }
        self.findings.extend(problems);
        if let Err(refusal) = read {
            self.refuse(file.at, refusal);
            return None;
        }
        // Beside errors, what looks wrong may be their consequence.
        if !self.findings.has_errors() {
            self.weigh(file, &found, &tally, expected);
        }
        let digest = rolling.finish();
        Some(RecordingFile { found, digest, checkpoints: rolling.checkpoints, lines: tally.lines })
    }

    /// What looks wrong with a file as a whole.
    fn weigh(&mut self, file: &Node, found: &Found, tally: &Tally, expected: &Expected<'_>) {
        let shown = found.shown.display();
        if tally.lines == 0 {
            self.error(file.at, format!("{shown} holds no answer"));
            return;
        }
        if tally.unknown_lines > 0 {
            let lines = counted(tally.unknown_lines, "line");
            let more = if tally.unknown_lines > MAX_NAMED as u64 { ", …" } else { "" };
            let names = tally.unknown.join(", ");
            self.warning(
                file.at,
                format!("{shown}: {lines} for cases that the suite does not have: {names}{more}"),
            );
        }
        if tally.late_lines > 0 {
            let lines = counted(tally.late_lines, "line");
            let repeats = counted(expected.repeats.into(), "trial");
            self.warning(file.at, format!("{shown}: {lines} for trials beyond the suite's {repeats}"));
        }
        let lacking = expected.census.cases().saturating_sub(tally.answered.len() as u64);
        if lacking > 0 {
            let have = if lacking == 1 { "has" } else { "have" };
            let message = format!("{} {have} no answer in {shown}", counted(lacking, "case"));
            self.warning(file.at, message).hint = Some("their jobs end as errored(no_recording)".into());
        }
    }
}

/// What the lines of a file come to.
#[derive(Default)]
struct Tally {
    lines: u64,
    /// Where each (case, prompt, trial) was first answered.
    seen: HashMap<[u8; 16], usize>,
    answered: HashSet<[u8; 16]>,
    unknown_lines: u64,
    unknown: Vec<String>,
    late_lines: u64,
}

impl Tally {
    fn add(&mut self, line: usize, recording: &Recording, expected: &Expected<'_>) -> Result<(), Fault> {
        self.lines += 1;
        let Recording { case, prompt, trial, .. } = recording;
        if let Some(label) = prompt.as_deref().filter(|label| !expected.labels.contains(label)) {
            let hint = did_you_mean(label, expected.labels.iter().copied());
            return Err(Fault {
                hint,
                ..Fault::on(line, format!("no prompt of the suite has the label `{label}`"))
            });
        }
        sensible(line, recording)?;
        if let Some(first) = self.seen.insert(key_of(recording), line) {
            let message = format!("the same case, prompt and trial as line {first}");
            return Err(Fault { hint: Some("keep one of the answers".into()), ..Fault::on(line, message) });
        }
        self.late_lines += u64::from(trial.is_some_and(|trial| trial > expected.repeats));
        if expected.census.has_case(case) {
            self.answered.insert(fingerprint(case));
        } else {
            self.unknown_lines += 1;
            if self.unknown.len() < MAX_NAMED {
                self.unknown.push(format!("`{case}`"));
            }
        }
        Ok(())
    }
}

/// What stands for the jobs a line answers: two lines of a file do not share it.
pub(super) fn key_of(Recording { case, prompt, trial, .. }: &Recording) -> [u8; 16] {
    fingerprint(&format!("{trial:?} {prompt:?} {case}"))
}

/// What has to hold of a line in any suite.
pub(super) fn sensible(line: usize, recording: &Recording) -> Result<(), Fault> {
    let Recording { case, prompt, trial, output, latency_ms, .. } = recording;
    if *trial == Some(0) {
        return Err(Fault::on(line, "trials count from 1"));
    }
    if case.contains('\0')
        || output.contains('\0')
        || prompt.as_deref().is_some_and(|label| label.contains('\0'))
    {
        return Err(Fault::on(line, "the line holds the character NUL"));
    }
    if latency_ms.is_some_and(|latency| !(0.0..1e12).contains(&latency)) {
        return Err(Fault::on(line, "`latency_ms` is a number of milliseconds, 0 or more"));
    }
    Ok(())
}

/// One line. A case may be named by a number, as its row may name it.
pub(super) fn recording_of(line: usize, text: &str) -> Result<Recording, Fault> {
    let mut fields = json_row(line, text)?;
    if let Some(Value::Number(number)) = fields.get("case") {
        let name = number.to_string();
        fields.insert("case".into(), Value::String(name));
    }
    let unknown = |fields: &Vars, known: &[&str], within: &str| {
        let key = fields.keys().find(|key| !known.contains(&key.as_str()))?;
        let hint = did_you_mean(key, known.iter().copied());
        Some(Fault { hint, ..Fault::on(line, format!("unknown key `{key}` in {within}")) })
    };
    let usage = fields.get("usage").and_then(Value::as_object);
    let fault =
        unknown(&fields, &KEYS, "a recorded answer").or_else(|| unknown(usage?, &USAGE_KEYS, "`usage`"));
    match fault {
        Some(fault) => Err(fault),
        None => serde_json::from_value(Value::Object(fields))
            .map_err(|error| Fault::on(line, format!("not a recorded answer: {error}"))),
    }
}

/// What a line adds to its file's digest.
pub(super) fn bytes_of(recording: &Recording) -> Vec<u8> {
    // A recording is texts and numbers, which JSON can say.
    serde_json::to_vec(recording).unwrap_or_default()
}
