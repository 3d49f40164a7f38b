//! What processes use, read from /proc: processor time of a process with everything it started, and the peak of its
//! memory. Servers that are not ours are found by the port they listen on.

use std::collections::{HashMap, HashSet};
use std::fs;

use anyhow::Context as _;

/// One tick of the processor times in /proc, in microseconds: Linux tells them in hundredths of a second everywhere.
const TICK_US: u64 = 10_000;
/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// User and system time of a process, of every process it started, and of those that have ended, in microseconds.
pub(crate) fn cpu_us(root: u32) -> anyhow::Result<u64> {
    let all = processes()?;
    let mut tree = HashSet::from([root]);
    // A child may have a lower number than its parent: again until nothing is added.
    loop {
        let before = tree.len();
        tree.extend(
            all.iter()
                .filter(|(_, times)| tree.contains(&times.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if tree.len() == before {
            break;
        }
    }
    anyhow::ensure!(all.contains_key(&root), "process {root} has ended");
    Ok(tree.iter().filter_map(|pid| all.get(pid)).map(|times| times.ticks * TICK_US).sum())
}

/// The most memory a process has had resident, in MiB; `None` when it has ended.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}

/// The process that listens on a TCP port of this machine, if we may see it.
pub(crate) fn listener_on(port: u16) -> Option<u32> {
    let tables: String = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let sockets: HashSet<String> = tables.lines().filter_map(|line| listening_inode(line, port)).collect();
    pids().find(|pid| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.into_iter().any(|target| {
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            inode.is_some_and(|inode| sockets.contains(inode))
        })
    })
}

/// The socket of a line of /proc/net/tcp, if it listens on the port.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, local_port) = local.rsplit_once(':')?;
    (*state == LISTENING && u16::from_str_radix(local_port, 16) == Ok(port)).then(|| (*inode).to_owned())
}

/// A process, as /proc tells it.
struct Times {
    parent: u32,
    /// Of itself, and of its children that have ended and were waited for.
    ticks: u64,
}

fn processes() -> anyhow::Result<HashMap<u32, Times>> {
    fs::metadata("/proc/self/stat").context("failed to read /proc: the benchmark of a fleet needs Linux")?;
    // One that has ended since it was listed has nothing to tell.
    let read = |pid| Some((pid, times(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
    Ok(pids().filter_map(read).collect())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Reads /proc/PID/stat. The name stands in brackets and may hold anything, brackets too.
fn times(stat: &str) -> Option<Times> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Times { parent: fields.get(1)?.parse().ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_stat_with_brackets_in_the_name() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 10 0 0 0 100 20 3 4 20 0 1 0 99 1000 200";
        let times = times(stat).unwrap();
        assert_eq!((times.parent, times.ticks), (3, 127));
    }

    #[test]
    fn finds_who_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_on(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(listener_on(port), None);
        assert!(peak_rss_mib(std::process::id()).unwrap() > 0.1);
        assert!(cpu_us(std::process::id()).is_ok());
    }
}
