//! Settlements: exactly once, first result wins, and no money is lost from the books.

use assay_common::clock::Micros;
use assay_common::job::{Call, Decline, JobKey, Output, Response, Settlement};
use assay_common::money::NanoUsd;
use assay_common::outcome::Outcome;
use assay_common::usage::Usage;
use assay_store::{Mandate, StoreUrl};

use super::fixture::{Fixture, NOW, call, finished};

/// A batch sent again, whole or in part, adds nothing.
pub async fn a_batch_sent_twice_counts_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 300).await;
    fixture.claim(fixture.member, 0..300).await;
    let batch = || -> Vec<Settlement> {
        (0..300)
            .rev()
            .map(|ordinal| match ordinal % 4 {
                0 => finished(fixture.passed(ordinal, 1)),
                1 => finished(fixture.failed(ordinal, 1)),
                2 => finished(fixture.errored(ordinal, 1)),
                _ => fixture.parked(ordinal, 1, Micros(2_000_000), 1),
            })
            .collect()
    };
    fixture.settle(batch()).await;
    let once = fixture.run().await;
    assert_eq!(fixture.counts().await, [75, 75, 75, 0]);
    assert_eq!(once.cost, NanoUsd(225 * 5));
    fixture.settle(batch()).await;
    fixture.settle(batch().split_off(150)).await;
    assert_eq!(fixture.run().await, once);
    assert_eq!(fixture.store.results(fixture.run, None, 1_000).await.unwrap().len(), 225);
    fixture.settle(Vec::new()).await;
}

/// Senders of the same batch at the same time agree.
pub async fn senders_at_once_count_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 40).await;
    fixture.claim(fixture.member, 0..40).await;
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..6u32 {
        let (store, member) = (fixture.store.clone(), fixture.member);
        let mut batch: Vec<_> = (0..40).map(|ordinal| finished(fixture.passed(ordinal, 1))).collect();
        batch.rotate_left(n as usize);
        senders.spawn(async move { store.settle(member, batch, NOW).await.map(|_| ()).unwrap() });
    }
    senders.join_all().await;
    assert_eq!(fixture.counts().await, [40, 0, 0, 0]);
    assert_eq!(fixture.run().await.cost, NanoUsd(40 * 5));
}

/// A result that comes after its claim was taken away still wins, once; the loser's calls are on the books.
pub async fn a_late_result_wins_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    assert_eq!(store.bury(Mandate::Own, fixture.member, NOW).await.unwrap(), 2);
    // Job 0 runs elsewhere by now, job 1 waits.
    assert_eq!(fixture.claim(fixture.other, [0]).await[0].attempt, 2);
    fixture.settle(vec![finished(fixture.passed(0, 1)), finished(fixture.passed(1, 1))]).await;
    assert_eq!(fixture.counts().await, [2, 0, 0, 0]);
    assert_eq!(fixture.declined(fixture.other, 1, NOW).await, Some(Decline::Done));
    store.settle(fixture.other, vec![finished(fixture.failed(0, 2))], NOW).await.unwrap();
    assert_eq!(fixture.counts().await, [2, 0, 0, 0]);
    assert_eq!(fixture.run().await.cost, NanoUsd(3 * 5));
    let rows = store.results(fixture.run, None, 10).await.unwrap();
    assert_eq!((rows[0].row.outcome, rows[0].calls), (Outcome::Passed, 2));
}

/// Of two results for one job in a batch the first stays, and the job is counted once.
pub async fn one_batch_may_hold_both_claims(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    fixture.claim(fixture.member, [0, 1]).await;
    let batch = vec![
        finished(fixture.passed(0, 1)),
        finished(fixture.failed(0, 2)),
        fixture.parked(1, 1, Micros(2_000_000), 1),
        finished(fixture.failed(1, 0)),
    ];
    fixture.settle(batch).await;
    assert_eq!(fixture.counts().await, [1, 1, 0, 0]);
    assert_eq!(fixture.store.next_due(fixture.run).await.unwrap(), None);
}

/// A parked job waits, and only the claim that holds it can park it.
pub async fn only_its_claim_parks_a_job(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0]).await;
    let due = Micros(2_000_000);
    fixture.settle(vec![fixture.parked(0, 1, due, 1)]).await;
    assert_eq!(fixture.declined(fixture.member, 0, NOW).await, Some(Decline::NotYet));
    assert_eq!(fixture.declined(fixture.other, 0, due).await, None);
    // The claim is the other's: an older attempt, another member and a wrong attempt change nothing but the books.
    fixture.settle(vec![fixture.parked(0, 1, Micros(7), 9)]).await;
    fixture.settle(vec![fixture.parked(0, 2, Micros(7), 9)]).await;
    store.settle(fixture.other, vec![fixture.parked(0, 3, Micros(7), 9)], NOW).await.unwrap();
    assert_eq!(store.next_due(fixture.run).await.unwrap(), None);
    assert_eq!(fixture.run().await.cost, NanoUsd(3 * 5), "attempts 1, 2 and 3");
    store.settle(fixture.other, vec![fixture.parked(0, 2, due, 2)], NOW).await.unwrap();
    assert_eq!(store.next_due(fixture.run).await.unwrap(), Some(due));
}

/// Calls of several claims add up, unknown costs as nothing, and each is known by its claim and place.
pub async fn the_ledger_keeps_every_call(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    fixture.claim(fixture.member, [0]).await;
    fixture.settle(vec![fixture.parked(0, 1, Micros(1), 1)]).await;
    fixture.claim(fixture.member, [0]).await;
    let mut last = fixture.passed(0, 2);
    last.calls = [None, Some(30), Some(7)].map(|cost| Call { attempt: 2, ..call(cost) }).into();
    last.cost = Some(NanoUsd(7));
    fixture.settle(vec![finished(last)]).await;
    let rows = fixture.store.results(fixture.run, None, 10).await.unwrap();
    assert_eq!((rows[0].calls, rows[0].claims), (4, 2));
    assert_eq!(rows[0].row.cost, Some(NanoUsd(7)), "the call that was scored");
    assert_eq!(fixture.run().await.cost, NanoUsd(5 + 30 + 7));
}

/// Any bytes a provider sends come back as they were.
pub async fn outputs_come_back_byte_for_byte(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 5).await;
    fixture.claim(fixture.member, 0..4).await;
    let outputs = [
        Some(Output::of_bytes(b"nul \0 inside".to_vec())),
        Some(Output::of_bytes(vec![0xff, 0xfe, b'x'])),
        Some(Output::Text("naïve ☃ \u{1}".to_owned())),
        None,
    ];
    let batch = (0..).zip(&outputs).map(|(ordinal, output)| {
        let mut row = fixture.passed(ordinal, 1);
        row.output = output.clone();
        row.error = Some("words with \0".to_owned());
        row.finish_reason = Some("\0".to_owned());
        row.scores[0].score.reason = "a reason with \0".to_owned();
        finished(row)
    });
    fixture.settle(batch.collect()).await;
    let found = fixture.store.outputs(fixture.run, vec![3, 2, 1, 0, 4]).await.unwrap();
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(ordinal, _)| *ordinal);
    let expected: Vec<_> = (0..).zip(outputs).collect();
    assert_eq!(found, expected, "a job without a result is left out");
    let rows = fixture.store.results(fixture.run, None, 10).await.unwrap();
    assert_eq!(rows[0].error.as_deref(), Some("words with \u{fffd}"));
    assert_eq!(rows[0].row.scores[0].score.reason, "a reason with \0");
}

/// An answer that was kept comes back with the next claim of its job, until the job is settled.
pub async fn an_answer_is_kept_until_its_job_is_settled(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 300).await;
    let answer = |ordinal: u64, text: &str| {
        let usage = Usage { input_tokens: Some(10), output_tokens: None };
        let calls = vec![call(None), call(Some(7))];
        let (text, finish_reason) = (text.to_owned(), Some("stop".to_owned()));
        let cost = Some(NanoUsd(7));
        let response = Response { text, finish_reason, usage, latency_us: Some(1_500), cost, calls };
        (JobKey { run: fixture.run, ordinal, generation: 0 }, response)
    };
    fixture.claim(fixture.member, 0..300).await;
    fixture.store.keep_responses(&[]).await.unwrap();
    let answers: Vec<_> = (0..200).map(|ordinal| answer(ordinal, "7\u{0} ✓")).collect();
    let answers: Vec<_> = answers.iter().map(|(key, response)| (*key, response)).collect();
    fixture.store.keep_responses(&answers).await.unwrap();
    let (key, late) = answer(3, "too late");
    fixture.store.keep_responses(&[(key, &late)]).await.unwrap();
    assert_eq!(fixture.store.kept_responses(fixture.run).await.unwrap(), 200);
    fixture.store.bury(Mandate::Own, fixture.member, NOW).await.unwrap();

    let second = fixture.other;
    let granted = fixture.claim(second, 0..300).await;
    for grant in &granted {
        let kept = (grant.key.ordinal < 200).then(|| answer(grant.key.ordinal, "7\u{0} ✓").1);
        assert_eq!(grant.response.as_deref(), kept.as_ref(), "{:?}", grant.key);
    }
    assert_eq!(granted.len(), 300);

    // Both settle: the result is one, and the ledger knows each call once.
    let settle = async |member, attempt| {
        let mut row = fixture.passed(3, attempt);
        row.calls = answer(3, "").1.calls;
        fixture.store.settle(member, vec![finished(row)], NOW).await.unwrap();
    };
    settle(second, 2).await;
    settle(fixture.member, 1).await;
    assert_eq!(fixture.run().await.cost, NanoUsd(7));
    let row = fixture.store.results(fixture.run, Some(2), 1).await.unwrap().pop().unwrap();
    assert_eq!((row.claims, row.calls), (2, 2));
    assert_eq!(fixture.store.kept_responses(fixture.run).await.unwrap(), 199);

    // What is kept for jobs that are never settled goes with the run.
    fixture.store.cancel(fixture.run, "enough".to_owned(), NOW).await.unwrap();
    fixture.store.leave(second, NOW).await.unwrap();
    assert!(fixture.store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().is_some());
    assert_eq!(fixture.store.kept_responses(fixture.run).await.unwrap(), 0);
}
