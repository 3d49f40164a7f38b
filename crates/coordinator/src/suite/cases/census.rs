//! The first pass over the cases: everything that has to be known of them at once, in some 40 bytes a case.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use assay_common::case::Case;
use assay_common::id::{Digest, Digester};
use sha2::{Digest as _, Sha256};

use super::super::diagnostic::{Diagnostic, Mark};
use super::super::hint::{counted, did_you_mean};
use super::super::load::Loader;
use super::super::yaml::Node;
use super::fields::content;
use super::{CaseSource, Fault, Origin, Place, each_case};

/// How many problems of one file are told one by one.
const MAX_TOLD: usize = 20;
/// How many names of variables are remembered for hints.
const MAX_NAMES: usize = 1_000;
/// A chunk is closed when it has this many cases …
const CHUNK_CASES: usize = 500;
/// … or this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What the cases come to.
#[derive(Default)]
pub(in super::super) struct Census {
    rolling: Rolling,
    cases: u64,
    clustered: bool,
    /// Where each id was first met, by 16 bytes of its SHA-256.
    ids: HashMap<[u8; 16], Place>,
    /// Cases that have each variable.
    variables: BTreeMap<String, u64>,
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
    /// Reads every case once. `list` is the suite's `cases:`.
    pub(in super::super) fn count_cases(&mut self, list: &Node, sources: &[CaseSource]) -> Census {
        // Variables that templates want are counted even where a dataset has more names than are remembered.
        let variables = self.wants.names().into_iter().map(|name| (name.to_owned(), 0)).collect();
        let mut census = Census { variables, ..Census::default() };
        let mut told: HashMap<u32, usize> = HashMap::new();
        let mut problems: Vec<Diagnostic> = Vec::new();
        let mut tell = |place: Place, problem: &dyn Fn() -> Diagnostic| {
            let told = told.entry(place.source).or_default();
            *told += 1;
            if *told <= MAX_TOLD {
                problems.push(problem());
            }
        };
        let suite = &self.suite;
        let describe = |place: Place| match sources.get(place.source as usize).map(|source| &source.origin) {
            Some(Origin::File { found, .. }) => format!("{}:{}", found.shown.display(), place.line),
            _ => format!("{}:{}", suite.path.display(), place.line),
        };
        let read = each_case(sources, |place, case| {
            let source = &sources[place.source as usize];
            let at_row = |fault: &Fault| match &source.origin {
                Origin::File { found, .. } => row_error(&found.shown, fault),
                Origin::Inline(_) => {
                    suite.error(source.at, fault.message.clone()).maybe_hint(fault.hint.clone())
                }
            };
            match case {
                Err(fault) => tell(place, &|| at_row(&fault)),
                Ok(case) => {
                    if let Err(first) = census.add(&case, place, source.entry) {
                        tell(place, &|| at_row(&duplicate(&case, place, source, &describe(first))));
                    }
                }
            }
            ControlFlow::Continue(())
        });
        for (source, told) in told {
            if let (Some(more @ 1..), Some(Origin::File { found, .. })) =
                (told.checked_sub(MAX_TOLD), sources.get(source as usize).map(|source| &source.origin))
            {
                let more = counted(more as u64, "more problem");
                problems.push(Diagnostic::error(&found.shown, format!("and {more} in this file")));
            }
        }
        let broken = !problems.is_empty();
        self.findings.extend(problems);
        if let Err((source, refusal)) = read {
            self.refuse(sources[source as usize].at, refusal);
        } else if census.cases == 0 && !broken && !sources.is_empty() {
            self.error(list.at, "the dataset is empty: there is no case to run");
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

fn duplicate(case: &Case, place: Place, source: &CaseSource, first: &str) -> Fault {
    let named = match &source.origin {
        Origin::File { fields, .. } => fields.id.is_some(),
        Origin::Inline(_) => true,
    };
    let (message, hint) = if named {
        (format!("the case id `{}` is taken by {first}", case.id), "ids are unique in a suite")
    } else {
        (format!("the same row as {first}"), "delete one, or name the field that tells them apart with `id:`")
    };
    Fault { hint: Some(hint.into()), ..Fault::on(place.line as usize, message) }
}

/// A problem of one row of a file.
pub(in super::super) fn row_error(path: &std::path::Path, fault: &Fault) -> Diagnostic {
    let error = Diagnostic::error(path, &fault.message).maybe_hint(fault.hint.clone());
    match fault.column {
        Some(column) => error.at(Mark { line: fault.line, column, width: 1 }, fault.text.as_deref()),
        None => error.on_line(fault.line),
    }
}
