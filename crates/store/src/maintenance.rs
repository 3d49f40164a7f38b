//! Around a store rather than in it: making and dropping a PostgreSQL database, and a check of every statement.

use sqlx::postgres::PgConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlSafeStr, SqlStr,
};

use crate::bulk::Bulk;
use crate::error::StoreError;
use crate::open::{Store, postgres_options};
use crate::pools::{Dialect, Speaks as _, reading};
use crate::url::StoreUrl;

/// Makes an empty PostgreSQL database called `name` on the server of `url`, and says where it is.
///
/// # Errors
/// [`StoreError::Url`] when `url` is no server's or `name` has other characters than `a-z`, `0-9` and `_`.
pub async fn create_database(url: &StoreUrl, name: &str) -> Result<StoreUrl, StoreError> {
    let options = administer(url, name, "CREATE DATABASE").await?;
    Ok(StoreUrl::Postgres(options.database(name).to_url_lossy().to_string()))
}

/// Drops the PostgreSQL database called `name` on the server of `url`, with all it holds.
///
/// # Errors
/// As [`create_database`].
pub async fn drop_database(url: &StoreUrl, name: &str) -> Result<(), StoreError> {
    administer(url, name, "DROP DATABASE").await.map(|_| ())
}

async fn administer(url: &StoreUrl, name: &str, command: &str) -> Result<PgConnectOptions, StoreError> {
    let StoreUrl::Postgres(text) = url else {
        return Err(StoreError::Url(format!("{url} is a file: it has no databases to make")));
    };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(StoreError::Url(format!("`{name}` is no name for a database; use a-z, 0-9 and _")));
    }
    let unreachable = |source| StoreError::Unreachable { url: url.to_string(), source };
    let options = postgres_options(text).map_err(unreachable)?;
    let mut connection: PgConnection = options.connect().await.map_err(unreachable)?;
    // A name cannot be a parameter; what it may hold was checked above.
    connection.execute(AssertSqlSafe(format!("{command} {name}")).into_sql_str()).await?;
    connection.close().await.map_err(unreachable)?;
    Ok(options)
}

/// Every statement of this crate for a fixed number of rows. Those with locks stand here once for each database.
const STATEMENTS: &[&[&str]] = &[
    crate::account::SQL,
    crate::attempt::SQL,
    crate::audit::SQL,
    crate::baseline::SQL,
    crate::cancel::SQL,
    crate::channel::SQL,
    crate::claim::SQL,
    crate::dataset::SQL,
    crate::due::SQL,
    crate::event::SQL,
    crate::expand::SQL,
    crate::finish::SQL,
    crate::history::SQL,
    crate::incident::SQL,
    crate::leader::SQL,
    crate::lease::SQL,
    crate::limit::SQL,
    crate::member::SQL,
    &[crate::open::OLDEST],
    crate::outbox::PRUNE_SQL,
    crate::outbox::SQL,
    crate::packed::SQL,
    crate::period::SQL,
    crate::pool::SQL,
    crate::prune::SQL,
    crate::quarantine::SQL,
    crate::range::SQL,
    crate::recording::SQL,
    crate::redrive::SQL,
    crate::registry::SQL,
    crate::reserve::SQL,
    crate::response::SQL,
    crate::result::SQL,
    crate::resume::SQL,
    crate::revision::SQL,
    crate::risk::SQL,
    crate::run::SQL,
    crate::run_end::SQL,
    crate::schedule::SQL,
    crate::settle::SQL,
    crate::spending::SQL,
    crate::standing::SQL,
    crate::steer::SQL,
    crate::submission::SQL,
    crate::suspect::SQL,
    crate::sweep::SQL,
    crate::token::SQL,
    crate::trials::SQL,
    crate::verdict::SQL,
];

/// What PostgreSQL alone is asked.
const POSTGRES_STATEMENTS: &[&[&str]] = &[crate::leader::POSTGRES_SQL, crate::lease::POSTGRES_SQL];

/// Every other statement.
static BULKS: &[&[&Bulk]] = &[
    crate::claim::BULKS,
    crate::dataset::BULKS,
    crate::expand::BULKS,
    crate::lease::BULKS,
    crate::recording::BULKS,
    crate::release::BULKS,
    crate::reserve::BULKS,
    crate::response::BULKS,
    crate::result::BULKS,
    crate::settle::BULKS,
    crate::trials::BULKS,
];

impl Store {
    /// Has the database prepare every statement, and returns how many those are: the price of SQL that no compiler
    /// checks. On PostgreSQL those over lists of rows are left out, because a list's types come with its values.
    pub async fn prepare_all(&self) -> Result<usize, StoreError> {
        reading!(self, |conn| {
            let statements = statements(conn.dialect());
            for statement in &statements {
                (&mut *conn).prepare(statement.clone()).await?;
            }
            Ok(statements.len())
        })
    }
}

fn statements(dialect: Dialect) -> Vec<SqlStr> {
    let single = STATEMENTS.iter().copied().flatten().copied().map(SqlSafeStr::into_sql_str);
    let bulk = BULKS.iter().copied().flatten().map(|bulk| bulk.for_one_row(dialect).into_sql_str());
    match dialect {
        // Row locks are PostgreSQL's.
        Dialect::Sqlite => single.filter(|text| !text.as_str().contains(" FOR ")).chain(bulk).collect(),
        Dialect::Postgres => {
            let own = POSTGRES_STATEMENTS.iter().copied().flatten().copied().map(SqlSafeStr::into_sql_str);
            single.chain(own).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqliteConnection;

    use super::*;

    /// A statement that reads a whole table of these is slow in a store of years.
    const GROWING: [&str; 5] = ["cases", "recording_lines", "jobs", "results", "calls"];

    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::open::MIGRATOR.run(&mut connection).await.unwrap();
        for statement in statements(Dialect::Sqlite) {
            let statement = statement.as_str();
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
            for (_, _, _, step) in steps {
                let read = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
                assert!(!read.is_some_and(|table| GROWING.contains(&table)), "{step}: {statement}");
            }
        }
    }

    /// Where the statistics are old, PostgreSQL may run such a sub-query again for every row of the table.
    #[test]
    fn no_change_chooses_its_rows_by_a_limited_query() {
        let statements = statements(Dialect::Sqlite).into_iter().chain(statements(Dialect::Postgres));
        for statement in statements {
            let statement = statement.as_str();
            let changes = ["UPDATE ", "DELETE "].iter().any(|verb| statement.trim_start().starts_with(verb));
            assert!(!(changes && statement.contains("LIMIT")), "{statement}");
        }
    }

    fn code_beneath(folder: &std::path::Path) -> String {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(
                |path| {
                    if path.is_dir() { code_beneath(&path) } else { std::fs::read_to_string(path).unwrap() }
                },
            )
            .collect()
    }

    #[test]
    fn every_statement_is_on_the_list() {
        let code = code_beneath(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref());
        let single = STATEMENTS.iter().chain(POSTGRES_STATEMENTS).copied();
        let known: Vec<_> = single.flatten().copied().collect();
        let mut found = 0;
        for declared in code.split(": &str =").skip(1) {
            let text = declared.split('"').nth(1).unwrap_or_default();
            if declared.trim_start().starts_with("concat!") {
                let ends = |known: &&str| declared.split('"').nth(3).is_some_and(|end| known.ends_with(end));
                assert!(known.iter().any(ends), "in no SQL list: {declared}");
                found += 1;
            } else if ["SELECT", "INSERT", "UPDATE", "DELETE"]
                .iter()
                .any(|verb| text.trim().starts_with(verb))
            {
                assert!(known.contains(&text), "in no SQL list: {text}");
                found += 1;
            }
        }
        assert!(found > 25, "{found}");
        let bulks = code.lines().filter(|line| line.trim_start_matches("pub(crate) ").starts_with("static "));
        let bulks = bulks.filter(|line| line.contains(": Bulk"));
        assert_eq!(BULKS.iter().map(|bulks| bulks.len()).sum::<usize>(), bulks.count());
    }
}
