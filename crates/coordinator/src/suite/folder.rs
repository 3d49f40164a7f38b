//! The suite's folder: the only place files are opened, however a path is written or linked.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use assay_common::nearest::{allowed_slips, nearest_within};

use super::diagnostic::Diagnostic;
use super::source::Source;

/// The most files one pattern may name.
const MAX_MATCHES: usize = 10_000;
/// How many names of a folder are looked at for a hint.
const MAX_NEIGHBOURS: usize = 1_000;

/// The folder a suite stands in.
#[derive(Debug)]
pub(super) struct Folder {
    /// As the user wrote it.
    shown: PathBuf,
    /// Without links.
    real: PathBuf,
}

/// A file that lies beneath the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As people know it.
    pub(super) shown: PathBuf,
    /// Without links; what is opened.
    pub(super) real: PathBuf,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: String,
    /// The place inside the file, where the file itself is at fault and not how it is named.
    pub(super) inside: Option<Box<Diagnostic>>,
}

impl Refusal {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), inside: None }
    }

    /// The refusal at the place inside the file, else where `named` says that it is named.
    pub(super) fn told(self, named: impl FnOnce(String) -> Diagnostic) -> Diagnostic {
        let place = self.inside.map_or_else(|| named(self.message), |inside| *inside);
        place.hint(self.hint)
    }
}

impl Folder {
    /// The folder of the suite file at `suite`.
    pub(super) fn of(suite: &Path) -> Result<Self, Refusal> {
        let shown = suite.parent().unwrap_or(Path::new("")).to_owned();
        let folder = if shown.as_os_str().is_empty() { Path::new(".") } else { &shown };
        let real = fs::canonicalize(folder).map_err(|error| cannot_read(suite, &error))?;
        Ok(Self { shown, real })
    }

    /// The one file that `written` names.
    pub(super) fn file(&self, written: &str) -> Result<Found, Refusal> {
        stays_inside(written)?;
        let shown = self.shown.join(written);
        let real = fs::canonicalize(self.real.join(written)).map_err(|error| {
            let refusal = cannot_read(&shown, &error);
            match (error.kind(), self.neighbour(written)) {
                (_, Some(near)) => Refusal { hint: format!("did you mean `{near}`?"), ..refusal },
                (ErrorKind::NotFound, None) => {
                    Refusal { hint: "paths begin at the suite's folder".to_owned(), ..refusal }
                }
                _ => refusal,
            }
        })?;
        if !real.starts_with(&self.real) {
            return Err(outside(written));
        }
        Ok(Found { shown, real })
    }

    /// Every file that `written` names, sorted: one, or what a pattern with `*`, `?` or `[…]` matches.
    pub(super) fn files(&self, written: &str) -> Result<Vec<Found>, Refusal> {
        let is_pattern = written.contains(['*', '?', '[']) && !self.real.join(written).exists();
        if !is_pattern {
            return Ok(vec![self.file(written)?]);
        }
        stays_inside(written)?;
        let folder = glob::Pattern::escape(&self.real.to_string_lossy());
        let matches = glob::glob(&format!("{folder}/{written}")).map_err(|error| {
            Refusal::new(
                format!("not a pattern of files: {}", error.msg),
                "`*`, `?` and `[a-z]` stand for parts of names, `**` for folders",
            )
        })?;
        let mut found = Vec::new();
        for path in matches {
            let path = path.map_err(|error| cannot_read(error.path(), error.error()))?;
            if path.is_dir() {
                continue;
            }
            if found.len() == MAX_MATCHES {
                return Err(Refusal::new(
                    format!("`{written}` matches more than {MAX_MATCHES} files"),
                    "put the rows of many files into one",
                ));
            }
            let inside = path.strip_prefix(&self.real).unwrap_or(&path).to_string_lossy().into_owned();
            found.push(self.file(&inside)?);
        }
        if found.is_empty() {
            return Err(Refusal::new(
                format!("no file matches `{}`", self.shown.join(written).display()),
                "patterns are read from the suite's folder",
            ));
        }
        found.sort_by(|a, b| a.shown.cmp(&b.shown));
        Ok(found)
    }

    /// The name nearest to a missing one, in the folder it should be in.
    fn neighbour(&self, written: &str) -> Option<String> {
        let parent = Path::new(written).parent()?;
        let name = Path::new(written).file_name()?.to_str()?;
        let entries = fs::read_dir(self.real.join(parent)).ok()?.take(MAX_NEIGHBOURS).flatten();
        let names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let stem = Path::new(name).file_stem()?.to_string_lossy();
        let near = nearest_within(allowed_slips(&stem), name, names.iter().map(String::as_str))?;
        Some(parent.join(near).display().to_string())
    }
}

impl Found {
    /// The file at a path that somebody has typed, wherever it leads.
    pub(super) fn given(path: &Path) -> Self {
        // What is not there is said when it is opened.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self { shown: path.to_owned(), real }
    }

    /// Why reading it failed.
    pub(super) fn cannot_read(&self, error: &io::Error) -> Refusal {
        cannot_read(&self.shown, error)
    }

    /// The open file. Since it was found, somebody may have put a link in its way: so it is looked for once more, and what is
    /// open must be what lies there without one.
    pub(super) fn open(&self) -> Result<File, Refusal> {
        let file = fs::metadata(&self.real).and_then(|about| match about.is_file() {
            true => File::open(&self.real),
            false => Err(io::Error::other("it is not a file")),
        });
        let unchanged = file.and_then(|file| {
            let place = |about: fs::Metadata| (about.dev(), about.ino());
            let lies_there = fs::canonicalize(&self.real)? == self.real
                && place(fs::symlink_metadata(&self.real)?) == place(file.metadata()?);
            lies_there.then_some(file).ok_or_else(|| io::Error::other("it was replaced while it was opened"))
        });
        unchanged.map_err(|error| cannot_read(&self.shown, &error))
    }

    /// The whole text, at most `limit` bytes of it.
    pub(super) fn read(&self, limit: u64) -> Result<Source, Refusal> {
        let mut bytes = Vec::new();
        let read = self.open()?.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| cannot_read(&self.shown, &error))?;
        let shown = self.shown.display();
        if bytes.len() as u64 > limit {
            return Err(Refusal::new(
                format!("{shown} has more than {} MiB", limit >> 20),
                "large data belongs into a .jsonl or .csv file of cases, which is read row by row",
            ));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let (inside, message) = (self.first_bad_byte(&error), format!("{shown} is not UTF-8"));
            Refusal { inside: Some(Box::new(inside)), ..Refusal::new(message, "save the file as UTF-8") }
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Source::new(self.shown.clone(), text))
    }

    /// The place where the file stops being text.
    fn first_bad_byte(&self, error: &std::string::FromUtf8Error) -> Diagnostic {
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let at = error.utf8_error().valid_up_to();
        let source = Source::new(self.shown.clone(), text);
        source.error(source.mark(at..at + 1), "the file is not UTF-8")
    }
}

fn stays_inside(written: &str) -> Result<(), Refusal> {
    let mut depth = 0_i64;
    for component in Path::new(written).components() {
        depth += match component {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => return Err(outside(written)),
        };
        if depth < 0 {
            return Err(outside(written));
        }
    }
    match depth {
        0 => {
            Err(Refusal::new(format!("`{written}` names no file"), "write its path from the suite's folder"))
        }
        _ => Ok(()),
    }
}

fn outside(written: &str) -> Refusal {
    Refusal::new(
        format!("`{written}` leaves the suite's folder"),
        "files are opened beneath the folder of the suite alone: copy it there",
    )
}

fn cannot_read(path: &Path, error: &io::Error) -> Refusal {
    let (why, hint) = match error.kind() {
        ErrorKind::NotFound => ("there is no such file".to_owned(), "check its path"),
        ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), "let the user who runs assay read it")
        }
        _ => (error.to_string(), "name a file that can be read"),
    };
    Refusal::new(format!("cannot read {}: {why}", path.display()), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_put_in_the_way_since_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let suites = tempfile::tempdir().unwrap();
        let at = |name: &str| suites.path().join(name);
        fs::write(outside.path().join("cases.jsonl"), "secret").unwrap();
        fs::create_dir(at("data")).unwrap();
        fs::write(at("data/cases.jsonl"), "mine").unwrap();
        let folder = Folder::of(&at("suite.yaml")).unwrap();
        let found = folder.file("data/cases.jsonl").unwrap();
        assert_eq!(found.read(100).unwrap().text, "mine");
        fs::rename(at("data"), at("old")).unwrap();
        std::os::unix::fs::symlink(outside.path(), at("data")).unwrap();
        let refused = found.read(100).unwrap_err();
        assert!(refused.message.ends_with("it was replaced while it was opened"), "{}", refused.message);
        assert!(folder.file("data/cases.jsonl").unwrap_err().message.contains("leaves the suite's folder"));
    }
}
