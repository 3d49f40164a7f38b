//! What comes back: an answer, or what the server says instead of one. Everything here is untrusted.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::usage::Usage;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use crate::provider::observation::{Answer, ErrorBody};

/// The longest message of an error that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 2 * 1024;
/// The longest reason for stopping that is kept, in bytes.
const MAX_FINISH_REASON_BYTES: usize = 64;
/// More tokens than any call has: a count beyond is no count.
const ABSURD_TOKENS: u64 = 1_000_000_000_000;
/// The longest wait that is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// Reads the first choice. A refusal by the model, a filter or a cut-off is an answer too; the error says what is
/// wrong with a body that is none.
pub(super) fn answer(body: &[u8], status: u16) -> Result<Answer, String> {
    let completion: Completion = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let choice = completion.choices.into_iter().next().ok_or("it has no choice")?;
    let Message { content, refusal, tool_calls } = choice.message;
    let text = match (content, refusal) {
        (Some(Content::Text(text)), refusal) if !text.is_empty() || refusal.is_none() => text,
        (Some(Content::Parts(parts)), _) => parts.into_iter().map(|part| part.text).collect(),
        (_, Some(refusal)) => refusal,
        // Tools were called, or the answer was cut off before its first word.
        (None, None) if !tool_calls.is_null() || choice.finish_reason.is_some() => String::new(),
        (_, None) => return Err("its message has no content".into()),
    };
    let finish_reason = choice.finish_reason.map(|reason| cut(&reason, MAX_FINISH_REASON_BYTES).to_owned());
    Ok(Answer { text, finish_reason, usage: usage(&completion.usage), status: Some(status) })
}

fn usage(usage: &Value) -> Usage {
    let tokens =
        |field: &str| usage.get(field).and_then(Value::as_u64).filter(|count| *count < ABSURD_TOKENS);
    Usage { input_tokens: tokens("prompt_tokens"), output_tokens: tokens("completion_tokens") }
}

/// Reads what a server says about a request it did not answer, in the shapes that servers use.
pub(super) fn error(body: &[u8]) -> ErrorBody {
    let text = || cut(String::from_utf8_lossy(body).trim(), MAX_MESSAGE_BYTES).to_owned();
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return ErrorBody { message: text(), codes: Vec::new() };
    };
    let outer = json.get(0).unwrap_or(&json);
    let inner = outer.get("error").unwrap_or(outer);
    let message = [inner.get("message"), outer.get("message"), outer.get("detail"), Some(inner)]
        .into_iter()
        .find_map(|value| value.and_then(Value::as_str))
        .map_or_else(text, |message| cut(message, MAX_MESSAGE_BYTES).to_owned());
    let codes = ["code", "type", "status"].into_iter().filter_map(|field| inner.get(field)?.as_str());
    ErrorBody { message, codes: codes.map(|code| cut(code, MAX_FINISH_REASON_BYTES).to_owned()).collect() }
}

/// How long the server asks to wait: in seconds, in milliseconds, or until a date. A date is held against the
/// server's own clock where it tells the time.
pub(super) fn retry_after(headers: &HeaderMap, now: Micros) -> Option<Duration> {
    const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str, scale: f64| {
        let wait = text.parse::<f64>().ok().filter(|number| *number >= 0.0)? * scale;
        Duration::try_from_secs_f64(wait.min(LONGEST_RETRY_AFTER.as_secs_f64())).ok()
    };
    if let Some(wait) = text(&RETRY_AFTER_MS).and_then(|millis| seconds(millis, 1e-3)) {
        return Some(wait);
    }
    let asked = text(&RETRY_AFTER)?;
    seconds(asked, 1.0).or_else(|| {
        let until = date(asked)?;
        Some(until.since(written(headers, now)).min(LONGEST_RETRY_AFTER))
    })
}

/// When the server wrote its reply: by its own clock where it tells the time, else `now`.
pub(super) fn written(headers: &HeaderMap, now: Micros) -> Micros {
    headers.get(DATE).and_then(|date| date.to_str().ok()).map(str::trim).and_then(date).unwrap_or(now)
}

/// A date of HTTP, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<Micros> {
    let moment = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(Micros(moment.as_microsecond()))
}

/// The beginning of `text`, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_and_names_what_is_none() {
        let check = |body: &str, expected: Result<(&str, Option<&str>), &str>| match (
            answer(body.as_bytes(), 200),
            expected,
        ) {
            (Ok(answer), Ok((text, finish))) => {
                assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref()), (text, finish));
            }
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
            (found, _) => panic!("{body}: {found:?}"),
        };
        let choice = |message: &str, finish: &str| {
            format!(r#"{{"choices": [{{"message": {message}, "finish_reason": {finish}}}]}}"#)
        };
        check(&choice(r#"{"content": "A"}"#, r#""stop""#), Ok(("A", Some("stop"))));
        check(&choice(r#"{"content": ""}"#, r#""length""#), Ok(("", Some("length"))));
        check(&choice(r#"{"content": null, "refusal": "No."}"#, r#""stop""#), Ok(("No.", Some("stop"))));
        check(&choice(r#"{"content": "", "refusal": "No."}"#, "null"), Ok(("No.", None)));
        check(&choice(r#"{"content": null, "tool_calls": [{}]}"#, "null"), Ok(("", None)));
        check(&choice(r#"{"content": null}"#, r#""content_filter""#), Ok(("", Some("content_filter"))));
        check(
            &choice(r#"{"content": [{"type": "text", "text": "A"}, {"text": "B"}]}"#, "null"),
            Ok(("AB", None)),
        );
        check(&choice(r#"{"content": "a\u0000b"}"#, "null"), Ok(("a\0b", None)));
        check(&choice("{}", "null"), Err("no content"));
        check(&choice(r#"{"content": "\ud800"}"#, "null"), Err("hex escape"));
        check(&choice(r#"{"content": 5}"#, "null"), Err("match"));
        check(r#"{"choices": []}"#, Err("no choice"));
        check(r#"{"error": {"message": "overloaded"}}"#, Err("choices"));
        check(r#"{"choices": [{"message": {"content": "cut"#, Err("EOF"));
        check(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), Err("recursion"));
        assert!(answer(b"\xff\xfe", 200).is_err());
    }

    #[test]
    fn usage_is_believed_only_when_it_is_a_count() {
        let check = |written: &str, input: Option<u64>, output: Option<u64>| {
            let body = format!(r#"{{"choices": [{{"message": {{"content": "A"}}}}], "usage": {written}}}"#);
            let usage = answer(body.as_bytes(), 200).unwrap().usage;
            assert_eq!((usage.input_tokens, usage.output_tokens), (input, output), "{written}");
        };
        check(r#"{"prompt_tokens": 12, "completion_tokens": 3}"#, Some(12), Some(3));
        check(r#"{"prompt_tokens": -1, "completion_tokens": 1e30}"#, None, None);
        check(r#"{"prompt_tokens": 18446744073709551615}"#, None, None);
        check("null", None, None);
        check("\"many\"", None, None);
    }

    #[test]
    fn reads_errors_in_the_shapes_that_servers_use() {
        let check = |body: &str, message: &str, codes: &[&str]| {
            let found = error(body.as_bytes());
            assert_eq!(
                (found.message.as_str(), found.codes.as_slice().concat()),
                (message, codes.concat()),
                "{body}"
            );
        };
        check(
            r#"{"error": {"message": "No credit", "type": "insufficient_quota", "code": null}}"#,
            "No credit",
            &["insufficient_quota"],
        );
        check(r#"[{"error": {"message": "Bad", "code": 400, "status": "INVALID"}}]"#, "Bad", &["INVALID"]);
        check(r#"{"error": "model not found"}"#, "model not found", &[]);
        check(r#"{"detail": "Not Found"}"#, "Not Found", &[]);
        check(r#"{"object": "error", "message": "too long", "code": "x"}"#, "too long", &["x"]);
        check("Bad Gateway\n", "Bad Gateway", &[]);
        check("", "", &[]);
        let long = error(format!("{{\"error\": {{\"message\": \"{}\"}}}}", "ü".repeat(5_000)).as_bytes());
        assert_eq!(long.message.len(), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn reads_how_long_to_wait() {
        let check = |pairs: &[(&'static str, &'static str)], expected: Option<f64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            // 1994-11-06T08:49:07Z by our clock.
            let wait = retry_after(&headers, Micros(784_111_747_000_000));
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expected, "{pairs:?}");
        };
        check(&[], None);
        check(&[("retry-after", "30")], Some(30.0));
        check(&[("retry-after", " 1.5 ")], Some(1.5));
        check(&[("retry-after", "2"), ("retry-after-ms", "250")], Some(0.25));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(30.0));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:40:00 GMT")], Some(0.0));
        check(
            &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:27 GMT")],
            Some(10.0),
        );
        check(&[("retry-after", "99999999999999999999")], Some(31_536_000.0));
        check(&[("retry-after", "-5")], None);
        check(&[("retry-after", "NaN")], None);
        check(&[("retry-after", "soon")], None);
    }
}
