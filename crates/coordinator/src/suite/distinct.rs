//! Which of any number of lines repeats a key, in the same memory however many they are: an external merge sort, as in Knuth,
//! The Art of Computer Programming 3, 5.4.1. Keys are sorted as many at a time as are held, and the sorted runs merged
//! from a temporary file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Lines that are held: 3 MiB of them.
const HELD: usize = 1 << 17;
/// Lines that are read of a run at a time.
const READ: usize = 1 << 10;

/// What a line is known by.
pub(super) type Key = [u8; 16];
/// A key and the number of its line.
type Entry = (Key, u64);
/// Bytes of an entry in the file.
const ENTRY: usize = size_of::<Key>() + size_of::<u64>();

/// Lines with their keys, of which no two should be the same.
pub(super) struct Distinct {
    held: Vec<Entry>,
    most: usize,
    /// The runs that were full, one after the other.
    runs: Option<File>,
    /// Entries in them.
    spilled: u64,
}

/// A line whose key an earlier one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) line: u64,
    /// The first line with that key.
    pub(super) first: u64,
}

impl Default for Distinct {
    fn default() -> Self {
        Self::holding(HELD)
    }
}

impl Distinct {
    fn holding(most: usize) -> Self {
        Self { held: Vec::new(), most, runs: None, spilled: 0 }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, key: Key, line: u64) -> io::Result<()> {
        if self.held.len() == self.most {
            self.spill()?;
        }
        self.held.push((key, line));
        Ok(())
    }

    /// The earliest line that repeats a key.
    pub(super) fn repeat(mut self) -> io::Result<Option<Repeat>> {
        if self.runs.is_some() {
            self.spill()?;
        }
        match self.runs {
            Some(runs) => earliest(Merge::of(&runs, self.most as u64, self.spilled)?),
            None => {
                self.held.sort_unstable();
                earliest(self.held.into_iter().map(Ok))
            }
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(tempfile::tempfile()?),
        };
        let bytes: Vec<u8> = self.held.iter().flat_map(|entry| bytes_of(*entry)).collect();
        runs.write_all_at(&bytes, self.spilled * ENTRY as u64)?;
        self.spilled += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }
}

/// The earliest repeat among entries that are sorted.
fn earliest(sorted: impl Iterator<Item = io::Result<Entry>>) -> io::Result<Option<Repeat>> {
    let mut earliest: Option<Repeat> = None;
    let mut first: Option<Entry> = None;
    for entry in sorted {
        let (key, line) = entry?;
        match first.filter(|(other, _)| *other == key) {
            Some((_, first)) if earliest.is_none_or(|found| line < found.line) => {
                earliest = Some(Repeat { line, first });
            }
            Some(_) => {}
            None => first = Some((key, line)),
        }
    }
    Ok(earliest)
}

/// The entries of all runs, sorted.
struct Merge<'f> {
    runs: Vec<Run<'f>>,
    /// The next entry of each run that has one.
    next: BinaryHeap<Reverse<(Entry, usize)>>,
}

/// A sorted run in the file.
struct Run<'f> {
    file: &'f File,
    /// Entries of it that are not read yet, by their place in the file.
    rest: std::ops::Range<u64>,
    /// Those that are, the next one last.
    read: Vec<Entry>,
}

impl<'f> Merge<'f> {
    fn of(file: &'f File, most: u64, entries: u64) -> io::Result<Self> {
        let starts = (0..entries).step_by(usize::try_from(most).unwrap_or(usize::MAX));
        let run = |start| Run { file, rest: start..(start + most).min(entries), read: Vec::new() };
        let mut runs: Vec<_> = starts.map(run).collect();
        let mut next = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            next.extend(run.next()?.map(|entry| Reverse((entry, index))));
        }
        Ok(Self { runs, next })
    }
}

impl Iterator for Merge<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((entry, index)) = self.next.pop()?;
        match self.runs[index].next() {
            Ok(following) => self.next.extend(following.map(|entry| Reverse((entry, index)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(entry))
    }
}

impl Run<'_> {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        if self.read.is_empty() {
            let count = (self.rest.end - self.rest.start).min(READ as u64);
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(READ) * ENTRY];
            self.file.read_exact_at(&mut bytes, self.rest.start * ENTRY as u64)?;
            self.rest.start += count;
            let (entries, _) = bytes.as_chunks::<ENTRY>();
            self.read.extend(entries.iter().rev().map(entry_of));
        }
        Ok(self.read.pop())
    }
}

fn bytes_of((key, line): Entry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let (of_key, of_line) = bytes.split_at_mut(size_of::<Key>());
    of_key.copy_from_slice(&key);
    of_line.copy_from_slice(&line.to_be_bytes());
    bytes
}

fn entry_of(bytes: &[u8; ENTRY]) -> Entry {
    let (mut key, mut line) = (Key::default(), [0; size_of::<u64>()]);
    let (of_key, of_line) = bytes.split_at(size_of::<Key>());
    key.copy_from_slice(of_key);
    line.copy_from_slice(of_line);
    (key, u64::from_be_bytes(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repeat(keys: &[u8], most: usize) -> Option<Repeat> {
        let mut distinct = Distinct::holding(most);
        for (line, key) in (1..).zip(keys) {
            let mut long = [7; 16];
            long[9] = *key;
            distinct.add(long, line).unwrap();
        }
        distinct.repeat().unwrap()
    }

    #[test]
    fn the_earliest_line_that_repeats_one_is_told() {
        let check = |keys: &[u8], expected: Option<(u64, u64)>| {
            let expected = expected.map(|(line, first)| Repeat { line, first });
            for most in [1, 2, 3, 100] {
                assert_eq!(repeat(keys, most), expected, "{keys:?} by {most}");
            }
        };
        check(&[], None);
        check(&[5], None);
        check(&[5, 5], Some((2, 1)));
        check(&[3, 9, 1, 4], None);
        check(&[9, 4, 1, 4, 9], Some((4, 2)));
        check(&[2, 2, 2, 2], Some((2, 1)));
    }

    proptest! {
        #[test]
        fn as_a_set_would_find_it(keys in prop::collection::vec(any::<u8>(), 0..120), most in 1_usize..40) {
            let mut firsts = std::collections::HashMap::new();
            let expected = (1..).zip(&keys).find_map(|(line, key)| {
                let first = *firsts.entry(key).or_insert(line);
                (first < line).then_some(Repeat { line, first })
            });
            prop_assert_eq!(repeat(&keys, most), expected);
        }
    }
}
