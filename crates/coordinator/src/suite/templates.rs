//! Templates of prompts and expectations: they are compiled here, and the variables they want are remembered with
//! their places until the cases have been read.

use std::collections::HashSet;
use std::ops::Range;

use assay_common::template::{TemplateError, Templates};

use super::cases::census::Census;
use super::diagnostic::{Diagnostic, Findings, Mark};
use super::hint::{counted, did_you_mean};
use super::source::Source;

/// The variables that templates want.
#[derive(Debug, Default)]
pub(super) struct Wants(Vec<Want>);

#[derive(Debug)]
struct Want {
    name: String,
    /// An error at the place of its first use, still without words.
    place: Diagnostic,
}

/// Where a template stands.
#[derive(Clone, Debug)]
pub(super) struct Site<'a> {
    pub(super) source: &'a Source,
    /// Its bytes in the source.
    pub(super) bytes: Range<usize>,
    /// What to point at when nothing narrower is known.
    pub(super) mark: Mark,
}

impl Wants {
    /// Compiles `text` and remembers what it wants. Returns whether it is the same for every case.
    pub(super) fn add(&mut self, text: &str, site: &Site<'_>, findings: &mut Findings) -> bool {
        let mut templates = Templates::default();
        if let Err(error) = templates.add(text) {
            let mark = match &error {
                TemplateError::Syntax { line: Some(line), .. } => site.line(text, *line),
                _ => site.mark,
            };
            findings.push(site.source.error(mark, format!("not a template: {error}")));
            return false;
        }
        let names = templates.variables();
        for name in &names {
            let mark = site.source.find_variable(site.bytes.clone(), name).unwrap_or(site.mark);
            self.0.push(Want { name: name.clone(), place: site.source.error(mark, String::new()) });
        }
        names.is_empty() && without_templates(text)
    }

    /// The names of all variables, each once.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.0.iter().map(|want| want.name.as_str()).collect()
    }

    /// Holds what is wanted against what the cases have.
    pub(super) fn check(&self, census: &Census, findings: &mut Findings) {
        let mut warned = HashSet::new();
        for want in &self.0 {
            let name = &want.name;
            let lacking = census.cases() - census.cases_with(name);
            if lacking == census.cases() {
                let mut error = want.place.clone();
                error.message = format!("no case has the variable `{name}`");
                error.hint = did_you_mean(name, census.variables());
                findings.push(error);
            } else if lacking > 0 && warned.insert(name) {
                let mut warning = want.place.clone();
                let lack = if lacking == 1 { "lacks" } else { "lack" };
                warning.message = format!("{} {lack} the variable `{name}`", counted(lacking, "case"));
                warning.hint = Some("their jobs end in an error where the template needs it".into());
                findings.warn(warning);
            }
        }
    }
}

/// Whether a text is the same for every case.
pub(super) fn without_templates(text: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

impl Site<'_> {
    /// The line of the source on which line `line` of the template stands.
    fn line(&self, text: &str, line: usize) -> Mark {
        let written = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        // Where the source folds or escapes lines, they cannot be counted.
        let same = written.lines().zip(text.lines()).all(|(a, b)| a.trim() == b.trim());
        if same { self.source.whole_line(self.mark.line + line - 1) } else { self.mark }
    }
}
