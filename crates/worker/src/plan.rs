//! A run's suite, compiled once and kept for all its jobs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use assay_common::case::Vars;
use assay_common::config::{ASSUMED_MAX_TOKENS, Config, Provider};
use assay_common::id::RunId;
use assay_common::job::DayCap;
use assay_common::model::Model;
use assay_common::money::{NanoUsd, Price};
use assay_common::outcome::ErrorKind;
use assay_common::prompt::{Message, PromptBody, Role};
use assay_common::suite::Suite;
use assay_common::template::{TemplateError, TemplateId, Templates};
use assay_common::usage::Usage;
use assay_store::{Store, StoreError};

use crate::provider::Prompt;
use crate::scorer::Scoring;

/// Suites kept; with more runs under way at once the oldest is compiled again when it is met again.
const KEPT: usize = 16;

/// A suite ready for execution.
#[derive(Debug)]
pub(crate) struct Plan {
    suite: Suite,
    templates: Templates,
    prompts: Vec<PromptPlan>,
    /// By model.
    prices: Vec<Option<Price>>,
    /// Whether each model's calls are paid for; those of a provider inside this process are not.
    paid: Vec<bool>,
    /// What the account of each model may cost in a day, where its calls are paid for.
    caps: Vec<Option<DayCap>>,
    pub(crate) scoring: Scoring,
}

#[derive(Debug)]
enum PromptPlan {
    Text(TemplateId),
    Chat(Vec<(Role, TemplateId)>),
}

/// A suite that cannot be executed: each of its jobs ends so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Unusable {
    pub(crate) kind: ErrorKind,
    reason: String,
}

impl Plan {
    pub(crate) fn compile(suite: Suite, config: &Config) -> Result<Self, Unusable> {
        let mut templates = Templates::default();
        let prompts = suite.prompts.iter().map(|entry| PromptPlan::compile(&entry.body, &mut templates));
        let prompts = prompts.collect::<Result<_, _>>().map_err(|error| Unusable {
            kind: ErrorKind::Template,
            reason: format!("a prompt is no template: {error}"),
        })?;
        let scoring = Scoring::compile(&suite.scorers, suite.threshold)
            .map_err(|error| Unusable { kind: ErrorKind::Scorer, reason: error.to_string() })?;
        let prices = suite.models.iter().map(|model| config.price(&model.name())).collect();
        let remote = |model: &Model| config.provider(&model.provider).filter(Provider::is_remote);
        let paid = suite.models.iter().map(|model| remote(model).is_some()).collect();
        let cap = |model: &Model| {
            let most = remote(model)?.budget_per_day()?;
            Some(DayCap { account: model.provider.as_str().into(), most })
        };
        let caps = suite.models.iter().map(cap).collect();
        Ok(Self { suite, templates, prompts, prices, paid, caps, scoring })
    }

    /// The model of a variant.
    pub(crate) fn model(&self, variant: u32) -> &Model {
        &self.suite.models[self.suite.variant(variant).model]
    }

    /// The label of a variant's prompt.
    pub(crate) fn label(&self, variant: u32) -> &str {
        &self.suite.prompts[self.suite.variant(variant).prompt].label
    }

    /// What a variant's tokens cost, where that is known.
    pub(crate) fn price(&self, variant: u32) -> Option<Price> {
        self.prices[self.suite.variant(variant).model]
    }

    /// Whether the run has a budget that this variant's calls count against.
    pub(crate) fn is_budgeted(&self, variant: u32) -> bool {
        self.suite.budget.is_some() && self.paid[self.suite.variant(variant).model]
    }

    /// What the account of a variant's model may cost in a day, where it has a cap.
    pub(crate) fn cap(&self, variant: u32) -> Option<&DayCap> {
        self.caps[self.suite.variant(variant).model].as_ref()
    }

    /// The most that a call of a variant may cost: a token has at least one byte, and an answer has at most `max_tokens`.
    /// `None` where the price is unknown.
    pub(crate) fn most(&self, variant: u32, prompt: &Prompt) -> Option<NanoUsd> {
        let max_tokens = self.model(variant).sampling.max_tokens.unwrap_or(ASSUMED_MAX_TOKENS);
        let usage =
            Usage { input_tokens: Some(prompt.most_tokens()), output_tokens: Some(max_tokens.into()) };
        self.price(variant)?.cost(&usage)
    }

    /// A variant's prompt for a case with these variables.
    pub(crate) fn prompt(&self, variant: u32, vars: &Vars) -> Result<Prompt, TemplateError> {
        match &self.prompts[self.suite.variant(variant).prompt] {
            PromptPlan::Text(template) => self.templates.render(*template, vars).map(Prompt::Text),
            PromptPlan::Chat(messages) => messages
                .iter()
                .map(|(role, content)| {
                    Ok(Message { role: *role, content: self.templates.render(*content, vars)? })
                })
                .collect::<Result<_, _>>()
                .map(Prompt::Chat),
        }
    }
}

impl PromptPlan {
    fn compile(body: &PromptBody, templates: &mut Templates) -> Result<Self, TemplateError> {
        Ok(match body {
            PromptBody::Text(text) => Self::Text(templates.add(text)?),
            PromptBody::Chat(messages) => Self::Chat(
                messages
                    .iter()
                    .map(|message| Ok((message.role, templates.add(&message.content)?)))
                    .collect::<Result<_, TemplateError>>()?,
            ),
        })
    }
}

/// The plans of the runs whose jobs this worker meets.
#[derive(Debug)]
pub(crate) struct Plans {
    store: Store,
    config: Arc<Config>,
    known: RwLock<BTreeMap<RunId, Planned>>,
    /// Held while one is loaded, so that the first jobs of a run compile its suite once.
    loading: tokio::sync::Mutex<()>,
}

pub(crate) type Planned = Arc<Result<Plan, Unusable>>;

impl Plans {
    pub(crate) fn new(store: Store, config: Arc<Config>) -> Self {
        Self { store, config, known: RwLock::default(), loading: tokio::sync::Mutex::default() }
    }

    /// The plan of a run that the store has granted a job of.
    pub(crate) async fn of(&self, run: RunId) -> Result<Planned, StoreError> {
        if let Some(planned) = self.known(run) {
            return Ok(planned);
        }
        let _loading = self.loading.lock().await;
        if let Some(planned) = self.known(run) {
            return Ok(planned);
        }
        let missing = || StoreError::Unreadable(format!("the suite of run {run} is missing"));
        let revision = self.store.run(run).await?.ok_or_else(missing)?.revision;
        let suite = self.store.suite(revision).await?.ok_or_else(missing)?;
        let planned = Arc::new(Plan::compile(suite, &self.config));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(run, Arc::clone(&planned));
        if known.len() > KEPT {
            known.pop_first();
        }
        Ok(planned)
    }

    fn known(&self, run: RunId) -> Option<Planned> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }
}
