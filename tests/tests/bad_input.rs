//! Bad input: a clear error with its place, exit 2, nothing on stdout, nothing stored, nothing called.

use assay_tests::assay::Workplace;
use fake_provider::{FakeProvider, Script};

/// Every way to be wrong that reaches the command line; the suite's own diagnostics are tables beside its loader.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_before_anything_happens() {
    let provider = FakeProvider::start(Script::default()).await.unwrap();
    let check = |change: &dyn Fn(&Workplace), arguments: &[&str], parts: &[&str]| {
        let place = Workplace::default();
        place.provider(provider.base_url(), "").sums(3, "");
        change(&place);
        let ran = place.assay(arguments).expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
        assert!(!place.path().join(".assay").exists(), "something was stored for {arguments:?}");
    };
    let nothing = |_: &Workplace| {};
    let run: &[&str] = &["run", "suite.yaml", "--json"];
    let append = |line: &'static str| {
        move |place: &Workplace| {
            let path = place.path().join("suite.yaml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, format!("{text}{line}\n")).unwrap();
        }
    };
    check(&nothing, &["run", "missing.yaml", "--json"], &["missing.yaml"]);
    check(&nothing, &["run"], &["SUITE"]);
    check(&nothing, &["run", "suite.yaml", "--jsn"], &["--json"]);
    check(&nothing, &["run", "suite.yaml", "--patience", "soon"], &["length of time"]);
    check(&nothing, &["run", "suite.yaml", "--store", "mysql://x"], &["mysql", "sqlite:"]);
    check(&nothing, &["run", "suite.yaml", "--queue", "amqp://x"], &["--queue"]);
    check(&nothing, &["run", "suite.yaml", "--log", "=,="], &["--log"]);
    check(&append("scores: []"), run, &["suite.yaml:", "scores", "did you mean `score`"]);
    check(&append("repeats: [1"), run, &["suite.yaml:"]);
    check(&append("gate: {rules: [{metric: pass_rate, max_drop: 0.1}]}"), run, &["suite.yaml:", "baseline"]);
    check(&|place| _ = place.write("cases.jsonl", ""), run, &["cases.jsonl"]);
    check(
        &|place| _ = place.write("cases.jsonl", "{\"id\": 1, \"a\": 1, \"sum\": 2}\n{oops\n"),
        run,
        &["cases.jsonl:2"],
    );
    check(
        &|place| _ = place.write("assay.toml", "[providers.fake]\nkind = \"opnai\"\n"),
        run,
        &["assay.toml", "line 2"],
    );
    check(&|place| _ = place.write("assay.toml", ""), run, &["fake", "provider"]);
    check(
        &|place| {
            let toml = "[providers.fake]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key_env = \"NO_SUCH_KEY\"\n";
            place.write("assay.toml", toml);
        },
        run,
        &["NO_SUCH_KEY", "fake"],
    );
    assert_eq!(provider.bill().totals().calls, 0);
}

#[test]
fn readers_never_create_a_store() {
    let place = Workplace::default();
    for arguments in [&["status"][..], &["results"], &["status", "--store", "sqlite:other.db"]] {
        let ran = place.assay(arguments).expect(4);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(".db"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_store_that_cannot_be_reached_is_named_without_its_password() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n",
    );
    let url = "postgres://assay:hunter2@127.0.0.1:1/assay";
    let ran = place.assay(&["run", "suite.yaml", "--json", "--store", url]).expect(4);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let ran = place.assay(&["run", "suite.yaml", "--json", "--store", "sqlite:suite.yaml/x.db"]).expect(4);
    assert!(ran.stderr.contains("suite.yaml"), "{}", ran.stderr);
}

#[test]
fn an_unknown_run_is_said_so() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n",
    );
    place.assay(&["run", "suite.yaml"]).expect(0);
    let ran = place.assay(&["results", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"]).expect(2);
    assert!(ran.stderr.contains("0190a1b2"), "{}", ran.stderr);
    place.assay(&["status", "not-an-id"]).expect(2);
}
