//! Trace context: what crosses process boundaries with a request or a hint, or rests in the row of a run, so that spans
//! made in many processes are one trace.
//!
//! Everybody makes spans with `tracing` and knows no exporter. What they need of one is asked through [`Tracer`], which
//! the command line fills when spans are exported; otherwise it is empty, and everything it is asked costs a comparison.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tracing::Span;

/// The longest `traceparent` that is read, in bytes: a later version may be longer than ours.
const MAX_BYTES: usize = 256;
/// Version, trace, span and flags with hyphens between.
const BYTES: usize = 55;

/// A span, as a W3C `traceparent` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never 0.
    pub trace: u128,
    /// The span within it; never 0.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// Text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent")]
pub struct NoTraceParent;

impl TraceParent {
    /// The header it travels in, over HTTP and with a message.
    pub const HEADER: &str = "traceparent";
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Reads version 00, and of a later version what it has in common with it.
    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let whole = text.len() == BYTES || (text.len() > BYTES && !text.starts_with("00"));
        if !whole || text.len() > MAX_BYTES {
            return Err(NoTraceParent);
        }
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            parts.next().filter(|part| part.len() == digits && part.bytes().all(is_lower_hex))
        };
        let (version, trace, span, flags) = (part(2), part(32), part(16), part(2));
        let trace = trace.and_then(|trace| u128::from_str_radix(trace, 16).ok());
        let span = span.and_then(|span| u64::from_str_radix(span, 16).ok());
        let flags = flags.and_then(|flags| u8::from_str_radix(flags, 16).ok());
        match (version, trace, span, flags) {
            (Some(version), Some(trace @ 1..), Some(span @ 1..), Some(flags)) if version != "ff" => {
                Ok(Self { trace, span, sampled: flags & 1 == 1 })
            }
            _ => Err(NoTraceParent),
        }
    }
}

/// What exports spans, as far as those who make them need to know.
pub trait Export: Send + Sync {
    /// Makes a span that has not been entered a child of `parent`.
    fn follow(&self, span: &Span, parent: TraceParent);

    /// Says that a span has to do with another, which is not its parent.
    fn link(&self, span: &Span, other: TraceParent);

    /// The span's name in its trace; `None` where it is not made.
    fn context(&self, span: &Span) -> Option<TraceParent>;

    /// Gives a span a list of texts, which `tracing` has no field for.
    fn list(&self, span: &Span, name: &'static str, values: &[String]);

    /// Whether texts that quote prompts and answers may be exported.
    fn quotes(&self) -> bool;
}

/// The exporter of this process, if there is one. Clones share it.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<dyn Export>>);

impl Tracer {
    /// A tracer that exports.
    pub fn new(export: Arc<dyn Export>) -> Self {
        Self(Some(export))
    }

    /// Makes a span that has not been entered a child of `parent`, if there is one.
    pub fn follow(&self, span: &Span, parent: Option<TraceParent>) {
        if let (Some(export), Some(parent)) = (&self.0, parent) {
            export.follow(span, parent);
        }
    }

    /// Links a span to another, if there is one.
    pub fn link(&self, span: &Span, other: Option<TraceParent>) {
        if let (Some(export), Some(other)) = (&self.0, other) {
            export.link(span, other);
        }
    }

    /// The span's name in its trace; `None` where nothing is exported.
    pub fn context(&self, span: &Span) -> Option<TraceParent> {
        self.0.as_ref().and_then(|export| export.context(span))
    }

    /// Gives a span a list of texts.
    pub fn list(&self, span: &Span, name: &'static str, values: &[String]) {
        if let Some(export) = &self.0 {
            export.list(span, name, values);
        }
    }

    /// Whether texts that quote prompts and answers may be exported.
    pub fn quotes(&self) -> bool {
        self.0.as_ref().is_some_and(|export| export.quotes())
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tracer(exporting)" } else { "Tracer(off)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written() {
        let check = |text: &str, expected: Option<&str>| {
            let read = text.parse::<TraceParent>().ok().map(|parent| parent.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        check(sampled, Some(sampled));
        check(
            &sampled.replace("-01", "-00"),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        );
        check(&sampled.replace("-01", "-03"), Some(sampled));
        // A later version may say more after what is known.
        check(&format!("cc{}-more", &sampled[2..]), Some(sampled));
        check(&format!("{sampled}-more"), None);
        check(&format!("cc{}x", &sampled[2..]), None);
        check(&format!("ff{}", &sampled[2..]), None);
        check(&sampled.to_uppercase(), None);
        check(&sampled.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), None);
        check(&sampled.replace("b7ad6b7169203331", &"0".repeat(16)), None);
        check(&sampled.replace('0', "é"), None);
        check(&sampled.replacen("0a", "+a", 1), None);
        check("", None);
        check(&format!("cc{}-{}", &sampled[2..], "x".repeat(300)), None);
    }

    #[test]
    fn nothing_is_asked_of_an_exporter_that_is_not_there() {
        let tracer = Tracer::default();
        let span = Span::none();
        tracer.follow(&span, Some(TraceParent { trace: 1, span: 1, sampled: true }));
        tracer.link(&span, None);
        assert_eq!(tracer.context(&span), None);
        assert!(!tracer.quotes());
    }
}
