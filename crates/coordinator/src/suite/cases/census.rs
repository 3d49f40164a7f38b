//! The first pass over the cases: everything that has to be known of them at once, in some 40 bytes a case.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use assay_common::case::Case;
use assay_common::id::{Digest, Digester};
use sha2::{Digest as _, Sha256};

use super::super::hint::did_you_mean;
use super::super::load::Loader;
use super::super::yaml::Node;
use super::fields::content;
use super::{CaseSource, Fault, Faults, Origin, Place, each_case};

/// How many names of variables are remembered for hints.
const MAX_NAMES: usize = 1_000;
/// A chunk is closed when it has this many cases …
const CHUNK_CASES: usize = 2_048;
/// … or this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Tags and the values they must have.
pub(in super::super) type Slice = BTreeMap<String, String>;

/// What the cases come to.
#[derive(Default)]
pub(in super::super) struct Census {
    rolling: Rolling,
    cases: u64,
    /// Whether a row or a file could not be read.
    broken: bool,
    clustered: bool,
    /// Where each id was first met, by 16 bytes of its SHA-256.
    ids: HashMap<[u8; 16], Place>,
    /// Cases that have each variable.
    variables: BTreeMap<String, u64>,
    /// Cases that have each value of the tags that slices speak of.
    tags: BTreeMap<String, BTreeMap<String, u64>>,
    /// The slices that rules look at, with their cases.
    slices: Vec<(Slice, u64)>,
    /// For each entry of `cases:` the fields its rows have, for naming one that none has.
    fields: HashMap<usize, BTreeMap<String, u64>>,
}

/// The dataset's digest as it grows, with a checkpoint after each chunk: the second pass holds every chunk against
/// them before it is stored.
#[derive(Default)]
pub(in super::super) struct Rolling {
    digester: Digester,
    chunk_cases: usize,
    chunk_bytes: usize,
    pub(in super::super) checkpoints: Vec<Digest>,
}

impl Rolling {
    /// Adds a case. Returns whether it closed a chunk.
    pub(in super::super) fn add(&mut self, case: &Case) -> bool {
        let mut names: Vec<&str> = vec![&case.id, case.cluster.as_deref().unwrap_or_default()];
        let tags: Vec<_> = case.tags.iter().collect();
        tags.iter().for_each(|(tag, value)| names.extend([tag.as_str(), value.as_str()]));
        self.digester.update(&[u8::from(case.cluster.is_some())]);
        self.digester.update(&(tags.len() as u64).to_be_bytes());
        names.iter().for_each(|name| self.digester.update_framed(name.as_bytes()));
        self.add_framed(&content(&case.vars))
    }

    /// Adds a piece that is a whole of its own. Returns whether it closed a chunk.
    pub(in super::super) fn add_framed(&mut self, piece: &[u8]) -> bool {
        self.digester.update_framed(piece);
        self.chunk_cases += 1;
        self.chunk_bytes += piece.len();
        let full = self.chunk_cases == CHUNK_CASES || self.chunk_bytes >= CHUNK_BYTES;
        if full {
            self.checkpoint();
        }
        full
    }

    /// The digest of everything; closes the last chunk.
    pub(in super::super) fn finish(&mut self) -> Digest {
        if self.chunk_cases > 0 {
            self.checkpoint();
        }
        self.digester.clone().finish()
    }

    fn checkpoint(&mut self) {
        (self.chunk_cases, self.chunk_bytes) = (0, 0);
        self.checkpoints.push(self.digester.clone().finish());
    }
}

impl Census {
    pub(in super::super) fn cases(&self) -> u64 {
        self.cases
    }

    /// Whether there are cases, and every one of them was counted.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.cases > 0 && !self.broken
    }

    pub(in super::super) fn clustered(&self) -> bool {
        self.clustered
    }

    pub(in super::super) fn cases_with(&self, variable: &str) -> u64 {
        self.variables.get(variable).copied().unwrap_or(0)
    }

    /// The names of variables that any case has.
    pub(in super::super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|(_, cases)| **cases > 0).map(|(name, _)| name.as_str())
    }

    /// Cases of one of the slices that were asked for.
    pub(in super::super) fn cases_in(&self, slice: &Slice) -> u64 {
        self.slices.iter().find(|(known, _)| known == slice).map_or(0, |(_, cases)| *cases)
    }

    /// The values that a tag of such a slice has in any case.
    pub(in super::super) fn values_of(&self, tag: &str) -> impl Iterator<Item = &str> {
        let values = self.tags.get(tag).into_iter().flatten();
        values.filter(|(_, cases)| **cases > 0).map(|(value, _)| value.as_str())
    }

    pub(in super::super) fn has_case(&self, id: &str) -> bool {
        self.ids.contains_key(&fingerprint(id))
    }

    /// The dataset's digest and its checkpoints.
    pub(in super::super) fn digest(&mut self) -> (Digest, Vec<Digest>) {
        let digest = self.rolling.finish();
        (digest, self.rolling.checkpoints.clone())
    }

    /// Counts a case; the place of an earlier one of the same id is an error.
    fn add(&mut self, case: &Case, place: Place, entry: usize) -> Result<(), Place> {
        self.cases += 1;
        self.clustered |= case.cluster.is_some();
        let fields = self.fields.entry(entry).or_default();
        for name in case.vars.keys() {
            count(&mut self.variables, name);
            count(fields, name);
        }
        for (tag, value) in &case.tags {
            self.tags.get_mut(tag).into_iter().for_each(|values| count(values, value));
        }
        for (slice, cases) in &mut self.slices {
            *cases += u64::from(slice.iter().all(|(tag, value)| case.tags.get(tag) == Some(value)));
        }
        self.rolling.add(case);
        match self.ids.insert(fingerprint(&case.id), place) {
            Some(first) => Err(first),
            None => Ok(()),
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < MAX_NAMES {
        counts.insert(name.to_owned(), 1);
    }
}

/// 16 bytes that stand for a text: two texts share them once in 2⁶⁴.
pub(in super::super) fn fingerprint(text: &str) -> [u8; 16] {
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|at| digest[at])
}

impl Loader<'_> {
    /// Reads every case once. `list` is the suite's `cases:`, `slices` are what its rules look at.
    pub(in super::super) fn count_cases(
        &mut self,
        list: &Node,
        sources: &[CaseSource],
        slices: &[Slice],
    ) -> Census {
        // What templates and slices want is counted even where a dataset has more names than are remembered.
        let variables = self.wants.names().into_iter().map(|name| (name.to_owned(), 0)).collect();
        let mut tags: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (tag, value) in slices.iter().flatten() {
            tags.entry(tag.clone()).or_default().insert(value.clone(), 0);
        }
        let slices = slices.iter().map(|slice| (slice.clone(), 0)).collect();
        let mut census = Census { variables, tags, slices, ..Census::default() };
        let mut faults: BTreeMap<u32, Faults> = BTreeMap::new();
        let suite = &self.suite.path;
        let read = each_case(sources, |place, case| {
            let source = &sources[place.source as usize];
            census.broken |= case.is_err();
            let counted = case.and_then(|case| {
                let counted = census.add(&case, place, source.entry);
                counted.map_err(|first| duplicate(&case, place, source, &described(first, sources, suite)))
            });
            if let Err(fault) = counted {
                faults.entry(place.source).or_default().push(fault);
            }
            ControlFlow::Continue(())
        });
        census.broken |= read.is_err();
        let broken = census.broken;
        for (source, faults) in faults {
            let told = match &sources[source as usize].origin {
                Origin::File { found, format, .. } => faults.diagnostics(found, *format),
                Origin::Inline(_) => faults.diagnostics_at(&self.suite, sources[source as usize].at),
            };
            self.findings.extend(told);
        }
        if let Err((source, refusal)) = read {
            self.refuse(sources[source as usize].at, refusal);
        } else if census.cases == 0 && !broken && !sources.is_empty() {
            self.error(list.at, "the dataset is empty: there is no case to run").hint =
                Some("add a row to a file, or a case with `vars`".into());
        } else {
            self.check_fields(list, &census);
        }
        census
    }

    /// A cluster or tag that no row has is a slip of the suite, not of its rows.
    fn check_fields(&mut self, list: &Node, census: &Census) {
        for (entry, node) in list.items().iter().enumerate() {
            let Some(fields) = census.fields.get(&entry).filter(|_| node.get("file").is_some()) else {
                continue;
            };
            let tags = node.get("tags").map(Node::items).unwrap_or_default();
            for field in node.get("cluster").into_iter().chain(tags) {
                let Some(name) = field.text().filter(|name| !fields.contains_key(*name)) else { continue };
                if fields.len() < MAX_NAMES {
                    self.error(field.at, format!("no row has the field `{name}`")).hint =
                        did_you_mean(name, fields.keys().map(String::as_str));
                }
            }
        }
    }
}

/// A place as it is named in a sentence.
fn described(place: Place, sources: &[CaseSource], suite: &Path) -> String {
    let path = match &sources[place.source as usize].origin {
        Origin::File { found, .. } => &found.shown,
        Origin::Inline(_) => suite,
    };
    format!("{}:{}", path.display(), place.line)
}

fn duplicate(case: &Case, place: Place, source: &CaseSource, first: &str) -> Fault {
    let line = place.line as usize;
    let id = match &source.origin {
        Origin::File { fields, .. } => fields.id.as_deref(),
        Origin::Inline(_) => Some("id"),
    };
    match id {
        Some(field) => {
            let message = format!("the case id `{}` is taken by {first}", case.id);
            Fault::of(line, field, message, "ids are unique in a suite")
        }
        None => {
            let hint = "delete one, or name the field that tells them apart with `id:`";
            Fault::on(line, format!("the same row as {first}"), hint)
        }
    }
}
