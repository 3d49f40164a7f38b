//! Freezing: what was validated is stored, and nothing else.

use assay_common::clock::Micros;
use assay_coordinator::suite::FreezeError;
use assay_store::{Schema, Store, StoreUrl};

use super::{Folder, suite_with};

const NOW: Micros = Micros(1_700_000_000_000_000);

fn rows(count: usize) -> String {
    (0..count).map(|at| format!("{{\"id\": {at}, \"question\": \"{at}+1\"}}\n")).collect()
}

fn answers(count: usize) -> String {
    (0..count).map(|at| format!("{{\"case\": \"{at}\", \"output\": \"{}\"}}\n", at + 1)).collect()
}

fn folder() -> Folder {
    let suite = "suite: sums\nprompts: [{name: ask, file: prompts/ask.md}]\n\
                 models: [{provider: recorded, model: m, file: answers.jsonl}]\ncases: [{file: cases.jsonl, id: id}]\n";
    Folder::with(&[("suite.yaml", suite), ("cases.jsonl", &rows(1_203)), ("answers.jsonl", &answers(1_203))])
}

async fn store(folder: &Folder) -> Store {
    Store::open(&StoreUrl::Sqlite(folder.path("assay.db")), Schema::Migrate).await.unwrap()
}

#[tokio::test]
async fn stores_what_was_validated_once() {
    let folder = folder();
    let loaded = folder.load().unwrap();
    let store = store(&folder).await;
    loaded.freeze(&store, Vec::new(), NOW).await.unwrap();
    loaded.freeze(&store, Vec::new(), NOW).await.unwrap();

    let dataset = &loaded.suite.dataset;
    assert_eq!(store.dataset(dataset.digest.clone()).await.unwrap().as_ref(), Some(dataset));
    let units = store.units(dataset.digest.clone(), 0, 2_000).await.unwrap();
    assert_eq!(units.len(), 1_203);
    assert_eq!(units[1_202], "1202");
    let recording = loaded.suite.models[0].recording.clone().unwrap();
    let answer = store.recording(recording, "1202".into(), "ask".into(), 1).await.unwrap();
    assert_eq!(answer.unwrap().output, "1203");
    assert_eq!(store.suite(loaded.suite.revision()).await.unwrap(), Some(loaded.suite.clone()));
}

#[tokio::test]
async fn refuses_files_that_changed_since() {
    for (file, text) in [
        ("cases.jsonl", rows(1_204)),
        ("cases.jsonl", rows(1_000)),
        ("cases.jsonl", rows(1_203).replace("\"7+1\"", "\"7+2\"")),
        ("cases.jsonl", "oops".to_owned()),
        ("answers.jsonl", answers(1_204)),
        ("answers.jsonl", answers(500)),
    ] {
        let folder = folder();
        let loaded = folder.load().unwrap();
        folder.write(file, text);
        let store = store(&folder).await;
        let error = loaded.freeze(&store, Vec::new(), NOW).await.unwrap_err();
        let FreezeError::Changed(path) = error else { panic!("{error}") };
        assert_eq!(path, folder.path(file));
        assert_eq!(store.suite(loaded.suite.revision()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_inline_dataset_needs_no_file() {
    let suite = suite_with("cases", "cases: [{vars: {question: a}}, {vars: {question: b}}]\n");
    let folder = Folder::with(&[("suite.yaml", &suite)]);
    let loaded = folder.load().unwrap();
    let store = store(&folder).await;
    loaded.freeze(&store, Vec::new(), NOW).await.unwrap();
    let units = store.units(loaded.suite.dataset.digest.clone(), 0, 10).await.unwrap();
    assert_eq!(units.len(), 2);
}
