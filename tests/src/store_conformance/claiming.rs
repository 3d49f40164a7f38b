//! Claims: every answer there is, and that a job is granted to one member at a time.

use assay_common::clock::Micros;
use assay_common::job::{Answer, Decline, Hint};
use assay_store::{Mandate, StoreError, StoreUrl};

use super::fixture::{Fixture, NOW, case, finished, member_id, run_id};

/// A grant carries all that its holder needs.
pub async fn a_grant_is_complete(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 300).await;
    assert_eq!(fixture.run().await.started_at, None);
    let grants = fixture.claim(fixture.member, (0..150).rev()).await;
    for (ordinal, grant) in (0..150).rev().zip(&grants) {
        assert_eq!(grant.key, fixture.key(ordinal));
        assert_eq!((grant.attempt, grant.variant, grant.trial, grant.tries.counted), (1, 0, 1, 0));
        assert_eq!(grant.first_claimed, NOW);
        assert_eq!(grant.case, case(ordinal));
    }
    assert_eq!(fixture.run().await.started_at, Some(NOW));
    let later = Micros(NOW.0 + 1);
    assert_eq!(fixture.declined(fixture.member, 200, later).await, None);
    assert_eq!(fixture.run().await.started_at, Some(NOW));
}

/// Every reason not to grant, in one batch, in the order of the hints.
pub async fn every_decline_has_its_reason(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 6).await;
    fixture.claim(fixture.member, [0, 1, 2]).await;
    let late = fixture.parked(1, 1, Micros(NOW.0 + 1), 0);
    fixture.settle(vec![finished(fixture.passed(0, 1)), late]).await;
    let unknown = Hint { run: run_id(9), ordinal: 0 };
    let hints = [
        fixture.hint(4),
        unknown,
        fixture.hint(3),
        fixture.hint(2),
        fixture.hint(1),
        fixture.hint(0),
        fixture.hint(3),
    ];
    let answers = fixture.store.claim(fixture.other, hints.to_vec(), NOW).await.unwrap();
    let read: Vec<_> = answers
        .iter()
        .map(|(hint, answer)| match answer {
            Answer::Granted(_) => (*hint, None),
            Answer::Declined(why, _) => (*hint, Some(*why)),
        })
        .collect();
    let expected = [
        None,
        Some(Decline::Unknown),
        None,
        Some(Decline::Busy),
        Some(Decline::NotYet),
        Some(Decline::Done),
        // The same hint twice in a batch is one job.
        Some(Decline::Busy),
    ];
    assert_eq!(read, hints.into_iter().zip(expected).collect::<Vec<_>>());
    assert!(fixture.store.cancel(fixture.run, "enough".into(), NOW).await.unwrap());
    assert_eq!(fixture.declined(fixture.other, 5, NOW).await, Some(Decline::Done));
    assert!(fixture.store.claim(fixture.other, Vec::new(), NOW).await.unwrap().is_empty());
}

/// A member that lost the answer to its claim gets the same grant again; another does not.
pub async fn a_lost_answer_is_given_again(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let first = fixture.claim(fixture.member, [0]).await;
    let again = fixture.claim(fixture.member, [0]).await;
    assert_eq!(again[0].attempt, first[0].attempt);
    assert_eq!(again[0].first_claimed, first[0].first_claimed);
    assert_eq!(again[0].case, first[0].case);
    assert_eq!(fixture.declined(fixture.other, 0, NOW).await, Some(Decline::Busy));
}

/// Attempts grow with each claim; the first moment of a generation stays.
pub async fn attempts_grow_and_the_first_claim_stays(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    fixture.claim(fixture.member, [0]).await;
    fixture.settle(vec![fixture.parked(0, 1, Micros(5_000_000), 3)]).await;
    let later = Micros(5_000_000);
    let answers = fixture.store.claim(fixture.other, vec![fixture.hint(0)], later).await.unwrap();
    let (_, Answer::Granted(grant)) = &answers[0] else { unreachable!("it is due") };
    assert_eq!((grant.attempt, grant.tries.counted, grant.first_claimed), (2, 3, NOW));
}

/// Whoever is no member would keep what he holds for ever, so he gets nothing.
pub async fn only_members_claim(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    let claim = async |member| fixture.store.claim(member, vec![fixture.hint(0)], NOW).await;
    let stranger = member_id(3);
    let refused = claim(stranger).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotJoined { member } if member == stranger), "{refused}");
    fixture.store.bury(Mandate::Own, fixture.member, NOW).await.unwrap();
    assert!(matches!(claim(fixture.member).await.unwrap_err(), StoreError::NotJoined { .. }));
    fixture.store.join(fixture.member, "worker", "host".into(), 42, NOW).await.unwrap();
    assert!(matches!(claim(fixture.member).await.unwrap()[0].1, Answer::Granted(_)));
}

/// Many claimers at once share the jobs out: each job has one holder.
pub async fn a_job_has_one_holder(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 64).await;
    let mut claimers = tokio::task::JoinSet::new();
    for n in 10..16 {
        let store = fixture.store.clone();
        let hints: Vec<_> = (0..64).map(|ordinal| fixture.hint(ordinal)).collect();
        claimers.spawn(async move {
            let member = member_id(n);
            store.join(member, "worker", "host".into(), 42, NOW).await.unwrap();
            let answers = store.claim(member, hints, NOW).await.unwrap();
            let granted = answers.iter().filter(|(_, answer)| matches!(answer, Answer::Granted(_)));
            granted.map(|(hint, _)| hint.ordinal).collect::<Vec<_>>()
        });
    }
    let mut held: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    held.sort_unstable();
    assert_eq!(held, (0..64).collect::<Vec<_>>());
}
