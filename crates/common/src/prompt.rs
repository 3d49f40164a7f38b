//! Prompts: a named line of work, and its immutable versions.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// The content of one prompt version, before its variables are filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptBody {
    /// One text, sent as a single user message.
    Text(String),
    /// Chat messages, sent as they stand.
    Chat(Vec<Message>),
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, as some providers name them.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The word on the wire and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl PromptBody {
    /// Text as a version holds it: line ends LF, one trailing newline dropped, so that an editor's habits do
    /// not make a new version.
    pub fn text(raw: &str) -> Self {
        Self::Text(normalise(raw))
    }

    /// Chat as a version holds it; each content is normalised as [`PromptBody::text`] is.
    pub fn chat(messages: Vec<Message>) -> Self {
        let normalised = messages
            .into_iter()
            .map(|message| Message { content: normalise(&message.content), ..message })
            .collect();
        Self::Chat(normalised)
    }

    /// The identity of this version everywhere: SHA-256 of the text itself, or of the messages as framed
    /// (role, content) pairs.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Text(text) => Digest::of(text.as_bytes()),
            Self::Chat(messages) => {
                let mut digester = crate::id::Digester::default();
                digester.update_framed(b"chat");
                for message in messages {
                    digester.update_framed(message.role.word().as_bytes());
                    digester.update_framed(message.content.as_bytes());
                }
                digester.finish()
            }
        }
    }

    /// Every template in it, in order.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let (text, messages): (Option<&str>, &[Message]) = match self {
            Self::Text(text) => (Some(text), &[]),
            Self::Chat(messages) => (None, messages),
        };
        text.into_iter().chain(messages.iter().map(|message| message.content.as_str()))
    }
}

fn normalise(raw: &str) -> String {
    let unix = raw.replace("\r\n", "\n");
    unix.strip_suffix('\n').unwrap_or(&unix).to_owned()
}

/// One entry of a suite's `prompts:`: one version of one prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptEntry {
    /// The line of work.
    pub name: String,
    /// What people call this entry in tables; unique in the suite.
    pub label: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Whether the other entries are compared with this one.
    pub baseline: bool,
    /// Digest of `body`.
    pub digest: Digest,
    /// The content.
    pub body: PromptBody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_one_trailing_newline_make_no_new_version() {
        let digest = |raw: &str| PromptBody::text(raw).digest();
        assert_eq!(digest("a\r\nb\r\n"), digest("a\nb"));
        assert_ne!(digest("a\nb\n\n"), digest("a\nb"));
    }

    #[test]
    fn a_chat_of_one_user_message_is_another_version_than_its_text() {
        let chat = PromptBody::chat(vec![Message { role: Role::User, content: "a".into() }]);
        assert_ne!(chat.digest(), PromptBody::text("a").digest());
    }
}
