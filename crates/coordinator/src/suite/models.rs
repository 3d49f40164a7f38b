//! `models:`: provider, model and sampling parameters of each entry.

use assay_common::config::ProviderKind;
use assay_common::model::{Model, Sampling};
use assay_common::score::Millionths;

use super::hint::did_you_mean;
use super::load::Loader;
use super::yaml::Node;

/// An entry, with the file a `recorded` one plays back.
pub(super) struct ModelEntry<'n> {
    pub(super) model: Model,
    pub(super) node: &'n Node,
    pub(super) file: Option<&'n Node>,
}

impl Loader<'_> {
    /// The entries that can be read; their recordings are still to be loaded.
    pub(super) fn models<'n>(&mut self, list: &'n Node) -> Vec<ModelEntry<'n>> {
        let mut entries: Vec<ModelEntry<'n>> = Vec::new();
        for node in list.items() {
            let Some((provider, model)) = names(node) else { continue };
            let at = node.get("provider").unwrap_or(node).at;
            let kind = match self.config.map(|config| (config, config.provider(provider))) {
                Some((_, Some(known))) => Some(known.kind),
                Some((config, None)) => {
                    self.error(at, format!("unknown provider `{provider}`")).hint =
                        did_you_mean(provider, config.provider_names())
                            .map(|hint| format!("{hint} providers are configured in assay.toml"));
                    continue;
                }
                None => None,
            };
            let file = node.get("file");
            match (kind, file) {
                (Some(ProviderKind::Recorded), None) => {
                    self.error(
                        at,
                        format!("`{provider}` plays back a file of answers, but no `file` is named"),
                    )
                    .hint = Some("write the model as a map with `provider`, `model` and `file`".into());
                }
                (Some(ProviderKind::OpenAi | ProviderKind::Echo), Some(file)) => {
                    self.error(
                        file.at,
                        format!("`{provider}` answers by itself: `file` is for recorded answers"),
                    );
                }
                _ => {}
            }
            let model = Model {
                provider: provider.to_owned(),
                model: model.to_owned(),
                sampling: sampling(node),
                recording: None,
            };
            let twin = entries.iter().find(|entry| {
                let same_file = entry.file.and_then(Node::text) == file.and_then(Node::text);
                entry.model == model && same_file
            });
            if let Some(twin) = twin {
                let line = twin.node.at.line;
                self.warning(node.at, format!("`{}` is listed twice, first on line {line}", model.name()));
            }
            entries.push(ModelEntry { model, node, file });
        }
        entries
    }

    /// A budget can hold only where every price is known.
    pub(super) fn check_prices(&mut self, budget: &Node, models: &[ModelEntry<'_>]) {
        let Some(config) = self.config else { return };
        for ModelEntry { model, .. } in models {
            let kind = config.provider(&model.provider).map(|provider| provider.kind);
            let costs = kind == Some(ProviderKind::OpenAi);
            if costs && config.price(&model.name()).is_none() {
                let name = model.name();
                self.error(budget.at, format!("a budget needs prices, and that of `{name}` is unknown"))
                    .hint = Some(format!(
                    "add [prices.\"{name}\"] to assay.toml, with input_per_mtok and output_per_mtok"
                ));
            }
        }
    }
}

fn names(node: &Node) -> Option<(&str, &str)> {
    match node.text() {
        Some(name) => {
            name.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
        }
        None => Some((node.get("provider")?.text()?, node.get("model")?.text()?)),
    }
}

fn sampling(node: &Node) -> Sampling {
    let millionths = |key: &str| node.get(key).and_then(Node::number).and_then(Millionths::from_f64);
    let integer = |key: &str| node.get(key).and_then(Node::integer);
    let stop = node.get("stop");
    let stops = stop.into_iter().flat_map(|stop| match stop.text() {
        Some(text) => vec![text.to_owned()],
        None => stop.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
    });
    Sampling {
        temperature: millionths("temperature"),
        top_p: millionths("top_p"),
        max_tokens: integer("max_tokens").and_then(|tokens| u32::try_from(tokens).ok()),
        seed: integer("seed"),
        stop: stops.collect(),
        frequency_penalty: millionths("frequency_penalty"),
        presence_penalty: millionths("presence_penalty"),
    }
}
