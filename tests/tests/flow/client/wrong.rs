//! Whatever can be wrong between a person and a coordinator.

use assay_store::Scope;

use super::Scene;

/// What is wrong with a coordinator's place, a token or a suite is said with what to do; the code says whose turn it is.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_says_what_where_and_what_to_do() {
    let scene = Scene::new().await;
    scene.suite(3, "");
    let reader = scene.api.token("reader", &[Scope::Read]).await;
    let submitter = scene.api.token("submitter", &[Scope::Submit]).await;
    // Bound and not listening any more: connections are refused.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let beneath = format!("{}/elsewhere", scene.api.base);
    let unknown = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let check = async |arguments: &[&str], code: i32, parts: &[&str]| {
        let ran = scene.assay(arguments).await.expect(code);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
        assert!(!ran.stderr.contains(&scene.token) && !ran.stderr.contains(&reader), "{}", ran.stderr);
    };
    let submit = ["submit", "suite.yaml"];
    let with = |more: &[&'static str]| [&submit[..], more].concat();
    check(&[&submit[..], &["--server", &nowhere]].concat(), 4, &[&nowhere, "refused", "--server"]).await;
    check(&["status", unknown, "--server", &nowhere], 4, &[&nowhere]).await;
    check(&["watch", unknown, "--server", &nowhere, "--patience", "1s"], 4, &[&nowhere, "trying again"])
        .await;
    check(&[&submit[..], &["--server", &beneath]].concat(), 2, &["no such route"]).await;
    check(&with(&["--server", "localhost:8080"]), 2, &["http"]).await;
    check(&with(&["--server", "http://u:hunter2@h"]), 2, &["ASSAY_TOKEN"]).await;
    check(&with(&["--server", ""]), 2, &["ASSAY_SERVER"]).await;
    check(&with(&["--token", ""]), 2, &["ASSAY_TOKEN", "assay token create"]).await;
    check(&with(&["--token", "assay_wrong"]), 2, &["401", "nobody has this token", "whole token"]).await;
    check(&[&submit[..], &["--token", &reader]].concat(), 2, &["403", "`submit`", "--scopes submit"]).await;
    check(
        &[&submit[..], &["--wait", "--token", &submitter]].concat(),
        2,
        &["403", "`read`", "--scopes read"],
    )
    .await;
    check(&["cancel", unknown], 2, &["404", unknown]).await;
    check(&["results", unknown], 2, &["404", unknown]).await;
    check(&["status", "--store", "sqlite:x.db", "--server", &nowhere], 2, &["keep the one"]).await;
    check(&with(&["--patience", "soon"]), 2, &["length of time"]).await;
    check(&["submit", "missing.yaml"], 2, &["missing.yaml"]).await;
    scene.suite(3, "scores: []");
    check(&submit, 2, &["suite.yaml:", "did you mean `score`"]).await;
    scene.suite(3, "");
    scene.place.write("cases.jsonl", "{\"id\": \"a\", \"say\": 1, \"want\": 1}\n{oops\n");
    check(&submit, 2, &["cases.jsonl:2"]).await;
    // What only the coordinator knows.
    scene.suite(3, "budget_usd: 1");
    let suite = std::fs::read_to_string(scene.place.path().join("suite.yaml")).unwrap();
    scene.place.write("suite.yaml", suite.replace("fake/e", "fkae/e"));
    check(
        &submit,
        2,
        &["models[0]: unknown provider `fkae`", "did you mean `fake`", "coordinator's assay.toml"],
    )
    .await;
    assert_eq!(scene.api.store.runs(None, 1).await.unwrap(), []);
}
