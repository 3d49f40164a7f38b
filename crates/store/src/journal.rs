//! The journal of a SQLite file: answers that are kept beside it until their jobs are settled.
//!
//! A file has one worker, so while that lives nobody else asks for what it keeps, and most of it is settled within a second.
//! Appending a line to a file costs a hundredth of a transaction, waits for none, and survives the end of any process as a
//! commit does that does not wait for the disk. What a process left behind goes into the database when the next one takes the
//! file, and what this one has when its jobs are claimed once more, its member having been buried ([`crate::response`]).
//!
//! A journal is a few segments, `FILE-answers-N`. A segment goes once all its answers are settled.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
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
    answers: BTreeMap<JobKey, u64>,
    segments: BTreeMap<u64, Segment>,
    /// The segment that is written to.
    last: Option<Last>,
    /// The highest number so far. None is used again: whoever moves a segment means that one.
    begun: u64,
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
        for (key, response) in answers.iter().copied() {
            if !kept.answers.contains_key(&key) && !fresh.contains(&key) {
                let JobKey { run, ordinal, generation } = key;
                lines.extend(to_json(&Line { run, ordinal, generation, response })?.into_bytes());
                lines.push(b'\n');
                fresh.push(key);
            }
        }
        if !fresh.is_empty() {
            let number = kept.append(&self.database, &lines).map_err(sqlx::Error::Io)?;
            if let Some(segment) = kept.segments.get_mut(&number) {
                segment.open += fresh.len();
            }
            kept.answers.extend(fresh.into_iter().map(|key| (key, number)));
        }
        Ok(())
    }

    /// Whether the answer of one of these jobs is here.
    pub(crate) fn has_any(&self, hints: &[Hint]) -> bool {
        let kept = self.kept();
        let key = |hint: &Hint, generation| JobKey { run: hint.run, ordinal: hint.ordinal, generation };
        let of_job = |hint| kept.answers.range(key(hint, 0)..=key(hint, u32::MAX)).next();
        hints.iter().any(|hint| of_job(hint).is_some())
    }

    /// How many answers of a run are here.
    pub(crate) fn count(&self, run: RunId) -> usize {
        self.kept().answers.keys().filter(|key| key.run == run).count()
    }

    /// Gives up the answers of these jobs: they are settled.
    pub(crate) fn forget(&self, jobs: impl IntoIterator<Item = JobKey>) {
        let mut kept = self.kept();
        jobs.into_iter().for_each(|key| kept.forget(key));
    }

    /// Gives up what is here of a run.
    pub(crate) fn forget_run(&self, run: RunId) {
        let mut kept = self.kept();
        let of_run: Vec<_> = kept.answers.keys().filter(|key| key.run == run).copied().collect();
        of_run.into_iter().for_each(|key| kept.forget(key));
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
    ///
    /// # Errors
    /// One that is there cannot be read.
    pub(crate) fn left_behind(&self) -> Result<Vec<PathBuf>, StoreError> {
        let beside = resolved(&self.database);
        let (Some(folder), Some(name)) = (beside.parent(), beside.file_name()) else {
            return Ok(Vec::new());
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let prefix = segment_name(name.to_owned(), "");
        let mut numbered = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(unusable(folder))? {
            let name = entry.map_err(unusable(folder))?.file_name();
            let number = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
            let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
            let Some(number) = number.filter(|number| !self.kept().segments.contains_key(number)) else {
                continue;
            };
            let path = folder.join(name);
            if is_segment(&path).map_err(unusable(&path))? {
                numbered.insert(number, path);
            }
        }
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

    /// Makes the next segment, for those who may read the database. A number that has been used by another is passed over.
    fn begin(&mut self, database: &Path) -> io::Result<Last> {
        let beside = resolved(database);
        let mode = fs::metadata(&beside)?.mode() & 0o777;
        loop {
            self.begun += 1;
            let number = self.begun;
            let path = PathBuf::from(segment_name(beside.as_os_str().to_owned(), &number.to_string()));
            match File::options().append(true).create_new(true).mode(mode).open(&path) {
                Ok(file) => {
                    self.segments.insert(number, Segment { path, open: 0 });
                    return Ok(Last { number, file, bytes: 0 });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn forget(&mut self, key: JobKey) {
        let Some(number) = self.answers.remove(&key) else { return };
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

/// Links that may lead to one another.
const LINKS: usize = 40;

/// The file that a path leads to, whether it is there yet or not: links to it are followed, and those of its folder need not be.
pub(crate) fn resolved(database: &Path) -> PathBuf {
    let mut path = database.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// Whether the file begins as segments do, as far as it goes.
fn is_segment(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut begins = Vec::with_capacity(HEADER.len());
    File::open(path)?.take(HEADER.len() as u64).read_to_end(&mut begins)?;
    Ok(!begins.is_empty() && HEADER.starts_with(&begins))
}

/// Says which file or folder it was.
fn unusable(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
    |source| StoreError::File { path: path.to_owned(), source }
}

/// The answers in a segment, read one after the other; none where it is gone, all its jobs being settled. A last line
/// that is not whole is passed over: its process died as it was written, and its call was in flight.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read(
    segment: &Path,
) -> Result<impl Iterator<Item = Result<(JobKey, Response), StoreError>>, StoreError> {
    let file = match File::open(segment) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(segment)(error)),
    };
    let mut reader = file.map(BufReader::new);
    let mut lines = std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.as_mut()?.read_until(b'\n', &mut line) {
            Ok(_) => (line.pop() == Some(b'\n')).then_some(Ok(line)),
            Err(error) => Some(Err(unusable(segment)(error))),
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
                let path = segment.display();
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

    fn key(ordinal: u64) -> JobKey {
        answer(ordinal, "").0
    }

    /// A folder with a database that only its owner may read.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assay.db");
        File::options().write(true).create_new(true).mode(0o600).open(&database).unwrap();
        (folder, database)
    }

    fn texts(segment: &Path) -> Vec<(u64, String)> {
        let read = read(segment).unwrap().map(Result::unwrap);
        read.map(|(key, response)| (key.ordinal, response.text)).collect()
    }

    /// The numbers of the segments that are there.
    fn numbers(folder: &Path) -> Vec<u64> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let number = |name: OsString| name.to_str()?.strip_prefix("assay.db-answers-")?.parse().ok();
        let mut numbers: Vec<_> = names.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn a_segment_goes_with_the_last_of_its_answers() {
        let (folder, database) = folder();
        let journal = Journal::beside(&database);
        let check = |expected: &[u64]| assert_eq!(numbers(folder.path()), expected);
        keep(&journal, &[]).unwrap();
        check(&[]);
        let large = "x".repeat(SEGMENT_BYTES);
        keep(&journal, &[answer(1, "one\n"), answer(2, &large), answer(1, "too late")]).unwrap();
        keep(&journal, &[answer(3, "three"), answer(2, "too late")]).unwrap();
        check(&[1, 2]);
        let first = folder.path().join("assay.db-answers-1");
        assert_eq!(texts(&first), [(1, "one\n".to_owned()), (2, large)]);
        assert_eq!(fs::metadata(&first).unwrap().mode() & 0o777, 0o600);
        assert!(journal.has_any(&[hint(9), hint(3)]) && !journal.has_any(&[hint(9)]));
        journal.forget([key(2), key(2), key(9), JobKey { generation: 1, ..key(1) }]);
        assert_eq!(journal.count(key(1).run), 2);
        check(&[1, 2]);
        journal.forget([key(1)]);
        check(&[2]);
        journal.forget_run(key(0).run);
        check(&[]);
    }

    /// While segments are moved, what stands in them may be settled, and more may be kept.
    #[test]
    fn a_closed_segment_is_never_written_to_again() {
        let (folder, database) = folder();
        let journal = Journal::beside(&database);
        keep(&journal, &[answer(1, "one")]).unwrap();
        let closed = journal.close_segments();
        let (number, path) = &closed[0];
        keep(&journal, &[answer(2, "two")]).unwrap();
        assert_eq!(texts(path), [(1, "one".to_owned())]);
        journal.forget([key(1), key(2)]);
        assert!(texts(path).is_empty(), "one that is gone holds nothing");
        keep(&journal, &[answer(3, "three")]).unwrap();
        journal.forget_segment(*number);
        assert!(journal.has_any(&[hint(3)]));
        assert_eq!(numbers(folder.path()), [3]);
        journal.forget_segment(3);
        assert!(!journal.has_any(&[hint(3)]));
        assert!(numbers(folder.path()).is_empty());
    }

    #[test]
    fn what_a_process_left_behind_is_found_and_not_written_to() {
        let (folder, database) = folder();
        let (dead, living) = (Journal::beside(&database), Journal::beside(&database));
        keep(&dead, &[answer(1, "one"), answer(2, "two")]).unwrap();
        // Others lie beside it, a store among them.
        for name in ["assay.db-answers-7", "assay.db-answers-x", "other.db-answers-1", "assay.db-wal"] {
            fs::write(folder.path().join(name), "SQLite format 3\0".repeat(64)).unwrap();
        }
        fs::create_dir(folder.path().join("assay.db-answers-8")).unwrap();
        // One died as it began, another as it wrote its third answer.
        let begun = folder.path().join("assay.db-answers-9");
        fs::write(&begun, HEADER.split_last().unwrap().1).unwrap();
        let segment = folder.path().join("assay.db-answers-1");
        let whole = fs::read(&segment).unwrap();
        fs::write(&segment, [&whole[..], &whole[HEADER.len()..whole.len() - 9]].concat()).unwrap();
        keep(&living, &[answer(3, "three")]).unwrap();
        assert_eq!(living.left_behind().unwrap(), [segment.clone(), begun.clone()]);
        let doubled = [(1, "one".to_owned()), (2, "two".to_owned()), (1, "one".to_owned())];
        assert_eq!((texts(&segment), texts(&begun)), (doubled.into(), Vec::new()));
        assert_eq!(texts(&folder.path().join("assay.db-answers-2")), [(3, "three".to_owned())]);
    }

    #[test]
    fn what_cannot_be_written_is_said_and_tried_anew() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assay.db");
        let journal = Journal::beside(&database);
        assert!(keep(&journal, &[answer(1, "one")]).is_err());
        assert!(!journal.has_any(&[hint(1)]));
        fs::write(&database, "").unwrap();
        keep(&journal, &[answer(1, "one")]).unwrap();
        assert!(journal.has_any(&[hint(1)]));
    }

    #[test]
    fn it_lies_beside_the_file_and_not_beside_links_to_it() {
        let (folder, database) = folder();
        let (inner, dangling) = (folder.path().join("inner"), folder.path().join("inner/dangling.db"));
        fs::create_dir(&inner).unwrap();
        std::os::unix::fs::symlink("../link.db", inner.join("second.db")).unwrap();
        std::os::unix::fs::symlink("assay.db", folder.path().join("link.db")).unwrap();
        std::os::unix::fs::symlink("../later.db", &dangling).unwrap();
        keep(&Journal::beside(&inner.join("second.db")), &[answer(1, "one")]).unwrap();
        assert_eq!(numbers(folder.path()), [1]);
        assert_eq!(Journal::beside(&database).left_behind().unwrap().len(), 1);
        assert_eq!(resolved(&dangling).file_name(), Some("later.db".as_ref()));
        let before = resolved(&dangling);
        fs::write(folder.path().join("later.db"), "").unwrap();
        assert_eq!(resolved(&dangling), before, "its lock is the same before it is made and after");
    }
}
