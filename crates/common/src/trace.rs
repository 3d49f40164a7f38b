//! Trace context that crosses process boundaries with a hint or rests in a row.

use serde::{Deserialize, Serialize};

/// A W3C `traceparent` header value, kept as text: this crate carries it and never reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceParent(pub String);
