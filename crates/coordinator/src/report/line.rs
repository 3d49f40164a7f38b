//! A result as one line of `assay results`.

use assay_common::job::Output;
use assay_common::suite::Suite;
use assay_store::ResultRow;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::shape::civil;

/// One line of `assay results`. An answer that is no UTF-8 stands there a second time, in base64: as text it has lost bytes.
pub fn result_line(suite: &Suite, row: &ResultRow) -> Value {
    let variant = suite.variant(row.row.variant);
    let (prompt, model) = (&suite.prompts[variant.prompt], &suite.models[variant.model]);
    let model_label = suite.model_label(variant.model);
    let mut line = json!({
        "ordinal": row.row.ordinal,
        "generation": row.row.generation,
        "case": row.row.case_id,
        "prompt": prompt.name,
        "label": prompt.label,
        "model": model.name(),
        "model_label": model_label,
        "trial": row.row.trial,
        "outcome": row.row.outcome.word(),
        "error_kind": row.row.outcome.error_kind().map(|kind| kind.word()),
        "error": row.error,
        "score": row.row.score.map(|score| score.as_f64()),
        "scores": row.row.scores.iter().map(|named| json!({
            "type": named.scorer,
            "metric": named.metric,
            "weight": named.weight.as_f64(),
            "score": named.score.value.as_f64(),
            "pass": named.score.pass,
            "reason": named.score.reason,
        })).collect::<Vec<_>>(),
        "output": row.output.as_ref().map(output_text),
        "finish_reason": row.finish_reason,
        "input_tokens": row.row.usage.input_tokens,
        "output_tokens": row.row.usage.output_tokens,
        "cost_usd": row.row.cost.map(|cost| cost.usd()),
        "latency_ms": row.row.latency_us.map(|micros| micros as f64 / 1_000.0),
        "attempts": row.attempts,
        "tags": row.row.tags,
        "finished_at": row.finished_at.map(civil),
    });
    if let Some(Output::Bytes(bytes)) = &row.output
        && std::str::from_utf8(bytes).is_err()
    {
        line["output_base64"] = BASE64_STANDARD.encode(bytes).into();
    }
    line
}

/// An answer as text; bytes that are none show their replacement character.
pub fn output_text(output: &Output) -> String {
    match output {
        Output::Text(text) => text.clone(),
        Output::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
