//! The scripts of the services, as the tests call them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs an action of a script on a service's folder; returns what it printed.
pub(crate) fn script(name: &str, folder: &Path, arguments: &[&str]) -> String {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("services").join(name);
    let (action, rest) = arguments.split_first().expect("an action");
    // To a file: what the script starts would keep a pipe open.
    let log = folder.join("script.log");
    let output = folder.join("script.out");
    let file = |path| fs::File::create(path).expect("a file in the service's folder");
    let status = Command::new(program)
        .arg(action)
        .arg(folder)
        .args(rest)
        .stdout(file(&output))
        .stderr(file(&log))
        .status()
        .expect("the script of the services");
    // After `rm` there is nothing left to read.
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    assert!(status.success(), "{name} {arguments:?}: {}", read(&log));
    read(&output).trim().to_owned()
}
