//! What a provider says a call consumed.

use serde::{Deserialize, Serialize};

/// Token counts as the provider reported them; `None` where it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    #[serde(default, alias = "prompt_tokens", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, alias = "completion_tokens", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
}
