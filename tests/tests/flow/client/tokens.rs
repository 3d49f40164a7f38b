//! `assay token`.

use assay_tests::assay::Workplace;

use super::Scene;

/// A token is shown once, listed without itself, and refused once revoked; it stands in no file of the store.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked() {
    let mut scene = Scene::new().await;
    let store = format!("sqlite:{}", scene.place.path().join("shared.db").display());
    let on = |arguments: &[&str]| -> Vec<String> {
        arguments.iter().copied().chain(["--store", &store]).map(str::to_owned).collect()
    };
    let assay = async |scene: &Scene, arguments: &[&str]| {
        let arguments = on(arguments);
        scene.assay(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let create = ["token", "create", "bob", "--scopes", "submit,read", "--expires", "90d"];
    let made = assay(&scene, &create).await.expect(0);
    let secret = made.stdout.strip_suffix('\n').unwrap().to_owned();
    assert_eq!((secret.len(), secret.lines().count()), (70, 1));
    assert!(!made.stderr.contains(&secret) && made.stderr.contains("`bob`"), "{}", made.stderr);
    let twice = assay(&scene, &create).await.expect(2);
    assert!(twice.stdout.is_empty() && twice.stderr.contains("choose another"), "{}", twice.stderr);
    scene.token = secret.clone();
    scene.assay(&["status"]).await.expect(0);
    let list = assay(&scene, &["token", "list"]).await.expect(0).stdout;
    assert!(list.contains("bob") && list.contains("read,submit") && !list.contains(&secret), "{list}");
    let list = assay(&scene, &["token", "list", "--json"]).await.expect(0).json();
    assert_eq!((&list[1]["name"], &list[1]["revoked_at"]), (&"bob".into(), &serde_json::Value::Null));
    assay(&scene, &["token", "revoke", "bob"]).await.expect(0);
    let refused = scene.assay(&["status"]).await.expect(2);
    assert!(refused.stderr.contains("`bob` was revoked"), "{}", refused.stderr);
    assay(&scene, &["token", "revoke", "bob"]).await.expect(2);
    for wrong in
        [&["token", "create", "a\nb", "--scopes", "read"][..], &["token", "create", "x", "--scopes", "root"]]
    {
        assay(&scene, wrong).await.expect(2);
    }
    assay(&scene, &["token", "create", "x"]).await.expect(2);
    for expires in ["0s", "999ms", "3651d", "99999999999d"] {
        let create = ["token", "create", "x", "--scopes", "read", "--expires", expires];
        let refused = assay(&scene, &create).await.expect(2);
        assert!(refused.stdout.is_empty() && refused.stderr.contains("3650d"), "{}", refused.stderr);
    }
    for file in ["shared.db", "shared.db-wal"] {
        let bytes = std::fs::read(scene.place.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

/// `token create` makes the store where there is none; the other two do not.
#[test]
fn only_creating_a_token_makes_a_store() {
    let place = Workplace::default();
    for arguments in [&["token", "list"][..], &["token", "revoke", "x"]] {
        place.assay(arguments).expect(4);
        assert!(!place.path().join(".assay").exists());
    }
    place.assay(&["token", "create", "x", "--scopes", "read"]).expect(0);
    assert!(place.path().join(".assay/assay.db").exists());
}
