//! Suites, good and bad, as people write them: what is loaded, and what is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod asking;
mod cases;
mod datasets;
mod documented;
mod examples;
mod freeze;
mod good;
mod hostile;
mod judging;
mod never;
mod places;
mod problems;
mod recorded;
mod schema;
mod values;

use std::fs;
use std::path::PathBuf;

use assay_common::config::Config;
use assay_coordinator::suite::{Diagnostic, Loaded, load};

/// A folder with the files of one suite.
struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with these files and the rest of a good suite: a prompt, two cases.
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("prompts/ask.md", "Answer: {{ question }}\n");
        folder.write("cases.jsonl", "{\"id\": \"a\", \"question\": \"1+1\", \"answer\": \"2\", \"lang\": \"de\"}\n{\"id\": \"b\", \"question\": \"2+2\", \"answer\": \"4\", \"lang\": \"en\"}\n");
        files.iter().for_each(|(path, text)| folder.write(path, text));
        folder
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn load(&self) -> Result<Loaded, String> {
        let loaded = load(&self.path("suite.yaml"), &config());
        let told = match &loaded {
            Ok(loaded) => &loaded.warnings,
            Err(problems) => problems.diagnostics(),
        };
        told.iter().for_each(assert_complete);
        loaded.map_err(|problems| self.without_folder(&problems.to_string()))
    }

    /// Diagnostics name the folder, which every test has its own of.
    fn without_folder(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// Whatever is told has a line, a column, the line itself with carets, and a hint; but for a file that is not there to
/// be shown, and for how many more there are.
fn assert_complete(diagnostic: &Diagnostic) {
    let (message, shown) = (&diagnostic.message, diagnostic.to_string());
    if message.starts_with("and ") && message.contains(" more problem") {
        return;
    }
    assert!(diagnostic.hint.as_ref().is_some_and(|hint| !hint.trim().is_empty()), "no hint:\n{shown}");
    let is_whole_file = diagnostic.path.ends_with("suite.yaml")
        && diagnostic.line.is_none()
        && (message.starts_with("cannot read") || message.contains("has more than"));
    assert!(diagnostic.line.is_some() != is_whole_file, "a line is wanted:\n{shown}");
    assert!(diagnostic.column.is_some() != is_whole_file, "a column is wanted:\n{shown}");
    assert!(shown.contains('^') != is_whole_file, "a snippet is wanted:\n{shown}");
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(longest < 1_000, "a line of {longest} characters is shown");
}

fn config() -> Config {
    let text = "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
                [prices.\"local/priced\"]\ninput_per_mtok = 1.0\noutput_per_mtok = 2.0\n\
                [prices.\"openai/gpt-4.1-mini\"]\ninput_per_mtok = 0.4\noutput_per_mtok = 1.6\n\
                [prices.\"anthropic/claude-sonnet-4-5\"]\ninput_per_mtok = 3.0\noutput_per_mtok = 15.0\n";
    Config::parse(text).unwrap()
}

/// What is told of a suite with this text, beside the files of [`Folder::with`].
fn told(suite: &str) -> String {
    told_of(&[("suite.yaml", suite)])
}

/// What is told of a suite with these files: problems, or the warnings of one that can run.
fn told_of(files: &[(&str, &str)]) -> String {
    let folder = Folder::with(files);
    match folder.load() {
        Err(problems) => problems,
        Ok(loaded) => {
            let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
            folder.without_folder(&warnings.join("\n\n"))
        }
    }
}

/// What is told of a good suite with one dataset, of this entry and this file.
fn told_of_cases(entry: &str, file: &str, text: &str) -> String {
    let suite = suite_with("cases", &format!("cases:\n  - {entry}\n"));
    told_of(&[("suite.yaml", &suite), (file, text)])
}

/// The text of a good suite, with these lines in place of its own `part`.
fn suite_with(part: &str, lines: &str) -> String {
    let parts = [
        ("suite", "suite: sums\n"),
        ("prompts", "prompts:\n  - {name: ask, file: prompts/ask.md}\n"),
        ("models", "models: [echo/parrot]\n"),
        ("cases", "cases:\n  - {file: cases.jsonl, id: id, tags: [lang]}\n"),
    ];
    assert!(parts.iter().any(|(name, _)| *name == part) || part.is_empty(), "{part}");
    let mut text: String = parts.iter().map(|(name, own)| if *name == part { lines } else { own }).collect();
    if part.is_empty() {
        text.push_str(lines);
    }
    if !text.contains("score:") {
        text.push_str("score: [{type: contains, value: '4'}]\n");
    }
    text
}
