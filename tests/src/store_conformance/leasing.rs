//! Limits of provider accounts are shared: whoever renews, and however many at once, together they have no more than there is.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::{AuditId, MemberId};
use assay_common::limit::Dimension;
use assay_store::ledger::ALL;
use assay_store::{
    AccountProblem, Answer, Ask, AuditEntry, LimitRow, Mandate, NewJob, NewRun, Profile, Refusal, Renewal,
    RunPool, Said, Store, StoreUrl, Why,
};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, jobs, member_id, new_run, open, run_id};

const TTL: Duration = Duration::from_secs(60);

fn ask(dimension: Dimension, limit: Option<u64>, acked: u64) -> Ask {
    Ask {
        scope: "openai".into(),
        dimension,
        configured: limit,
        profile: Profile::default(),
        want: ALL,
        burst: 1,
        acked,
        used: 0,
        said: None,
        refused: None,
        lacks: None,
        needs: None,
    }
}

async fn renew(store: &Store, member: MemberId, asks: Vec<Ask>) -> Vec<Answer> {
    store.renew(Renewal { member, asks, beside: Vec::new(), ttl: TTL }, NOW).await.unwrap()
}

async fn limit(store: &Store, dimension: Dimension) -> LimitRow {
    let rows = store.limits(NOW).await.unwrap();
    rows.into_iter().find(|row| row.dimension == dimension).unwrap()
}

fn entry(n: u128) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::from_u128(n)),
        at: NOW,
        actor: "ann".to_owned(),
        action: "limit.set".to_owned(),
        subject: "openai".to_owned(),
        detail: json!({"reason": "a better contract"}),
    }
}

/// Who asks nothing of a model keeps to what the files of others limit of it; of what nobody limits there is no row.
pub async fn a_limit_that_others_name_is_told(place: StoreUrl) {
    let store = open(&place).await;
    let model = Ask { scope: "openai/m".into(), ..ask(Dimension::Tokens, Some(6_000), 0) };
    renew(&store, member_id(1), vec![ask(Dimension::Requests, None, 0), model]).await;
    let beside = vec!["openai/m".to_owned(), "openai/n".to_owned()];
    let renewal =
        Renewal { member: member_id(2), asks: vec![ask(Dimension::Requests, None, 0)], beside, ttl: TTL };
    let answers = store.renew(renewal, NOW).await.unwrap();
    let told: Vec<_> =
        answers.iter().map(|answer| (answer.scope.as_str(), answer.dimension, answer.limit)).collect();
    assert_eq!(told, [("openai", Dimension::Requests, None), ("openai/m", Dimension::Tokens, Some(6_000))]);
    let rows = store.limits(NOW).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.scope.as_str(), row.leases.len(), row.unnamed)).collect();
    assert_eq!(rows, [("openai", 2, 2), ("openai/m", 2, 1)]);
}

/// Rates and places of several scopes in one renewal; what is granted is on record until it is acknowledged, replaced, given back
/// or over.
pub async fn a_limit_is_shared_and_given_back(place: StoreUrl) {
    let store = open(&place).await;
    let (ann, bob) = (member_id(1), member_id(2));
    let whole = |bursts| Profile::default().rate(600, bursts);
    let asks = |acked| {
        let model = Ask { scope: "openai/gpt".into(), ..ask(Dimension::Tokens, Some(9_000), 0) };
        vec![ask(Dimension::Requests, Some(600), acked), ask(Dimension::InFlight, Some(5), acked), model]
    };
    let first = renew(&store, ann, asks(0)).await;
    let named: Vec<_> = first.iter().map(|answer| (&*answer.scope, answer.dimension)).collect();
    let expected =
        [("openai", Dimension::Requests), ("openai", Dimension::InFlight), ("openai/gpt", Dimension::Tokens)];
    assert_eq!(named, expected);
    assert_eq!((first[0].amount, first[1].amount, first[0].limit), (Some(whole(1)), Some(5), Some(600)));
    assert_eq!(renew(&store, bob, asks(0)).await[0].amount, Some(0), "all is granted");
    // Told of its share, but not yet heard to go by it.
    let second = renew(&store, ann, asks(first[0].seq)).await;
    assert_eq!(second[0].amount, Some(whole(2) / 2));
    assert_eq!(renew(&store, bob, asks(1)).await[0].amount, Some(0));
    renew(&store, ann, asks(second[0].seq)).await;
    let shared = renew(&store, bob, asks(2)).await;
    assert_eq!(shared[0].amount, Some(whole(2) / 2));
    assert!(matches!(shared[1].amount, Some(2 | 3)), "{shared:?}");

    let row = limit(&store, Dimension::Requests).await;
    assert_eq!((row.scope.as_str(), row.configured, row.limit), ("openai", Some((600, 600)), Some(600)));
    let leased: Vec<_> = row.leases.iter().map(|lease| (lease.member, lease.amount)).collect();
    assert_eq!(leased, [(ann, whole(2) / 2), (bob, whole(2) / 2)]);

    store.release_leases(ann).await.unwrap();
    assert_eq!(renew(&store, bob, asks(3)).await[0].amount, Some(whole(1)));
    assert_eq!(limit(&store, Dimension::Requests).await.leases.len(), 1);
}

/// A lease that is not renewed is over, by the store's own clock.
pub async fn a_lease_ends_by_itself(place: StoreUrl) {
    let store = open(&place).await;
    let ttl = Duration::from_millis(40);
    let renew = async |member, at, acked| {
        let asks = vec![ask(Dimension::Requests, Some(600), acked)];
        let renewal = Renewal { member, asks, beside: Vec::new(), ttl };
        store.renew(renewal, Micros(NOW.0 + at)).await.unwrap().remove(0)
    };
    renew(member_id(1), 0, 0).await;
    // SQLite is told the time, PostgreSQL's passes.
    let (mut at, mut seq) = (0, 0);
    let free = loop {
        let answer = renew(member_id(2), at, seq).await;
        if answer.amount > Some(0) {
            break answer.amount;
        }
        (at, seq) = (at + 5_000, answer.seq);
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(free, Some(Profile::default().rate(600, 1)));
}

/// Many who are the first, and renew again and again at once, each acknowledging what it was granted.
pub async fn renewals_at_once_exceed_nothing(place: StoreUrl) {
    let store = open(&place).await;
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let (member, mut acked, mut amount) = (member_id(10 + n), 0, 0);
                for _ in 0..12 {
                    let answer = renew(&store, member, vec![ask(Dimension::Requests, Some(600), acked)])
                        .await
                        .remove(0);
                    (acked, amount) = (answer.seq, answer.amount.unwrap());
                }
                amount
            })
        })
        .collect();
    let mut sum = 0;
    for worker in workers {
        sum += worker.await.unwrap();
    }
    assert!(sum <= Profile::default().rate(600, 1), "{sum}");
    let row = limit(&store, Dimension::Requests).await;
    let exposed: u64 = row.leases.iter().map(|lease| lease.amount).sum();
    assert!(row.leases.len() == 6 && exposed <= Profile::default().rate(600, 1), "{row:?}");
}

/// A limit that an operator sets holds for all with their next renewal, is on the audit, and can be taken back.
pub async fn a_limit_is_set_and_cleared(place: StoreUrl) {
    let store = open(&place).await;
    let requests = Dimension::Requests;
    let set = async |to, n| {
        let why = "a better contract".to_owned();
        store.set_limit("openai".into(), requests, to, why, entry(n)).await.unwrap()
    };
    assert!(!set(None, 1).await && set(Some(900), 2).await);
    assert!(store.audit(None, 10).await.unwrap().len() == 1, "what changed nothing is not on it");
    let answer = renew(&store, member_id(1), vec![ask(requests, Some(600), 0)]).await.remove(0);
    assert_eq!((answer.limit, answer.amount), (Some(900), Some(Profile::default().rate(900, 1))));
    let row = limit(&store, requests).await;
    assert_eq!((row.configured, row.limit), (Some((600, 600)), Some(900)));
    assert_eq!(row.set.map(|set| (set.to, set.by, set.at)), Some((900, "ann".to_owned(), NOW)));

    // The provider says less, and has refused a call besides.
    let said = Some(Said { limit: Some(500), ..Said::default() });
    let told = Ask { said, acked: answer.seq, ..ask(requests, Some(600), 0) };
    let answer = renew(&store, member_id(1), vec![told]).await.remove(0);
    assert_eq!((answer.limit, answer.why), (Some(500), Some(Why::Contradicted { says: 500 })));
    let refusal = Refusal { pause: TTL, is_told: true };
    let refused = Ask { refused: Some(refusal), acked: answer.seq, ..ask(requests, Some(600), 0) };
    renew(&store, member_id(1), vec![refused]).await;
    let joined = renew(&store, member_id(2), vec![ask(requests, Some(600), 0)]).await.remove(0);
    assert_eq!((joined.amount, joined.why), (Some(0), Some(Why::Paused)));
    assert!(joined.paused_for > TTL / 2 && joined.paused_for <= TTL);
    let row = limit(&store, requests).await;
    assert!(row.cut.is_some() && row.paused_until.is_some() && row.why == Some(Why::Paused), "{row:?}");

    assert!(set(None, 3).await);
    let row = limit(&store, requests).await;
    assert_eq!((row.limit, row.set, row.learned, row.cut), (Some(600), None, None, None));
}

/// A request that is large beside what its worker may use a second is seen while it gathers its tokens.
pub async fn who_gathers_tokens_is_seen(place: StoreUrl) {
    let store = open(&place).await;
    let gathers = async |lacks, acked| {
        let asked = Ask { lacks, ..ask(Dimension::Tokens, Some(6_000), acked) };
        let seq = renew(&store, member_id(1), vec![asked]).await.remove(0).seq;
        let gathers = limit(&store, Dimension::Tokens).await.gathers;
        (seq, gathers.map(|gathers| (gathers.tokens, gathers.wait.as_secs())))
    };
    let (seq, none) = gathers(None, 0).await;
    assert_eq!(none, None);
    let (seq, soon) = gathers(Some(200), seq).await;
    assert_eq!(soon, None, "two seconds are not worth a word");
    let (seq, late) = gathers(Some(900), seq).await;
    assert_eq!(late, Some((900, 9)));
    assert_eq!(gathers(None, seq).await.1, None);
}

/// Whoever becomes the only owner of a store knows that all before him are gone: what they had of any limit is his at once.
pub async fn an_only_owner_has_all_at_once(place: StoreUrl) {
    let store = open(&place).await;
    let asks = || vec![ask(Dimension::Requests, Some(600), 0), ask(Dimension::InFlight, Some(5), 0)];
    let amounts = async |member| {
        let answers = renew(&store, member_id(member), asks()).await;
        answers.into_iter().map(|answer| answer.amount).collect::<Vec<_>>()
    };
    let all = [Some(Profile::default().rate(600, 1)), Some(5)];
    assert_eq!(amounts(1).await, all);
    assert_eq!(amounts(2).await, [Some(0); 2]);
    store.bury_all(NOW).await.unwrap();
    assert_eq!(amounts(3).await, all);
}

/// A pause that somebody lifts is over for the account and its models, for all who have leases of it, once; and so is what its
/// jobs were told to wait.
pub async fn a_pause_is_lifted(place: StoreUrl) {
    let mut fixture = Fixture::created(&place, 2).await;
    fixture.run = run_id(2);
    let (store, requests) = (&fixture.store, Dimension::Requests);
    let pools = RunPool::all_of(&fixture.suite);
    let run = NewRun { pools, ..new_run(fixture.run, fixture.suite.revision(), 2) };
    store.create_run(run).await.unwrap();
    let account = fixture.suite.models[0].provider.clone();
    let asked = |scope: &str, refused| Ask { scope: scope.into(), refused, ..ask(requests, Some(600), 0) };
    let model = format!("{account}/m");
    let others = format!("{account}-2");
    let hour = Some(Refusal { pause: Duration::from_secs(3_600), is_told: false });
    let paused = vec![asked(&account, hour), asked(&model, hour), asked(&others, hour)];
    let told = renew(store, fixture.member, paused).await;
    assert!(told.iter().all(|answer| answer.amount == Some(0) && answer.resumed == 0), "{told:?}");
    let of_account = limit(store, requests).await;
    assert!(of_account.paused_until.is_some() && of_account.scope == account, "{of_account:?}");
    let pool = fixture.suite.models[0].pool();
    let expanded = jobs(0..2).into_iter().map(|job| NewJob { pool: pool.clone(), ..job }).collect();
    assert!(store.expand(Mandate::Own, fixture.run, 0, expanded, true).await.unwrap());
    fixture.claim(fixture.member, 0..2).await;
    let late = NOW.plus(Duration::from_secs(3_600));
    fixture.settle(vec![fixture.parked(0, 1, late, 0), fixture.parked(1, 1, late, 0)]).await;
    let trouble = |kind: &str| AccountProblem { kind: kind.into(), detail: "words".into(), since: NOW };
    store.report_account(account.clone(), Some(trouble(AccountProblem::RATE_LIMITED)), NOW).await.unwrap();

    let resume = async |n| {
        let entry = AuditEntry { action: "limit.resume".into(), ..entry(n) };
        store.resume_account(account.clone(), entry, NOW).await.unwrap()
    };
    assert!(resume(1).await);
    assert_eq!(store.due_returned(fixture.run, pool, NOW, 9).await.unwrap(), [0, 1]);
    assert!(store.account_problems().await.unwrap().is_empty());
    let told = renew(store, fixture.other, vec![asked(&account, None), asked(&model, None)]).await;
    assert!(told.iter().all(|answer| answer.paused_for.is_zero() && answer.resumed == 1), "{told:?}");
    let told = renew(store, fixture.other, vec![asked(&others, None)]).await.remove(0);
    assert!(!told.paused_for.is_zero() && told.resumed == 0, "what only begins alike is another account");
    let cut = limit(store, requests).await;
    assert!(cut.cut.is_some() && cut.paused_until.is_none(), "the limit itself is as it was: {cut:?}");
    assert!(!resume(2).await, "nothing is held back any more");
    store.report_account(model, Some(trouble("quota")), NOW).await.unwrap();
    assert!(resume(3).await, "what is in trouble is tried at once");
    assert_eq!(
        store.account_problems().await.unwrap().len(),
        1,
        "and is in trouble until that has succeeded"
    );
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 2, "what changed nothing is not on it");
}
