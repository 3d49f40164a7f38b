//! The results of both sides are read page by page and folded; then the answers of flipped cases are looked up.

use std::collections::HashMap;

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{OutcomeRow, Store, StoreError};
use futures_util::future::try_join;
use tokio::sync::mpsc;

use super::arms::{Arms, pair};
use super::shape::{Comparison, FlippedAnswer, PairReport, SideReport};
use super::side::{Side, find};
use super::text::diff;
use super::{CompareError, MAX_FLIPS, Request};
use crate::flakes::ledger::flaky_at;
use crate::report::{RunSummary, latencies, output_text};
use crate::verdict::confidence_of;
use crate::verdict::paired::{self, FlippedCase, Paired, Pairing, Terms};

/// Results read at a time.
const PAGE: u32 = 2_000;
/// Pages that are read ahead of the fold.
const AHEAD: usize = 2;
/// Jobs of earlier runs that are read to mark flaky cases.
const JOBS_TO_MARK: u64 = 500_000;
/// Characters of an answer that are shown.
const OUTPUT_CHARS: usize = 600;

/// Finds both sides and says what changed.
pub async fn compare(store: &Store, request: &Request) -> Result<Comparison, CompareError> {
    let sides = find(store, &request.before, &request.after).await?;
    let Arms { pairs, unpaired } = pair(&sides)?;
    let [before, after] = &sides;
    let terms = Terms {
        confidence: confidence_of(&after.suite),
        binary: sides.iter().all(|side| side.suite.reduce.is_binary(side.suite.repeats.max(1))),
        clustered: sides.iter().any(|side| side.suite.dataset.clustered),
        same_dataset: before.suite.dataset.digest == after.suite.dataset.digest,
        flips: request.flips.min(MAX_FLIPS),
    };
    let folds = [before, after].map(|side| paired::Side::new(&side.suite, side.variants.clone()));
    let reading =
        read(store, [before.run.id, after.run.id], folds, Pairing::new(pairs.iter().copied(), terms));
    let looking = try_join(described(store, before), described(store, after));
    let ((folds, found), described) = Box::pin(try_join(reading, looking)).await?;
    let (old_quantiles, old_versions) = described.0;
    let (new_quantiles, new_versions) = described.1;
    let old = folds[0].reports(&old_versions, &old_quantiles, before.run.planned);
    let new = folds[1].reports(&new_versions, &new_quantiles, after.run.planned);
    let mut reports = Vec::with_capacity(pairs.len());
    for ((a, b), paired) in pairs.into_iter().zip(found) {
        let Paired { difference, slices, tags_left_out, cost, improved, regressed, unpaired, better, worse } =
            paired;
        let body = |side: &Side, index: usize| {
            let variant = side.suite.variant(side.variants[index]);
            side.suite.prompts[variant.prompt].body.clone()
        };
        let positions: Vec<u64> = worse.iter().chain(&better).map(|flip| flip.position).collect();
        let mut flaky =
            flaky_at(store, &after.run, &after.suite, after.variants[b], &positions, JOBS_TO_MARK).await?;
        if terms.same_dataset {
            let old = (&before.run, &before.suite, before.variants[a]);
            flaky.extend(flaky_at(store, old.0, old.1, old.2, &positions, JOBS_TO_MARK).await?);
        }
        reports.push(PairReport {
            before: old[a].clone(),
            after: new[b].clone(),
            prompt_diff: diff(&body(before, a), &body(after, b)),
            paired: difference,
            improved,
            regressed,
            unpaired_cases: unpaired,
            cost,
            slices,
            tags_left_out,
            worse: answers(store, &sides, worse, &flaky).await?,
            better: answers(store, &sides, better, &flaky).await?,
        });
    }
    Ok(Comparison {
        confidence: terms.confidence,
        warnings: warnings(&sides),
        pairs: reports,
        unpaired,
        before: SideReport { asked: before.asked.clone(), run: RunSummary::of(&before.run) },
        after: SideReport { asked: after.asked.clone(), run: RunSummary::of(&after.run) },
    })
}

type Folded<'a> = ([paired::Side<'a>; 2], Vec<Paired>);

/// Folds both sides; one run that is both is read once.
async fn read<'a>(
    store: &Store,
    runs: [RunId; 2],
    mut folds: [paired::Side<'a>; 2],
    mut pairing: Pairing,
) -> Result<Folded<'a>, StoreError> {
    let [before, after] = &mut folds;
    let mut pages = pages(store, runs[0]);
    if runs[0] == runs[1] {
        while let Some(page) = pages.recv().await {
            for row in &page? {
                // Both close a case with the same row: that of the side before has come when its fellow does.
                before.push(row).into_iter().for_each(|case| pairing.before(case));
                after.push(row).iter().for_each(|case| pairing.after(case));
            }
        }
        before.close().into_iter().for_each(|case| pairing.before(case));
    } else {
        let mut later = self::pages(store, runs[1]);
        while let Some(page) = pages.recv().await {
            page?.iter().filter_map(|row| before.push(row)).for_each(|case| pairing.before(case));
        }
        before.close().into_iter().for_each(|case| pairing.before(case));
        while let Some(page) = later.recv().await {
            page?.iter().filter_map(|row| after.push(row)).for_each(|case| pairing.after(&case));
        }
    }
    after.close().iter().for_each(|case| pairing.after(case));
    Ok((folds, pairing.finish()))
}

/// The results of a run, read ahead by a task that ends when nobody wants more.
fn pages(store: &Store, run: RunId) -> mpsc::Receiver<Result<Vec<OutcomeRow>, StoreError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let store = store.clone();
    tokio::spawn(async move {
        let mut after = None;
        loop {
            let page = store.outcomes(run, after, PAGE).await;
            match page.as_ref().map(|page| page.last().map(|row| row.ordinal)) {
                Ok(None) => return,
                Ok(last) => after = last,
                Err(_) => {}
            }
            let failed = page.is_err();
            if sender.send(page).await.is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// What stands in a side's table beside what is folded.
async fn described(
    store: &Store,
    side: &Side,
) -> Result<(crate::verdict::Quantiles, Vec<Option<i64>>), StoreError> {
    try_join(latencies(store, side.run.id), store.version_numbers(&side.suite)).await
}

/// What makes the sides hard to compare.
fn warnings([before, after]: &[Side; 2]) -> Vec<String> {
    let (a, b): (&Suite, &Suite) = (&before.suite, &after.suite);
    let mut warnings = Vec::new();
    if a.dataset.digest != b.dataset.digest {
        warnings.push("the sides ran different cases: those with the same id are compared".to_owned());
    }
    if (&a.scorers, a.threshold) != (&b.scorers, b.threshold) {
        warnings.push("the sides were scored differently: a difference may be the scorers'".to_owned());
    }
    if (a.repeats, a.reduce) != (b.repeats, b.reduce) {
        warnings.push(format!(
            "a case is the {} of {} trials before and the {} of {} after",
            a.reduce, a.repeats, b.reduce, b.repeats
        ));
    }
    for side in [before, after] {
        if side.run.state != assay_store::RunState::Completed {
            warnings.push(format!(
                "run {} is {}: what there is of it is compared",
                side.run.id,
                side.run.state.word()
            ));
        }
    }
    warnings.dedup();
    warnings
}

/// Flipped cases with the ends of their answers.
async fn answers(
    store: &Store,
    [before, after]: &[Side; 2],
    flips: Vec<FlippedCase>,
    flaky: &[u64],
) -> Result<Vec<FlippedAnswer>, StoreError> {
    let ordinals = |side: usize| flips.iter().filter_map(|flip| flip.ordinals[side]).collect();
    let (old, new) =
        try_join(store.outputs(before.run.id, ordinals(0)), store.outputs(after.run.id, ordinals(1))).await?;
    let [old, new] = [old, new].map(|outputs| outputs.into_iter().collect::<HashMap<_, _>>());
    let answer = |flip: FlippedCase| {
        let output = |outputs: &HashMap<u64, Option<_>>, ordinal: Option<u64>| {
            outputs.get(&ordinal?)?.as_ref().map(|output| ending(&output_text(output)))
        };
        FlippedAnswer {
            before_output: output(&old, flip.ordinals[0]),
            after_output: output(&new, flip.ordinals[1]),
            before: flip.values[0] as f64 / 1e9,
            after: flip.values[1] as f64 / 1e9,
            case: flip.case,
            flaky: flaky.contains(&flip.position),
        }
    };
    Ok(flips.into_iter().map(answer).collect())
}

/// The end of an answer, marked where it was cut: conclusions come last.
fn ending(output: &str) -> String {
    let output = output.trim();
    match output.char_indices().rev().nth(OUTPUT_CHARS - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &output[start..]),
        _ => output.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_answer_is_kept() {
        let check = |output: &str, expected: &str| assert_eq!(ending(output), expected);
        check(" a\nb \n", "a\nb");
        check(&"ä".repeat(OUTPUT_CHARS), &"ä".repeat(OUTPUT_CHARS));
        check(&format!("x{}", "ä".repeat(OUTPUT_CHARS)), &format!("…{}", "ä".repeat(OUTPUT_CHARS)));
    }
}
