//! A store with a small frozen suite, and the things done to it over and over.

use std::collections::BTreeMap;

use assay_common::case::Case;
use assay_common::clock::Micros;
use assay_common::id::{Digest, MemberId, RunId};
use assay_common::job::{
    Answer, Call, Decline, Finished, Grant, Hint, JobKey, Output, Parked, Settlement, Tries,
};
use assay_common::model::{Model, Sampling};
use assay_common::money::NanoUsd;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::prompt::{PromptBody, PromptEntry};
use assay_common::reduce::Reducer;
use assay_common::score::{Millionths, NamedScore, Score};
use assay_common::suite::{DatasetRef, Priority, Suite};
use assay_common::trace::TraceParent;
use assay_common::usage::Usage;
use assay_store::{Mandate, NewJob, NewRun, Run, Schema, Store, StoreUrl};
use uuid::Uuid;

/// The moment at which everything begins.
pub const NOW: Micros = Micros(1_000_000);
/// The span that submits every run.
pub const TRACE: Option<TraceParent> = Some(TraceParent { trace: 1 << 120 | 5, span: 9, sampled: true });
/// The pool of every job.
pub const POOL: &str = "echo.abc";

/// An open store and what was put into it.
pub struct Fixture {
    /// The store.
    pub store: Store,
    /// What was frozen.
    pub suite: Suite,
    /// Its one run, of one variant and one trial.
    pub run: RunId,
    /// A member.
    pub member: MemberId,
    /// Another.
    pub other: MemberId,
}

impl Fixture {
    /// A store at `place` with a run of `cases` jobs, all expanded, and two members.
    pub async fn expanded(place: &StoreUrl, cases: u64) -> Self {
        let fixture = Self::created(place, cases).await;
        assert!(fixture.store.expand(Mandate::Own, fixture.run, 0, jobs(0..cases), true).await.unwrap());
        fixture
    }

    /// The same with nothing expanded.
    pub async fn created(place: &StoreUrl, cases: u64) -> Self {
        let store = open(place).await;
        let suite = suite("capitals", &[("capital", "What is the capital of {{ country }}?")], cases);
        put_dataset(&store, &suite.dataset, cases).await;
        let revision = store.freeze_suite(suite.clone(), NOW).await.unwrap();
        let run = run_id(1);
        store.create_run(new_run(run, revision, cases)).await.unwrap();
        let (member, other) = (member_id(1), member_id(2));
        for member in [member, other] {
            store.join(member, "worker", "host".to_owned(), 42, NOW).await.unwrap();
        }
        Self { store, suite, run, member, other }
    }

    /// A hint at a job of the run.
    pub fn hint(&self, ordinal: u64) -> Hint {
        Hint { run: self.run, ordinal }
    }

    /// The name of a job of the run.
    pub fn key(&self, ordinal: u64) -> JobKey {
        JobKey { run: self.run, ordinal, generation: 0 }
    }

    /// Claims jobs that must be granted.
    pub async fn claim(&self, member: MemberId, ordinals: impl IntoIterator<Item = u64>) -> Vec<Grant> {
        let hints = ordinals.into_iter().map(|ordinal| self.hint(ordinal)).collect();
        let answers = self.store.claim(member, hints, NOW).await.unwrap();
        let granted = |(_, answer)| match answer {
            Answer::Granted(grant) => *grant,
            Answer::Declined(why, _) => unreachable!("declined as {why:?}"),
        };
        answers.into_iter().map(granted).collect()
    }

    /// Why a claim of a job is declined; `None`: it is granted.
    pub async fn declined(&self, member: MemberId, ordinal: u64, now: Micros) -> Option<Decline> {
        let answers = self.store.claim(member, vec![self.hint(ordinal)], now).await.unwrap();
        match answers.as_slice() {
            [(_, Answer::Granted(_))] => None,
            [(_, Answer::Declined(why, _))] => Some(*why),
            _ => unreachable!("one hint has one answer"),
        }
    }

    /// Settles as the first member.
    pub async fn settle(&self, settlements: Vec<Settlement>) {
        self.store.settle(self.member, settlements, NOW).await.unwrap();
    }

    /// The run as it stands.
    pub async fn run(&self) -> Run {
        self.store.run(self.run).await.unwrap().unwrap()
    }

    /// The run's counts: passed, failed, errored, cancelled.
    pub async fn counts(&self) -> [u64; 4] {
        counts(&self.run().await)
    }

    /// A job that passed under a claim, with one call of 5 nano-dollars.
    pub fn passed(&self, ordinal: u64, attempt: u32) -> Finished {
        let score = Score::binary(true, "equal");
        Finished {
            key: self.key(ordinal),
            attempt,
            variant: 0,
            outcome: Outcome::Passed,
            error: None,
            score: Some(Millionths::ONE),
            scores: vec![NamedScore {
                scorer: "equals".to_owned(),
                metric: None,
                weight: Millionths::ONE,
                score,
            }],
            output: Some(Output::Text(format!("answer {ordinal}"))),
            finish_reason: Some("stop".to_owned()),
            usage: Usage { input_tokens: Some(10), output_tokens: Some(2) },
            latency_us: Some(1_000),
            cost: Some(NanoUsd(5)),
            calls: vec![Call { attempt, ..call(Some(5)) }],
            finished_at: NOW,
        }
    }

    /// A job that failed under a claim.
    pub fn failed(&self, ordinal: u64, attempt: u32) -> Finished {
        Finished { outcome: Outcome::Failed, score: Some(Millionths::ZERO), ..self.passed(ordinal, attempt) }
    }

    /// A job that errored under a claim, at no known cost.
    pub fn errored(&self, ordinal: u64, attempt: u32) -> Finished {
        Finished {
            outcome: Outcome::Errored(ErrorKind::Provider),
            error: Some("it kept failing".to_owned()),
            score: None,
            scores: Vec::new(),
            output: None,
            finish_reason: None,
            usage: Usage::default(),
            latency_us: None,
            cost: None,
            calls: vec![Call { attempt, ..call(None) }],
            ..self.passed(ordinal, attempt)
        }
    }

    /// A job that waits, after one call of 5 nano-dollars.
    pub fn parked(&self, ordinal: u64, attempt: u32, not_before: Micros, tries: u32) -> Settlement {
        let key = self.key(ordinal);
        Settlement::Parked(Parked {
            key,
            attempt,
            not_before,
            tries: Tries { counted: tries, ..Tries::default() },
            calls: vec![Call { attempt, ..call(Some(5)) }],
        })
    }
}

/// As [`Settlement::Finished`].
pub fn finished(finished: Finished) -> Settlement {
    Settlement::Finished(Box::new(finished))
}

/// A run's counts: passed, failed, errored, cancelled.
pub fn counts(run: &Run) -> [u64; 4] {
    [run.passed, run.failed, run.errored, run.cancelled]
}

/// A line of the ledger.
pub fn call(cost: Option<i64>) -> Call {
    Call {
        attempt: 1,
        started_at: NOW,
        duration_us: 1_000,
        class: "answered".into(),
        status: Some(200),
        usage: Usage { input_tokens: Some(10), output_tokens: Some(2) },
        cost: cost.map(NanoUsd),
        billed: Some(true),
        frees: false,
    }
}

/// Opens the store at `place`, made where it is not.
pub async fn open(place: &StoreUrl) -> Store {
    Store::open(place, Schema::Migrate).await.unwrap()
}

/// The nth run: later ones sort after earlier ones.
pub fn run_id(n: u128) -> RunId {
    RunId::new(Uuid::from_u128(n))
}

/// The nth member.
pub fn member_id(n: u128) -> MemberId {
    MemberId::new(Uuid::from_u128(n))
}

/// A run to create.
pub fn new_run(id: RunId, revision: Digest, planned: u64) -> NewRun {
    NewRun {
        id,
        revision,
        suite_name: "capitals".to_owned(),
        seed: [7; 32],
        planned,
        pools: Vec::new(),
        priority: Priority::Normal,
        budget: Some(NanoUsd(1_000)),
        created_at: NOW,
        deadline_at: Micros(9_000_000),
        trace: TRACE,
    }
}

/// Jobs of one variant and one trial: the ordinal is the position.
pub fn jobs(ordinals: std::ops::Range<u64>) -> Vec<NewJob> {
    let job = |ordinal| NewJob { ordinal, position: ordinal, variant: 0, trial: 1, pool: POOL.to_owned() };
    ordinals.map(job).collect()
}

/// The nth case: every third shares a cluster with its fellows.
pub fn case(n: u64) -> Case {
    let vars = serde_json::json!({"country": format!("country {n}"), "n": n, "zero": "a\u{0}b"});
    Case {
        id: format!("case-{n}"),
        cluster: n.is_multiple_of(3).then(|| "thirds".to_owned()),
        tags: BTreeMap::from([(
            "parity".to_owned(),
            if n.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
        )]),
        vars: vars.as_object().cloned().unwrap_or_default(),
    }
}

/// Stores and seals a dataset of `cases` cases.
pub async fn put_dataset(store: &Store, dataset: &DatasetRef, cases: u64) {
    store.put_cases(dataset.digest.clone(), 0, (0..cases).map(case).collect()).await.unwrap();
    store.seal_dataset(dataset.clone(), NOW).await.unwrap();
}

/// A suite of these prompts (name, text) on one model.
pub fn suite(name: &str, prompts: &[(&str, &str)], cases: u64) -> Suite {
    let prompt = |(place, (name, text)): (usize, &(&str, &str))| {
        let body = PromptBody::text(text);
        PromptEntry {
            name: (*name).to_owned(),
            label: format!("{name}-{place}"),
            owner: None,
            baseline: false,
            digest: body.digest(),
            body,
        }
    };
    Suite {
        name: name.to_owned(),
        owner: None,
        description: None,
        prompts: prompts.iter().enumerate().map(prompt).collect(),
        models: vec![Model {
            provider: "echo".to_owned(),
            model: "echo".to_owned(),
            sampling: Sampling::default(),
            recording: None,
        }],
        dataset: DatasetRef {
            digest: Digest::of(format!("{cases} cases").as_bytes()),
            cases,
            clustered: true,
        },
        scorers: Vec::new(),
        threshold: None,
        repeats: 1,
        reduce: Reducer::Mean,
        priority: Priority::Normal,
        budget: None,
        deadline_seconds: 3_600,
        gate: None,
    }
}
