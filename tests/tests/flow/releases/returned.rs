//! A version that comes back while the model is broken, and a schedule that comes back with another suite: neither ends an
//! incident. What was swept without a coordinator counts at once.

use assay_store::{Schema, Store, StoreUrl};
use assay_tests::assay::{Ran, Workplace};
use fake_provider::{Answer, FakeProvider, Script};
use serde_json::Value;

use super::sweeps::{suite, wrong_about};

/// A folder with two versions of `sum`, the second live, and the schedule `nightly`.
struct Swept {
    place: Workplace,
    provider: FakeProvider,
}

impl Swept {
    async fn start() -> Self {
        let provider = FakeProvider::start(wrong_about(&[])).await.unwrap();
        let place = Workplace::default();
        place.provider(provider.base_url(), "");
        let swept = Self { place, provider };
        for (text, version) in [("{{ a }} + 1", "sum@1"), ("Say {{ a }} + 1", "sum@2")] {
            suite(&swept.place, text);
            if version == "sum@1" {
                // Nothing is live that it could be compared with.
                let written = std::fs::read_to_string(swept.place.path().join("suite.yaml")).unwrap();
                swept
                    .place
                    .write("suite.yaml", written.replace("    - {metric: pass_rate, max_drop: 0.1}\n", ""));
            }
            swept.asks(&["run", "suite.yaml"], 0);
            swept.asks(&["prompt", "promote", version, "--channel", "production"], 0);
        }
        swept.schedule();
        swept.sweeps(&["clean"]);
        swept
    }

    fn asks(&self, arguments: &[&str], code: i32) -> Ran {
        tokio::task::block_in_place(|| self.place.assay(arguments)).expect(code)
    }

    fn schedule(&self) {
        let add = ["schedule", "add", "suite.yaml", "--channel", "production", "--cron", "0 3 * * *"];
        self.asks(&[&add[..], &["--name", "nightly", "--clean-sweeps", "2"]].concat(), 0);
    }

    /// Sweeps, and finds this.
    #[track_caller]
    fn sweeps(&self, expected: &[&str]) {
        let code = i32::from(expected.contains(&"worse"));
        let sweeps = self.asks(&["schedule", "run-now", "nightly", "--json"], code).json();
        let sweeps = sweeps.as_array().unwrap().iter();
        let found: Vec<_> = sweeps.map(|sweep| sweep["looks"][0]["outcome"].as_str().unwrap()).collect();
        assert_eq!(found, expected);
    }

    fn breaks(&self) {
        self.provider.set_script(Script::answering(Answer::Fixed("no".to_owned())));
    }

    fn states(&self) -> Vec<String> {
        let incidents = self.asks(&["incident", "list", "--all", "--json"], 0).json();
        let state = |incident: &Value| incident["state"].as_str().unwrap().to_owned();
        incidents.as_array().unwrap().iter().map(state).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_of_a_broken_model_is_not_believed() {
    let swept = Swept::start().await;
    swept.breaks();
    swept.sweeps(&["worse"]);
    let back = ["prompt", "rollback", "sum", "--channel", "production", "--reason", "it got worse"];
    swept.asks(&back, 0);
    // Version 1 was never swept: its baseline is measured now, on what is broken.
    for _ in 0..3 {
        swept.sweeps(&["worse"]);
    }
    assert!(swept.states().iter().all(|state| state != "resolved"), "{:?}", swept.states());
    // As good as when it was promoted: measured anew, and as good as that.
    swept.provider.set_script(wrong_about(&[]));
    swept.sweeps(&["clean"]);
    swept.sweeps(&["clean"]);
    assert_eq!(swept.states(), ["resolved", "resolved"]);
    let shown = swept.asks(&["schedule", "show", "nightly", "--json"], 0).json();
    assert_eq!(shown["sweeps"][0]["looks"][0]["frozen"], true, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_with_another_suite_resolves_nothing_of_the_one_before() {
    let swept = Swept::start().await;
    swept.breaks();
    swept.sweeps(&["worse"]);
    swept.asks(&["schedule", "remove", "nightly"], 0);
    // Under its name, with fewer cases.
    swept.provider.set_script(wrong_about(&[]));
    let rows: String =
        (0..30).map(|n| format!("{{\"id\": \"c{n}\", \"a\": {n}, \"sum\": {}}}\n", n + 1)).collect();
    swept.place.write("cases.jsonl", rows);
    swept.schedule();
    swept.sweeps(&["clean"]);
    swept.sweeps(&["clean"]);
    assert_eq!(swept.states(), ["open"]);
}

/// Two runs, a baseline and a sweep: nobody leads, and the review knows them all.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_swept_on_a_store_is_in_the_review() {
    let swept = Swept::start().await;
    let review = swept.asks(&["review", "--week", "--json"], 0).json();
    assert_eq!(review["spend"]["runs"], 4, "{review}");

    // Somebody else answers for the prompt, and the audit says since when.
    let text = std::fs::read_to_string(swept.place.path().join("suite.yaml")).unwrap();
    swept.place.write("suite.yaml", text.replace("ann@", "bob@").replace("Say", "Tell"));
    swept.asks(&["run", "suite.yaml"], 0);
    let store = Store::open(&StoreUrl::Sqlite(swept.place.path().join(".assay/assay.db")), Schema::Require)
        .await
        .unwrap();
    let audit = store.audit(None, 100).await.unwrap();
    let owned: Vec<_> = audit.iter().filter(|row| row.action == "prompt.owner").collect();
    assert_eq!(owned.len(), 1);
    let detail = &owned[0].detail;
    assert_eq!((&detail["owner"], &detail["before"]), (&"bob@example.com".into(), &"ann@example.com".into()));
    store.close().await;
}
