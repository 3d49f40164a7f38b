//! SQLite beside those who read for long and those who copy it.

use std::path::Path;

use sqlx::Executor as _;
use sqlx::sqlite::SqliteConnection;

use super::Pools;

const MIB: u64 = 1 << 20;

/// Writes so many MiB, a transaction for each.
async fn write(pools: &Pools, mib: u64) {
    let Pools::Sqlite { writer, .. } = pools else { unreachable!("a file") };
    for _ in 0..mib {
        let mut turn = writer.ready().await.unwrap();
        let mut transaction = turn.begin().await.unwrap();
        let bytes = "INSERT INTO written (bytes) VALUES (randomblob(1048576))";
        transaction.execute(bytes).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn count(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM written").fetch_one(connection).await.unwrap()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Nobody is told that the database is locked: not who reads, not who writes, not another process, not a backup. The log
/// grows as long as somebody reads, and no longer.
#[tokio::test]
async fn row_18_a_long_reader_and_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let log = folder.path().join("assay.db-wal");
    let (pools, other) = (Pools::sqlite(&path, true), Pools::sqlite(&path, false));
    let Pools::Sqlite { writer, readers, .. } = &pools else { unreachable!("a file") };
    let made = "CREATE TABLE written (bytes BYTEA)";
    writer.ready().await.unwrap().connection().execute(made).await.unwrap();
    write(&pools, 2).await;

    let mut reader = readers.acquire().await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    assert_eq!(count(&mut reader).await, 2);
    let copy = folder.path().join("copy.db");
    let backup = format!("VACUUM INTO '{}'", copy.display());
    let backing_up = async {
        let Pools::Sqlite { writer, .. } = &other else { unreachable!("a file") };
        let mut turn = writer.ready().await.unwrap();
        turn.connection().execute(sqlx::AssertSqlSafe(backup)).await.unwrap();
    };
    tokio::join!(write(&pools, 40), backing_up);
    tokio::join!(write(&pools, 8), write(&other, 8));
    assert_eq!(count(&mut reader).await, 2, "it reads what was there when it began");
    assert!(size(&log) > 40 * MIB, "{}", size(&log));
    assert!(size(&copy) > MIB);

    reader.execute("COMMIT").await.unwrap();
    assert_eq!(count(&mut reader).await, 58);
    drop(reader);
    write(&pools, 20).await;
    assert!(size(&log) < 34 * MIB, "{} MiB are left of the log", size(&log) / MIB);
    pools.close().await;
    other.close().await;
}
