//! `models:`: provider, model and sampling parameters of each entry.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::config::{ASSUMED_MAX_TOKENS, Config, Limits, Provider, ProviderKind, assumed_answer};
use assay_common::limit::Dimension;
use assay_common::model::{Model, Sampling};
use assay_common::score::Millionths;

use super::diagnostic::Severity;
use super::hint::did_you_mean;
use super::load::{Lack, Loader};
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
                    let near = did_you_mean(provider, config.provider_names()).unwrap_or_default();
                    self.error(at, format!("unknown provider `{provider}`")).hint =
                        Some(format!("{near} (others are described in assay.toml)").trim_start().to_owned());
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
                    )
                    .hint = Some("delete `file`, or play it back with `provider: recorded`".into());
                }
                _ => {}
            }
            let model = Model {
                provider: provider.to_owned(),
                model: model.to_owned(),
                sampling: sampling(node),
                recording: None,
            };
            entries.push(ModelEntry { model, node, file });
        }
        entries
    }

    /// Entries that differ in nothing would ask everything twice, and nobody could tell their rows apart.
    pub(super) fn check_twins(&mut self, models: &[ModelEntry<'_>]) {
        // A file that could not be read has been told.
        let whole = |entry: &&ModelEntry<'_>| entry.file.is_none() || entry.model.recording.is_some();
        let models: Vec<_> = models.iter().filter(whole).collect();
        for (index, entry) in models.iter().enumerate() {
            if let Some(twin) = models[..index].iter().find(|twin| twin.model == entry.model) {
                let (name, line) = (entry.model.name(), twin.node.at.line);
                self.error(entry.node.at, format!("`{name}` is listed twice, first on line {line}")).hint =
                    Some("delete one; to ask a model several times set `repeats`".into());
            }
        }
    }

    /// What this machine lacks for calling a provider is told where the suite first names it.
    pub(super) fn check_providers(&mut self, models: &[ModelEntry<'_>]) {
        let mut seen = BTreeSet::new();
        for entry in models.iter().filter(|entry| seen.insert(&entry.model.provider)) {
            let Some(Lack { message, hint, severity }) = (self.lack)(&entry.model.provider) else { continue };
            let at = entry.node.get("provider").unwrap_or(entry.node).at;
            match severity {
                Severity::Error => self.error(at, message),
                Severity::Warning => self.warning(at, message),
            }
            .hint = Some(hint);
        }
    }

    /// A budget can hold only where every price is known.
    pub(super) fn check_prices(&mut self, budget: &Node, models: &[ModelEntry<'_>]) {
        let config = self.config;
        let costs = |entry: &&ModelEntry<'_>| {
            let known = config.and_then(|config| config.provider(&entry.model.provider));
            known.is_some_and(|known| known.kind == ProviderKind::OpenAi)
        };
        for name in self.unpriced(models.iter().filter(costs)) {
            self.error(budget.at, format!("a budget needs prices, and that of `{name}` is unknown")).hint =
                Some(price_of(&name));
        }
    }

    /// What assay.toml says of the providers' limits, where no call of a model could keep to it.
    pub(super) fn check_limits(&mut self, models: &[ModelEntry<'_>]) {
        let Some(config) = self.config else { return };
        for entry in models {
            for Impossible { message, hint } in impossible(&entry.model, config) {
                self.error(entry.node.at, message).hint = Some(hint);
            }
        }
        for Doubt { model, message, hint } in doubts(models.iter().map(|entry| &entry.model), config) {
            self.warning(models[model].node.at, message).hint = Some(hint);
        }
    }

    /// Those of the models whose price nobody says, under the configuration they will run with.
    pub(super) fn unpriced<'e>(
        &self,
        models: impl IntoIterator<Item = &'e ModelEntry<'e>>,
    ) -> BTreeSet<String> {
        let Some(config) = self.config else { return BTreeSet::new() };
        let names = models.into_iter().map(|entry| entry.model.name());
        names.filter(|name| config.price(name).is_none()).collect()
    }
}

/// What rules on cost and latency have to know.
impl Loader<'_> {
    /// The first of the models that costs something.
    pub(super) fn priced(&self, models: &[ModelEntry<'_>]) -> Option<String> {
        let mut names = models.iter().map(|entry| entry.model.name());
        names.find(|name| {
            self.config.and_then(|config| config.price(name)).is_some_and(|price| !price.is_free())
        })
    }

    /// The first of the models that answers with the prompt itself, which takes no time.
    pub(super) fn timeless(&self, models: &[ModelEntry<'_>]) -> Option<String> {
        let kind = |entry: &ModelEntry<'_>| Some(self.config?.provider(&entry.model.provider)?.kind);
        let entry = models.iter().find(|entry| kind(entry) == Some(ProviderKind::Echo))?;
        Some(entry.model.name())
    }
}

/// Why no call of a model could be made, however long it waited.
pub(super) struct Impossible {
    pub(super) message: String,
    pub(super) hint: String,
}

/// What assay.toml says of an account and its model that no call could keep to.
pub(super) fn impossible(model: &Model, config: &Config) -> Vec<Impossible> {
    let Some(provider) = config.provider(&model.provider).filter(Provider::is_remote) else {
        return Vec::new();
    };
    let (name, account) = (model.name(), &model.provider);
    let mut found = Vec::new();
    if provider.budget_per_day().is_some() && config.price(&name).is_none() {
        found.push(Impossible {
            message: format!("`{account}` has a budget_usd_per_day, and the price of `{name}` is unknown"),
            hint: price_of(&name),
        });
    }
    // The longest answer counts where a provider reserves it when it admits a request.
    let answer = u64::from(model.sampling.max_tokens.unwrap_or_default());
    for (whose, limits) in limits_of(model, &provider) {
        if let Some(most) = limits.of_window(Dimension::Tokens).filter(|most| answer > *most) {
            found.push(Impossible {
                message: format!(
                    "an answer of `{name}` may have {answer} tokens, more than all that the {whose} allows in one window: \
                     {most}"
                ),
                hint: "lower `max_tokens`, or raise `tokens_per_minute` in assay.toml to what the account really has"
                    .into(),
            });
        }
    }
    found
}

/// The limits that a call of a model has to keep to, each with whose they are.
fn limits_of(model: &Model, provider: &Provider) -> impl Iterator<Item = (String, Limits)> {
    let of_account = (format!("account `{}`", model.provider), provider.limits);
    let own = provider.models.get(&model.model).map(|own| (format!("model `{}`", model.model), own.limits));
    std::iter::once(of_account).chain(own)
}

/// What works, and yet may not be meant so.
pub(crate) struct Doubt {
    /// The place among those asked of the model at which it is told.
    pub(super) model: usize,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Doubt {
    /// In a line.
    pub(crate) fn told(self) -> String {
        format!("warning: {}; {}", self.message, self.hint)
    }
}

/// What is doubtful in the limits that assay.toml has for `models`.
pub(crate) fn doubts<'m>(models: impl Iterator<Item = &'m Model>, config: &Config) -> Vec<Doubt> {
    let models: Vec<_> = models.collect();
    let endless = models.iter().enumerate().filter_map(|(at, model)| endless(at, model, config));
    let longer = models.iter().enumerate().filter_map(|(at, model)| longer(at, model, config));
    unasked(&models, config).into_iter().chain(endless).chain(longer).collect()
}

/// Limits of a model that the suite does not ask, and that seem meant for one that it does. Others are the business of other
/// suites.
fn unasked(models: &[&Model], config: &Config) -> Vec<Doubt> {
    let mut asked = BTreeMap::<_, (usize, Vec<_>)>::new();
    for (at, Model { provider, model, .. }) in models.iter().enumerate() {
        asked.entry(provider.as_str()).or_insert((at, Vec::new())).1.push(model.as_str());
    }
    let mut unasked = Vec::new();
    for (provider, (first, models)) in asked {
        let table = |model: &str| format!("[providers.{provider}.models.\"{model}\".limits]");
        unasked.extend(config.misnamed_limits(provider, &models).into_iter().map(|(model, meant)| Doubt {
            model: first,
            message: format!("assay.toml has {}, and this suite asks no such model", table(model)),
            hint: format!("did you mean {}?", table(meant)),
        }));
    }
    unasked
}

/// Answers that may be longer than all that a window allows, since nobody says how long they may be.
fn endless(at: usize, model: &Model, config: &Config) -> Option<Doubt> {
    let provider = config.provider(&model.provider).filter(Provider::is_remote)?;
    if model.sampling.max_tokens.is_some() {
        return None;
    }
    let narrow = limits_of(model, &provider).find_map(|(whose, limits)| {
        let of_answers = [Dimension::Tokens, Dimension::OutputTokens].into_iter();
        let mut windows = of_answers.filter_map(|dimension| Some((dimension, limits.of_window(dimension)?)));
        windows
            .find(|(_, most)| *most < u64::from(ASSUMED_MAX_TOKENS))
            .map(|(dimension, most)| (whose, dimension, most))
    });
    narrow.map(|(whose, dimension, most)| Doubt {
        model: at,
        message: format!(
            "`{}` has no `max_tokens`, and the {whose} allows {most} {dimension} in one window: an answer is taken for {} of \
             them, and may need more than there are",
            model.name(),
            assumed_answer(Some(most))
        ),
        hint: "set `max_tokens` to what answers need".into(),
    })
}

/// Answers that may be longer than all that a window allows of them, where they count as they come: nothing is refused for that, and
/// one that is so long is paid for by a window of waiting.
fn longer(at: usize, model: &Model, config: &Config) -> Option<Doubt> {
    let provider = config.provider(&model.provider).filter(Provider::is_remote)?;
    let answer = u64::from(model.sampling.max_tokens?);
    let (whose, most) = limits_of(model, &provider)
        .filter_map(|(whose, limits)| Some((whose, limits.of_window(Dimension::OutputTokens)?)))
        .find(|(_, most)| answer > *most)?;
    Some(Doubt {
        model: at,
        message: format!(
            "an answer of `{}` may have {answer} tokens, and the {whose} allows {most} {} in one window: an answer is taken for {} \
             of them until some are known, and after one that is longer calls wait for up to a window",
            model.name(),
            Dimension::OutputTokens,
            assumed_answer(Some(most))
        ),
        hint: "lower `max_tokens` to what answers need".into(),
    })
}

/// How to make the price of a model known.
pub(super) fn price_of(name: &str) -> String {
    format!("add [prices.\"{name}\"] to assay.toml, with input_per_mtok and output_per_mtok")
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
