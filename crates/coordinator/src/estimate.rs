//! What a run may take, before it costs anything: some of its cases are rendered, and tokens are guessed from bytes. Pure:
//! `assay run --estimate` brings cases from files, the API from the store.

use assay_common::case::Vars;
use assay_common::config::{ASSUMED_MAX_TOKENS, Config, ProviderKind};
use assay_common::gate::Gate;
use assay_common::limit::Dimension;
use assay_common::model::Model;
use assay_common::money::{NanoUsd, Price};
use assay_common::prompt::PromptEntry;
use assay_common::suite::Suite;
use assay_common::template::Templates;
use assay_common::usage::Usage;
use serde::{Deserialize, Serialize};

use crate::suite::Objection;

/// Cases that are rendered at most.
const SAMPLE: u64 = 100;
/// Prompts that are rendered for them at most, all entries together.
const RENDERINGS: u64 = 200;
/// Bytes of a token: about right for English, too many for most other text.
const BYTES_A_TOKEN: u64 = 4;

/// What a run may take, as far as that can be told before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Calls without a retry.
    pub calls: u64,
    /// Tokens of all requests, from some rendered cases at four bytes a token.
    pub input_tokens: Option<u64>,
    /// Tokens of all answers where each is as long as it may be; null where a model has no `max_tokens`.
    pub output_tokens: Option<u64>,
    /// What the requests alone cost, in US dollars; null where a price or their length is unknown.
    pub requests_usd: Option<f64>,
    /// What requests and answers cost, in US dollars; null where a price or a number above is unknown.
    pub cost_usd: Option<f64>,
    /// The same for each model.
    pub models: Vec<ModelEstimate>,
    /// What the numbers rest on, and why some are missing.
    pub assumed: Vec<String>,
}

/// What the calls of one model may take; the units are those of [`Estimate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEstimate {
    /// The model, as tables name it.
    pub model: String,
    /// Calls without a retry.
    pub calls: u64,
    /// Tokens of its requests.
    pub input_tokens: Option<u64>,
    /// Tokens of its answers, where each is as long as it may be.
    pub output_tokens: Option<u64>,
    /// What its requests cost.
    pub requests_usd: Option<f64>,
    /// What requests and answers cost.
    pub cost_usd: Option<f64>,
}

/// The positions of the cases to render, spread over the dataset: files tend to be sorted.
pub fn sample(suite: &Suite) -> Vec<u64> {
    let cases = suite.dataset.cases;
    let sample = SAMPLE.min(RENDERINGS / suite.prompts.len().max(1) as u64).clamp(1, cases.max(1));
    (0..sample).map(|nth| nth * cases / sample).collect()
}

/// Estimates a suite from the variables of its [`sample`].
pub fn estimate(suite: &Suite, config: &Config, sample: &[Vars]) -> Estimate {
    let lengths: Vec<_> = suite.prompts.iter().map(|prompt| Length::of(prompt, sample)).collect();
    let sums: Vec<_> = (0..suite.models.len()).map(|model| Sum::of(suite, config, model, &lengths)).collect();
    let whole = sums.iter().fold(Sum::ZERO, Sum::plus);
    let models = sums.iter().enumerate();
    let models = models.map(|(index, sum)| ModelEstimate {
        model: suite.model_label(index),
        calls: sum.calls,
        input_tokens: sum.input,
        output_tokens: sum.output,
        requests_usd: sum.requests.map(NanoUsd::usd),
        cost_usd: sum.cost.map(NanoUsd::usd),
    });
    Estimate {
        calls: whole.calls,
        input_tokens: whole.input,
        output_tokens: whole.output,
        requests_usd: whole.requests.map(NanoUsd::usd),
        cost_usd: whole.cost.map(NanoUsd::usd),
        models: models.collect(),
        assumed: assumed(suite, config, sample.len(), &lengths),
    }
}

/// Why a run cannot be paid for out of the budget of its suite, as far as that can be told before it; `None`: perhaps it can.
pub fn unpayable(suite: &Suite, config: &Config, estimate: &Estimate) -> Option<Objection> {
    let budget = suite.budget?;
    let objection = |message: String, hint: &str| {
        let (place, hint) = ("budget_usd".to_owned(), Some(hint.to_owned()));
        Some(Objection { place, message, hint })
    };
    // A gate that tops up may have enough long before the last case.
    let asks_all = !suite.gate.as_ref().is_some_and(Gate::tops_up);
    if let Some(cost) = estimate.requests_usd.filter(|_| asks_all)
        && cost > budget.usd()
    {
        return objection(
            format!("its requests alone are estimated at ${cost}, above the budget of ${}", budget.usd()),
            "raise `budget_usd`, or ask about fewer cases",
        );
    }
    let dearest = suite.models.iter().zip(&estimate.models).filter_map(|(model, of_model)| {
        let price = config.price(&model.name()).filter(|_| is_paid(config, &model.provider))?;
        let input_tokens = of_model.input_tokens?.checked_div(of_model.calls);
        let most = model.sampling.max_tokens.unwrap_or(ASSUMED_MAX_TOKENS);
        let cost = price.cost(&Usage { input_tokens, output_tokens: Some(u64::from(most)) })?;
        Some((cost, &of_model.model, most))
    });
    let (cost, model, most) = dearest.max_by_key(|(cost, ..)| *cost)?;
    if cost <= budget {
        return None;
    }
    objection(
        format!(
            "a single call of {model} may cost ${}, with {most} tokens of answer, above the budget of ${}",
            cost.usd(),
            budget.usd()
        ),
        "give the model `max_tokens` that fit what it is to answer, or raise `budget_usd`",
    )
}

/// How long a prompt is over some cases, in tokens.
#[derive(Clone, Copy)]
struct Length {
    mean: u64,
    longest: u64,
}

impl Length {
    /// `None` when it renders for none of them.
    fn of(prompt: &PromptEntry, sample: &[Vars]) -> Option<Self> {
        let mut templates = Templates::default();
        let ids: Vec<_> =
            prompt.body.templates().map(|text| templates.add(text)).collect::<Result<_, _>>().ok()?;
        let lengths: Vec<u64> = sample
            .iter()
            .filter_map(|vars| {
                let texts = ids.iter().map(|id| templates.render(*id, vars).map(|text| text.len() as u64));
                texts.sum::<Result<u64, _>>().ok()
            })
            .collect();
        let mean = lengths.iter().sum::<u64>().checked_div(lengths.len() as u64)?;
        let longest = lengths.into_iter().max()?;
        Some(Self { mean: mean.div_ceil(BYTES_A_TOKEN), longest: longest.div_ceil(BYTES_A_TOKEN) })
    }
}

/// What some calls take, where every summand is known.
#[derive(Clone, Copy)]
struct Sum {
    calls: u64,
    input: Option<u64>,
    output: Option<u64>,
    requests: Option<NanoUsd>,
    cost: Option<NanoUsd>,
}

impl Sum {
    const ZERO: Self = Self {
        calls: 0,
        input: Some(0),
        output: Some(0),
        requests: Some(NanoUsd(0)),
        cost: Some(NanoUsd(0)),
    };

    /// All calls of a model.
    fn of(suite: &Suite, config: &Config, index: usize, lengths: &[Option<Length>]) -> Self {
        let model = &suite.models[index];
        let product = suite.product();
        let calls = product.cases.saturating_mul(u64::from(product.trials));
        let is_paid = is_paid(config, &model.provider);
        let free = Price { input_per_mtok: NanoUsd(0), output_per_mtok: NanoUsd(0) };
        let price = if is_paid { config.price(&model.name()) } else { Some(free) };
        let output = model.sampling.max_tokens.map(|tokens| u64::from(tokens).saturating_mul(calls));
        let of_prompt = |length: &Option<Length>| {
            let input = length.map(|length| length.mean.saturating_mul(calls));
            let bill = |output_tokens| {
                price.and_then(|price| price.cost(&Usage { input_tokens: input, output_tokens }))
            };
            // What answers nothing by the token costs nothing, however long its answers are.
            let cost = bill(if is_paid { output } else { Some(0) });
            Self { calls, input, output, requests: bill(Some(0)), cost }
        };
        lengths.iter().map(of_prompt).fold(Self::ZERO, |sum, more| sum.plus(&more))
    }

    fn plus(self, other: &Self) -> Self {
        let tokens = |one: Option<u64>, other: Option<u64>| one?.checked_add(other?);
        let money = |one: Option<NanoUsd>, other: Option<NanoUsd>| one?.0.checked_add(other?.0).map(NanoUsd);
        Self {
            calls: self.calls.saturating_add(other.calls),
            input: tokens(self.input, other.input),
            output: tokens(self.output, other.output),
            requests: money(self.requests, other.requests),
            cost: money(self.cost, other.cost),
        }
    }
}

/// Whether calls to a provider are paid for.
fn is_paid(config: &Config, provider: &str) -> bool {
    config.provider(provider).is_some_and(|provider| provider.kind == ProviderKind::OpenAi)
}

fn assumed(suite: &Suite, config: &Config, sampled: usize, lengths: &[Option<Length>]) -> Vec<String> {
    let mut assumed = vec![format!(
        "a request's length is the mean of {sampled} rendered cases, at {BYTES_A_TOKEN} bytes a token; no call is retried"
    )];
    for (prompt, _) in suite.prompts.iter().zip(lengths).filter(|(_, length)| length.is_none()) {
        assumed.push(format!(
            "prompt `{}` renders for none of these cases: its length is unknown",
            prompt.label
        ));
    }
    for (index, model) in suite.models.iter().enumerate() {
        let label = suite.model_label(index);
        if !is_paid(config, &model.provider) {
            assumed.push(format!("{label} answers in this process and costs nothing"));
            continue;
        }
        match model.sampling.max_tokens {
            Some(most) => assumed.push(format!("every answer of {label} has all of its {most} `max_tokens`")),
            None => assumed.push(format!(
                "{label} has no `max_tokens`: what its answers cost is unknown, its requests alone are counted"
            )),
        }
        let longest = lengths.iter().flatten().map(|length| length.longest).max();
        assumed.extend(longest.and_then(|longest| too_large(config, model, &label, longest)));
        if config.price(&model.name()).is_none() {
            assumed.push(format!(
                "the price of {label} is unknown: write it in assay.toml under [prices.\"{}\"]",
                model.name()
            ));
        }
    }
    assumed
}

/// Where assay.toml allows less in one window than a request of a model with so many tokens of prompt needs: no wait would make
/// room for it.
fn too_large(config: &Config, model: &Model, label: &str, prompt: u64) -> Option<String> {
    let provider = config.provider(&model.provider)?;
    let own = provider.models.get(&model.model).map(|own| &own.limits);
    let both = prompt.saturating_add(model.sampling.max_tokens.map_or(0, u64::from));
    let needs = [(Dimension::InputTokens, prompt), (Dimension::Tokens, both)];
    let narrow = own.into_iter().chain([&provider.limits]).find_map(|limits| {
        let over = |(dimension, needed)| {
            let most = limits.of_window(dimension).filter(|most| needed > *most)?;
            Some((dimension, needed, most))
        };
        needs.into_iter().find_map(over)
    });
    narrow.map(|(dimension, needed, most)| {
        format!(
            "the longest request of {label} needs about {needed} {dimension}, more than the {most} that assay.toml allows in one \
             window: such a job ends as errored(too_large)"
        )
    })
}
