//! What a suite asks for by `channel`: the version that is live there. It is looked up before the suite is validated, and
//! becomes part of it like a file.

use std::collections::BTreeMap;
use std::path::Path;

use assay_common::nearest::nearest;
use assay_common::prompt::PromptBody;

use super::folder::Found;
use super::load::MAX_SUITE_BYTES;
use super::yaml::{self, Node};
use crate::release::channel::USUAL;
use crate::release::document::PromptDocument;

/// A prompt on a channel.
pub type Place = (String, String);

/// The versions that are live where a suite asks for one. What is not in it is not live.
#[derive(Clone, Debug, Default)]
pub struct Live {
    versions: BTreeMap<Place, (i64, PromptBody)>,
    /// Channels that nobody has, each with the one that seems meant.
    meant: BTreeMap<String, String>,
}

impl Live {
    /// Of the places that a suite asks for, before the versions are added: which channels seem misspelt.
    pub fn looked_up(asked: &[Place], prompts: &[PromptDocument]) -> Self {
        let live = prompts.iter().flat_map(|prompt| &prompt.live);
        let channels: Vec<&str> = live.map(|live| live.channel.as_str()).chain(USUAL).collect();
        let unknown = asked.iter().filter(|(_, channel)| !channels.contains(&channel.as_str()));
        let meant = unknown.filter_map(|(_, channel)| {
            Some((channel.clone(), nearest(channel, channels.iter().copied())?.to_owned()))
        });
        Self { versions: BTreeMap::new(), meant: meant.collect() }
    }

    /// Adds the number and the content of a version.
    pub fn insert(&mut self, place: Place, number: i64, body: PromptBody) {
        self.versions.insert(place, (number, body));
    }

    pub(super) fn get(&self, prompt: &str, channel: &str) -> Option<&(i64, PromptBody)> {
        self.versions.get(&(prompt.to_owned(), channel.to_owned()))
    }

    /// The channel that is meant by one that nobody has.
    pub(super) fn meant(&self, channel: &str) -> Option<&str> {
        self.meant.get(channel).map(String::as_str)
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
pub fn live_places(asked: Vec<Place>, prompts: &[PromptDocument]) -> Vec<Place> {
    let is_live = |(name, channel): &Place| {
        let named = prompts.iter().filter(|prompt| prompt.name == *name);
        named.flat_map(|prompt| &prompt.live).any(|live| live.channel == *channel)
    };
    asked.into_iter().filter(is_live).collect()
}
