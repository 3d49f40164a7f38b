//! One owner for a SQLite store: an advisory lock on the file beside it.
//!
//! Whoever holds it is the only one who dispatches and claims there, so it may void the claims of all older members
//! at once. The system gives the lock up when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::journal::resolved;
use crate::open::make_folder_of;
use crate::url::StoreUrl;

/// Somebody who only looks whether the lock is held has it for a moment.
const TRIES: u32 = 1_000;

/// The lock on `<database>.lock`, held while this lives.
#[derive(Debug)]
pub struct FileLock {
    /// Open for as long as the lock is held. The file stays when the lock goes: removing it would race with the next.
    _file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock of a SQLite store; `None` for PostgreSQL, which needs none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process holds it.
    pub fn take(url: &StoreUrl) -> Result<Option<Self>, StoreError> {
        match url {
            StoreUrl::Sqlite(database) => Self::take_file(database).map(Some),
            StoreUrl::Postgres(_) => Ok(None),
        }
    }

    /// Takes the file away too: beside what turned out to be no store nobody waits for it.
    pub fn remove(self) {
        // A file that cannot be removed is in nobody's way.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Whether somebody holds the lock of a SQLite store.
    pub(crate) fn is_held(database: &Path) -> bool {
        let file = File::options().read(true).write(true).open(lock_path(database));
        // Shared, and gone at once: of those who only look none is in the way of another.
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn take_file(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let unusable = |source| StoreError::File { path: path.clone(), source };
        make_folder_of(database)?;
        let mut options = File::options();
        // Not truncated before it is ours: it holds the number of its holder.
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(unusable)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => std::thread::yield_now(),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked { path: database.to_owned(), pid: holder(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
            }
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { _file: file, path })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = resolved(database).into_os_string();
    path.push(".lock");
    PathBuf::from(path)
}

/// The process that wrote its number into the file; `None` while it has not.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
