//! The document that tables, `--json` and exit codes are made of: what became of a run.
//!
//! - [`shape`]: what stands in it
//! - [`reader`]: results are read in pages and folded into it
//! - `excerpt`: which cases changed sides, and what was answered
//! - [`line`]: a single result, as `assay results` prints it

mod excerpt;
pub mod line;
pub mod reader;
pub mod shape;

pub use line::{output_text, result_line};
pub(crate) use reader::latencies;
pub use reader::{Reader, assemble};
pub use shape::{Attempt, Errors, Excerpt, NamedFlips, Report, RunSummary, civil};
