//! What a run may take, before it costs anything: some of its cases are rendered, and tokens are guessed from bytes.

use assay_common::case::Vars;
use assay_common::config::{Config, ProviderKind};
use assay_common::money::{NanoUsd, Price};
use assay_common::prompt::PromptEntry;
use assay_common::suite::Suite;
use assay_common::template::Templates;
use assay_common::usage::Usage;
use assay_store::Store;

use super::document::Estimate;
use super::error::ApiError;

/// Cases that are rendered at most.
const SAMPLE: u64 = 100;
/// Prompts that are rendered for them at most, all entries together.
const RENDERINGS: u64 = 200;
/// Bytes of a token: about right for English, too many for most other text.
const BYTES_A_TOKEN: u64 = 4;

/// An estimate, with the cost of the requests alone.
pub(super) struct Estimated {
    pub(super) estimate: Estimate,
    /// What the requests cost before anything is answered.
    pub(super) input_cost: Option<NanoUsd>,
}

/// Estimates a suite whose dataset is stored.
pub(super) async fn estimate(store: &Store, config: &Config, suite: &Suite) -> Result<Estimated, ApiError> {
    let cases = suite.dataset.cases;
    let sample = SAMPLE.min(RENDERINGS / suite.prompts.len().max(1) as u64).clamp(1, cases.max(1));
    // Spread over the dataset: files tend to be sorted.
    let positions = (0..sample).map(|nth| nth * cases / sample).collect();
    let vars = store.vars_at(suite.dataset.digest.clone(), positions).await?;
    let prompts = suite.prompts.clone();
    let lengths = tokio::task::spawn_blocking(move || {
        prompts.iter().map(|prompt| tokens(prompt, &vars)).collect::<Vec<_>>()
    });
    let lengths = lengths.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(add_up(suite, config, &lengths))
}

/// The mean length of a prompt over some cases, in tokens; `None` when it renders for none of them.
fn tokens(prompt: &PromptEntry, sample: &[Vars]) -> Option<u64> {
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
    let bytes = lengths.iter().sum::<u64>().checked_div(lengths.len() as u64)?;
    Some(bytes.div_ceil(BYTES_A_TOKEN))
}

/// The sums over all variants, where every summand is known.
fn add_up(suite: &Suite, config: &Config, lengths: &[Option<u64>]) -> Estimated {
    let product = suite.product();
    let calls = product.cases.saturating_mul(u64::from(product.trials));
    let (mut input, mut output) = (Some(0_u64), Some(0_u64));
    let (mut cost, mut input_cost) = (Some(0_i64), Some(0_i64));
    for variant in suite.variants() {
        let model = &suite.models[variant.model];
        let costs =
            config.provider(&model.provider).is_some_and(|provider| provider.kind == ProviderKind::OpenAi);
        let free = Price { input_per_mtok: NanoUsd(0), output_per_mtok: NanoUsd(0) };
        let price = if costs { config.price(&model.name()) } else { Some(free) };
        let asked = lengths[variant.prompt].map(|tokens| tokens.saturating_mul(calls));
        let answered = model.sampling.max_tokens.map(|tokens| u64::from(tokens).saturating_mul(calls));
        let bill = |output_tokens| {
            price?.cost(&Usage { input_tokens: asked, output_tokens }).map(|NanoUsd(nanos)| nanos)
        };
        input = input.zip(asked).and_then(|(sum, more)| sum.checked_add(more));
        output = output.zip(answered).and_then(|(sum, more)| sum.checked_add(more));
        // What answers nothing by the token costs nothing, however long its answers are.
        let whole = bill(if costs { answered } else { Some(0) });
        cost = cost.zip(whole).and_then(|(sum, more)| sum.checked_add(more));
        input_cost = input_cost.zip(bill(Some(0))).and_then(|(sum, more)| sum.checked_add(more));
    }
    let estimate = Estimate {
        calls: calls.saturating_mul(u64::from(suite.product().variants)),
        input_tokens: input,
        output_tokens: output,
        cost_usd: cost.map(|nanos| NanoUsd(nanos).usd()),
    };
    Estimated { estimate, input_cost: input_cost.map(NanoUsd) }
}
