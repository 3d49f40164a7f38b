//! What a suite asks for by `channel`: the version that is live there. It is looked up before the suite is validated, and
//! becomes part of it like a file.

use std::collections::BTreeMap;
use std::path::Path;

use assay_common::nearest::nearest;
use assay_common::prompt::PromptBody;
use assay_common::visible::visible_line;

use super::folder::Found;
use super::load::MAX_SUITE_BYTES;
use super::yaml::{self, Node};
use crate::release::channel::USUAL;
use crate::release::document::PromptDocument;

/// A prompt on a channel.
pub type Place = (String, String);

/// The versions that are live where a suite asks for one. What is not in it is not live.
#[derive(Clone, Debug, Default)]
pub struct Live(BTreeMap<Place, (i64, PromptBody)>);

impl Live {
    /// Adds the number and the content of a version.
    pub fn insert(&mut self, place: Place, number: i64, body: PromptBody) {
        self.0.insert(place, (number, body));
    }

    pub(super) fn get(&self, prompt: &str, channel: &str) -> Option<&(i64, PromptBody)> {
        self.0.get(&(prompt.to_owned(), channel.to_owned()))
    }
}

/// What the suite at `path` asks for. Nothing where it cannot be read: whoever validates it says why.
pub fn asked_of(path: &Path) -> Vec<Place> {
    let Ok(source) = Found::given(path).read(MAX_SUITE_BYTES) else { return Vec::new() };
    let Ok((tree, _)) = yaml::parse(&source.text) else { return Vec::new() };
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let entries = tree.get("prompts").map(Node::items).unwrap_or_default();
    entries.iter().filter_map(|entry| Some((text(entry, "name")?, text(entry, "channel")?))).collect()
}

/// Which of the places that a suite asks for have something live, among the prompts that are known.
///
/// # Errors
/// For a person: a channel that is near to one that is there, and none itself.
pub fn live_places(asked: Vec<Place>, prompts: &[PromptDocument]) -> Result<Vec<Place>, String> {
    let live =
        |prompt: &PromptDocument, channel: &str| prompt.live.iter().any(|live| live.channel == channel);
    let channels: Vec<&str> = prompts
        .iter()
        .flat_map(|prompt| &prompt.live)
        .map(|live| live.channel.as_str())
        .chain(USUAL)
        .collect();
    let mut found = Vec::new();
    for (name, channel) in asked {
        if !channels.contains(&channel.as_str())
            && let Some(near) = nearest(&channel, channels.iter().copied())
        {
            return Err(format!(
                "the prompt `{}` asks for the channel `{}`; did you mean `{near}`?",
                visible_line(&name),
                visible_line(&channel)
            ));
        }
        if prompts.iter().any(|prompt| prompt.name == name && live(prompt, &channel)) {
            found.push((name, channel));
        }
    }
    Ok(found)
}
