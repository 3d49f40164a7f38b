//! The statistics against values that other implementations computed.
//!
//! Every vector of the folder is looked at, every value it expects, and a kind that nothing here knows fails by name. The
//! folder is that of `ASSAY_VECTORS` where it is set: another half of the same kinds. `stats_variants` beside it holds what those leave
//! out: the least and the most that each kind can be given.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may panic as the test may")]

mod across;
mod complete;
mod sequential;
mod trials;
mod vector;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vector::Vector;

/// How a kind of vector is checked.
type Check = fn(&Vector);

/// Every kind there is.
const KINDS: [&[(&str, Check)]; 4] = [&complete::KINDS, &across::KINDS, &trials::KINDS, &sequential::KINDS];

#[test]
fn every_vector_agrees() {
    let folder = std::env::var_os("ASSAY_VECTORS").map_or_else(|| data("stats_vectors"), PathBuf::from);
    let seen = agree(&folder);
    for (kind, _) in KINDS.into_iter().flatten() {
        assert!(seen.contains_key(*kind), "no vector of the kind `{kind}`");
    }
}

#[test]
fn every_variant_agrees() {
    assert!(!agree(&data("stats_variants")).is_empty());
}

/// Holds every vector of a folder against the functions; how many there are of each kind.
fn agree(folder: &Path) -> BTreeMap<String, usize> {
    let known: BTreeMap<&str, Check> = KINDS.into_iter().flatten().copied().collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for vector in vectors(folder) {
        *seen.entry(vector.kind.clone()).or_default() += 1;
        match known.get(vector.kind.as_str()) {
            Some(check) => check(&vector),
            None => vector.wrong(format!("nothing checks the kind `{}`", vector.kind)),
        }
        wrong.extend(vector.complaints());
    }
    let total: usize = seen.values().sum();
    assert!(wrong.is_empty(), "of {total} vectors:\n{}", wrong.join("\n"));
    seen
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

fn vectors(folder: &Path) -> Vec<Vector> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let texts: Vec<String> = files.iter().map(read).collect();
    texts.iter().flat_map(|text| text.lines().filter(|line| !line.is_empty()).map(Vector::read)).collect()
}
