//! What is sent: the prompt as messages, and the sampling parameters that the suite sets.

use assay_common::model::{Model, Sampling};
use assay_common::prompt::{Message, Role};
use assay_common::score::Millionths;
use serde::{Serialize, Serializer};

use crate::provider::{Prompt, Question};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Messages<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
}

struct Messages<'a>(&'a Prompt);

#[derive(Serialize)]
struct UserMessage<'a> {
    role: Role,
    content: &'a str,
}

/// The JSON of a request. A text prompt is one user message.
pub(super) fn body(model: &Model, prompt: &Prompt) -> Vec<u8> {
    let Sampling { temperature, top_p, max_tokens, seed, stop, frequency_penalty, presence_penalty } =
        &model.sampling;
    let number = |value: &Option<Millionths>| value.map(Millionths::as_f64);
    let body = Body {
        model: &model.model,
        messages: Messages(prompt),
        temperature: number(temperature),
        top_p: number(top_p),
        max_tokens: *max_tokens,
        seed: *seed,
        stop,
        frequency_penalty: number(frequency_penalty),
        presence_penalty: number(presence_penalty),
    };
    // Strings and finite numbers always have a JSON text.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The claim that a call is made under, for the header that names it.
pub(super) fn job(question: &Question<'_>) -> String {
    let key = question.key;
    format!("{}/{}/{}/{}", key.run, key.ordinal, key.generation, question.attempt)
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Prompt::Text(text) => [UserMessage { role: Role::User, content: text }].serialize(serializer),
            Prompt::Chat(messages) => <[Message]>::serialize(messages, serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_suite_sets_is_sent() {
        let check = |sampling: Sampling, prompt: Prompt, expected: &str| {
            let model = Model { provider: "p".into(), model: "m".into(), sampling, recording: None };
            assert_eq!(String::from_utf8(body(&model, &prompt)).unwrap(), expected);
        };
        check(
            Sampling::default(),
            Prompt::Text("Hi \"you\"".into()),
            r#"{"model":"m","messages":[{"role":"user","content":"Hi \"you\""}]}"#,
        );
        check(
            Sampling {
                temperature: Some(Millionths(700_000)),
                max_tokens: Some(64),
                stop: vec!["\n".into()],
                ..Sampling::default()
            },
            Prompt::Chat(vec![Message { role: Role::System, content: "Be brief.".into() }]),
            concat!(
                r#"{"model":"m","messages":[{"role":"system","content":"Be brief."}],"#,
                r#""temperature":0.7,"max_tokens":64,"stop":["\n"]}"#
            ),
        );
    }
}
