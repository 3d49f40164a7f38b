//! Reading what came out: pages of outcomes and results.

use assay_common::job::{Finished, Output};
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::score::Millionths;
use assay_store::{Mandate, OutcomeRow, StoreUrl};

use super::asking::entry;
use super::fixture::{Fixture, NOW, case, finished};

/// Terminal jobs come by ordinal, those still open are passed over, cancelled ones have no scores.
pub async fn outcomes_come_in_pages(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 7).await;
    fixture.claim(fixture.member, [0, 1, 3, 4]).await;
    let batch =
        vec![finished(fixture.errored(4, 1)), finished(fixture.failed(1, 1)), finished(fixture.passed(3, 1))];
    fixture.settle(batch).await;
    let read = async |after, limit| -> Vec<OutcomeRow> {
        fixture.store.outcomes(fixture.run, after, limit).await.unwrap()
    };
    let outcomes =
        |rows: &[OutcomeRow]| rows.iter().map(|row| (row.ordinal, row.outcome)).collect::<Vec<_>>();
    let errored = Outcome::Errored(ErrorKind::Provider);
    assert_eq!(outcomes(&read(None, 2).await), [(1, Outcome::Failed), (3, Outcome::Passed)]);
    assert_eq!(outcomes(&read(Some(3), 2).await), [(4, errored)]);
    assert!(fixture.store.cancel(fixture.run, "enough".into(), NOW).await.unwrap());
    let rows = read(None, 100).await;
    let cancelled = Outcome::Cancelled;
    let expected = [
        (1, Outcome::Failed),
        (2, cancelled),
        (3, Outcome::Passed),
        (4, errored),
        (5, cancelled),
        (6, cancelled),
    ];
    assert_eq!(outcomes(&rows), expected);
    // The same in numbers.
    let marks: Vec<_> = rows.iter().map(OutcomeRow::mark).collect();
    let packed = async |after, limit| fixture.store.marks(fixture.run, after, limit).await.unwrap();
    assert_eq!(packed(None, 100).await, marks);
    assert_eq!(packed(Some(3), 2).await, marks[3..5]);
    assert_eq!(packed(Some(6), 2).await, []);
    let passed = fixture.passed(3, 1);
    let frozen = case(3);
    let expected = OutcomeRow {
        ordinal: 3,
        generation: 0,
        variant: 0,
        trial: 1,
        position: 3,
        case_id: frozen.id,
        cluster: frozen.cluster,
        tags: frozen.tags,
        outcome: Outcome::Passed,
        score: Some(Millionths::ONE),
        scores: passed.scores,
        usage: passed.usage,
        cost: passed.calls[0].cost,
        latency_us: Some(1_000),
    };
    assert_eq!(rows[2], expected);
    assert_eq!((rows[1].score, rows[1].scores.len(), rows[1].cost), (None, 0, None));
}

/// A result has everything its settlement had.
pub async fn results_have_everything(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 4).await;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1)), finished(fixture.errored(1, 1))]).await;
    fixture.store.cancel(fixture.run, "enough".into(), NOW).await.unwrap();
    let rows = fixture.store.results(fixture.run, None, 3).await.unwrap();
    let slim = fixture.store.outcomes(fixture.run, None, 3).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.row.clone()).collect::<Vec<_>>(), slim);
    let (passed, errored, cancelled) = (&rows[0], &rows[1], &rows[2]);
    assert_eq!(passed.output, fixture.passed(0, 1).output);
    assert_eq!(passed.finish_reason.as_deref(), Some("stop"));
    assert_eq!((passed.attempts, passed.calls, passed.finished_at), (1, 1, Some(NOW)));
    assert_eq!((passed.error.clone(), passed.error_kind), (None, None));
    assert_eq!(errored.error.as_deref(), Some("it kept failing"));
    assert_eq!((errored.error_kind, &errored.output), (Some(ErrorKind::Provider), &None));
    assert_eq!(
        (cancelled.row.outcome, cancelled.finished_at, cancelled.claims),
        (Outcome::Cancelled, None, 0)
    );
    let last = fixture.store.results(fixture.run, Some(2), 3).await.unwrap();
    assert_eq!(last.iter().map(|row| row.row.ordinal).collect::<Vec<_>>(), [3]);
}

/// Long answers make short pages, which fit together; one alone that is too long is a page.
pub async fn pages_of_results_are_bounded_in_bytes(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 6).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, 0..6).await;
    // In characters of two bytes; that of 2 alone is more than a page.
    const LENGTHS: [usize; 6] = [1, 300_000, 1_500_000, 200_000, 200_000, 1];
    let answer = |ordinal: u64| Output::Text("é".repeat(LENGTHS[usize::try_from(ordinal).unwrap()]));
    let long = |ordinal| Finished { output: Some(answer(ordinal)), ..fixture.errored(ordinal, 1) };
    fixture.settle((0..6).map(|ordinal| finished(long(ordinal))).collect()).await;
    let expected = [vec![0, 1], vec![2], vec![3, 4, 5]];
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.results(fixture.run, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.row.ordinal);
        assert!(page.iter().all(|row| row.output == Some(answer(row.row.ordinal))));
        pages.push(page.iter().map(|row| row.row.ordinal).collect::<Vec<_>>());
    }
    assert_eq!(pages, expected);
    store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    store.redrive(fixture.run, None, entry(1, "run.retry", fixture.run)).await.unwrap().unwrap();
    let mut earlier = Vec::new();
    let mut after = None;
    loop {
        let page = store.earlier_results(fixture.run, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.row.ordinal, last.row.generation));
        earlier.push(page.iter().map(|row| row.row.ordinal).collect::<Vec<_>>());
    }
    assert_eq!(earlier, expected);
}
