//! Models: a provider's model with its sampling parameters.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::score::Millionths;

/// One entry of a suite's `models:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// A provider of assay.toml, or one known by name.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How it samples.
    #[serde(default)]
    pub sampling: Sampling,
    /// For `recorded`: the frozen file of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Digest>,
}

impl Model {
    /// `provider/model`: how documents and tables name it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// The queue its jobs wait in: the provider account, and 12 hex digits of the model's SHA-256, since model
    /// names are untrusted and a throttled model must not block an idle one.
    pub fn pool(&self) -> String {
        format!("{}.{}", self.provider, Digest::of(self.model.as_bytes()).short())
    }
}

/// Sampling parameters; what is absent is not sent, so the provider's default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Randomness, usually in [0, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Millionths>,
    /// Nucleus mass, in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Millionths>,
    /// The longest answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Asks the provider for repeatable sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// In [-2, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<Millionths>,
    /// In [-2, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<Millionths>,
}

impl Sampling {
    /// Each parameter that is set, in words: `temperature 0`.
    pub fn words(&self) -> Vec<String> {
        let number = |name: &str, value: Option<Millionths>| value.map(|value| format!("{name} {value}"));
        let set = [
            number("temperature", self.temperature),
            number("top_p", self.top_p),
            self.max_tokens.map(|tokens| format!("max_tokens {tokens}")),
            self.seed.map(|seed| format!("seed {seed}")),
            (!self.stop.is_empty()).then(|| format!("stop {:?}", self.stop)),
            number("frequency_penalty", self.frequency_penalty),
            number("presence_penalty", self.presence_penalty),
        ];
        set.into_iter().flatten().collect()
    }
}
