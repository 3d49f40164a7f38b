//! `cases:`: files and single cases become one dataset. Rows are never all in memory: they walk past, first to be
//! checked and counted ([`census`]), then, in the second pass, to be stored.

pub(super) mod census;
mod fault;
mod fields;
mod json;
mod metered;
mod numbers;
mod rows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use assay_common::case::Case;
use serde_json::Value as Json;

use super::diagnostic::Mark;
use super::folder::{Found, Refusal};
use super::hint::quoted_list;
use super::load::Loader;
use super::yaml::Node;
pub(super) use fault::{Fault, Faults, Spot};
use fields::content_id;
pub(super) use fields::{Fields, NO_NUL, objection};
pub(super) use json::json_row;
use metered::Metered;
pub(super) use rows::Format;

/// Where cases come from: one entry of `cases:`, or one of the files that its pattern matches.
#[derive(Debug)]
pub(super) struct CaseSource {
    /// What is read.
    pub(super) origin: Origin,
    /// The place of its `file` or `id` in the suite.
    pub(super) at: Mark,
    /// The entry of `cases:` it belongs to.
    pub(super) entry: usize,
}

#[derive(Debug)]
pub(super) enum Origin {
    /// A file of rows.
    File { found: Found, format: Format, fields: Fields },
    /// A case that stands in the suite itself.
    Inline(Box<Case>),
}

/// Where a case stands: a line of a source's file, or of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: u32,
    pub(super) line: u32,
}

/// Calls `on_case` for every case in order, or with what is wrong with its row, until it breaks off.
pub(super) fn each_case(
    sources: &[CaseSource],
    mut on_case: impl FnMut(Place, Result<Case, Fault>) -> ControlFlow<()>,
) -> Result<(), (u32, Refusal)> {
    for (source, index) in sources.iter().zip(0..) {
        let place = |line: usize| Place { source: index, line: u32::try_from(line).unwrap_or(u32::MAX) };
        let flow = match &source.origin {
            Origin::Inline(case) => on_case(place(source.at.line), Ok((**case).clone())),
            Origin::File { found, format, fields } => {
                let mut flow = ControlFlow::Continue(());
                let read = rows::each_row(found, *format, &mut |line, row| {
                    let case = row.and_then(|vars| fields.case_of(vars).map_err(|wrong| wrong.on(line)));
                    flow = on_case(place(line), case);
                    flow
                });
                read.map_err(|refusal| (index, refusal))?;
                flow
            }
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Calls `on_line` for every line of a file of recorded answers, until it breaks off.
pub(super) fn each_recorded(found: &Found, on_line: &mut rows::OnLine<'_>) -> Result<(), Refusal> {
    each_line_of(found.open()?, on_line).map_err(|error| found.cannot_read(&error))
}

/// Calls `on_line` for every line of an open file, until it breaks off.
pub(super) fn each_line_of(file: File, on_line: &mut rows::OnLine<'_>) -> io::Result<()> {
    let (reader, meter) = Metered::new(file)?;
    rows::each_line(reader, &meter, on_line);
    Ok(())
}

impl Loader<'_> {
    /// Everything that `cases:` names; what cannot be found has been reported.
    pub(super) fn case_sources(&mut self, list: &Node) -> Vec<CaseSource> {
        let mut sources = Vec::new();
        for (entry, node) in list.items().iter().enumerate() {
            if let Some(file) = node.get("file") {
                self.case_files(entry, node, file, &mut sources);
            } else if let Some(vars) = node.get("vars")
                && let Json::Object(vars_json) = vars.json()
            {
                let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
                let tags: BTreeMap<_, _> = node
                    .get("tags")
                    .map(Node::entries)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|tag| Some((tag.key.clone(), tag.value.text()?.to_owned())))
                    .collect();
                if let Some(nul) = fields::nul_in(&vars_json) {
                    self.error(vars.at, format!("`{nul}` holds the character NUL")).hint =
                        Some(NO_NUL.into());
                }
                if let Some(fault) = vars.rounded() {
                    let told = self.suite.fault(fault);
                    self.findings.push(told);
                }
                let id = text("id").unwrap_or_else(|| content_id(&vars_json));
                let case = Case { id, cluster: text("cluster"), tags, vars: vars_json };
                let at = node.get("id").unwrap_or(node).at;
                sources.push(CaseSource { origin: Origin::Inline(Box::new(case)), at, entry });
            }
        }
        sources
    }

    fn case_files(&mut self, entry: usize, node: &Node, file: &Node, sources: &mut Vec<CaseSource>) {
        let Some(written) = file.text() else { return };
        let fields = Fields {
            id: node.get("id").and_then(Node::text).map(str::to_owned),
            cluster: node.get("cluster").and_then(Node::text).map(str::to_owned),
            tags: node
                .get("tags")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(Node::text)
                .map(str::to_owned)
                .collect(),
        };
        let files = match self.folder.files(written) {
            Ok(files) => files,
            Err(refusal) => return self.refuse(file.at, refusal),
        };
        for found in files {
            let extension =
                found.shown.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let Some(format) = Format::of(extension) else {
                let shown = found.shown.display();
                if extension == "parquet" {
                    self.error(file.at, format!("{shown}: parquet files are not read by this version"))
                        .hint = Some("export the rows to .jsonl".into());
                } else {
                    self.error(file.at, format!("{shown}: a file of this kind holds no cases")).hint =
                        Some(format!("cases are read from {}", quoted_list(&Format::EXTENSIONS, "and")));
                }
                continue;
            };
            let origin = Origin::File { found, format, fields: fields.clone() };
            sources.push(CaseSource { origin, at: file.at, entry });
        }
    }
}
