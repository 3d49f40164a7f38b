//! The fake provider as a process of its own, so that its work is not counted as assay's.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use fake_provider::{Entry, Script, Totals};

use crate::http;

/// A running fake provider; it ends when this is dropped.
pub(crate) struct Provider {
    process: Child,
    base_url: String,
}

impl Provider {
    /// Starts one that echoes, and waits until it listens.
    pub(crate) fn start(program: &Path, latency_ms: u64) -> anyhow::Result<Self> {
        Self::start_with(program, ["--latency-ms".as_ref(), latency_ms.to_string().as_ref()])
    }

    /// Starts one that follows a script, which it reads from a file in the folder.
    pub(crate) fn scripted(program: &Path, folder: &Path, script: &Script) -> anyhow::Result<Self> {
        let file = folder.join("provider.json");
        fs::write(&file, serde_json::to_vec(script)?)?;
        Self::start_with(program, ["--script".as_ref(), file.as_os_str()])
    }

    fn start_with(program: &Path, arguments: [&OsStr; 2]) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let stdout = process.stdout.take().context("the fake provider has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let base_url =
            line.trim_end().strip_prefix("listening on ").context("the fake provider did not start")?;
        Ok(Self { process, base_url: base_url.to_owned() })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What assay.toml names.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Its bill so far.
    pub(crate) fn bill(&self) -> anyhow::Result<Totals> {
        Ok(serde_json::from_str(&self.get("/bill")?)?)
    }

    /// When each call arrived, by its clock.
    pub(crate) fn calls_at_us(&self) -> anyhow::Result<Vec<u64>> {
        let at_us = |line: &str| {
            let entry: Entry = serde_json::from_str(line)?;
            Ok(entry.at_us)
        };
        self.get("/bill/calls")?.lines().map(at_us).collect()
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let address = self.base_url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1"));
        http::get_text(address.context("an address without http and v1")?, path, None)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // The end of its stdin is its signal to leave.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
