//! The document that tables, `--json` and exit codes are made of: what became of a run.
//!
//! - [`shape`]: what stands in it
//! - [`reader`]: results are read in pages and folded into it
//! - `again`: a part of them is folded once more: without what is under quarantine, or up to the last that was whole
//! - `excerpt`: which cases changed sides, and what was answered
//! - [`line`]: a single result, as `assay results` prints it

mod again;
mod excerpt;
pub mod line;
pub mod reader;
pub mod shape;

pub(crate) use again::Again;
pub use line::{output_text, result_line};
pub use reader::{Reader, assemble};
pub use shape::{Attempt, Errors, Excerpt, NamedFlips, Report, RunSummary, civil};
