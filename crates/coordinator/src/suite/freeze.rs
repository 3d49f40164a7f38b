//! The second pass: what a valid suite refers to is copied into the store, chunk by chunk, each held against the
//! first pass before it is stored.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use assay_common::case::{Case, Recording, Vars};
use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::suite::{DatasetRef, Suite};
use assay_store::{AuditEntry, Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::cases::census::Rolling;
use super::cases::{CaseSource, Origin, each_case, each_recorded};
use super::load::Loaded;
use super::recordings::{RecordingFile, bytes_of, recording_of};

/// Chunks that are read ahead of the store.
const READ_AHEAD: usize = 2;
/// Chunks that are made ready and written at once.
const WRITTEN_AT_ONCE: usize = 2;

/// The files a loaded suite refers to, with digests of what was validated.
#[derive(Debug)]
pub struct LoadedFiles {
    pub(super) cases: Arc<[CaseSource]>,
    /// The dataset's digest after each chunk of cases.
    pub(super) checkpoints: Vec<Digest>,
    pub(super) recordings: Vec<RecordingFile>,
}

/// Why a valid suite could not be frozen.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is not what it was when the suite was validated.
    #[error("{} has changed since it was validated; run the same command again", .0.display())]
    Changed(PathBuf),
}

/// What the audit says of the prompts of a suite that have another owner by it: `entry` makes a row of an action, its subject
/// and its detail.
pub fn owned<E>(
    suite: &Suite,
    mut entry: impl FnMut(&str, &str, Value) -> Result<AuditEntry, E>,
) -> Result<Vec<AuditEntry>, E> {
    let owners: BTreeMap<_, _> = suite
        .prompts
        .iter()
        .filter_map(|prompt| Some((prompt.name.as_str(), prompt.owner.as_deref()?)))
        .collect();
    owners.into_iter().map(|(name, owner)| entry("prompt.owner", name, json!({"owner": owner}))).collect()
}

impl Loaded {
    /// Stores the suite's revision with its cases and recorded answers; what the store already has is not read
    /// again. Nothing that differs from what was validated is ever stored. `owned` is of [`owned`].
    ///
    /// # Errors
    /// [`FreezeError::Changed`] when a file was written to in between; the store is then as if nothing had been
    /// frozen, but for chunks that no revision refers to.
    pub async fn freeze(
        &self,
        store: &Store,
        owned: Vec<AuditEntry>,
        now: Micros,
    ) -> Result<(), FreezeError> {
        self.freeze_files(store, now).await?;
        let revision = store.freeze_suite_by(self.suite.clone(), owned, now).await?;
        tracing::info!(suite = %self.suite.name, %revision, "froze suite {} as {}", self.suite.name, revision.short());
        Ok(())
    }

    /// Stores its cases and recorded answers, and neither its revision nor versions of its prompts.
    ///
    /// # Errors
    /// As [`Loaded::freeze`].
    pub async fn freeze_files(&self, store: &Store, now: Micros) -> Result<(), FreezeError> {
        let dataset = &self.suite.dataset;
        if store.dataset(dataset.digest.clone()).await?.is_none() {
            store_cases(store, dataset, self.files.case_chunks(), now).await?;
        }
        for file in &self.files.recordings {
            if !store.has_recording(&file.digest).await? {
                store_recording(store, &file.digest, file.lines, file.chunks(), now).await?;
            }
        }
        Ok(())
    }
}

impl Loaded {
    /// The variables of the cases at some positions, in ascending order, read from the files once more.
    ///
    /// # Errors
    /// [`FreezeError::Changed`] when a file is not what was validated.
    pub async fn vars_at(&self, positions: &[u64]) -> Result<Vec<Vars>, FreezeError> {
        let mut chunks = self.files.case_chunks();
        let mut wanted = positions.iter().copied().peekable();
        let (mut position, mut found) = (0, Vec::with_capacity(positions.len()));
        while let Some(chunk) = chunks.recv().await {
            for case in chunk.map_err(FreezeError::Changed)? {
                if wanted.next_if_eq(&position).is_some() {
                    found.push(case.vars);
                }
                position += 1;
            }
        }
        Ok(found)
    }
}

/// Stores a dataset chunk by chunk and seals it.
pub(super) async fn store_cases(
    store: &Store,
    dataset: &DatasetRef,
    mut chunks: Verified<Case>,
    now: Micros,
) -> Result<(), FreezeError> {
    let mut position = 0;
    // A chunk is made ready while the one before is written.
    let mut writing = JoinSet::new();
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(FreezeError::Changed)?;
        if writing.len() >= WRITTEN_AT_ONCE {
            written(writing.join_next().await)?;
        }
        let (store, digest, first) = (store.clone(), dataset.digest.clone(), position);
        position += chunk.len() as u64;
        writing.spawn(async move { store.put_cases(digest, first, chunk).await });
    }
    while let Some(done) = writing.join_next().await {
        written(Some(done))?;
    }
    Ok(store.seal_dataset(dataset.clone(), now).await?)
}

/// What came of a chunk. A panic goes on here.
fn written(chunk: Option<Result<Result<(), StoreError>, JoinError>>) -> Result<(), StoreError> {
    match chunk.transpose() {
        Ok(written) => written.unwrap_or(Ok(())),
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closing),
        },
    }
}

/// Stores a file of recorded answers chunk by chunk and seals it.
pub(super) async fn store_recording(
    store: &Store,
    digest: &Digest,
    lines: u64,
    mut chunks: Verified<Recording>,
    now: Micros,
) -> Result<(), FreezeError> {
    while let Some(chunk) = chunks.recv().await {
        store.put_recordings(digest.clone(), chunk.map_err(FreezeError::Changed)?).await?;
    }
    Ok(store.seal_recording(digest.clone(), lines, now).await?)
}

/// Chunks that agree with what was validated, or the file that does not any more.
pub(super) type Verified<T> = mpsc::Receiver<Result<Vec<T>, PathBuf>>;

impl LoadedFiles {
    /// The cases, read once more.
    pub(super) fn case_chunks(&self) -> Verified<Case> {
        let sources = Arc::clone(&self.cases);
        verified_chunks(self.checkpoints.clone(), move |chunks| read_cases(&sources, chunks))
    }
}

impl RecordingFile {
    /// The recorded answers, read once more.
    pub(super) fn chunks(&self) -> Verified<Recording> {
        let found = self.found.clone();
        verified_chunks(self.checkpoints.clone(), move |chunks| read_recordings(&found, chunks))
    }
}

/// Items on their way to the store. A chunk leaves when its checkpoint has been reached and agrees.
pub(super) struct Chunks<T> {
    rolling: Rolling,
    expected: Vec<Digest>,
    pending: Vec<T>,
    out: mpsc::Sender<Result<Vec<T>, PathBuf>>,
}

/// Reads on a thread of its own; ends with the path of a file that is not what it was.
pub(super) fn verified_chunks<T: Send + 'static>(
    expected: Vec<Digest>,
    read: impl FnOnce(&mut Chunks<T>) -> Result<(), PathBuf> + Send + 'static,
) -> Verified<T> {
    let (out, chunks) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut chunks = Chunks { rolling: Rolling::default(), expected, pending: Vec::new(), out };
        if let Err(changed) = read(&mut chunks) {
            // Nobody listens any more when the store has failed.
            let _ = chunks.out.blocking_send(Err(changed));
        }
    });
    chunks
}

impl Chunks<Case> {
    /// Takes the next case; `false` when the chunk it ends is not what was validated, or nobody wants it.
    pub(super) fn push(&mut self, case: Case) -> bool {
        let full = self.rolling.add(&case);
        self.pending.push(case);
        !full || self.flush()
    }
}

impl Chunks<Recording> {
    /// As for cases.
    pub(super) fn push(&mut self, recording: Recording) -> bool {
        let full = self.rolling.add_framed(&bytes_of(&recording));
        self.pending.push(recording);
        !full || self.flush()
    }
}

impl<T> Chunks<T> {
    /// Hands on what is pending; `false` when it is not what was validated, or nobody wants it.
    fn flush(&mut self) -> bool {
        let checkpoints = &self.rolling.checkpoints;
        let agrees = checkpoints.last() == self.expected.get(checkpoints.len().wrapping_sub(1));
        agrees && self.out.blocking_send(Ok(std::mem::take(&mut self.pending))).is_ok()
    }

    /// Hands on the last chunk; `false` when anything was missing.
    pub(super) fn end(&mut self) -> bool {
        self.rolling.finish();
        (self.pending.is_empty() || self.flush()) && self.rolling.checkpoints.len() == self.expected.len()
    }
}

fn read_cases(sources: &[CaseSource], chunks: &mut Chunks<Case>) -> Result<(), PathBuf> {
    let path_of = |source: u32| match sources.get(source as usize).map(|source| &source.origin) {
        Some(Origin::File { found, .. }) => found.shown.clone(),
        _ => PathBuf::from("the suite"),
    };
    let (mut last, mut fine) = (0, true);
    let read = each_case(sources, |place, case| {
        last = place.source;
        fine = case.is_ok_and(|case| chunks.push(case));
        if fine { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match read {
        Err((source, _)) => Err(path_of(source)),
        Ok(()) if fine && chunks.end() => Ok(()),
        Ok(()) => Err(path_of(last)),
    }
}

fn read_recordings(file: &super::folder::Found, chunks: &mut Chunks<Recording>) -> Result<(), PathBuf> {
    let mut fine = true;
    let read = each_recorded(file, &mut |line, text| {
        let recording = text.and_then(|text| recording_of(line, text));
        fine = recording.is_ok_and(|recording| chunks.push(recording));
        if fine { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if read.is_ok() && fine && chunks.end() { Ok(()) } else { Err(file.shown.clone()) }
}
