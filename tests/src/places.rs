//! Where a store can be: a file, or a database of its own on the PostgreSQL of the tests.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::future::Future;

use assay_store::{StoreUrl, create_database, drop_database};

/// Said by the tests on PostgreSQL, which are never left out in silence.
const NO_SERVER: &str =
    "ASSAY_TEST_POSTGRES has to name a PostgreSQL server; run the tests with ./test.sh, which starts one";

/// Runs `check` on a file that is not there yet.
pub async fn on_sqlite<F: Future<Output = ()>>(check: impl FnOnce(StoreUrl) -> F) {
    let folder = tempfile::tempdir().unwrap();
    check(StoreUrl::Sqlite(folder.path().join("assay.db"))).await;
}

/// Runs `check` on an empty database of its own. One that fails leaves its database to look at.
pub async fn on_postgres<F: Future<Output = ()>>(check: impl FnOnce(StoreUrl) -> F) {
    let server = std::env::var("ASSAY_TEST_POSTGRES").expect(NO_SERVER);
    let server: StoreUrl = server.parse().unwrap();
    let name = format!("assay_test_{}", uuid::Uuid::now_v7().simple());
    let place = create_database(&server, &name).await.unwrap();
    check(place).await;
    drop_database(&server, &name).await.unwrap();
}
