//! `prompts:`: every entry becomes one prompt version, its text copied in.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use assay_common::prompt::{Message, PromptBody, PromptEntry, Role};

use super::cases::NO_NUL;
use super::check::check;
use super::diagnostic::{Diagnostic, Findings, Mark, Problems};
use super::folder::{Folder, Found};
use super::layout::MESSAGES;
use super::live::Live;
use super::load::Loader;
use super::source::Source;
use super::templates::{Site, Wants};
use super::yaml::{self, Node};
use crate::release::channel;

/// The longest prompt file, in bytes.
const MAX_PROMPT_BYTES: u64 = 4 << 20;

/// What a chat prompt is called, and what it is.
const CHAT: (&str, &str) =
    ("a chat prompt", "a chat prompt is a list of messages: `- {role: user, content: …}`");

/// The labels of all entries, also of those that cannot be read.
pub(super) fn labels(list: &Node) -> Vec<&str> {
    list.items().iter().filter_map(label_of).collect()
}

/// What it says, else the stem of its file, else the channel it asks for, else its name.
fn label_of(node: &Node) -> Option<&str> {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let stem = || Path::new(text("file")?).file_stem()?.to_str();
    text("label").or_else(stem).or_else(|| text("channel")).or_else(|| text("name"))
}

/// The content of a prompt file as a suite that names it has it.
///
/// # Errors
/// When it cannot be read, or is no prompt.
pub fn read_prompt(path: &Path) -> Result<PromptBody, Problems> {
    let mut findings = Findings::default();
    let read =
        Folder::of(path).and_then(|folder| Ok((folder, Rc::new(Found::given(path).read(MAX_PROMPT_BYTES)?))));
    let (folder, source) = match read {
        Ok(read) => read,
        Err(refusal) => {
            findings.push(refusal.told(|message| Diagnostic::error(path, message)));
            return Err(findings.into_problems(path));
        }
    };
    let mut loader = Loader {
        config: None,
        folder,
        suite: Rc::clone(&source),
        findings,
        live: &Live::default(),
        lack: &|_| None,
        wants: Wants::default(),
        sights: Vec::new(),
        left_out: false,
        nothing_live: None,
    };
    let body = loader.content(&source);
    loader.findings.finish(path)?;
    // What is no prompt has been reported.
    Ok(body.unwrap_or_else(|| PromptBody::text(&source.text)))
}

impl Loader<'_> {
    /// The entries that can be read; what is wrong with the others has been reported.
    pub(super) fn prompts(&mut self, list: &Node, owner: Option<&str>) -> Vec<PromptEntry> {
        let mut labels: HashMap<String, Mark> = HashMap::new();
        let mut baseline: Option<Mark> = None;
        let mut digests: HashMap<_, String> = HashMap::new();
        let mut entries = Vec::new();
        let mut from_channels = Vec::new();
        // The channels of entries that are left out, and whether each would be what the others are compared with: as it is
        // marked so, or as the first of a channel where none is.
        let (mut lost_mark, mut lost_first, mut lost_any) = (None, None, None);
        for node in list.items() {
            let Some(name) = node.get("name").and_then(Node::text) else { continue };
            let channel = node.get("channel").and_then(|channel| Some((channel, channel.text()?)));
            if let Some((channel, written)) = channel
                && let Err(wrong) = channel::named(written)
            {
                self.error(channel.at, wrong.to_string());
                continue;
            }
            if let Some((channel, written)) = channel
                && self.live.get(name, written).is_none()
            {
                if let Some(near) = self.live.meant(written) {
                    self.error(channel.at, format!("there is no channel `{written}`")).hint =
                        Some(format!("did you mean `{near}`?"));
                    continue;
                }
                self.warning(
                    channel.at,
                    format!("nothing of `{name}` is live on {written}: this entry is left out"),
                )
                .hint = Some(
                    "rules that compare with it are inconclusive; `assay prompt list` shows what is live where"
                        .into(),
                );
                self.left_out = true;
                if node.get("baseline").and_then(Node::flag) == Some(true) {
                    lost_mark.get_or_insert(written);
                } else if from_channels.is_empty() {
                    lost_first.get_or_insert(written);
                }
                lost_any.get_or_insert(written);
                continue;
            }
            let label_node = ["label", "file", "channel", "name"].iter().find_map(|key| node.get(key));
            let label_node = label_node.unwrap_or(node);
            let label = label_of(node).unwrap_or(name);
            if let Some(first) = labels.insert(label.to_owned(), label_node.at) {
                self.error(
                    label_node.at,
                    format!("the label `{label}` is taken by the entry on line {}", first.line),
                )
                .hint = Some("give each entry a `label` of its own: tables and rules call it so".into());
            }
            let marked = node.get("baseline").filter(|node| node.flag() == Some(true));
            if let Some(node) = marked
                && let Some(first) = baseline.replace(node.at)
            {
                self.error(node.at, format!("a second baseline; the first is on line {}", first.line)).hint =
                    Some("the others are compared with one entry: keep one of them".into());
            }
            let errors = self.findings.errors();
            let Some(body) = self.body(node) else { continue };
            let digest = body.digest();
            // Of what is wrong nobody knows what it should be.
            let is_sound = self.findings.errors() == errors;
            if is_sound
                && let Some(twin) = digests.insert(digest.clone(), label.to_owned())
                && twin != label
            {
                let message = format!("`{label}` has the same content as `{twin}`: they are one version");
                self.warning(label_node.at, message).hint =
                    Some("a comparison of the two compares a prompt with itself".into());
            }
            if channel.is_some() {
                from_channels.push(entries.len());
            }
            entries.push(PromptEntry {
                name: name.to_owned(),
                label: label.to_owned(),
                owner: node.get("owner").and_then(Node::text).or(owner).map(str::to_owned),
                baseline: marked.is_some(),
                digest,
                body,
            });
        }
        if entries.is_empty() && self.left_out {
            self.error(list.at, "nothing that `prompts` asks for is live: there is nothing to run").hint =
                Some("`assay prompt list` shows what is live where".into());
        }
        let lost = lost_mark.or(lost_first.filter(|_| baseline.is_none()));
        let lost = lost.or(lost_any.filter(|_| entries.len() < 2));
        self.nothing_live = lost.map(str::to_owned);
        // What is live is what the others are compared with.
        if let (None, Some(live)) = (baseline, from_channels.first().and_then(|at| entries.get_mut(*at))) {
            live.baseline = true;
        }
        entries
    }

    fn body(&mut self, node: &Node) -> Option<PromptBody> {
        if let Some(text) = node.get("text") {
            let body = PromptBody::text(text.text()?);
            if body.templates().all(|text| text.trim().is_empty()) {
                self.error(text.at, "the prompt is empty").hint = Some("write what is asked".into());
            }
            let site = Site { source: Rc::clone(&self.suite), bytes: text.bytes.clone(), mark: text.at };
            body.templates().for_each(|template| {
                self.wants.add(template, site.clone(), &mut self.findings);
            });
            return Some(body);
        }
        if let Some(channel) = node.get("channel").and_then(Node::text) {
            let name = node.get("name").and_then(Node::text)?;
            let (number, body) = self.live.get(name, channel)?.clone();
            for template in body.templates() {
                let shown = format!("{name}@{number}, live on {channel}");
                let source = Rc::new(Source::new(shown.into(), template.to_owned()));
                let (bytes, mark) = (0..template.len(), source.whole_line(1));
                self.wants.add(template, Site { source, bytes, mark }, &mut self.findings);
            }
            return Some(body);
        }
        let file = node.get("file")?;
        let source = match self.folder.file(file.text()?).and_then(|found| found.read(MAX_PROMPT_BYTES)) {
            Ok(source) => Rc::new(source),
            Err(refusal) => {
                self.refuse(file.at, refusal);
                return None;
            }
        };
        if let Some(at) = source.text.find('\0') {
            let told = source.error(source.mark(at..at + 1), "the prompt holds the character NUL");
            self.findings.push(told.hint(NO_NUL));
            return None;
        }
        if source.text.trim().is_empty() {
            self.error(file.at, format!("the prompt {} is empty", source.path.display())).hint =
                Some("write what is asked into the file".into());
            return None;
        }
        self.content(&source)
    }

    /// What a file holds: a chat where its name says so, else one text.
    fn content(&mut self, source: &Rc<Source>) -> Option<PromptBody> {
        let extension = source.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "yaml" | "yml" | "json") {
            return self.chat(source);
        }
        let body = PromptBody::text(&source.text);
        let site =
            Site { source: Rc::clone(source), bytes: 0..source.text.len(), mark: source.whole_line(1) };
        body.templates().for_each(|template| {
            self.wants.add(template, site.clone(), &mut self.findings);
        });
        Some(body)
    }

    fn chat(&mut self, source: &Rc<Source>) -> Option<PromptBody> {
        let (tree, faults) = match yaml::parse(&source.text) {
            Ok(read) => read,
            Err(fault) => {
                self.findings.push(source.fault(fault));
                return None;
            }
        };
        self.findings.extend(faults.into_iter().map(|fault| source.fault(fault)));
        check(source, &tree, &MESSAGES, CHAT, &mut self.findings);
        let mut messages = Vec::new();
        for item in tree.items() {
            let (Some(role), Some(content)) = (item.get("role"), item.get("content")) else { continue };
            let (Some(role), Some(text)) = (role.text().and_then(role_of), content.text()) else { continue };
            let site = Site { source: Rc::clone(source), bytes: content.bytes.clone(), mark: content.at };
            self.wants.add(text, site, &mut self.findings);
            messages.push(Message { role, content: text.to_owned() });
        }
        Some(PromptBody::chat(messages))
    }
}

fn role_of(word: &str) -> Option<Role> {
    [Role::System, Role::Developer, Role::User, Role::Assistant].into_iter().find(|role| role.word() == word)
}
