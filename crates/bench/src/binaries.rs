//! The two programs of a measurement, which lie beside this one.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Where they are.
pub(crate) struct Binaries {
    /// The measured one.
    pub(crate) assay: PathBuf,
    /// The one it talks to.
    pub(crate) fake_provider: PathBuf,
}

impl Binaries {
    /// In the folder of the running program.
    pub(crate) fn beside_this() -> anyhow::Result<Self> {
        let this = env::current_exe().context("failed to find this program's folder")?;
        let folder = this.parent().context("this program lies in no folder")?;
        Ok(Self { assay: folder.join("assay"), fake_provider: folder.join("fake-provider") })
    }

    /// Brings both up to date when cargo started this program; else they must be there.
    pub(crate) fn build(&self) -> anyhow::Result<()> {
        if let Some(cargo) = env::var_os("CARGO") {
            // One after the other: built together they would share features, and the measured program would not
            // be the one that `cargo build --release` makes.
            for package in ["fake-provider", "assay"] {
                let mut build = Command::new(&cargo);
                build.args(["build", "--locked", "--package", package]);
                // What cargo said about this package makes build scripts run again that are not meant.
                for (name, _) in env::vars_os() {
                    let text = name.to_string_lossy();
                    if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                        build.env_remove(name);
                    }
                }
                if !cfg!(debug_assertions) {
                    build.arg("--release");
                }
                let built = build.status().context("failed to start cargo")?;
                ensure!(built.success(), "{package} does not build");
            }
        }
        for program in [&self.assay, &self.fake_provider] {
            ensure!(
                program.exists(),
                "{} is missing: `cargo build --release -p assay -p fake-provider`",
                program.display()
            );
        }
        Ok(())
    }

    /// Makes a token that may submit and read on a PostgreSQL store, and prints it nowhere.
    pub(crate) fn make_token(&self, url: &str, name: &str) -> anyhow::Result<String> {
        let mut create = Command::new(&self.assay);
        create.args(["token", "create", name, "--scopes", "submit,read", "--store", url]);
        let created = create.output().context("failed to start `assay token create`")?;
        let told = String::from_utf8_lossy(&created.stderr);
        ensure!(created.status.success(), "`assay token create` failed:\n{told}");
        Ok(String::from_utf8(created.stdout)?.trim_end().to_owned())
    }

    /// Brings the schema of a PostgreSQL store up to date, so that this is no part of the measurement.
    pub(crate) fn migrate(&self, url: &str) -> anyhow::Result<()> {
        let migrated = Command::new(&self.assay).args(["migrate", "--store", url]).status()?;
        ensure!(migrated.success(), "`assay migrate` failed");
        Ok(())
    }
}
