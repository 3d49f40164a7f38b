//! What is published: a hint, with the trace it belongs to.

use assay_common::job::Hint;
use assay_common::trace::TraceParent;

/// A hint on its way. The trace decides nothing: a message without one is as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub hint: Hint,
    /// The span that sent it.
    pub trace: Option<TraceParent>,
}

impl From<Hint> for Message {
    fn from(hint: Hint) -> Self {
        Self { hint, trace: None }
    }
}
