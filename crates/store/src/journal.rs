//! The journal of a SQLite file: answers that are kept beside it until their jobs are settled.
//!
//! A file has one worker, so nobody else needs what it keeps while it lives, and most of it is settled within a second.
//! Appending a line to a file costs a hundredth of a transaction, waits for none, and survives the end of any process as a
//! commit does that does not wait for the disk. What a process left behind goes into the database when the next one takes the
//! file ([`crate::response`]).
//!
//! A journal is a few segments, `FILE-answers-N`. A segment goes once all its answers are settled.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assay_common::id::RunId;
use assay_common::job::{Hint, JobKey, Response};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::row::to_json;

/// The first line of a segment. A file without it is none of ours, whatever its name.
const HEADER: &[u8] = b"assay: answers that were paid for and are not recorded yet\n";
/// Bytes after which the next answer begins another segment.
const SEGMENT_BYTES: usize = 1 << 20;

/// A line of a segment; borrowed as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Line<R> {
    run: RunId,
    ordinal: u64,
    generation: u32,
    response: R,
}

/// The journal beside one SQLite file, as this process writes it.
#[derive(Debug)]
pub(crate) struct Journal {
    database: PathBuf,
    kept: Mutex<Kept>,
    /// Held by whoever moves answers into the database: the others wait until they can be found there.
    pub(crate) moving: tokio::sync::Mutex<()>,
}

/// What this process has in its journal.
#[derive(Debug, Default)]
struct Kept {
    /// The number of the segment in which the answer of each job stands.
    answers: HashMap<Hint, u64>,
    segments: BTreeMap<u64, Segment>,
    /// The segment that is written to.
    last: Option<Last>,
}

/// A file of answers.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// How many of its answers are not settled.
    open: usize,
}

/// The segment that is written to.
#[derive(Debug)]
struct Last {
    number: u64,
    file: File,
    bytes: usize,
}

impl Journal {
    /// The journal beside the SQLite file at `database`. Nothing is touched.
    pub(crate) fn beside(database: &Path) -> Self {
        Self { database: database.to_owned(), kept: Mutex::default(), moving: tokio::sync::Mutex::default() }
    }

    /// Appends answers; of two for one job the first stays. Blocks for as long as the system takes to copy them.
    pub(crate) fn keep(&self, answers: &[(JobKey, &Response)]) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let mut lines = Vec::new();
        let mut fresh = Vec::with_capacity(answers.len());
        for (JobKey { run, ordinal, generation }, response) in answers.iter().copied() {
            let hint = Hint { run, ordinal };
            if !kept.answers.contains_key(&hint) && !fresh.contains(&hint) {
                lines.extend(to_json(&Line { run, ordinal, generation, response })?.into_bytes());
                lines.push(b'\n');
                fresh.push(hint);
            }
        }
        if !fresh.is_empty() {
            let number = kept.append(&self.database, &lines).map_err(sqlx::Error::Io)?;
            if let Some(segment) = kept.segments.get_mut(&number) {
                segment.open += fresh.len();
            }
            kept.answers.extend(fresh.into_iter().map(|hint| (hint, number)));
        }
        Ok(())
    }

    /// Whether the answer of one of these jobs is here.
    pub(crate) fn has_any(&self, hints: &[Hint]) -> bool {
        let kept = self.kept();
        !kept.answers.is_empty() && hints.iter().any(|hint| kept.answers.contains_key(hint))
    }

    /// How many answers of a run are here.
    pub(crate) fn count(&self, run: RunId) -> usize {
        self.kept().answers.keys().filter(|hint| hint.run == run).count()
    }

    /// Gives up the answers of these jobs: they are settled.
    pub(crate) fn forget(&self, hints: impl IntoIterator<Item = Hint>) {
        let mut kept = self.kept();
        hints.into_iter().for_each(|hint| kept.forget(hint));
    }

    /// Gives up what is here of a run.
    pub(crate) fn forget_run(&self, run: RunId) {
        let mut kept = self.kept();
        let of_run: Vec<_> = kept.answers.keys().filter(|hint| hint.run == run).copied().collect();
        of_run.into_iter().for_each(|hint| kept.forget(hint));
    }

    /// Closes every segment: what is kept from now on goes into others. Returns them by their numbers.
    pub(crate) fn close_segments(&self) -> Vec<(u64, PathBuf)> {
        let mut kept = self.kept();
        kept.last = None;
        kept.segments.iter().map(|(number, segment)| (*number, segment.path.clone())).collect()
    }

    /// Gives up all that stands in a segment: it stands in the database.
    pub(crate) fn forget_segment(&self, number: u64) {
        let mut kept = self.kept();
        kept.answers.retain(|_, stands_in| *stands_in != number);
        kept.remove(number);
    }

    /// The segments beside the file that are not of this process, the oldest first.
    pub(crate) fn left_behind(&self) -> io::Result<Vec<PathBuf>> {
        let beside = resolved(&self.database);
        let (Some(folder), Some(name)) = (beside.parent(), beside.file_name()) else {
            return Ok(Vec::new());
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let prefix = segment_name(name.to_owned(), "");
        let mut numbered = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
            let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
            numbered.extend(number.map(|number| (number, folder.join(name))));
        }
        let kept = self.kept();
        numbered.retain(|number, path| !kept.segments.contains_key(number) && is_segment(path));
        Ok(numbered.into_values().collect())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock is held leaves counts that are too high at worst: a segment stays for the next process.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Writes lines to the last segment, and says which that is. What failed half-way ends its segment.
    fn append(&mut self, database: &Path, lines: &[u8]) -> io::Result<u64> {
        let mut last = match self.last.take().filter(|last| last.bytes < SEGMENT_BYTES) {
            Some(last) => last,
            None => self.begin(database)?,
        };
        let number = last.number;
        let written = match last.bytes {
            0 => last.file.write_all(&[HEADER, lines].concat()),
            _ => last.file.write_all(lines),
        };
        if let Err(error) = written {
            self.remove_if_settled(number);
            return Err(error);
        }
        last.bytes += lines.len();
        self.last = Some(last);
        Ok(number)
    }

    /// Makes the next segment. A number that has been used by another is passed over.
    fn begin(&mut self, database: &Path) -> io::Result<Last> {
        let beside = resolved(database);
        let mut number = self.segments.keys().next_back().copied().unwrap_or(0);
        loop {
            number += 1;
            let path = PathBuf::from(segment_name(beside.as_os_str().to_owned(), &number.to_string()));
            match File::options().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    self.segments.insert(number, Segment { path, open: 0 });
                    return Ok(Last { number, file, bytes: 0 });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn forget(&mut self, hint: Hint) {
        let Some(number) = self.answers.remove(&hint) else { return };
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.open = segment.open.saturating_sub(1);
        }
        self.remove_if_settled(number);
    }

    fn remove_if_settled(&mut self, number: u64) {
        if self.segments.get(&number).is_some_and(|segment| segment.open == 0) {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        self.last.take_if(|last| last.number == number);
        if let Some(segment) = self.segments.remove(&number) {
            // What cannot be removed is read by the next process, which finds its jobs settled.
            let _ = fs::remove_file(segment.path);
        }
    }
}

fn segment_name(mut database: OsString, number: &str) -> OsString {
    database.push("-answers-");
    database.push(number);
    database
}

/// Where the file itself lies, wherever links to it are.
pub(crate) fn resolved(database: &Path) -> PathBuf {
    // One that is not there yet has no links.
    database.canonicalize().unwrap_or_else(|_| database.to_owned())
}

/// Whether the file begins as segments do. What cannot be read is left alone.
fn is_segment(path: &Path) -> bool {
    let mut begins = [0; HEADER.len()];
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    is_file && File::open(path).and_then(|mut file| file.read_exact(&mut begins)).is_ok() && begins == HEADER
}

/// The answers in a segment, read one after the other; none where it is gone, all its jobs being settled. A last line
/// that is not whole is passed over: its process died as it was written, and its call was in flight.
pub(crate) fn read(segment: &Path) -> io::Result<impl Iterator<Item = io::Result<(JobKey, Response)>>> {
    let file = match File::open(segment) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = segment.display().to_string();
    let mut reader = file.map(BufReader::new);
    let mut lines = std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.as_mut()?.read_until(b'\n', &mut line) {
            Ok(_) => (line.pop() == Some(b'\n')).then_some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    });
    let _header = lines.next();
    Ok(lines.filter_map(move |line| {
        let read = line.map(|line| serde_json::from_slice(&line));
        match read {
            Ok(Ok(Line { run, ordinal, generation, response })) => {
                Some(Ok((JobKey { run, ordinal, generation }, response)))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read an answer that was kept in {path}: its call may be paid again");
                None
            }
            Err(error) => Some(Err(error)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ordinal: u64, text: &str) -> (JobKey, Response) {
        let (finish_reason, latency_us, cost) = Default::default();
        let (text, usage, calls) = (text.to_owned(), Default::default(), Vec::new());
        let response = Response { text, finish_reason, usage, latency_us, cost, calls };
        (JobKey { run: RunId::new(Default::default()), ordinal, generation: 0 }, response)
    }

    fn keep(journal: &Journal, answers: &[(JobKey, Response)]) -> Result<(), StoreError> {
        let answers: Vec<_> = answers.iter().map(|(key, response)| (*key, response)).collect();
        journal.keep(&answers)
    }

    fn hint(ordinal: u64) -> Hint {
        Hint { run: RunId::new(Default::default()), ordinal }
    }

    fn texts(segment: &Path) -> Vec<(u64, String)> {
        let read = read(segment).unwrap().map(Result::unwrap);
        read.map(|(key, response)| (key.ordinal, response.text)).collect()
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_segment_goes_with_the_last_of_its_answers() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::beside(&folder.path().join("assay.db"));
        keep(&journal, &[]).unwrap();
        assert!(files(folder.path()).is_empty());
        let large = "x".repeat(SEGMENT_BYTES);
        keep(&journal, &[answer(1, "one\n"), answer(2, &large), answer(1, "too late")]).unwrap();
        keep(&journal, &[answer(3, "three"), answer(2, "too late")]).unwrap();
        assert_eq!(files(folder.path()), ["assay.db-answers-1", "assay.db-answers-2"]);
        assert!(journal.has_any(&[hint(9), hint(3)]) && !journal.has_any(&[hint(9)]));
        journal.forget([hint(2), hint(2), hint(9)]);
        let segments = journal.close_segments();
        assert_eq!((segments.len(), journal.count(hint(1).run)), (2, 2));
        assert_eq!(texts(&segments[0].1), [(1, "one\n".to_owned()), (2, large)]);
        journal.forget([hint(1)]);
        assert_eq!(files(folder.path()), ["assay.db-answers-2"]);
        // One that is closed gets no more.
        keep(&journal, &[answer(4, "four")]).unwrap();
        assert_eq!(files(folder.path()), ["assay.db-answers-2", "assay.db-answers-3"]);
        journal.forget_run(hint(0).run);
        assert!(files(folder.path()).is_empty());
        keep(&journal, &[answer(4, "again")]).unwrap();
        assert_eq!(texts(&folder.path().join("assay.db-answers-1")), [(4, "again".to_owned())]);
    }

    #[test]
    fn what_a_process_left_behind_is_found_and_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assay.db");
        let (dead, living) = (Journal::beside(&database), Journal::beside(&database));
        keep(&dead, &[answer(1, "one"), answer(2, "two")]).unwrap();
        // Others lie beside it, a store among them.
        for name in ["assay.db-answers-7", "assay.db-answers-x", "other.db-answers-1", "assay.db-wal"] {
            fs::write(folder.path().join(name), "SQLite format 3\0".repeat(64)).unwrap();
        }
        fs::create_dir(folder.path().join("assay.db-answers-8")).unwrap();
        fs::write(folder.path().join("assay.db-answers-9"), HEADER.split_last().unwrap().1).unwrap();
        // It died as it wrote the third.
        let segment = folder.path().join("assay.db-answers-1");
        let whole = fs::read(&segment).unwrap();
        fs::write(&segment, [&whole[..], &whole[..whole.len() / 3]].concat()).unwrap();
        keep(&living, &[answer(3, "three")]).unwrap();
        assert_eq!(living.left_behind().unwrap(), std::slice::from_ref(&segment));
        assert_eq!(texts(&segment), [(1, "one".to_owned()), (2, "two".to_owned())]);
        assert_eq!(texts(&folder.path().join("assay.db-answers-2")), [(3, "three".to_owned())]);
    }

    #[test]
    fn what_cannot_be_written_is_said_and_tried_anew() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let journal = Journal::beside(&inner.join("assay.db"));
        assert!(keep(&journal, &[answer(1, "one")]).is_err());
        assert!(!journal.has_any(&[hint(1)]));
        fs::create_dir(&inner).unwrap();
        keep(&journal, &[answer(1, "one")]).unwrap();
        assert!(journal.has_any(&[hint(1)]));
    }
}
