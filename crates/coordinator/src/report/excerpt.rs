//! Which cases changed sides, in words, with the end of what was answered.

use std::collections::HashMap;

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{Store, StoreError};

use super::line::output_text;
use super::shape::{Excerpt, NamedFlips};
use crate::verdict::{Flip, Flips};

/// Characters of an answer beside a flipped case.
const EXCERPT_CHARS: usize = 40;
/// How many improved cases are shown.
const BETTER_SHOWN: usize = 3;

/// A candidate against its baseline, with the first cases that changed sides.
pub(super) async fn name(
    store: &Store,
    suite: &Suite,
    run: RunId,
    flips: &Flips,
) -> Result<NamedFlips, StoreError> {
    let label = |variant: u32| suite.prompts[suite.variant(variant).prompt].label.clone();
    let regressed = excerpts(store, run, &flips.first_regressed).await?;
    let improved = &flips.first_improved[..flips.first_improved.len().min(BETTER_SHOWN)];
    Ok(NamedFlips {
        candidate: label(flips.candidate),
        baseline: label(flips.baseline),
        model: suite.model_label(suite.variant(flips.candidate).model),
        improved: flips.improved,
        regressed: flips.regressed,
        unchanged: flips.unchanged,
        worse: regressed,
        better: excerpts(store, run, improved).await?,
    })
}

async fn excerpts(store: &Store, run: RunId, flips: &[Flip]) -> Result<Vec<Excerpt>, StoreError> {
    let ordinals = flips.iter().flat_map(|flip| [flip.baseline_ordinal, flip.candidate_ordinal]).collect();
    let outputs: HashMap<_, _> = store.outputs(run, ordinals).await?.into_iter().collect();
    let ending = |ordinal: u64| {
        let output = outputs.get(&ordinal).and_then(Option::as_ref);
        ending(&output.map(output_text).unwrap_or_default())
    };
    let excerpt = |flip: &Flip| Excerpt {
        case: flip.case.clone(),
        before: flip.baseline.as_f64(),
        after: flip.candidate.as_f64(),
        before_output: ending(flip.baseline_ordinal),
        after_output: ending(flip.candidate_ordinal),
    };
    Ok(flips.iter().map(excerpt).collect())
}

/// The end of an answer on one line: conclusions come last.
fn ending(output: &str) -> String {
    one_line(output, EXCERPT_CHARS).0
}

/// The last and the first `most` characters of a text, each on one line and marked where it was cut.
pub(super) fn one_line(text: &str, most: usize) -> (String, String) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: Vec<char> = words.chars().collect();
    if line.len() <= most {
        let whole: String = line.iter().collect();
        return (whole.clone(), whole);
    }
    let end: String = line[line.len() - most..].iter().collect();
    let start: String = line[..most].iter().collect();
    (format!("…{end}"), format!("{start}…"))
}
