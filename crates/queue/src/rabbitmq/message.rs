//! A hint on the wire: `{"run":"0190…","ordinal":12}`.
//!
//! JSON, because a person who looks into a queue or at the dead letters can read it, and 60 bytes are nothing beside
//! what the broker adds. The content type carries the version; fields may be added within it, and readers skip those
//! they do not know. The header `traceparent` (W3C) names the span that sent it; one that cannot be read is as good as
//! none.

use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_common::trace::TraceParent;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::{Deserialize, Serialize};

use crate::Message;

/// Version 1. Consumers of another version dead-letter it.
const CONTENT_TYPE: &str = "application/vnd.assay.hint.v1+json";
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Body {
    run: RunId,
    ordinal: u64,
}

/// Why a message is no hint.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAHint {
    #[error("its content type is `{0}`, not `{CONTENT_TYPE}`")]
    ContentType(String),
    #[error("its body is malformed: {0}")]
    Body(#[from] serde_json::Error),
}

/// The body and properties that say `message`. The id is for telling which message of a batch came back.
pub(super) fn encode(message: Message, id: usize) -> (Vec<u8>, BasicProperties) {
    let Message { hint: Hint { run, ordinal }, trace } = message;
    // Writing two plain fields to memory cannot fail; an empty body would be dead-lettered.
    let body = serde_json::to_vec(&Body { run, ordinal }).unwrap_or_default();
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.to_string().into());
    let Some(trace) = trace else { return (body, properties) };
    let mut headers = FieldTable::default();
    headers.insert(TraceParent::HEADER.into(), AMQPValue::LongString(trace.to_string().into()));
    (body, properties.with_headers(headers))
}

/// The id given to [`encode`].
pub(super) fn id_of(properties: &BasicProperties) -> Option<usize> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

/// The hint that a message stands for, and its trace.
pub(super) fn decode(properties: &BasicProperties, body: &[u8]) -> Result<Message, NotAHint> {
    let content_type = properties.content_type().as_ref().map_or("", ShortString::as_str);
    if content_type != CONTENT_TYPE {
        return Err(NotAHint::ContentType(content_type.to_owned()));
    }
    let Body { run, ordinal } = serde_json::from_slice(body)?;
    Ok(Message { hint: Hint { run, ordinal }, trace: trace_of(properties) })
}

fn trace_of(properties: &BasicProperties) -> Option<TraceParent> {
    let text = match properties.headers().as_ref()?.inner().get(TraceParent::HEADER)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?,
        AMQPValue::ShortString(text) => text.as_str(),
        _ => return None,
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_hint_survives_the_wire() {
        let hint = Hint { run: RunId::new(Uuid::from_u128(7)), ordinal: u64::MAX };
        let (body, properties) = encode(hint.into(), 41);
        let text = r#"{"run":"00000000-0000-0000-0000-000000000007","ordinal":18446744073709551615}"#;
        assert_eq!(String::from_utf8(body.clone()).unwrap(), text);
        assert_eq!(decode(&properties, &body).unwrap(), hint.into());
        assert_eq!(id_of(&properties), Some(41));
    }

    #[test]
    fn a_trace_that_can_be_read_travels_with_its_hint() {
        let hint = Hint { run: RunId::new(Uuid::from_u128(7)), ordinal: 1 };
        let parent = TraceParent { trace: 1 << 100, span: 2, sampled: true };
        let (text, trace) = (parent.to_string(), Some(parent));
        let (body, properties) = encode(Message { hint, trace }, 0);
        assert_eq!(decode(&properties, &body).unwrap(), Message { hint, trace });
        let headed = |value: AMQPValue| {
            let mut headers = FieldTable::default();
            headers.insert(TraceParent::HEADER.into(), value);
            decode(&properties.clone().with_headers(headers), &body).unwrap().trace
        };
        assert_eq!(headed(AMQPValue::ShortString(text.as_str().into())), trace);
        assert_eq!(headed(AMQPValue::LongString("00-0-0-00".into())), None);
        assert_eq!(headed(AMQPValue::LongString(vec![0xff; 55].into())), None);
        assert_eq!(headed(AMQPValue::LongInt(1)), None);
    }

    fn check(content_type: &str, body: &[u8], expected: &str) {
        let properties = BasicProperties::default().with_content_type(content_type.into());
        let error = decode(&properties, body).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_hint_says_why() {
        let hint = br#"{"run":"00000000-0000-0000-0000-000000000007","ordinal":1}"#;
        check("", hint, "its content type is ``");
        check("application/vnd.assay.hint.v2+json", hint, "hint.v2+json`, not `");
        check(CONTENT_TYPE, b"", "EOF");
        check(CONTENT_TYPE, b"\xff\0garbage", "expected value");
        check(CONTENT_TYPE, br#"{"run":"7","ordinal":1}"#, "malformed");
        check(CONTENT_TYPE, br#"{"run":"00000000-0000-0000-0000-000000000007","ordinal":-1}"#, "malformed");
    }
}
