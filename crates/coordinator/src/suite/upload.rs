//! Cases and recorded answers between two machines: JSON lines under their digest, one case or answer a line.
//!
//! The sender reads the files of a loaded suite once more, chunk by chunk. The receiver keeps what comes in a file,
//! checks it as a whole, and only then stores it, so that nothing ever lies under a digest that is not its own.

use std::fs::File;
use std::io::{self, Seek as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use assay_common::case::{Case, Recording};
use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::suite::DatasetRef;
use assay_store::Store;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::cases::census::{Rolling, fingerprint};
use super::cases::{Fault, each_line_of, json_row, objection};
use super::distinct::{Distinct, Key, Repeat};
use super::freeze::{
    Chunks, FreezeError, LoadedFiles, Verified, store_cases, store_recording, verified_chunks,
};
use super::load::Loaded;
use super::recordings::{bytes_of, key_of, recording_of, sensible};

/// The shape of an uploaded case, for whoever sends another.
const SHAPE: &str = r#"a case is {"id": "c-1", "cluster": null, "tags": {}, "vars": {}}"#;

/// What an upload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadKind {
    /// Cases.
    Dataset,
    /// Recorded answers.
    Recording,
}

/// Something a suite refers to that another machine may lack.
#[derive(Debug)]
pub struct Outgoing<'l> {
    /// What it holds.
    pub kind: UploadKind,
    /// Its digest.
    pub digest: &'l Digest,
    files: &'l LoadedFiles,
}

impl Loaded {
    /// Everything the suite refers to, each once.
    pub fn outgoing(&self) -> Vec<Outgoing<'_>> {
        let files = &self.files;
        let dataset = Outgoing { kind: UploadKind::Dataset, digest: &self.suite.dataset.digest, files };
        let recordings = files.recordings.iter().map(|file| (&file.digest, UploadKind::Recording));
        let recordings = recordings.map(|(digest, kind)| Outgoing { kind, digest, files });
        std::iter::once(dataset).chain(recordings).collect()
    }
}

impl Outgoing<'_> {
    /// Its lines, some hundred at a time. Ends with [`FreezeError::Changed`] when a file is not what it was.
    pub fn lines(&self) -> mpsc::Receiver<Result<Vec<u8>, FreezeError>> {
        match self.kind {
            UploadKind::Dataset => as_lines(self.files.case_chunks()),
            UploadKind::Recording => {
                let file = self.files.recordings.iter().find(|file| file.digest == *self.digest);
                file.map_or_else(|| mpsc::channel(1).1, |file| as_lines(file.chunks()))
            }
        }
    }
}

fn as_lines<T: Serialize + Send + 'static>(
    mut chunks: Verified<T>,
) -> mpsc::Receiver<Result<Vec<u8>, FreezeError>> {
    let (out, lines) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(chunk) = chunks.recv().await {
            let text = chunk.map_err(FreezeError::Changed).map(|items| {
                let mut text = Vec::new();
                for item in &items {
                    // Cases and answers are texts and numbers, which JSON can say, and a Vec takes all.
                    let _ = serde_json::to_writer(&mut text, item);
                    text.push(b'\n');
                }
                text
            });
            if out.send(text).await.is_err() {
                return;
            }
        }
    });
    lines
}

/// Why lines that came from elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// A line is wrong.
    #[error("line {line}: {message}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// There is no line.
    #[error("there is no line")]
    Empty,
    /// The file they are kept in failed.
    #[error("cannot keep the upload in a temporary file")]
    File(#[from] io::Error),
}

/// Cases that came from elsewhere and make sense.
#[derive(Debug)]
pub struct CheckedCases {
    /// What they come to.
    pub dataset: DatasetRef,
    file: File,
    checkpoints: Vec<Digest>,
}

/// Recorded answers that came from elsewhere and make sense.
#[derive(Debug)]
pub struct CheckedRecording {
    /// Their digest.
    pub digest: Digest,
    file: File,
    lines: u64,
    checkpoints: Vec<Digest>,
}

/// Reads lines of cases, in the same memory however many they are. Blocks.
///
/// # Errors
/// The first line that is wrong; where every line by itself is right, the first whose id an earlier one has.
pub fn check_cases(file: File) -> Result<CheckedCases, LineFault> {
    let mut rolling = Rolling::default();
    let (mut cases, mut clustered) = (0, false);
    let repeat = each_item(&file, case_of, |_, case| {
        cases += 1;
        clustered |= case.cluster.is_some();
        rolling.add(&case);
        Ok(fingerprint(&case.id))
    })?;
    if let Some(Repeat { line, first }) = repeat {
        return Err(repeated(
            line,
            format!("the case id is that of line {first}; give each case an id of its own"),
        ));
    }
    let digest = rolling.finish();
    let dataset = DatasetRef { digest, cases, clustered };
    (cases > 0)
        .then_some(CheckedCases { dataset, file, checkpoints: rolling.checkpoints })
        .ok_or(LineFault::Empty)
}

/// Reads lines of recorded answers, as [`check_cases`] does those of cases. Blocks.
///
/// # Errors
/// The first line that is wrong.
pub fn check_recording(file: File) -> Result<CheckedRecording, LineFault> {
    let mut rolling = Rolling::default();
    let mut lines = 0;
    let repeat = each_item(&file, recording_of, |line, recording| {
        sensible(line, &recording)?;
        lines += 1;
        rolling.add_framed(&bytes_of(&recording));
        Ok(key_of(&recording))
    })?;
    if let Some(Repeat { line, first }) = repeat {
        let message = format!("the same case, prompt and trial as line {first}; keep one of the answers");
        return Err(repeated(line, message));
    }
    let digest = rolling.finish();
    (lines > 0)
        .then_some(CheckedRecording { digest, file, lines, checkpoints: rolling.checkpoints })
        .ok_or(LineFault::Empty)
}

impl CheckedCases {
    /// Stores and seals them.
    ///
    /// # Errors
    /// The store's, and [`FreezeError::Changed`] when the file does not read as before.
    pub async fn store(self, store: &Store, now: Micros) -> Result<(), FreezeError> {
        let Self { dataset, file, checkpoints } = self;
        let chunks = verified_chunks(checkpoints, move |chunks: &mut Chunks<Case>| {
            reread(&file, case_of, chunks, Chunks::<Case>::push)
        });
        store_cases(store, &dataset, chunks, now).await
    }
}

impl CheckedRecording {
    /// Stores and seals them.
    ///
    /// # Errors
    /// As [`CheckedCases::store`].
    pub async fn store(self, store: &Store, now: Micros) -> Result<(), FreezeError> {
        let Self { digest, file, lines, checkpoints } = self;
        let chunks = verified_chunks(checkpoints, move |chunks: &mut Chunks<Recording>| {
            reread(&file, recording_of, chunks, Chunks::<Recording>::push)
        });
        store_recording(store, &digest, lines, chunks, now).await
    }
}

fn case_of(line: usize, text: &str) -> Result<Case, Fault> {
    let fields = Value::Object(json_row(line, text)?);
    let case: Case = serde_json::from_value(fields)
        .map_err(|error| Fault::on(line, format!("not a case: {error}"), SHAPE))?;
    match objection(&case) {
        Some(objection) => Err(Fault::on(line, objection, SHAPE)),
        None => Ok(case),
    }
}

fn repeated(line: u64, message: String) -> LineFault {
    LineFault::Line { line: usize::try_from(line).unwrap_or(usize::MAX), message }
}

/// Calls `on_item`, which says what a line is known by, for every line until one is wrong; then says which repeats another.
fn each_item<T>(
    file: &File,
    item_of: impl Fn(usize, &str) -> Result<T, Fault>,
    mut on_item: impl FnMut(usize, T) -> Result<Key, Fault>,
) -> Result<Option<Repeat>, LineFault> {
    let (mut distinct, mut wrong) = (Distinct::default(), None);
    each_line_of(rewound(file)?, &mut |line, text| {
        let key = text.and_then(|text| item_of(line, text)).and_then(|item| on_item(line, item));
        wrong = match key {
            Ok(key) => distinct.add(key, line as u64).err().map(LineFault::File),
            Err(fault) => {
                let (line, message) = fault.into_words();
                Some(LineFault::Line { line, message })
            }
        };
        if wrong.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    match wrong {
        Some(fault) => Err(fault),
        None => Ok(distinct.repeat()?),
    }
}

/// Reads the file once more for the store.
fn reread<T>(
    file: &File,
    item_of: impl Fn(usize, &str) -> Result<T, Fault>,
    chunks: &mut Chunks<T>,
    mut push: impl FnMut(&mut Chunks<T>, T) -> bool,
) -> Result<(), PathBuf> {
    let mut fine = true;
    let changed = || PathBuf::from("the upload");
    let read = each_line_of(rewound(file).map_err(|_| changed())?, &mut |line, text| {
        fine = text.and_then(|text| item_of(line, text)).is_ok_and(|item| push(chunks, item));
        if fine { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if read.is_ok() && fine && chunks.end() { Ok(()) } else { Err(changed()) }
}

fn rewound(file: &File) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}
