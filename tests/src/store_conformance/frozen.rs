//! What is frozen before a run exists: suites and prompt versions, datasets, recordings. All of it idempotent.

use assay_common::case::{Case, Recording};
use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest};
use assay_common::suite::Suite;
use assay_common::usage::Usage;
use assay_store::{AuditEntry, CaseName, StoreUrl, TaggedUnit};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{NOW, case, open, put_dataset, suite};

/// Freezing the same suite twice is freezing it once, and what comes back is what went in.
pub async fn freezing_is_idempotent(place: StoreUrl) {
    let store = open(&place).await;
    let suite = suite("s", &[("p", "one"), ("p", "two"), ("q", "one")], 3);
    assert_eq!(store.version_numbers(&suite).await.unwrap(), [None, None, None]);
    assert_eq!(store.suite(suite.revision()).await.unwrap(), None);
    for _ in 0..2 {
        assert_eq!(store.freeze_suite(suite.clone(), NOW).await.unwrap(), suite.revision());
        assert_eq!(store.version_numbers(&suite).await.unwrap(), [Some(1), Some(2), Some(1)]);
    }
    let found = store.suite(suite.revision()).await.unwrap().unwrap();
    assert_eq!(found.revision(), suite.revision());
    assert_eq!(found, suite);
}

/// A version keeps its number for ever; the next content of its prompt gets the next.
pub async fn versions_are_numbered_by_prompt(place: StoreUrl) {
    let store = open(&place).await;
    let numbers = async |prompts: &[(&str, &str)]| {
        let suite: Suite = suite("s", prompts, 3);
        store.freeze_suite(suite.clone(), NOW).await.unwrap();
        store.version_numbers(&suite).await.unwrap()
    };
    assert_eq!(numbers(&[("p", "one")]).await, [Some(1)]);
    assert_eq!(numbers(&[("p", "two"), ("q", "two")]).await, [Some(2), Some(1)]);
    assert_eq!(numbers(&[("p", "one"), ("p", "three"), ("p", "two")]).await, [Some(1), Some(3), Some(2)]);
    assert_eq!(numbers(&[("q", "one"), ("q", "two")]).await, [Some(2), Some(1)]);
}

/// A prompt's owner is who was named last, and the audit says from whom to whom.
pub async fn a_new_owner_is_a_row_of_the_audit(place: StoreUrl) {
    let store = open(&place).await;
    for (at, owner) in (1..).map(Micros).zip(["ann", "ann", "bob", "ann", "cid"]) {
        let mut suite = suite("s", &[("p", "one")], 3);
        suite.prompts[0].owner = Some(owner.to_owned());
        let entry = AuditEntry {
            id: AuditId::new(Uuid::now_v7()),
            at,
            actor: "eve".to_owned(),
            action: "prompt.owner".to_owned(),
            subject: "p".to_owned(),
            detail: json!({"owner": owner}),
        };
        store.freeze_suite_by(suite, vec![entry], at).await.unwrap();
    }
    // Who says nothing of it changes nothing.
    store.freeze_suite(suite("s", &[("p", "one")], 3), NOW).await.unwrap();
    assert_eq!(store.prompt("p").await.unwrap().unwrap().owner.as_deref(), Some("cid"));
    let audit = store.audit(None, 9).await.unwrap();
    let details: Vec<_> = audit.iter().rev().map(|row| (row.actor.as_str(), &row.detail)).collect();
    assert_eq!(
        details,
        [
            ("eve", &json!({"owner": "bob", "before": "ann"})),
            ("eve", &json!({"owner": "ann", "before": "bob"})),
            ("eve", &json!({"owner": "cid", "before": "ann"})),
        ]
    );
    for (at, owner) in [(0, "ann"), (2, "ann"), (3, "bob"), (4, "ann"), (5, "cid"), (9, "cid")] {
        let owners = store.owners(Micros(at)).await.unwrap();
        assert_eq!(owners["p"].as_deref(), Some(owner), "at {at}");
    }
}

/// Freezers that come at once agree on the numbers.
pub async fn freezers_at_once_agree(place: StoreUrl) {
    let store = open(&place).await;
    let mut freezers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        let text = format!("text {}", n % 4);
        freezers.spawn(async move {
            let suite = suite(&format!("s{n}"), &[("p", &text), ("q", &text)], 3);
            store.freeze_suite(suite.clone(), NOW).await.unwrap();
            (text, store.version_numbers(&suite).await.unwrap())
        });
    }
    let mut numbers = freezers.join_all().await;
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 4, "one content has one number: {numbers:?}");
    for prompt in [0, 1] {
        let mut given: Vec<_> = numbers.iter().map(|(_, numbers)| numbers[prompt].unwrap()).collect();
        given.sort_unstable();
        assert_eq!(given, [1, 2, 3, 4]);
    }
}

/// A dataset counts once it is sealed; pages sent twice are stored once.
pub async fn a_dataset_counts_once_sealed(place: StoreUrl) {
    let store = open(&place).await;
    let dataset = suite("s", &[], 300).dataset;
    store.put_cases(dataset.digest.clone(), 0, (0..200).map(case).collect()).await.unwrap();
    store.put_cases(dataset.digest.clone(), 100, (100..300).map(case).collect()).await.unwrap();
    assert_eq!(store.dataset(dataset.digest.clone()).await.unwrap(), None);
    for _ in 0..2 {
        store.seal_dataset(dataset.clone(), NOW).await.unwrap();
        assert_eq!(store.dataset(dataset.digest.clone()).await.unwrap(), Some(dataset.clone()));
    }
    assert_eq!(store.units(dataset.digest, 0, 1_000).await.unwrap().len(), 300);
}

/// Some cases are looked at by their positions.
pub async fn single_cases_are_read_by_position(place: StoreUrl) {
    let store = open(&place).await;
    let dataset = suite("s", &[], 300).dataset;
    put_dataset(&store, &dataset, 300).await;
    put_dataset(&store, &suite("s", &[], 5).dataset, 5).await;
    let mut found = store.vars_at(dataset.digest, vec![299, 0, 7, 300]).await.unwrap();
    found.sort_by_key(|vars| vars["n"].as_u64());
    assert_eq!(found, [case(0).vars, case(7).vars, case(299).vars]);
}

/// Units come in pages by position, each named by its cluster, else by its case.
pub async fn units_come_in_pages(place: StoreUrl) {
    let store = open(&place).await;
    let dataset = suite("s", &[], 7).dataset;
    put_dataset(&store, &dataset, 7).await;
    put_dataset(&store, &suite("s", &[], 5).dataset, 5).await;
    let mut units = Vec::new();
    loop {
        let page = store.units(dataset.digest.clone(), units.len() as u64, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        units.extend(page);
    }
    let expected: Vec<_> = (0..7).map(|n| case(n).unit().to_owned()).collect();
    assert_eq!(units, expected);
    assert_eq!(units[3], "thirds");
}

/// Whatever a case is called, its unit is called.
pub async fn units_have_any_name(place: StoreUrl) {
    let store = open(&place).await;
    let dataset = suite("names", &[], 5).dataset;
    let names = ["3:", "ü:é", "", "two\nlines", "日本"];
    let cases = names.iter().map(|name| Case { id: (*name).to_owned(), cluster: None, ..case(0) }).collect();
    store.put_cases(dataset.digest.clone(), 0, cases).await.unwrap();
    assert_eq!(store.units(dataset.digest.clone(), 0, 10).await.unwrap(), names);
    assert_eq!(store.units(dataset.digest, 3, 1).await.unwrap(), ["two\nlines"]);
}

/// Units with the tags of their cases, for counting slices.
pub async fn tagged_units_come_in_pages(place: StoreUrl) {
    let store = open(&place).await;
    let dataset = suite("s", &[], 7).dataset;
    put_dataset(&store, &dataset, 7).await;
    let mut units = store.tagged_units(dataset.digest.clone(), None, 4).await.unwrap();
    units.extend(store.tagged_units(dataset.digest.clone(), Some(3), 4).await.unwrap());
    let expected: Vec<_> = (0..7)
        .map(|n| TaggedUnit { position: n, unit: case(n).unit().to_owned(), tags: case(n).tags })
        .collect();
    assert_eq!(units, expected);
    let mut names = store.case_names(dataset.digest.clone(), None, 4).await.unwrap();
    names.extend(store.case_names(dataset.digest.clone(), Some(3), 4).await.unwrap());
    let name = |n: u64| {
        let Case { id, cluster, tags, .. } = case(n);
        CaseName { position: n, id, cluster, tags }
    };
    assert_eq!(names, (0..7).map(name).collect::<Vec<_>>());
    assert_eq!(store.case_names(dataset.digest, Some(6), 4).await.unwrap(), []);
}

/// The line that says most about a job answers it.
pub async fn the_most_specific_recording_answers(place: StoreUrl) {
    let store = open(&place).await;
    let line = |case: &str, prompt: Option<&str>, trial, output: &str| Recording {
        case: case.to_owned(),
        prompt: prompt.map(str::to_owned),
        trial,
        output: output.to_owned(),
        usage: None,
        latency_ms: None,
    };
    let recording = Digest::of(b"recording");
    let rich = Recording {
        usage: Some(Usage { input_tokens: Some(3), output_tokens: None }),
        latency_ms: Some(12.5),
        ..line("b", None, None, "with \0 inside")
    };
    let lines = vec![
        line("a", None, None, "neither"),
        line("a", None, Some(2), "trial"),
        line("a", Some("p"), None, "prompt"),
        line("a", Some("p"), Some(2), "both"),
        line("a", None, None, "a second that is too late"),
        rich.clone(),
    ];
    for _ in 0..2 {
        store.put_recordings(recording.clone(), lines.clone()).await.unwrap();
    }
    assert!(!store.has_recording(&recording).await.unwrap());
    store.seal_recording(recording.clone(), 6, NOW).await.unwrap();
    assert!(store.has_recording(&recording).await.unwrap());
    let find = async |case: &str, prompt: &str, trial| {
        store.recording(recording.clone(), case.to_owned(), prompt.to_owned(), trial).await.unwrap()
    };
    for (prompt, trial, expected) in [("p", 2, 3), ("p", 1, 2), ("q", 2, 1), ("q", 1, 0)] {
        assert_eq!(find("a", prompt, trial).await.as_ref(), Some(&lines[expected]), "{prompt} {trial}");
    }
    assert_eq!(find("b", "p", 1).await, Some(rich));
    assert_eq!(find("c", "p", 1).await, None);
    let other = store.recording(Digest::of(b"other"), "a".into(), "p".into(), 2).await.unwrap();
    assert_eq!(other, None);
}
