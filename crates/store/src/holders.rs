//! Who keeps a SQLite file locked, as far as the system tells: for the message of whoever waited in vain.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A process and the name of its program.
pub(crate) type Holder = (u32, String);

/// The other processes that hold a write lock on the database at `path`. None where the system has no list of locks, and none
/// whose open files may not be looked at.
pub(crate) fn holders(path: &Path) -> Vec<Holder> {
    // A write-ahead log is locked through the file that its readers share.
    let mut shared = path.as_os_str().to_owned();
    shared.push("-shm");
    let files: Vec<PathBuf> =
        [path.to_owned(), shared.into()].iter().filter_map(|file| fs::canonicalize(file).ok()).collect();
    let inodes: Vec<u64> = files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.ino())).collect();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let own = std::process::id();
    let others = writers(&locks, &inodes).into_iter().filter(|pid| *pid != own);
    // An inode has its number in one file system alone.
    others.filter(|pid| has_open(*pid, &files)).map(|pid| (pid, program(pid))).collect()
}

/// The processes that a list of locks names as writers of one of `inodes`, each once.
fn writers(locks: &str, inodes: &[u64]) -> Vec<u32> {
    // 1: POSIX  ADVISORY  WRITE 4711 08:02:131234 120 120
    let writer = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "WRITE").skip(1);
        let pid = words.next()?.parse().ok()?;
        let inode: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
        inodes.contains(&inode).then_some(pid)
    };
    let mut pids: Vec<u32> = locks.lines().filter_map(writer).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn has_open(pid: u32, files: &[PathBuf]) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|file| files.contains(&file)))
}

fn program(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_told_from_readers_and_from_those_who_wait() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 08:02:77 120 120\n\
                     2: POSIX  ADVISORY  READ 13 08:02:77 123 123\n\
                     3: POSIX  ADVISORY  WRITE 14 00:1f:78 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 15 08:02:79 0 EOF\n\
                     5: POSIX  ADVISORY  WRITE 12 08:02:78 128 128\n\
                     5: -> POSIX  ADVISORY  WRITE 16 08:02:70 0 EOF\n\
                     6: OFDLCK ADVISORY  WRITE -1 08:02:77 0 EOF\n";
        assert_eq!(writers(locks, &[77, 78]), [12, 14]);
        assert_eq!(writers(locks, &[]), [0; 0]);
        assert_eq!(writers("", &[77]), [0; 0]);
    }
}
