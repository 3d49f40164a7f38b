//! Between the spans of `tracing` and those that are exported: parents from elsewhere, links, names, lists.

use assay_common::trace::{Export, TraceParent};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, Context, StringValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The exporting side of [`assay_common::trace::Tracer`].
pub(super) struct Bridge {
    /// Whether texts that quote prompts and answers may be exported.
    pub(super) quotes: bool,
}

impl Export for Bridge {
    fn follow(&self, span: &Span, parent: TraceParent) {
        // A span that a filter left out has no parent either.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote(parent)));
    }

    fn link(&self, span: &Span, other: TraceParent) {
        span.add_link(remote(other));
    }

    fn context(&self, span: &Span) -> Option<TraceParent> {
        let context = span.context();
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| TraceParent {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        })
    }

    fn list(&self, span: &Span, name: &'static str, values: &[String]) {
        if !values.is_empty() {
            let values = values.iter().cloned().map(StringValue::from).collect();
            span.set_attribute(name, Value::Array(Array::String(values)));
        }
    }

    fn quotes(&self) -> bool {
        self.quotes
    }
}

fn remote(parent: TraceParent) -> SpanContext {
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, span) = (TraceId::from(parent.trace), SpanId::from(parent.span));
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}
