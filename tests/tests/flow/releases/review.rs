//! What it came to, as of any moment, with ranges and risks.

use assay_store::{Scope, StoreUrl};
use assay_tests::api::Api;
use assay_tests::places::on_sqlite;
use serde_json::{Value, json};

use super::{Team, says};

/// Version 1 is released, 3 is overridden and rolled back; somebody opens incidents, sets ranges and takes a risk.
#[test]
fn a_month_is_told_as_of_any_moment() {
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.ann(&["prompt", "promote", "support@1", "--channel", "production"]).expect(0);
    team.judges(3, Some(1), 1);
    let over = ["prompt", "promote", "support@2", "--channel", "production", "--override", "--reason", "now"];
    team.asks("eve", &over).expect(0);
    team.ann(&["incident", "open", "support", "--channel", "production", "--reason", "=German is rude"])
        .expect(0);
    team.ann(&["prompt", "rehearse", "support", "--channel", "production"]).expect(0);
    team.ann(&["prompt", "rollback", "support", "--channel", "production", "--reason", "German"]).expect(0);
    team.ann(&["incident", "open", "support", "--channel", "production", "--reason", "still rude"]).expect(0);
    let range = ["range", "set", "rollback_rate", "--max", "0.2", "--prompt", "support"];
    says(&team.ann(&range).expect(0).stdout, &["at most 0.2", "outside"]);
    team.ann(&["range", "set", "pass_rate", "--min", "0.5", "--owner", "ann@example.com"]).expect(0);
    says(
        &team.ann(&["range", "list"]).expect(1).stdout,
        &["1 of 2 signals are outside", "OUTSIDE", "inside"],
    );
    let risk = [
        "risk",
        "add",
        "Dutch is untested",
        "--owner",
        "bob",
        "--deadline",
        "2099-01-31",
        "--prompt",
        "support",
    ];
    says(&team.ann(&risk).expect(0).stdout, &["risk 1 is open", "2099-01-31T23:59:59.999Z"]);
    says(
        &team.ann(&["risk", "add", "", "--owner", "bob", "--deadline", "2099-01-31"]).expect(2).stderr,
        &["a title says"],
    );

    let review = team.ann(&["review", "--month", "--json"]).expect(0).json();
    let counts = |review: &Value| {
        let count = |kind: &str| {
            review["releases"].as_array().unwrap().iter().filter(|release| release["kind"] == kind).count()
        };
        [count("promotion"), count("override"), count("rollback")]
    };
    assert_eq!(counts(&review), [1, 1, 1], "rehearsals are nobody's release");
    assert_eq!(review["verdicts"], json!({"pass": 1, "fail": 1, "inconclusive": 0}));
    let signals = &review["signals"];
    assert_eq!((&signals["regression_incidents"], &signals["rollback_rate"]), (&json!(2), &json!(0.5)));
    // 320 of 400, then 320 and 228 + 152 * 2 / 5 … each version on 400 cases.
    assert_eq!(signals["cases"], 1_200);
    let points = review["prompts"][0]["points"].as_array().unwrap();
    let mean = points.iter().map(|point| point["pass_rate"].as_f64().unwrap()).sum::<f64>() / 3.0;
    assert!((signals["pass_rate"].as_f64().unwrap() - mean).abs() < 1e-12, "{signals}");
    assert_eq!(
        (review["incidents_opened"].as_u64(), review["incidents"].as_array().unwrap().len()),
        (Some(3), 3)
    );
    assert_eq!(review["risks"][0]["owner"], "bob");
    assert_eq!((&review["spend"]["runs"], &review["spend"]["jobs"]), (&json!(2), &json!(1_200)));
    let text = team.ann(&["review", "--week"]).expect(0).stdout;
    says(
        &text,
        &[
            "1 promoted, 1 overridden, 1 rolled back",
            "3 opened, 0 closed, 3 open",
            "Dutch is untested",
            "OUTSIDE",
        ],
    );

    // Of the month before nothing is told, whatever has happened since; what has not begun is not told of.
    let before = review["period"]["from"].as_str().unwrap();
    let past = team.ann(&["review", "--month", "--at", "2020-02-10", "--json"]).expect(0).json();
    assert_eq!((counts(&past), past["risks"].as_array().unwrap().len()), ([0, 0, 0], 0));
    assert_eq!(past["period"]["from"], "2020-02-01T00:00:00.000Z", "{before}");
    says(&team.ann(&["review", "--week", "--at", "2999-01-01"]).expect(2).stderr, &["has not begun"]);
    says(&team.ann(&["review", "--week", "--at", "soon"]).expect(2).stderr, &["no moment"]);

    team.ann(&["risk", "close", "1", "--outcome", "tested"]).expect(0);
    says(
        &team.ann(&["risk", "close", "1", "--outcome", "tested"]).expect(2).stderr,
        &["closed already, by ann"],
    );
    says(&team.ann(&["risk", "list", "--all"]).expect(0).stdout, &["closed", "tested"]);
    team.ann(&["range", "remove", "rollback_rate", "--prompt", "support"]).expect(0);
    says(
        &team.ann(&["range", "remove", "rollback_rate", "--prompt", "support"]).expect(2).stderr,
        &["no range"],
    );
    says(&team.ann(&["range", "set", "pass_rate", "--min", "2"]).expect(2).stderr, &["at most 1"]);
    says(
        &team.ann(&["range", "set", "pass_rate", "--min", "0", "--prompt", "suport"]).expect(2).stderr,
        &["`support`"],
    );
    let past_deadline = ["risk", "add", "x", "--owner", "bob", "--deadline", "2020-01-01"];
    says(&team.ann(&past_deadline).expect(2).stderr, &["has passed"]);
}

/// The same through a coordinator, with the signals as Prometheus reads them.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_is_asked_for_it() {
    on_sqlite(|store| async move {
        let api = Api::start(&store, "").await;
        let StoreUrl::Sqlite(path) = &store else { unreachable!("a file") };
        let team = Team::new(&["--store", &format!("sqlite:{}", path.display())]);
        let token = api.token("ann", &[Scope::Read, Scope::Release]).await;
        let reader = api.token("reader", &[Scope::Read]).await;
        let asks = |arguments: &[&str], code: i32| {
            let mut command = team.place.command(arguments);
            let output = command.args(["--server", &api.base, "--token", &token]).output().unwrap();
            assay_tests::assay::Ran::from(output).expect(code)
        };
        tokio::task::block_in_place(|| {
            team.judges(1, None, 0);
            asks(&["prompt", "promote", "support@1", "--channel", "production"], 0);
            asks(&["range", "set", "pass_rate", "--min", "0.9", "--window", "7d"], 0);
            says(&asks(&["range", "list"], 1).stdout, &["at least 0.9", "80.0 %", "OUTSIDE"]);
            asks(&["risk", "add", "x", "--owner", "bob", "--deadline", "2099-01-01"], 0);
            says(&asks(&["review", "--month"], 0).stdout, &["1 promoted", "support@1", "80.0 %"]);
            asks(&["risk", "close", "1", "--outcome", "y"], 0);
            says(&asks(&["risk", "list"], 0).stdout, &["0 open"]);
            says(&asks(&["notify", "list"], 0).stdout, &["nothing is on its way"]);
        });
        let metrics = api.get("/metrics", &reader).await.expect(200);
        says(
            &metrics.text,
            &[
                "assay_eval_pass_rate{of=\"prompt\",name=\"support\"} 0.8\n",
                "assay_rollback_rate{of=\"all\",name=\"\"} 0\n",
                "assay_regression_incidents{of=\"all\",name=\"\"} 0\n",
                "assay_signal_outside{signal=\"pass_rate\",of=\"all\",name=\"\"} 1\n",
            ],
        );
        api.get("/v1/signals?days=0", &reader).await.expect(400);
        let signals = api.get("/v1/signals", &reader).await.expect(200).json();
        assert_eq!(
            (&signals["items"][1]["name"], &signals["items"][1]["releases"]),
            (&json!("support"), &json!(1))
        );
        api.post("/v1/risks", &reader, &json!({"title": "x", "owner": "b", "deadline": "2099-01-01"}))
            .await
            .expect(403);
        tokio::task::block_in_place(|| asks(&["range", "remove", "pass_rate"], 0));
        let audit = api.store.audit(None, 50).await.unwrap();
        let told: Vec<_> = audit
            .iter()
            .rev()
            .map(|row| row.action.as_str())
            .filter(|action| !action.starts_with("token"))
            .collect();
        assert_eq!(
            told,
            [
                "release.promotion",
                "range.set",
                "risk.add",
                "risk.close",
                "refused POST /v1/risks",
                "range.remove"
            ]
        );
    })
    .await;
}
