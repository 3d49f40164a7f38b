//! PostgreSQL servers for tests that stop, kill and freeze theirs.

use std::env;

use tempfile::TempDir;

use crate::services::script;

/// A server that one test, or one chaos, may stop, kill and freeze.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    url: String,
}

impl Server {
    /// Starts a server of its own for the caller.
    pub fn start() -> Self {
        // Below the folder of ./test.sh, which removes what a killed test leaves behind.
        let nodes = env::var("ASSAY_TEST_NODES")
            .expect("ASSAY_TEST_NODES is not set: run ./test.sh, which cleans up the servers of this test");
        let folder =
            tempfile::Builder::new().prefix("postgres-").tempdir_in(nodes).expect("a folder for the server");
        let mut server = Self { folder, url: String::new() };
        server.url = server.run(&["start"]);
        server
    }

    /// Where it answers; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again.
    pub fn restart(&self) {
        assert_eq!(self.run(&["start"]), self.url);
    }

    /// Stops it: open transactions end, connections are closed.
    pub fn stop(&self) {
        self.run(&["stop"]);
    }

    /// `kill -9` of all its processes.
    pub fn kill(&self) {
        self.run(&["kill9"]);
    }

    fn run(&self, arguments: &[&str]) -> String {
        script("postgres.sh", self.folder.path(), arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The folder itself is removed after this.
        self.run(&["rm"]);
    }
}
