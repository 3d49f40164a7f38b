//! Opening a store: its connections and its schema.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::StoreError;
use crate::holders::holders;
use crate::journal::Journal;
use crate::pools::{ACQUIRE_TIMEOUT, Durability, Pools, joined};
use crate::seam::{Seam, Simulated};
use crate::url::StoreUrl;

/// Every migration, embedded.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// What to do about a store's schema when opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Create the file and the schema, or bring it up to date.
    Migrate,
    /// The schema must be there, in the version this binary knows. Creates nothing.
    Require,
}

/// A store; clones share its connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pools: Arc<Pools>,
    url: StoreUrl,
    /// How long a call waits for a connection.
    patience: Duration,
    /// In a simulation alone.
    simulated: Option<Simulated>,
}

/// Less would be no news of a database that is only busy.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);

/// What a newer schema says of the binaries that may work on it.
pub(crate) const OLDEST: &str = "SELECT oldest FROM compatibility WHERE scope = 'store'";

/// [`check_or_migrate`] on a connection of either kind. A schema that is newer than this binary is taken as it is where it
/// says that it may be: so a fleet is upgraded one process after the other.
macro_rules! settled {
    ($connection:expr, $url:expr, $schema:expr) => {{
        match check_or_migrate($connection, $url, $schema).await {
            Err(StoreError::SchemaMismatch { url, found, known }) if found > known => {
                let oldest: Result<Option<i64>, sqlx::Error> =
                    sqlx::query_scalar(OLDEST).fetch_optional($connection).await;
                match oldest {
                    Ok(Some(oldest)) if oldest <= known => Ok(()),
                    _ => Err(StoreError::SchemaMismatch { url, found, known }),
                }
            }
            settled => settled,
        }
    }};
}

impl Store {
    /// Opens the store at `url`, which answers once before this returns.
    ///
    /// # Errors
    /// [`StoreError::NoStore`], [`StoreError::SchemaMissing`] and [`StoreError::SchemaMismatch`] say what to do;
    /// [`StoreError::Unreachable`] says where and why.
    pub async fn open(url: &StoreUrl, schema: Schema) -> Result<Self, StoreError> {
        Self::open_with_patience(url, schema, ACQUIRE_TIMEOUT).await
    }

    /// The same for whoever waits no longer than `patience` in all for a store that is away: no call waits longer than half of that
    /// for a connection to PostgreSQL, so that there is time to ask twice. A second is the least, ten are the most.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_within(url: &StoreUrl, schema: Schema, patience: Duration) -> Result<Self, StoreError> {
        let patience = (patience / 2).clamp(SHORTEST_PATIENCE, ACQUIRE_TIMEOUT);
        Self::open_with_patience(url, schema, patience).await
    }

    async fn open_with_patience(
        url: &StoreUrl,
        schema: Schema,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let unreachable = |source| unreachable(url, source);
        let pools = match url {
            StoreUrl::Sqlite(path) => {
                prepare_file(path, schema)?;
                Pools::sqlite(path, schema == Schema::Migrate)
            }
            StoreUrl::Postgres(text) => {
                Pools::postgres(postgres_options(text).map_err(unreachable)?, patience)
            }
        };
        let inner = Inner { pools: Arc::new(pools), url: url.clone(), patience, simulated: None };
        let store = Self(Arc::new(inner));
        let opened = store.clone();
        joined(tokio::spawn(async move { opened.settle_schema(schema).await })).await?;
        Ok(store)
    }

    /// The store of a simulation, on a database in memory.
    pub(crate) fn of_simulation(pools: Pools, simulated: Simulated) -> Self {
        let url = StoreUrl::Sqlite(":memory:".into());
        let (pools, simulated) = (Arc::new(pools), Some(simulated));
        Self(Arc::new(Inner { pools, url, patience: ACQUIRE_TIMEOUT, simulated }))
    }

    /// The same store behind `seam`, where it has seams.
    pub(crate) fn with_seam(&self, seam: Arc<dyn Seam>) -> Self {
        let Inner { pools, url, patience, simulated } = &*self.0;
        let simulated = simulated.as_ref().map(|simulated| simulated.behind(seam));
        Self(Arc::new(Inner { pools: Arc::clone(pools), url: url.clone(), patience: *patience, simulated }))
    }

    /// What there is beside the database, in a simulation.
    pub(crate) fn simulation(&self) -> Option<&Simulated> {
        self.0.simulated.as_ref()
    }

    /// Closes every connection after what is under way. Calls after it fail.
    pub async fn close(&self) {
        self.0.pools.close().await;
    }

    /// Where it is.
    pub fn url(&self) -> &StoreUrl {
        &self.0.url
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    /// The journal of a SQLite file.
    pub(crate) fn journal(&self) -> Option<&Journal> {
        match self.pools() {
            Pools::Sqlite { journal, .. } => journal.as_deref(),
            Pools::Postgres(_) => None,
        }
    }

    /// Says which store it was that an error of the connection speaks of.
    pub(crate) fn placed(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Database(sqlx::Error::PoolTimedOut)
                if matches!(self.0.url, StoreUrl::Postgres(_)) =>
            {
                let why = format!("no connection within {} s", self.0.patience.as_secs());
                unreachable(&self.0.url, sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, why)))
            }
            StoreError::Database(source) if is_unwritable(&source) => {
                StoreError::Unwritable { url: self.0.url.to_string(), source }
            }
            StoreError::Database(
                source @ (sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed),
            ) => unreachable(&self.0.url, source),
            StoreError::Database(source) if is_no_text(&source) => StoreError::NoText,
            StoreError::Database(source) => of_file(&self.0.url, &source).unwrap_or(source.into()),
            error => error,
        }
    }

    /// Makes the schema, or checks it.
    async fn settle_schema(&self, schema: Schema) -> Result<(), StoreError> {
        let url = &self.0.url;
        let unreachable = |source| unreachable(url, source);
        match (&*self.0.pools, &self.0.url) {
            (Pools::Sqlite { writer, .. }, StoreUrl::Sqlite(path)) => {
                refuse_foreign(path, url).await?;
                let mut turn = writer.ready().await.map_err(unreachable)?;
                if schema == Schema::Require {
                    return settled!(turn.connection(), url, schema);
                }
                // Of two who migrate at once the second waits, and finds it done.
                let mut transaction = turn.begin().await.map_err(unreachable)?;
                settled!(&mut *transaction, url, schema)?;
                transaction.commit().await.map_err(unreachable)?;
                drop(turn);
                writer.settled(Durability::Machine).await.map_err(unreachable)
            }
            (Pools::Postgres(_), StoreUrl::Postgres(text)) => {
                // A connection of its own: a pool would hide why it cannot connect behind its own time-out, and
                // a migration may take longer than a statement is allowed to.
                let options = postgres_options(text).map_err(unreachable)?;
                let connecting = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect());
                let timed_out = |_| unreachable(sqlx::Error::PoolTimedOut);
                let mut connection = connecting.await.map_err(timed_out)?.map_err(unreachable)?;
                settled!(&mut connection, url, schema)?;
                connection.close().await.map_err(unreachable)
            }
            (Pools::Postgres(_), StoreUrl::Sqlite(_)) | (Pools::Sqlite { .. }, StoreUrl::Postgres(_)) => {
                Ok(())
            }
        }
    }
}

/// Why a store cannot be opened.
fn unreachable(url: &StoreUrl, source: sqlx::Error) -> StoreError {
    of_file(url, &source).unwrap_or_else(|| StoreError::Unreachable { url: url.to_string(), source })
}

/// What an error says of a SQLite file: that it is gone, that others hold it, or that it is none.
fn of_file(url: &StoreUrl, error: &sqlx::Error) -> Option<StoreError> {
    let StoreUrl::Sqlite(path) = url else { return None };
    let path = || path.clone();
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::NotFound => {
            Some(StoreError::Removed { path: path() })
        }
        // Whoever waited for the writer of this process may have waited for a lock of another.
        sqlx::Error::PoolTimedOut => {
            let holders = holders(&path());
            (!holders.is_empty()).then(|| StoreError::Busy { path: path(), holders })
        }
        sqlx::Error::Database(error) => match &*error.code()? {
            // Busy, also while it recovers, for a snapshot, and after a time-out.
            "5" | "261" | "517" | "773" => Some(StoreError::Busy { path: path(), holders: holders(&path()) }),
            "14" if !path().exists() => Some(StoreError::Removed { path: path() }),
            "14" if path().is_dir() => {
                Some(StoreError::NoDatabase { path: path(), what: "a folder, not a SQLite file" })
            }
            "11" => Some(StoreError::NoDatabase {
                path: path(),
                what: "damaged, and has to be put back from a copy",
            }),
            "26" => Some(StoreError::NoDatabase { path: path(), what: "no SQLite database" }),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value has a NUL, which no text of PostgreSQL holds (`character_not_in_repertoire`). What is stored is rid of them before.
fn is_no_text(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("22021")
}

/// Whether a database has no room to write: SQLite's full disk and failed write, PostgreSQL's full disk, and that of a file.
fn is_unwritable(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(error) = error {
        return matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
    }
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("13" | "778" | "53100"))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.url)
    }
}

/// A table of the first migration, by which a store is known.
const OWN_TABLE: &str = "suite_revisions";

/// Leaves a file alone that holds the tables of another program: a file is easily named by mistake. The connections of a store would change its journal,
/// so this looks with one of its own.
async fn refuse_foreign(path: &Path, url: &StoreUrl) -> Result<(), StoreError> {
    let unreachable = |source| unreachable(url, source);
    if !path.exists() {
        return Ok(());
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(ACQUIRE_TIMEOUT);
    let mut connection = options.connect().await.map_err(unreachable)?;
    // (schema, name, type, …)
    let listed: Vec<(String, String, String)> =
        sqlx::query_as("PRAGMA main.table_list").fetch_all(&mut connection).await.map_err(unreachable)?;
    connection.close().await.map_err(unreachable)?;
    let foreign = |name: &String| !name.starts_with("sqlite_") && *name != MIGRATOR.table_name;
    let mut foreign: Vec<_> = listed.into_iter().map(|(_, name, _)| name).filter(foreign).collect();
    foreign.sort_unstable();
    match foreign.is_empty() || foreign.iter().any(|table| table == OWN_TABLE) {
        true => Ok(()),
        false => Err(StoreError::Foreign { path: path.to_owned(), tables: foreign }),
    }
}

/// The bytes of the smallest SQLite database: one page (<https://www.sqlite.org/fileformat.html#pages>).
const SMALLEST_DATABASE: u64 = 512;

/// Makes the folder of the file, or demands the file.
fn prepare_file(path: &Path, schema: Schema) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        // SQLite would take it for an empty database, and write over it.
        Ok(found) if found.is_file() && (1..SMALLEST_DATABASE).contains(&found.len()) => {
            Err(StoreError::NoDatabase { path: path.to_owned(), what: "no SQLite database" })
        }
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            match schema {
                Schema::Require => Err(missing(path)),
                Schema::Migrate => make_folder_of(path),
            }
        }
        Err(source) => Err(StoreError::File { path: path.to_owned(), source }),
    }
}

/// What is not there of a file that has to be: the folder it is said to be in, or the file alone.
fn missing(path: &Path) -> StoreError {
    let path = path.to_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    match folder.filter(|folder| folder.file_name().is_none_or(|name| name != DEFAULT_FOLDER)) {
        Some(folder) => StoreError::NoFolder { folder: folder.to_owned(), path },
        None => StoreError::NoStore { path },
    }
}

/// The folder of the store where nobody names one: made where it is not. Any other has to be there.
const DEFAULT_FOLDER: &str = ".assay";

/// Makes the folder that `path` lies in if it is the default one, and demands it if not: a path is easily mistyped.
pub(crate) fn make_folder_of(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    else {
        return Ok(());
    };
    let made =
        folder.file_name().is_some_and(|name| name == DEFAULT_FOLDER).then(|| std::fs::create_dir(folder));
    match made {
        Some(Ok(())) => Ok(()),
        Some(Err(source)) if source.kind() == ErrorKind::AlreadyExists => {
            Err(StoreError::NotAFolder { folder: folder.to_owned(), path: path.to_owned() })
        }
        Some(Err(source)) if source.kind() != ErrorKind::NotFound => {
            Err(StoreError::File { path: folder.to_owned(), source })
        }
        Some(Err(_)) | None => Err(StoreError::NoFolder { folder: folder.to_owned(), path: path.to_owned() }),
    }
}

/// Reads a connection URL.
pub(crate) fn postgres_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(url.parse::<PgConnectOptions>()?.application_name("assay"))
}

/// Compares the schema with what this binary knows, and brings it up to date where that is asked for.
async fn check_or_migrate<C: Migrate>(
    connection: &mut C,
    url: &StoreUrl,
    schema: Schema,
) -> Result<(), StoreError> {
    let known = known_schema();
    let failed = |source| StoreError::Migration { url: url.to_string(), source };
    let found = match connection.list_applied_migrations(&MIGRATOR.table_name).await {
        Ok(applied) => applied.iter().map(|migration| migration.version).max(),
        Err(MigrateError::Execute(error)) if is_missing_table(&error) => None,
        Err(MigrateError::Execute(source)) => {
            return Err(unreachable(url, source));
        }
        Err(source) => return Err(failed(source)),
    };
    match (found, schema) {
        (Some(found), Schema::Migrate) if found > known => {
            Err(StoreError::SchemaMismatch { url: url.to_string(), found, known })
        }
        // `run` is the public name of this, but the futures it makes cannot be spawned.
        (_, Schema::Migrate) => MIGRATOR.run_direct(None, connection, false).await.map_err(failed),
        (Some(found), Schema::Require) if found == known => Ok(()),
        (Some(found), Schema::Require) => {
            Err(StoreError::SchemaMismatch { url: url.to_string(), found, known })
        }
        (None, Schema::Require) => Err(StoreError::SchemaMissing { url: url.to_string() }),
    }
}

/// The version of the schema that this binary knows.
pub(crate) fn known_schema() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Whether the statement failed because its table is not there: PostgreSQL's `undefined_table`, or SQLite's plain
/// error, which a statement that names nothing else can have for no other reason.
fn is_missing_table(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("42P01" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_of_another_program_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        for table in ["notes", "tags", "a", "b", "c", "d"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("CREATE TABLE {table} (n BIGINT)")))
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection.close().await.unwrap();
        let before = std::fs::read(&path).unwrap();
        for schema in [Schema::Migrate, Schema::Require] {
            let error = Store::open(&StoreUrl::Sqlite(path.clone()), schema).await.unwrap_err();
            let expected = format!(
                "{} is a database of another program: it has the tables a, b, c, d and 2 more; name another file with \
                 --store sqlite:PATH",
                path.display()
            );
            assert_eq!(error.to_string(), expected);
            assert!(!error.may_pass());
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was put beside it");
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join(DEFAULT_FOLDER);
        std::fs::write(&in_the_way, "").unwrap();
        let error = make_folder_of(&in_the_way.join("assay.db")).unwrap_err();
        let (told, beginning) =
            (error.to_string(), format!("{} is a file, and the store", in_the_way.display()));
        assert!(told.starts_with(&beginning) && told.contains("move the file away"), "{told}");
    }

    #[tokio::test]
    async fn what_is_no_database_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let (notes, sub) = (folder.path().join("notes.txt"), folder.path().join("sub"));
        std::fs::write(&notes, "these are notes and no database, for more than a hundred bytes\n".repeat(2))
            .unwrap();
        std::fs::create_dir(&sub).unwrap();
        let short = folder.path().join("short.txt");
        std::fs::write(&short, "x").unwrap();
        for schema in [Schema::Migrate, Schema::Require] {
            for (path, what) in [
                (&notes, "no SQLite database"),
                (&short, "no SQLite database"),
                (&sub, "a folder, not a SQLite file"),
            ] {
                let error = Store::open(&StoreUrl::Sqlite(path.clone()), schema).await.unwrap_err();
                let expected =
                    format!("{} is {what}; name another file with --store sqlite:PATH", path.display());
                assert_eq!(error.to_string(), expected);
                assert!(!error.may_pass());
            }
        }
        assert_eq!(std::fs::read(&short).unwrap(), b"x");
    }
}
