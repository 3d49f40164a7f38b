//! What a run may take: a row for each model, and what the numbers rest on.

use std::fmt::Write as _;

use assay_common::suite::Suite;
use assay_common::visible::visible;
use assay_coordinator::estimate::{Estimate, ModelEstimate};

use super::table;

/// The estimate as text.
pub(crate) fn estimate(suite: &Suite, estimate: &Estimate) -> String {
    let mut table = table(
        &["MODEL", "JOBS", "TOKENS TO SEND", "TOKENS OF ANSWERS", "REQUESTS", "IN ALL"],
        &[1, 2, 3, 4, 5],
    );
    for model in &estimate.models {
        table.add_row(row(model));
    }
    if estimate.models.len() > 1 {
        let Estimate { calls, input_tokens, output_tokens, requests_usd, cost_usd, .. } = *estimate;
        let model = "all".to_owned();
        table.add_row(row(&ModelEstimate {
            model,
            calls,
            input_tokens,
            output_tokens,
            requests_usd,
            cost_usd,
        }));
    }
    let mut text = format!("{}: {} jobs\n\n{}\n\n", suite.name, estimate.calls, table.trim_fmt());
    for assumed in &estimate.assumed {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {assumed}");
    }
    if let Some(budget) = suite.budget {
        let _ = writeln!(text, "- the run stops before it costs more than its budget of ${}", budget.usd());
    }
    visible(&text).into_owned()
}

fn row(estimate: &ModelEstimate) -> [String; 6] {
    let number = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), |number| number.to_string());
    let money = |usd: Option<f64>| usd.map_or_else(|| "–".to_owned(), |usd| format!("${usd:.4}"));
    [
        estimate.model.clone(),
        estimate.calls.to_string(),
        number(estimate.input_tokens),
        number(estimate.output_tokens),
        money(estimate.requests_usd),
        money(estimate.cost_usd),
    ]
}
