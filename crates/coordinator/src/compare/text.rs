//! What changed in a prompt: a unified diff of its text, or of its messages one after the other.

use std::borrow::Cow;

use assay_common::prompt::PromptBody;
use assay_common::suite::Suite;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

/// Lines that are shown around a change.
const CONTEXT: usize = 3;
/// The longest diff that is shown, in lines.
const MAX_LINES: usize = 400;
/// The longest diff that is shown, in bytes: a prompt may be one line. Three of them leave room on a page of 65,536.
const MAX_BYTES: usize = 16_000;

/// How a candidate's prompt differs from its baseline's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptChange {
    /// The candidate's label.
    pub candidate: String,
    /// The baseline's label.
    pub baseline: String,
    /// What changed, as a unified diff; empty where nothing did.
    pub diff: String,
}

/// The changes of a suite: every candidate against the baseline.
pub fn changes(suite: &Suite) -> Vec<PromptChange> {
    let Some(baseline) = suite.baseline().map(|index| &suite.prompts[index]) else { return Vec::new() };
    let candidates = suite.prompts.iter().filter(|prompt| prompt.label != baseline.label);
    let change = |candidate: &assay_common::prompt::PromptEntry| PromptChange {
        candidate: candidate.label.clone(),
        baseline: baseline.label.clone(),
        diff: diff(&baseline.body, &candidate.body),
    };
    candidates.map(change).collect()
}

/// A unified diff without file names; empty where nothing changed. A diff that is very long is cut, and says so.
pub fn diff(before: &PromptBody, after: &PromptBody) -> String {
    let (before, after) = (text(before), text(after));
    let diff = TextDiff::from_lines(&*before, &*after);
    let diff = diff.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string();
    let lines = diff.lines().count();
    let diff = if lines <= MAX_LINES {
        diff
    } else {
        let kept: Vec<_> = diff.lines().take(MAX_LINES).collect();
        format!("{}\n… {} more lines\n", kept.join("\n"), lines - MAX_LINES)
    };
    if diff.len() <= MAX_BYTES {
        return diff;
    }
    let kept = &diff[..diff.floor_char_boundary(MAX_BYTES)];
    format!("{kept}\n… cut: {} more bytes\n", diff.len() - kept.len())
}

/// A prompt as one text; each message under its role.
fn text(body: &PromptBody) -> Cow<'_, str> {
    match body {
        PromptBody::Text(text) => Cow::Owned(format!("{text}\n")),
        PromptBody::Chat(messages) => messages
            .iter()
            .map(|message| format!("[{}]\n{}\n", message.role.word(), message.content))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use assay_common::prompt::{Message, Role};

    use super::*;

    #[test]
    fn shows_what_changed_and_nothing_else() {
        let check = |before: &PromptBody, after: &PromptBody, expected: &str| {
            assert_eq!(diff(before, after), expected);
        };
        let text = PromptBody::text;
        check(&text("a\nb"), &text("a\nb\n"), "");
        check(
            &text("Q: {{ q }}\nA:"),
            &text("Q: {{ q }}\nThink.\nA:"),
            "@@ -1,2 +1,3 @@\n Q: {{ q }}\n+Think.\n A:\n",
        );
        let chat = |content: &str| {
            PromptBody::chat(vec![
                Message { role: Role::System, content: content.to_owned() },
                Message { role: Role::User, content: "{{ q }}".to_owned() },
            ])
        };
        check(
            &chat("Be brief."),
            &chat("Be kind."),
            "@@ -1,4 +1,4 @@\n [system]\n-Be brief.\n+Be kind.\n [user]\n {{ q }}\n",
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let cut = diff(&PromptBody::text("a"), &PromptBody::text(&"ä".repeat(50_000)));
        assert!(cut.len() < MAX_BYTES + 100 && cut.contains("ää\n… cut: 84"), "{}", &cut[MAX_BYTES - 20..]);
    }

    #[test]
    fn a_long_diff_is_cut() {
        let long: String = (0..1_000).map(|line| format!("{line}\n")).collect();
        let diff = diff(&PromptBody::text(""), &PromptBody::text(&long));
        assert_eq!(diff.lines().count(), MAX_LINES + 1);
        assert!(diff.ends_with(" more lines\n"), "{diff}");
    }
}
