//! The body of a message.

use assay_common::config::WebhookFormat;
use assay_store::Event;
use serde_json::json;

use crate::report::civil;

/// The body of the message that tells of an event, as JSON.
pub(super) fn body(format: WebhookFormat, event: &Event) -> String {
    match format {
        WebhookFormat::Json => json!({
            "type": event.kind,
            "timestamp": civil(event.at),
            "summary": event.summary,
            "data": event.data,
        }),
        WebhookFormat::Slack => json!({"text": format!("*{}* {}", event.kind, inert(&event.summary))}),
    }
    .to_string()
}

/// Text that Slack shows as it stands: no mention, link or mark-up of a name or a reason takes effect.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => inert.push_str("&amp;"),
            '<' => inert.push_str("&lt;"),
            '>' => inert.push_str("&gt;"),
            // A zero-width space before it: a mark in the middle of nothing marks nothing.
            '*' | '_' | '~' | '`' | '@' => {
                inert.push('\u{200b}');
                inert.push(character);
                inert.push('\u{200b}');
            }
            other => inert.push(other),
        }
    }
    inert
}

#[cfg(test)]
mod tests {
    use assay_common::clock::Micros;

    use super::*;

    fn check(format: WebhookFormat, expected: &str) {
        let data = json!({"incident": 1});
        let event = Event::new(
            "incident.opened",
            "1",
            Micros(1_000_000),
            "<!channel> *bad* & worse".to_owned(),
            data,
        );
        assert_eq!(body(format, &event), expected);
    }

    #[test]
    fn tells_programs_and_people() {
        check(
            WebhookFormat::Json,
            r#"{"type":"incident.opened","timestamp":"1970-01-01T00:00:01.000Z","summary":"<!channel> *bad* & worse","data":{"incident":1}}"#,
        );
        check(
            WebhookFormat::Slack,
            "{\"text\":\"*incident.opened* &lt;!channel&gt; \u{200b}*\u{200b}bad\u{200b}*\u{200b} &amp; worse\"}",
        );
    }
}
