//! The names of OpenTelemetry's semantic conventions for generative AI, and of the few general ones that go with them.
//!
//! Source: <https://github.com/open-telemetry/semantic-conventions-genai>, `docs/gen-ai` (inference spans, the event
//! `gen_ai.evaluation.result`), in development as of 2026-11. Kept here, as the published Rust constants are deprecated;
//! a change of the conventions is a change of this file.

/// What is done: always `chat`.
pub(crate) const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Whose account is called.
pub(crate) const PROVIDER_NAME: &str = "gen_ai.provider.name";

/// The model that was asked for.
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
pub(crate) const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
pub(crate) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(crate) const REQUEST_SEED: &str = "gen_ai.request.seed";
pub(crate) const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
pub(crate) const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";

/// Why the model stopped: a list, of one.
pub(crate) const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";

/// The event of a score.
pub(crate) const EVALUATION_RESULT: &str = "gen_ai.evaluation.result";
pub(crate) const EVALUATION_NAME: &str = "gen_ai.evaluation.name";
pub(crate) const EVALUATION_SCORE_VALUE: &str = "gen_ai.evaluation.score.value";
/// `pass` or `fail`.
pub(crate) const EVALUATION_SCORE_LABEL: &str = "gen_ai.evaluation.score.label";
/// Quotes the answer, so it is exported on request alone.
pub(crate) const EVALUATION_EXPLANATION: &str = "gen_ai.evaluation.explanation";

pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
/// Of what failed: the HTTP status where one came, else a word for what happened.
pub(crate) const ERROR_TYPE: &str = "error.type";

/// The conventions' name of a provider that assay knows by another.
pub(crate) fn provider_name(provider: &str) -> &str {
    match provider {
        "gemini" => "gcp.gemini",
        other => other,
    }
}
