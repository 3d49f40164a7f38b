//! A suite frozen with everything it refers to: what a run executes. Prompts are copied in, files of cases and
//! of recorded answers are referred to by digest.

use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::id::Digest;
use crate::model::Model;
use crate::money::NanoUsd;
use crate::plan::Product;
use crate::prompt::PromptEntry;
use crate::reduce::Reducer;
use crate::score::Millionths;
use crate::scorer::Scorer;

/// Cases that a run begins with where its gate draws more and does not say how many it needs at least.
const FIRST_CASES: u64 = 100;

/// One suite revision. Equal content serialises to equal bytes, so [`Suite::revision`] is its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// `suite:`, its name.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// At least one; labels are unique; at most one is the baseline.
    pub prompts: Vec<PromptEntry>,
    /// At least one.
    pub models: Vec<Model>,
    /// What is asked.
    pub dataset: DatasetRef,
    /// How outputs are judged. Empty: every answer passes.
    pub scorers: Vec<Scorer>,
    /// A case passes at this weighted score; when absent every scorer must pass.
    pub threshold: Option<Millionths>,
    /// Trials of each case, at least 1.
    pub repeats: u32,
    /// How trials become one value.
    pub reduce: Reducer,
    /// Its weight against other runs.
    pub priority: Priority,
    /// The most a run may cost.
    pub budget: Option<NanoUsd>,
    /// The longest a run may take, in seconds.
    pub deadline_seconds: u64,
    /// What a version must satisfy to ship.
    pub gate: Option<Gate>,
}

/// A frozen dataset: its cases are rows in the store, once per revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// Digest of all cases in order.
    pub digest: Digest,
    /// How many.
    pub cases: u64,
    /// Whether any case names a cluster: then statistics count clusters, not cases.
    pub clustered: bool,
}

/// A run's weight in the deficit round robin between runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A person waits.
    Interactive,
    /// The default.
    #[default]
    Normal,
    /// A nightly sweep: yields to everything else.
    Sweep,
}

impl Priority {
    /// Every priority, the heaviest first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Sweep];

    /// The word in a suite and in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Normal => "normal",
            Self::Sweep => "sweep",
        }
    }
}

impl std::str::FromStr for Priority {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|priority| priority.word() == word);
        found.ok_or_else(|| format!("`{word}` is no priority; use interactive, normal or sweep"))
    }
}

/// A prompt entry on a model, by index: the grain of every table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Index into [`Suite::prompts`].
    pub prompt: usize,
    /// Index into [`Suite::models`].
    pub model: usize,
}

impl Suite {
    /// The digest of everything frozen: the identity of this revision.
    ///
    /// # Panics
    /// Never: the type holds nothing that JSON cannot say.
    pub fn revision(&self) -> Digest {
        #[expect(clippy::expect_used, reason = "string keys and finite numbers only, by type")]
        let json = serde_json::to_vec(self).expect("a suite serialises");
        Digest::of(&json)
    }

    /// The run's shape, with every case that its gate may draw and its first round of trials.
    pub fn product(&self) -> Product {
        let variants = self.prompts.len() * self.models.len();
        let drawn = self.gate.as_ref().and_then(|gate| gate.max_cases).unwrap_or(u64::MAX);
        Product {
            cases: self.dataset.cases.min(drawn),
            variants: u32::try_from(variants).unwrap_or(u32::MAX),
            trials: self.repeats,
        }
    }

    /// The jobs that a run begins with: all of its product, or those of the first cases where the gate draws more when it
    /// needs them. `None` when they cannot be counted.
    pub fn first_jobs(&self) -> Option<u64> {
        let product = self.product();
        let first = match self.gate.as_ref().filter(|gate| gate.max_cases.is_some()) {
            Some(gate) => gate.min_cases.unwrap_or(FIRST_CASES).min(product.cases),
            None => product.cases,
        };
        Product { cases: first, ..product }.jobs()
    }

    /// The jobs to plan after `planned` of them left the gate inconclusive: twice the cases while there are more, then a
    /// further round of trials of all of them. `None` when there is nothing to add.
    pub fn topped_up(&self, planned: u64) -> Option<u64> {
        let (gate, product) = (self.gate.as_ref().filter(|gate| gate.tops_up())?, self.product());
        let round = product.jobs()?;
        if planned < round {
            return Some(planned.saturating_mul(2).min(round));
        }
        let rounds = u64::from(gate.max_repeats.unwrap_or(0) / self.repeats.max(1));
        let more = planned.checked_add(round).filter(|jobs| i64::try_from(*jobs).is_ok());
        more.filter(|_| planned / round.max(1) < rounds)
    }

    /// Every variant, in the order of its index: by prompt, then by model.
    pub fn variants(&self) -> impl Iterator<Item = Variant> + '_ {
        (0..self.prompts.len())
            .flat_map(|prompt| (0..self.models.len()).map(move |model| Variant { prompt, model }))
    }

    /// The variant of an index below `product().variants`.
    pub fn variant(&self, index: u32) -> Variant {
        let index = index as usize;
        Variant { prompt: index / self.models.len(), model: index % self.models.len() }
    }

    /// The index of a variant.
    pub fn variant_index(&self, variant: Variant) -> usize {
        variant.prompt * self.models.len() + variant.model
    }

    /// The entry the others are compared with: the one that says so, else the first of several.
    pub fn baseline(&self) -> Option<usize> {
        let marked = self.prompts.iter().position(|prompt| prompt.baseline);
        marked.or_else(|| (self.prompts.len() > 1).then_some(0))
    }

    /// A model's name; where the suite asks that model in several ways, with what sets this one apart:
    /// `openai/gpt-4.1-mini (temperature 0)`. No two models of a suite have one label.
    ///
    /// # Panics
    /// When the suite has no model with this index.
    pub fn model_label(&self, index: usize) -> String {
        label(&self.models, index)
    }
}

fn label(models: &[Model], index: usize) -> String {
    let words = |model: &Model| {
        let recording = model.recording.as_ref().map(|digest| format!("answers {}", digest.short()));
        model.sampling.words().into_iter().chain(recording).collect::<Vec<_>>()
    };
    let name = models[index].name();
    let twins: Vec<_> = models.iter().filter(|model| model.name() == name).map(&words).collect();
    let mut own = words(&models[index]);
    own.retain(|word| twins.iter().any(|twin| !twin.contains(word)));
    if own.is_empty() { name } else { format!("{name} ({})", own.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sampling;

    #[test]
    fn models_are_told_apart_by_what_differs() {
        let model = |sampling| Model {
            provider: "openai".into(),
            model: "small".into(),
            sampling: Sampling { max_tokens: Some(64), ..sampling },
            recording: None,
        };
        let at =
            |temperature| Sampling { temperature: Millionths::from_f64(temperature), ..Sampling::default() };
        let check = |samplings: Vec<Sampling>, expected: &[&str]| {
            let models: Vec<_> = samplings.into_iter().map(model).collect();
            let labels: Vec<_> = (0..models.len()).map(|index| label(&models, index)).collect();
            assert_eq!(labels, expected);
        };
        check(vec![at(0.0)], &["openai/small"]);
        check(vec![at(0.0), at(0.7)], &["openai/small (temperature 0)", "openai/small (temperature 0.7)"]);
        check(vec![Sampling::default(), at(0.0)], &["openai/small", "openai/small (temperature 0)"]);
        check(
            vec![at(0.0), Sampling { seed: Some(7), ..at(0.0) }],
            &["openai/small", "openai/small (seed 7)"],
        );
    }
}
