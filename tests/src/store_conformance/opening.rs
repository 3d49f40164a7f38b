//! Opening: what is made, what is demanded, and that every statement is one the database understands.

use assay_common::clock::Micros;
use assay_store::{AccountProblem, Schema, Store, StoreError, StoreUrl};

use super::fixture::{NOW, open};

/// A reader makes nothing: it says what to do instead.
pub async fn require_names_the_remedy(place: StoreUrl) {
    let error = Store::open(&place, Schema::Require).await.unwrap_err();
    match place {
        StoreUrl::Sqlite(path) => {
            assert!(matches!(&error, StoreError::NoStore { path: named } if *named == path), "{error}");
            assert!(!path.exists());
            // An empty file is a database without a schema.
            std::fs::write(&path, "").unwrap();
            let error = Store::open(&StoreUrl::Sqlite(path), Schema::Require).await.unwrap_err();
            assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error}");
            assert!(error.to_string().contains("assay migrate --store sqlite:"), "{error}");
        }
        StoreUrl::Postgres(_) => {
            assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error}");
            assert!(error.to_string().contains("assay migrate --store postgres"), "{error}");
        }
    }
}

/// Migrating twice changes nothing, and what one handle wrote another reads.
pub async fn migrates_once_and_is_shared(place: StoreUrl) {
    let first = open(&place).await;
    let problem = AccountProblem { kind: "quota".into(), detail: "empty".into(), since: NOW };
    first.report_account("a".into(), Some(problem.clone()), NOW).await.unwrap();
    let second = open(&place).await;
    let reader = Store::open(&place, Schema::Require).await.unwrap();
    for store in [&second, &reader] {
        assert_eq!(store.account_problems().await.unwrap(), [("a".to_owned(), problem.clone())]);
    }
    for store in [first, second, reader] {
        store.close().await;
    }
}

/// Every statement can be prepared.
pub async fn prepares_every_statement(place: StoreUrl) {
    let store = open(&place).await;
    assert!(store.prepare_all().await.unwrap() > 30);
}

/// An account's problem is replaced by the next report and cleared by a good one.
pub async fn accounts_have_one_problem_at_a_time(place: StoreUrl) {
    let store = open(&place).await;
    let problem = |kind: &str, since| AccountProblem {
        kind: kind.to_owned(),
        detail: "what it said".to_owned(),
        since: Micros(since),
    };
    let report = async |account: &str, problem| {
        store.report_account(account.to_owned(), problem, NOW).await.unwrap();
    };
    report("b", Some(problem("quota", 1))).await;
    report("a", Some(problem("unauthorized", 2))).await;
    report("b", Some(problem("billing", 3))).await;
    let expected = [("a".to_owned(), problem("unauthorized", 2)), ("b".to_owned(), problem("billing", 3))];
    assert_eq!(store.account_problems().await.unwrap(), expected);
    // A provider's words may hold what no TEXT of PostgreSQL does.
    let odd = AccountProblem { detail: "a\0b".to_owned(), ..problem("quota", 4) };
    report("a", Some(odd)).await;
    report("b", None).await;
    let left = store.account_problems().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.detail, "a\u{fffd}b");
}
