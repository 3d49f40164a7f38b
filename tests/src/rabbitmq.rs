//! The RabbitMQ of the tests: the shared one that `./test.sh` starts, and nodes for tests that break theirs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use tempfile::TempDir;
use uuid::Uuid;

/// A virtual host of its own on the broker that all tests share; returns its URL. It stays until the broker goes.
pub fn vhost() -> String {
    static SPARE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.is_empty() {
        *spare = make_vhosts();
    }
    let name = spare.pop().expect("more were made");
    let shared = env::var("ASSAY_TEST_AMQP").expect("ASSAY_TEST_AMQP is not set: run ./test.sh");
    let (broker, _) = shared.rsplit_once('/').expect("the URL of a broker ends in its virtual host");
    format!("{broker}/{name}")
}

/// Many at once: a call of `rabbitmqctl` costs a second, whatever it does.
fn make_vhosts() -> Vec<String> {
    let nodes = env::var("ASSAY_TEST_NODES").expect("ASSAY_TEST_NODES is not set: run ./test.sh");
    let names: Vec<_> = (0..10).map(|_| format!("test-{}", Uuid::now_v7().simple())).collect();
    let quoted: Vec<_> = names.iter().map(|name| format!("<<\"{name}\">>")).collect();
    let all = "<<\".*\">>";
    let made = format!(
        "[begin rabbit_vhost:add(V, <<\"tests\">>), rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, V, {all}, \
         {all}, {all}, <<\"tests\">>) end || V <- [{}]].",
        quoted.join(", ")
    );
    script(&Path::new(&nodes).join("rabbitmq"), &["ctl", "eval", &made]);
    names
}

/// A broker that one test may stop, kill and freeze.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    url: String,
}

impl Node {
    /// Starts a node of its own for the calling test.
    pub fn start() -> Self {
        // Below the folder of ./test.sh, which removes what a killed test leaves behind.
        let nodes = env::var("ASSAY_TEST_NODES").expect(
            "ASSAY_TEST_NODES is not set: run ./test.sh, which cleans up the RabbitMQ nodes of this test",
        );
        let folder =
            tempfile::Builder::new().prefix("rabbitmq-").tempdir_in(nodes).expect("a folder for the node");
        let mut node = Self { folder, url: String::new() };
        node.url = node.run(&["start"]);
        node
    }

    /// Where it answers; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again.
    pub fn restart(&self) {
        assert_eq!(self.run(&["start"]), self.url);
    }

    /// Stops it in good order.
    pub fn stop(&self) {
        self.run(&["stop"]);
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.run(&["kill9"]);
    }

    /// Stops its process from running (`STOP`) or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        self.run(&["signal", signal]);
    }

    /// Runs `rabbitmqctl`; returns what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.run(&[&["ctl"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        script(self.folder.path(), arguments)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The folder itself is removed after this.
        script(self.folder.path(), &["rm"]);
    }
}

fn script(folder: &Path, arguments: &[&str]) -> String {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("services/rabbitmq.sh");
    let (action, rest) = arguments.split_first().expect("an action");
    // To a file: what the script starts would keep a pipe open.
    let log = folder.join("script.log");
    let output = folder.join("script.out");
    let file = |path| fs::File::create(path).expect("a file in the node's folder");
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
    assert!(status.success(), "rabbitmq.sh {arguments:?}: {}", read(&log));
    read(&output).trim().to_owned()
}
