//! Templates of prompts and expectations: they are compiled here, and remembered with the variables they want and
//! their places until the cases have been read.

use std::collections::{BTreeSet, HashSet};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use assay_common::template::{TemplateError, TemplateId, Templates};

use super::cases::census::Census;
use super::cases::{CaseSource, each_case};
use super::diagnostic::{Diagnostic, Findings, Mark};
use super::folder::Refusal;
use super::hint::{counted, did_you_mean};
use super::source::Source;

/// How many cases a template that fails is tried on: each may take a while to fail.
const MAX_TRIED: u64 = 1_000;

/// The templates of a suite, and the variables they want.
#[derive(Debug, Default)]
pub(super) struct Wants {
    variables: Vec<Want>,
    templates: Vec<Compiled>,
}

#[derive(Debug)]
struct Want {
    name: String,
    /// An error at the place of its first use, still without words.
    place: Diagnostic,
}

#[derive(Debug)]
struct Compiled {
    templates: Templates,
    id: TemplateId,
    names: BTreeSet<String>,
    text: String,
    site: Site,
}

/// Where a template stands.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) source: Rc<Source>,
    /// Its bytes in the source.
    pub(super) bytes: Range<usize>,
    /// What to point at when nothing narrower is known.
    pub(super) mark: Mark,
}

impl Wants {
    /// Compiles `text` and remembers what it wants. Returns whether it is the same for every case.
    pub(super) fn add(&mut self, text: &str, site: Site, findings: &mut Findings) -> bool {
        let mut templates = Templates::default();
        let id = match templates.add(text) {
            Ok(id) => id,
            Err(error) => {
                let mark = site.mark_of(text, &error);
                let hint = "write {{ '{{' }} for two braces that are meant as they stand";
                findings.push(site.source.error(mark, format!("not a template: {error}")).hint(hint));
                return false;
            }
        };
        if without_templates(text) {
            return true;
        }
        let names = templates.variables();
        for name in &names {
            let mark = site.source.find_variable(site.bytes.clone(), name).unwrap_or(site.mark);
            self.variables.push(Want { name: name.clone(), place: site.source.error(mark, String::new()) });
        }
        self.templates.push(Compiled { templates, id, names, text: text.to_owned(), site });
        false
    }

    /// The names of all variables, each once.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.variables.iter().map(|want| want.name.as_str()).collect()
    }

    /// Holds what is wanted against what the cases have.
    pub(super) fn check(&self, census: &Census, findings: &mut Findings) {
        let mut warned = HashSet::new();
        for want in &self.variables {
            let name = &want.name;
            let lacking = census.cases() - census.cases_with(name);
            if lacking == census.cases() {
                let mut error = want.place.clone();
                error.message = format!("no case has the variable `{name}`");
                error.hint = did_you_mean(name, census.variables())
                    .or(Some("a variable is a field of the cases".into()));
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

    /// Fills every template in with the cases until each has succeeded once: what never does is a mistake of the suite.
    pub(super) fn check_rendering(
        &self,
        census: &Census,
        sources: &[CaseSource],
        findings: &mut Findings,
    ) -> Result<(), (u32, Refusal)> {
        // A variable that no case has has been told.
        let whole = |compiled: &&Compiled| compiled.names.iter().all(|name| census.cases_with(name) > 0);
        let mut failing: Vec<_> =
            self.templates.iter().filter(whole).map(|compiled| (compiled, None)).collect();
        let mut tried = 0;
        each_case(sources, |_, case| {
            let Ok(case) = case else { return ControlFlow::Continue(()) };
            failing.retain_mut(|(compiled, first)| {
                let failed = compiled.templates.render(compiled.id, &case.vars).err();
                let fails = failed.is_some();
                if let (Some(error), None) = (failed, &first) {
                    *first = Some((case.id.clone(), error));
                }
                fails
            });
            tried += 1;
            if failing.is_empty() || tried == MAX_TRIED {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        for (compiled, first) in failing {
            let Some((case, error)) = first else { continue };
            let Compiled { text, site, .. } = compiled;
            let every = tried == census.cases();
            let of = if every { "every case".to_owned() } else { format!("each of the first {tried} cases") };
            let message = format!("the template fails for {of}: {error}");
            let told = site.source.error(site.mark_of(text, &error), message);
            let told = told.hint(format!("seen with the variables of the case `{case}`"));
            findings.push(if every { told } else { told.into_warning() });
        }
        Ok(())
    }
}

/// Whether a text is the same for every case.
pub(super) fn without_templates(text: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

impl Site {
    /// Where an error of its template is.
    fn mark_of(&self, text: &str, error: &TemplateError) -> Mark {
        let Some(line) = error.line() else { return self.mark };
        let written = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        // Where the source folds or escapes lines, they cannot be counted.
        let same = written.lines().zip(text.lines()).all(|(a, b)| a.trim() == b.trim());
        if same { self.source.whole_line(self.mark.line + line - 1) } else { self.mark }
    }
}
