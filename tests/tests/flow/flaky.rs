//! `assay flaky` and `assay quarantine`: cases that waver, and the verdict with and without them.

use assay_store::{Scope, StoreUrl};
use assay_tests::api::Api;
use assay_tests::assay::{Ran, Workplace};
use serde_json::{Value, json};

/// Twenty cases with ten recorded trials each. Under the baseline `wavers` passes every second trial; the candidate fails it.
fn suite(place: &Workplace) {
    let mut cases = String::new();
    let mut answers = String::new();
    for case in (0..19).map(|n| format!("c{n}")).chain(["wavers".to_owned()]) {
        cases += &json!({"id": case}).to_string();
        cases.push('\n');
        for (prompt, trial) in
            ["live", "next"].into_iter().flat_map(|prompt| (1..=10).map(move |trial| (prompt, trial)))
        {
            let passes = case != "wavers" || (prompt == "live" && trial % 2 == 0);
            let output = if passes { "yes" } else { "no" };
            answers += &json!({"case": case, "prompt": prompt, "trial": trial, "output": output}).to_string();
            answers.push('\n');
        }
    }
    place.write("cases.jsonl", cases).write("answers.jsonl", answers).write(
        "suite.yaml",
        "suite: s\n\
         prompts:\n  - {name: p, label: live, text: a, baseline: true}\n  - {name: p, label: next, text: b}\n\
         models:\n  - {provider: recorded, model: m, file: answers.jsonl}\n\
         cases:\n  - {file: cases.jsonl, id: id}\n\
         score:\n  - {type: equals, value: 'yes'}\n\
         repeats: 10\n\
         gate:\n  rules:\n    - {metric: pass_rate, min: 0.96}\n",
    );
}

fn run(place: &Workplace, code: i32) -> Value {
    place.assay(&["run", "suite.yaml", "--json"]).expect(code).json()
}

fn add(place: &Workplace, case: &str, more: &[&str]) -> Ran {
    let arguments = ["quarantine", "add", case, "--owner", "ann", "--reason", "two answers are right"];
    place.assay(&[&arguments[..], more].concat())
}

#[test]
fn repeats_that_disagree_are_shown_with_their_rate() {
    let place = Workplace::default();
    suite(&place);
    place.assay(&["flaky"]).expect(4);
    run(&place, 1);
    let ledger = place.assay(&["flaky", "--json"]).expect(0).json();
    assert_eq!((&ledger["suite"], &ledger["runs"], &ledger["cases"]), (&json!("s"), &json!(1), &json!(20)));
    let lines = ledger["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    let mut line = lines[0].clone();
    line.as_object_mut().unwrap().remove("digest");
    // 2 · 5 · 5 / (10 · 9)
    assert!((line["flip_rate"].as_f64().unwrap() - 50.0 / 90.0).abs() < 1e-12);
    line["flip_rate"] = json!(null);
    let expected = json!({"case": "wavers", "label": "live", "baseline": true, "model": "recorded/m", "trials": 10,
        "passed": 5, "flips": 5, "flip_rate": null, "class": "flaky", "quarantined": false});
    assert_eq!(line, expected);
    // Answers that are played back a second time are no new repeats.
    place.assay(&["run", "suite.yaml", "--new"]).expect(1);
    assert_eq!(place.assay(&["flaky", "--json"]).expect(0).json()["lines"][0]["trials"], 10);
    let text = place.assay(&["flaky"]).expect(0).stdout;
    for part in ["1 flaky, 0 suspect", "wavers", "55.6 %"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    place.assay(&["flaky", "--suite", "t"]).expect(2);
    // A comparison marks the case: one that wavers says little by changing sides.
    let compared = place.assay(&["compare", "p@1", "p@2", "--json"]).expect(0).json();
    assert_eq!(compared["pairs"][0]["worse"][0]["flaky"], true);
}

#[test]
fn a_verdict_is_shown_with_and_without_what_is_under_quarantine() {
    let place = Workplace::default();
    suite(&place);
    let before = run(&place, 1);
    assert_eq!(before["quarantine"], Value::Null);
    // Only what the baseline's history convicts, with an end.
    for (case, more, part) in [
        ("c1", &[][..], "not flaky on `c1`"),
        ("wavers", &["--expires", "31d"], "at most 30d"),
        ("wavers", &["--expires", "0s"], "of no length"),
        ("c99", &[], "has no case `c99`"),
        ("wavers", &["--model", "recorded/n"], "has no model `recorded/n`; its models: recorded/m"),
        ("wavers", &["--suite", "t"], "no run of the suite"),
    ] {
        let refused = add(&place, case, more).expect(2);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    for (owner, reason, part) in [(" ", "it wavers", "an owner says who"), ("ann", "", "a reason says why")] {
        let add = ["quarantine", "add", "wavers", "--owner", owner, "--reason", reason];
        let refused = place.assay(&add).expect(2);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    add(&place, "wavers", &[]).expect(0);
    assert!(add(&place, "wavers", &[]).expect(2).stderr.contains("already"));
    let listed = place.assay(&["quarantine", "list", "--json"]).expect(0).json();
    assert_eq!(
        (&listed[0]["case"], &listed[0]["owner"], &listed[0]["trials"]),
        (&json!("wavers"), &json!("ann"), &json!(10))
    );
    // Runs from before are judged as they were.
    let id = before["run"]["id"].as_str().unwrap();
    assert_eq!(place.assay(&["status", id, "--json"]).expect(0).json()["quarantine"], Value::Null);
    let ran =
        place.assay(&["run", "suite.yaml", "--new", "--json", "--markdown", "report.md"]).expect(1).json();
    assert_eq!(ran["verdict"]["outcome"], "fail", "what decides counts every case");
    let quarantine = &ran["quarantine"];
    assert_eq!(
        (&quarantine["verdict"]["outcome"], &quarantine["changes_outcome"], &quarantine["cases"][0]["case"]),
        (&json!("pass"), &json!(true), &json!("wavers"))
    );
    let id = ran["run"]["id"].as_str().unwrap();
    let shown = place.assay(&["status", id]).expect(0).stdout;
    for part in [
        "Verdict: FAIL",
        "Without 1 under quarantine: PASS: the outcome depends on them",
        "two answers are right (ann",
    ] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let markdown = std::fs::read_to_string(place.path().join("report.md")).unwrap();
    assert!(markdown.contains("Without what is under quarantine (wavers): ✅ pass"), "{markdown}");
    // There is one, so nobody has to say where it is.
    let remove = ["quarantine", "remove", "wavers"];
    assert!(
        place
            .assay(&[&remove[..], &["--model", "recorded/n"]].concat())
            .expect(2)
            .stderr
            .contains("not under")
    );
    place.assay(&remove).expect(0);
    place.assay(&remove).expect(2);
    let after = place.assay(&["run", "suite.yaml", "--new", "--json"]).expect(1).json();
    assert_eq!(after["quarantine"], Value::Null);
    assert_eq!(place.assay(&["quarantine", "list"]).expect(0).stdout, "nothing is under quarantine\n");
    assert_eq!(
        place.assay(&["quarantine", "list", "--all", "--json"]).expect(0).json().as_array().unwrap().len(),
        1
    );
}

/// A gate that stops early stops by what it saw of every case; what it saw of the others stands beside that.
#[test]
fn a_gate_that_stops_early_is_shown_without_what_is_under_quarantine() {
    let place = Workplace::default();
    suite(&place);
    run(&place, 1);
    add(&place, "wavers", &[]).expect(0);
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let (suite, _) = suite.split_once("gate:").unwrap();
    place.write(
        "suite.yaml",
        format!("{suite}gate: {{stop_early: true, rules: [{{metric: pass_rate, max_drop: 0.4}}]}}\n"),
    );
    let ran = run(&place, 0);
    let rule = |verdict: &Value| verdict["versions"][0]["rules"][0].clone();
    assert_eq!((&ran["run"]["stopped_early"], &ran["verdict"]["outcome"]), (&json!(true), &json!("pass")));
    let (with, quarantine) = (rule(&ran["verdict"]), &ran["quarantine"]);
    let without = rule(&quarantine["verdict"]);
    assert_eq!(quarantine["changes_outcome"], json!(with["outcome"] != without["outcome"]));
    // The stable cases do not differ at all.
    assert_eq!(without["observed"], 0.0, "{without}");
    let [with, without] = [with, without].map(|rule| rule["n"].as_u64().unwrap());
    assert!(with > 0 && without > 0, "{with} and {without} cases");
}

/// `assay run` and `assay status` say the same of a run, in one shape.
#[test]
fn a_run_is_one_document_whoever_shows_it() {
    let place = Workplace::default();
    suite(&place);
    let ran = run(&place, 1);
    let mut shown = place.assay(&["status", ran["run"]["id"].as_str().unwrap(), "--json"]).expect(0).json();
    let recorded = shown.as_object_mut().unwrap().remove("recorded").unwrap();
    assert_eq!(recorded[0]["outcome"], ran["verdict"]["outcome"]);
    assert_eq!(shown, ran);
    assert_eq!(ran["cost_usd"], Value::Null, "nobody knows what it cost");
    let listed = place.assay(&["status", "--json"]).expect(0).json();
    assert_eq!((&listed[0]["run"], &listed[0]["counts"]), (&ran["run"], &ran["counts"]));
}

/// Against a coordinator it is done as on its store: by who may release, with a row of the audit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_does_it_for_who_may_release() {
    let place = Workplace::default();
    suite(&place);
    run(&place, 1);
    let api = Api::start(&StoreUrl::Sqlite(place.path().join(".assay/assay.db")), "").await;
    let reader = api.token("reader", &[Scope::Read]).await;
    let releaser = api.token("releaser", &[Scope::Read, Scope::Release]).await;
    let asks = |token: &str, arguments: &[&str]| {
        place.assay(&[arguments, &["--server", &api.base, "--token", token]].concat())
    };
    let add = |case| ["quarantine", "add", case, "--owner", "ann", "--reason", "two answers are right"];
    assert!(asks(&reader, &add("wavers")).expect(2).stderr.contains("lacks the scope `release`"));
    assert!(asks(&releaser, &add("c1")).expect(2).stderr.contains("not flaky on `c1`"));
    assert!(asks(&releaser, &add("c99")).expect(2).stderr.contains("has no case `c99`"));
    let added = asks(&releaser, &add("wavers")).expect(0);
    assert!(added.stderr.contains("5 of 10 repeats of the baseline passed"), "{}", added.stderr);
    assert!(asks(&releaser, &add("wavers")).expect(2).stderr.contains("already"));
    let list = ["quarantine", "list", "--json"];
    assert_eq!(asks(&reader, &list).expect(0).json(), place.assay(&list).expect(0).json());
    assert_eq!(asks(&reader, &["quarantine", "list", "--suite", "t", "--json"]).expect(0).json(), json!([]));
    asks(&releaser, &["quarantine", "remove", "c1"]).expect(2);
    asks(&releaser, &["quarantine", "remove", "wavers"]).expect(0);
    let listed = asks(&reader, &["quarantine", "list", "--all", "--json"]).expect(0).json();
    assert!(listed[0]["removed_at"].is_string(), "{listed}");
    let audit = api.store.audit(None, 100).await.unwrap();
    let told = audit.iter().filter(|row| row.action.starts_with("quarantine."));
    let told: Vec<_> = told.map(|row| (&*row.actor, &*row.action, &*row.subject)).collect();
    let by = |action| ("releaser", action, "wavers");
    assert_eq!(told, [by("quarantine.remove"), by("quarantine.add")]);
}
