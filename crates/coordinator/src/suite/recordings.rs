//! Recorded answers: every line is checked against the suite it is to play back for.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use assay_common::case::{Recording, Vars};
use assay_common::config::ProviderKind;
use assay_common::gate::Metric;
use assay_common::id::Digest;
use serde_json::Value;

use super::cases::census::{Census, Rolling, fingerprint};
use super::cases::{Fault, Faults, Format, NO_NUL, Spot, each_recorded, json_row};
use super::folder::Found;
use super::hint::{counted, did_you_mean};
use super::load::Loader;
use super::models::ModelEntry;
use super::yaml::Node;

/// How many unknown cases are named.
const MAX_NAMED: usize = 3;

/// The keys of a line, and what each is.
const KEYS: [Key; 6] = [
    Key { name: "case", required: true, wanted: "the id of a case", fits: Value::is_string },
    Key { name: "output", required: true, wanted: "a text", fits: Value::is_string },
    Key { name: "prompt", required: false, wanted: "the label of a prompt", fits: Value::is_string },
    Key { name: "trial", required: false, wanted: "a whole number from 1", fits: is_trial },
    Key { name: "usage", required: false, wanted: "an object", fits: Value::is_object },
    Key { name: "latency_ms", required: false, wanted: "milliseconds, 0 or more", fits: is_latency },
];
/// The keys of its `usage`.
const USAGE_KEYS: [Key; 4] = [
    Key { name: "input_tokens", ..TOKENS },
    Key { name: "output_tokens", ..TOKENS },
    Key { name: "prompt_tokens", ..TOKENS },
    Key { name: "completion_tokens", ..TOKENS },
];
const TOKENS: Key = Key { name: "", required: false, wanted: "a whole number", fits: Value::is_u64 };

/// A key of a recorded answer.
struct Key {
    name: &'static str,
    required: bool,
    wanted: &'static str,
    fits: fn(&Value) -> bool,
}

fn is_trial(value: &Value) -> bool {
    value.as_u64().is_some_and(|trial| (1..=u64::from(u32::MAX)).contains(&trial))
}

fn is_latency(value: &Value) -> bool {
    value.as_f64().is_some_and(|latency| (0.0..1e12).contains(&latency))
}

/// A file of recorded answers, checked.
#[derive(Debug)]
pub(super) struct RecordingFile {
    pub(super) found: Found,
    pub(super) digest: Digest,
    pub(super) checkpoints: Vec<Digest>,
    pub(super) lines: u64,
    pub(super) lacking: Option<Lacking>,
}

/// What the answers of a file lack for rules of a gate.
#[derive(Clone, Debug)]
pub(super) struct Lacking {
    /// The file, as it is shown.
    file: String,
    /// Whether no answer says how long it took.
    latency: bool,
    /// How many do not say how many tokens they took, and whether any does.
    usage: u64,
    any_usage: bool,
}

impl Lacking {
    /// What is wrong with a rule on this metric, of all cases or not, and what to do.
    pub(super) fn told(&self, metric: &Metric, of_all: bool) -> Option<(String, &'static str)> {
        let Self { file, latency, usage, any_usage } = self;
        match metric {
            Metric::Latency(_) if *latency => Some((
                format!("no answer in {file} has a latency: this rule is always inconclusive"),
                "record `latency_ms` with each answer",
            )),
            // One answer of unknown cost is enough to know no sum; it may lie outside of a slice.
            Metric::CostPerCase if *usage > 0 && (of_all || !any_usage) => {
                let have = if *usage == 1 { "has" } else { "have" };
                Some((
                    format!(
                        "{} in {file} {have} no `usage`, so nobody knows what they cost: this rule is always inconclusive",
                        counted(*usage, "answer")
                    ),
                    "record `usage` with each answer: its `input_tokens` and `output_tokens`",
                ))
            }
            _ => None,
        }
    }
}

/// What the lines are held against.
pub(super) struct Expected<'a> {
    pub(super) census: &'a Census,
    pub(super) labels: Vec<&'a str>,
    pub(super) repeats: u32,
    /// Trials of a case that may be played back: `repeats`, and the further rounds of them that a gate may add.
    pub(super) most_trials: u32,
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
            // What answers by itself has been told that it needs no file.
            let Some(file) = entry.file else { continue };
            let known = self.config.map(|config| config.provider(&entry.model.provider));
            if known.is_some_and(|known| known.map(|known| known.kind) != Some(ProviderKind::Recorded)) {
                continue;
            }
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
        let mut faults = Faults::default();
        let read = each_recorded(&found, &mut |line, text| {
            let recording = text.and_then(|text| recording_of(line, text));
            match recording.and_then(|recording| tally.add(line, &recording, expected).map(|()| recording)) {
                Ok(recording) => {
                    rolling.add_framed(&bytes_of(&recording));
                }
                Err(fault) => faults.push(fault),
            }
            ControlFlow::Continue(())
        });
        self.findings.extend(faults.diagnostics(&found, Format::JsonLines));
        if let Err(refusal) = read {
            self.refuse(file.at, refusal);
            return None;
        }
        // Beside errors, what looks wrong may be their consequence.
        if !self.findings.has_errors() {
            self.weigh(file, &found, &tally, expected);
        }
        let digest = rolling.finish();
        let lacking = (!tally.timed || tally.unmetered > 0).then(|| Lacking {
            file: found.shown.display().to_string(),
            latency: !tally.timed,
            usage: tally.unmetered,
            any_usage: tally.metered,
        });
        Some(RecordingFile { found, digest, checkpoints: rolling.checkpoints, lines: tally.lines, lacking })
    }

    /// What looks wrong with a file as a whole.
    fn weigh(&mut self, file: &Node, found: &Found, tally: &Tally, expected: &Expected<'_>) {
        let shown = found.shown.display();
        if tally.lines == 0 {
            self.error(file.at, format!("{shown} holds no answer")).hint =
                Some(r#"a line is an answer: {"case": "c-1", "output": "billing"}"#.into());
            return;
        }
        if tally.unknown_lines > 0 {
            let lines = counted(tally.unknown_lines, "line");
            let more = if tally.unknown_lines > MAX_NAMED as u64 { ", …" } else { "" };
            let names = tally.unknown.join(", ");
            self.warning(
                file.at,
                format!("{shown}: {lines} for cases that the suite does not have: {names}{more}"),
            )
            .hint = Some("they are not played back".into());
        }
        if tally.late_lines > 0 {
            let lines = counted(tally.late_lines, "line");
            let most = counted(expected.most_trials.into(), "trial");
            let says = match expected.most_trials > expected.repeats {
                true => "`repeats` and the gate's `max_repeats` say",
                false => "`repeats` says",
            };
            self.warning(file.at, format!("{shown}: {lines} for trials beyond the suite's {most}")).hint =
                Some(format!("they are not played back; {says} how many are"));
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
    /// Whether any answer says how long it took.
    timed: bool,
    /// How many answers of the first round of trials do not say how many tokens they took.
    unmetered: u64,
    /// Whether any does.
    metered: bool,
}

impl Tally {
    fn add(&mut self, line: usize, recording: &Recording, expected: &Expected<'_>) -> Result<(), Fault> {
        self.lines += 1;
        let Recording { case, prompt, trial, .. } = recording;
        if let Some(label) = prompt.as_deref().filter(|label| !expected.labels.contains(label)) {
            let message = format!("no prompt of the suite has the label `{label}`");
            let hint = did_you_mean(label, expected.labels.iter().copied()).unwrap_or_default();
            return Err(Fault::of(line, "prompt", message, hint));
        }
        sensible(line, recording)?;
        if let Some(first) = self.seen.insert(key_of(recording), line) {
            let message = format!("the same case, prompt and trial as line {first}");
            return Err(Fault::of(line, "case", message, "keep one of the answers"));
        }
        let is_beyond = |most: u32| trial.is_some_and(|trial| trial > most);
        self.late_lines += u64::from(is_beyond(expected.most_trials));
        if expected.census.has_case(case) {
            self.answered.insert(fingerprint(case));
            self.timed |= recording.latency_ms.is_some();
            let metered = recording
                .usage
                .is_some_and(|usage| usage.input_tokens.is_some() && usage.output_tokens.is_some());
            // Of rounds of trials, rules on cost look at the first.
            self.unmetered += u64::from(!metered && !is_beyond(expected.repeats));
            self.metered |= metered;
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

/// What has to hold of a line in any suite, beyond its shape.
pub(super) fn sensible(line: usize, recording: &Recording) -> Result<(), Fault> {
    let Recording { case, prompt, output, .. } = recording;
    for (field, text) in
        [("case", case), ("output", output)].into_iter().chain(prompt.iter().map(|label| ("prompt", label)))
    {
        if text.contains('\0') {
            return Err(Fault::of(line, field, format!("`{field}` holds the character NUL"), NO_NUL));
        }
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
    check(line, &fields, &KEYS, "a recorded answer")?;
    if let Some(Value::Object(usage)) = fields.get("usage") {
        check(line, usage, &USAGE_KEYS, "`usage`")?;
    }
    // What the keys above let through is what the type takes, but for a token given by two names.
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        Fault::of(line, "usage", format!("not a recorded answer: {error}"), "give each number once")
    })
}

/// Holds an object of a line against the keys it may have.
fn check(line: usize, fields: &Vars, keys: &[Key], within: &str) -> Result<(), Fault> {
    if let Some(key) = fields.keys().find(|key| keys.iter().all(|known| known.name != *key)) {
        let hint = did_you_mean(key, keys.iter().map(|key| key.name)).unwrap_or_default();
        let message = format!("unknown key `{key}` in {within}");
        return Err(Fault::new(line, Spot::Key(key.clone()), message, hint));
    }
    for Key { name, required, wanted, fits } in keys {
        match fields.get(*name) {
            None | Some(Value::Null) if *required => {
                let message = format!("{within} lacks `{name}`");
                return Err(Fault::of(line, name, message, format!("`{name}` is {wanted}")));
            }
            None | Some(Value::Null) => {}
            Some(value) if fits(value) => {}
            Some(_) => {
                let message = format!("`{name}` is not {wanted}");
                return Err(Fault::of(
                    line,
                    name,
                    message,
                    r#"such as {"case": "c-1", "output": "billing", "trial": 1}"#,
                ));
            }
        }
    }
    Ok(())
}

/// What a line adds to its file's digest.
pub(super) fn bytes_of(recording: &Recording) -> Vec<u8> {
    // A recording is texts and numbers, which JSON can say.
    serde_json::to_vec(recording).unwrap_or_default()
}
