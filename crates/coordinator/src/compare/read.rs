//! The results of both sides are read page by page, as numbers, and folded; then the flipped cases are looked up.

use std::collections::{HashMap, HashSet};

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{CaseName, Mark, Store, StoreError};
use futures_util::future::try_join;
use tokio::sync::mpsc;

use super::arms::{Arms, pair};
use super::shape::{Comparison, FlippedAnswer, PairReport, SideReport};
use super::side::{Side, find};
use super::text::diff;
use super::{CompareError, MAX_FLIPS, Request};
use crate::flakes::ledger::flaky_at;
use crate::report::{RunSummary, output_text};
use crate::verdict::confidence_of;
use crate::verdict::paired::{self, Cases, FlippedCase, Paired, Pairing, Terms};

/// Results and cases read at a time.
const PAGE: u32 = 10_000;
/// Pages of each side that are read ahead of the fold, some 700 KiB each: while one side is folded the other is read.
const AHEAD: usize = 16;
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
        binary: sides.iter().all(Side::is_binary),
        clustered: sides.iter().any(|side| side.suite.dataset.clustered),
        flips: request.flips.min(MAX_FLIPS),
    };
    let reading = read(store, &sides, &pairs, terms);
    let numbering = try_join(store.version_numbers(&before.suite), store.version_numbers(&after.suite));
    let (([old, new], found), versions) = Box::pin(try_join(reading, numbering)).await?;
    let old = old.reports(&versions.0, before.run.planned);
    let new = new.reports(&versions.1, after.run.planned);
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
        if same_dataset(&sides) {
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

type Folded<'s> = ([paired::Side<'s>; 2], Vec<Paired>);

/// Folds both sides; one run that is both is read once.
async fn read<'s>(
    store: &Store,
    sides: &'s [Side; 2],
    pairs: &[(usize, usize)],
    terms: Terms,
) -> Result<Folded<'s>, StoreError> {
    let runs = sides.each_ref().map(|side| side.run.id);
    let mut earlier = pages(store, runs[0]);
    let later = (runs[0] != runs[1]).then(|| pages(store, runs[1]));
    let mut pairing = Pairing::new(pairs.iter().copied(), terms, cases(store, sides).await?);
    let [mut before, mut after] =
        sides.each_ref().map(|side| paired::Side::new(&side.suite, side.variants.clone(), side.run.planned));
    if let Some(mut later) = later {
        while let Some(page) = earlier.recv().await {
            page?.iter().filter_map(|mark| before.push(mark)).for_each(|case| pairing.before(case));
        }
        before.close().into_iter().for_each(|case| pairing.before(case));
        while let Some(page) = later.recv().await {
            page?.iter().filter_map(|mark| after.push(mark)).for_each(|case| pairing.after(&case));
        }
    } else {
        while let Some(page) = earlier.recv().await {
            for mark in &page? {
                // Both close a case with the same job: that of the side before has come when its fellow does.
                before.push(mark).into_iter().for_each(|case| pairing.before(case));
                after.push(mark).iter().for_each(|case| pairing.after(case));
            }
        }
        before.close().into_iter().for_each(|case| pairing.before(case));
    }
    after.close().iter().for_each(|case| pairing.after(case));
    Ok(([before, after], pairing.finish()))
}

fn same_dataset([before, after]: &[Side; 2]) -> bool {
    before.suite.dataset.digest == after.suite.dataset.digest
}

/// What the cases of both sides are known by: places do where both have the same dataset.
async fn cases(store: &Store, sides: &[Side; 2]) -> Result<[Cases; 2], StoreError> {
    let by_id = !same_dataset(sides);
    let [mut before, mut after] = [Cases::default(), Cases::default()];
    if by_id {
        each_case(store, &sides[0].suite, |case| before.push_id(&case.id)).await?;
    }
    let add = |case: CaseName| {
        if by_id {
            after.push_id(&case.id);
        }
        after.push_groups(case);
    };
    each_case(store, &sides[1].suite, add).await?;
    Ok([before, after])
}

async fn each_case(store: &Store, suite: &Suite, mut add: impl FnMut(CaseName)) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.case_names(suite.dataset.digest.clone(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.position);
        page.into_iter().for_each(&mut add);
    }
}

/// The results of a run, read ahead by a task that ends when nobody wants more.
fn pages(store: &Store, run: RunId) -> mpsc::Receiver<Result<Vec<Mark>, StoreError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let store = store.clone();
    tokio::spawn(async move {
        let mut after = None;
        loop {
            let page = store.marks(run, after, PAGE).await;
            match page.as_ref().map(|page| page.last().map(|mark| mark.ordinal)) {
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
    if (a.repeats, a.reduce, before.rounds()) != (b.repeats, b.reduce, after.rounds()) {
        warnings.push(format!("a case is {} before and {} after", made_of(before), made_of(after)));
    }
    if before.cases() != after.cases() {
        let (old, new) = (before.cases(), after.cases());
        warnings.push(format!("{old} cases were asked before and {new} after: those of both are compared"));
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
    warnings.extend([before, after].into_iter().filter_map(by_evidence));
    let mut told = HashSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    warnings
}

/// What a case of a side is made of.
fn made_of(side: &Side) -> String {
    let trials = format!("the {} of {} trials", side.suite.reduce, side.suite.repeats);
    match side.rounds() {
        1 => trials,
        rounds => format!("the mean over {rounds} rounds of {trials}"),
    }
}

/// What a gate that ended the run, or gave it more, means for figures that suppose nobody did.
fn by_evidence(side: &Side) -> Option<String> {
    let run = &side.run;
    let (id, planned) = (run.id, run.planned);
    let ended = run.passed + run.failed + run.errored;
    let how = match (run.stopped_early, side.was_topped_up()) {
        (true, _) => format!("stopped early after {ended} of {planned} jobs"),
        (false, true) => {
            format!("was given more by its gate, up to {planned} jobs, while that was inconclusive")
        }
        (false, false) => return None,
    };
    Some(format!(
        "run {id} {how}: intervals and p values suppose a number of cases that was fixed beforehand"
    ))
}

/// Flipped cases with their ids and the ends of their answers.
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
    let positions = flips.iter().map(|flip| flip.position).collect();
    let names = store.case_ids(after.suite.dataset.digest.clone(), positions).await?;
    let mut names: HashMap<_, _> = names.into_iter().collect();
    let mut answer = |flip: FlippedCase| {
        let output = |outputs: &HashMap<u64, Option<_>>, ordinal: Option<u64>| {
            outputs.get(&ordinal?)?.as_ref().map(|output| ending(&output_text(output)))
        };
        FlippedAnswer {
            before_output: output(&old, flip.ordinals[0]),
            after_output: output(&new, flip.ordinals[1]),
            before: flip.values[0] as f64 / 1e9,
            after: flip.values[1] as f64 / 1e9,
            case: names.remove(&flip.position).unwrap_or_default(),
            flaky: flaky.contains(&flip.position),
        }
    };
    Ok(flips.into_iter().map(&mut answer).collect())
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
