//! SQLite's write-ahead log on its way to the disk: what was committed survives a power cut once the log was synced after it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The write-ahead log beside a SQLite file.
///
/// A commit that does not wait for the disk has appended its pages to the log. Syncing the log afterwards is all that
/// `PRAGMA synchronous = FULL` does in each commit of its own (<https://www.sqlite.org/pragma.html#pragma_synchronous>), but
/// then nobody else can write meanwhile. What is no longer in the log was copied into the file, and SQLite syncs that first.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// `None`: the database is in memory.
    path: Option<PathBuf>,
}

impl Log {
    /// That of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: Some(path.to_owned()) }
    }

    /// Returns once the disk holds what was committed before.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let synced = tokio::task::spawn_blocking(move || sync(&path));
        synced.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn sync(path: &Path) -> io::Result<()> {
    // SQLite keeps the log beside the file itself, wherever links to it are.
    let mut log = path.canonicalize()?.into_os_string();
    log.push("-wal");
    // SQLite takes no locks on the log, so opening and closing it disturbs none.
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // Nothing was written since the last process that had it open has folded it into the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
