//! The `assay` binary as its users meet it: a folder of their own, a command line, an exit code.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use fake_provider::Price;
use serde_json::Value;
use tempfile::TempDir;

/// The binary, as `cargo test --workspace` builds it beside the tests.
///
/// # Panics
/// When it is not there: `cargo test -p assay-tests` alone builds no binary of another package.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let this = std::env::current_exe().expect("the test knows its own path");
        // target/<profile>/deps/<test>, or target/<profile>/chaos
        let folder = this.parent().expect("a program lies in a folder");
        let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
        let binary = profile.expect("target/<profile>").join("assay");
        assert!(binary.exists(), "{} is missing: run ./test.sh, or `cargo build` first", binary.display());
        binary
    })
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// A folder with suites and a store of its own.
pub struct Workplace(TempDir);

impl Default for Workplace {
    fn default() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }
}

/// What a command left behind.
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout);
        assert!(document.is_ok(), "stdout is no JSON:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        document.unwrap_or_default()
    }

    /// The same command's exit code, checked; shows stderr where it differs.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What a priced provider takes: 1 and 4 dollars for a million tokens.
pub const PRICE: Price = Price { input_per_mtok: 1_000_000_000, output_per_mtok: 4_000_000_000 };

impl Workplace {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file beneath it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, content).expect("a file");
        self
    }

    /// `assay` with these arguments, run in this folder and free of the caller's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars() {
            if name.starts_with("ASSAY_")
                || name.starts_with("OTEL_")
                || name.ends_with("_API_KEY")
                || name == "RUST_LOG"
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it to its end.
    pub fn assay(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("assay runs").into()
    }

    /// Starts it, with its output kept for [`Child::wait_with_output`].
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("assay starts")
    }

    /// The same as [`Workplace::provider`], and its model `small` costs [`PRICE`].
    pub fn priced_provider(&self, base_url: impl std::fmt::Display, limits: &str) -> &Self {
        let prices = "[prices.\"fake/small\"]\ninput_per_mtok = 1\noutput_per_mtok = 4\n";
        self.provider(base_url, &format!("{limits}\n{prices}"))
    }

    /// An assay.toml with one OpenAI-compatible provider called `fake`.
    pub fn provider(&self, base_url: impl std::fmt::Display, limits: &str) -> &Self {
        self.write(
            "assay.toml",
            format!("[providers.fake]\nkind = \"openai\"\nbase_url = \"{base_url}\"\n[providers.fake.limits]\n{limits}\n"),
        )
    }

    /// A suite of `cases` arithmetic questions to the provider `fake`, all of which a good answer passes.
    pub fn sums(&self, cases: u32, more: &str) -> &Self {
        let rows: String =
            (0..cases).map(|n| format!("{{\"id\": \"c{n}\", \"a\": {n}, \"sum\": {}}}\n", n + 1)).collect();
        self.write("cases.jsonl", rows).write(
            "suite.yaml",
            format!(
                "suite: sums\n\
                 prompts:\n  - name: sum\n    text: '{{{{ a }}}} + 1'\n\
                 models: [fake/small]\n\
                 cases:\n  - file: cases.jsonl\n    id: id\n\
                 score:\n  - type: equals\n    value: '{{{{ sum }}}}'\n\
                 {more}\n"
            ),
        )
    }
}
