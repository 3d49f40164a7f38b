//! What can go wrong at the store's boundary.

use std::path::PathBuf;

use assay_common::id::{Digest, MemberId};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Text that names no store.
    #[error("{0}")]
    Url(String),
    /// A SQLite file that has to exist does not.
    #[error("no store at {}; `assay run` and `assay migrate` make one", path.display())]
    NoStore {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The folder that a SQLite file should be made in is not there.
    #[error("there is no folder {}: make it first, or check the path of the store {}", folder.display(), path.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// A SQLite file holds tables, and none of a store.
    #[error(
        "{} is a database of another program: it has the tables {}; name another file with --store sqlite:PATH",
        path.display(),
        some_of(tables)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its tables.
        tables: Vec<String>,
    },
    /// Another process owns the SQLite file.
    #[error(
        "{} is in use by {}; wait until that has ended, or name another file with --store sqlite:PATH",
        path.display(),
        holder(*pid)
    )]
    Locked {
        /// The database file.
        path: PathBuf,
        /// The process that holds its lock, when it left its number.
        pid: Option<u32>,
    },
    /// Another program holds a lock inside the SQLite file for longer than anybody waits.
    #[error(
        "{} is locked by {}; end what holds it, and give the command again",
        path.display(),
        programs(holders)
    )]
    Busy {
        /// The database file.
        path: PathBuf,
        /// The processes that are known to hold the lock, with the names of their programs.
        holders: Vec<(u32, String)>,
    },
    /// The SQLite file was there, and is not any more. What this process still has open of it is gone with the process.
    #[error(
        "{} was removed while it was in use: put a copy of it back, or begin anew with the same command",
        path.display()
    )]
    Removed {
        /// Where it was.
        path: PathBuf,
    },
    /// What should be a SQLite file is none.
    #[error("{} is {what}; name another file with --store sqlite:PATH", path.display())]
    NoDatabase {
        /// What lies there.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file has the name of the folder that a SQLite file should be made in.
    #[error(
        "{} is a file, and the store {} needs a folder of that name: move the file away, or name another store with \
         --store sqlite:PATH",
        folder.display(),
        path.display()
    )]
    NotAFolder {
        /// The file that is in the way.
        folder: PathBuf,
        /// The store.
        path: PathBuf,
    },
    /// A file of the store, or one beside it, could not be made or read.
    #[error(
        "cannot use {}: a store is a file, in a folder, that this user may read and write; name another with --store \
         sqlite:PATH",
        path.display()
    )]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database does not answer.
    #[error("cannot reach the store {url}")]
    Unreachable {
        /// Where it should be, its password masked.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database has no room for what is to be written.
    #[error("cannot write to the store {url}; make room on its disk")]
    Unwritable {
        /// Which.
        url: String,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database holds no store.
    #[error("{url} holds no store; run `assay migrate --store {url}`")]
    SchemaMissing {
        /// The database, its password masked.
        url: String,
    },
    /// The store was made by another version of assay.
    #[error("{}", mismatch(url, *found, *known))]
    SchemaMismatch {
        /// The store, its password masked.
        url: String,
        /// The version of its schema.
        found: i64,
        /// The version this binary knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot migrate the store {url}")]
    Migration {
        /// The store, its password masked.
        url: String,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// The member was declared dead or has left: it must join again before it claims.
    #[error("member {member} is not joined; what it held was given back")]
    NotJoined {
        /// The member that asked.
        member: MemberId,
    },
    /// Another process leads the fleet now: this one's transaction was refused and changed nothing.
    #[error("this process no longer leads the fleet: its epoch {epoch} ended, epoch {current} has begun")]
    Deposed {
        /// Under which it wrote.
        epoch: i64,
        /// The one that counts.
        current: i64,
    },
    /// The dataset of a suite was removed while a run of it was made.
    #[error("the dataset of suite revision {} was just removed; start the run once more", revision.short())]
    NoDataset {
        /// The suite revision.
        revision: Digest,
    },
    /// A row holds what this version cannot read.
    #[error("a row of the store cannot be read: {0}")]
    Unreadable(String),
    /// What was asked for has a name that no text of the database can be.
    #[error("no name holds the character NUL (U+0000), and this one does")]
    NoText,
    /// The process is ending: the transaction was given up and changed nothing.
    #[error("the store is closing")]
    Closing,
    /// Everything else the database said.
    #[error("the database refused a statement")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether the same call may succeed later: the database may come back, and a member that was buried joins again
    /// with its next beat.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unwritable { .. }
                | Self::Busy { .. }
                | Self::Database(_)
                | Self::NotJoined { .. }
        )
    }
}

/// How many tables are named.
const NAMED: usize = 4;

fn some_of(tables: &[String]) -> String {
    let named = tables.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match tables.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn programs(holders: &[(u32, String)]) -> String {
    match holders {
        [] => "another program".to_owned(),
        holders => {
            let named = holders.iter().map(|(pid, program)| format!("process {pid} ({program})"));
            named.collect::<Vec<_>>().join(" and ")
        }
    }
}

fn mismatch(url: &str, found: i64, known: i64) -> String {
    let versions = format!("the store {url} has schema version {found}, this assay knows {known}");
    if found < known {
        format!("{versions}; run `assay migrate --store {url}`")
    } else {
        format!("{versions}; use the assay that ran `assay migrate --store {url}`, or a later one")
    }
}
