//! Around a store rather than in it: making and dropping a PostgreSQL database, and a check of every statement.

use sqlx::postgres::PgConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _,
};

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

/// Every statement of this crate that has one text. Those with locks stand here once for each database.
const STATEMENTS: &[&[&str]] = &[
    crate::account::SQL,
    crate::cancel::SQL,
    crate::claim::SQL,
    crate::dataset::SQL,
    crate::due::SQL,
    crate::expand::SQL,
    crate::finish::SQL,
    crate::member::SQL,
    crate::outcome::SQL,
    crate::recording::SQL,
    crate::result::SQL,
    crate::revision::SQL,
    crate::run::SQL,
    crate::settle::SQL,
];

impl Store {
    /// Has the database prepare every statement of this crate that has one text, and returns how many those are. The
    /// price of SQL that no compiler checks: a test calls this on both databases.
    pub async fn prepare_all(&self) -> Result<usize, StoreError> {
        reading!(self, |conn| {
            let mut prepared = 0;
            for statement in STATEMENTS.iter().copied().flatten().copied() {
                if conn.dialect() == Dialect::Sqlite && statement.contains(" FOR ") {
                    continue;
                }
                (&mut *conn).prepare(statement.into_sql_str()).await?;
                prepared += 1;
            }
            Ok(prepared)
        })
    }
}
