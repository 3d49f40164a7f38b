//! The RabbitMQ of the tests: the shared one that `./test.sh` starts, and nodes for tests that break theirs.

use std::env;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;
use tokio::sync::MutexGuard;
use uuid::Uuid;

use crate::services::script;

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

/// Has the queue of a pool forget the consumers whose tags begin so, on the broker that all tests share: nobody is told, and their
/// channels live on. Says whether there was one.
pub fn forget_consumers(vhost_url: &str, pool: &str, tags: &str) -> bool {
    let (_, vhost) = vhost_url.rsplit_once('/').expect("the URL of a broker ends in its virtual host");
    let forget = format!(
        "begin {{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"assay.jobs.v1.{pool}\">>)), \
         Ids = [{{element(2, C), element(1, C)}} || C <- rabbit_amqqueue:consumers(Q)], \
         Meant = [Id || {{Tag, _}} = Id <- Ids, string:prefix(Tag, <<\"{tags}\">>) =/= nomatch], \
         [{{ok, _, _}} = ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_checkout(Id, cancel, #{{}})) || Id <- Meant], \
         length(Meant) end."
    );
    ctl(&["eval", &forget]) != "0"
}

/// Runs `rabbitmqctl` on the broker that all tests share.
fn ctl(arguments: &[&str]) -> String {
    let nodes = env::var("ASSAY_TEST_NODES").expect("ASSAY_TEST_NODES is not set: run ./test.sh");
    script("rabbitmq.sh", &Path::new(&nodes).join("rabbitmq"), &[&["ctl"], arguments].concat())
}

/// Many at once: a call of `rabbitmqctl` costs a second, whatever it does.
fn make_vhosts() -> Vec<String> {
    let names: Vec<_> = (0..10).map(|_| format!("test-{}", Uuid::now_v7().simple())).collect();
    let quoted: Vec<_> = names.iter().map(|name| format!("<<\"{name}\">>")).collect();
    let all = "<<\".*\">>";
    let made = format!(
        "[begin rabbit_vhost:add(V, <<\"tests\">>), rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, V, {all}, \
         {all}, {all}, <<\"tests\">>) end || V <- [{}]].",
        quoted.join(", ")
    );
    ctl(&["eval", &made]);
    names
}

/// A broker that one test may stop, kill and freeze.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    url: String,
}

/// One of two brokers that tests break one after the other: starting one costs seconds. Whoever fails leaves none behind.
pub async fn breakable() -> Breakable {
    static ONE: tokio::sync::Mutex<Option<Node>> = tokio::sync::Mutex::const_new(None);
    static OTHER: tokio::sync::Mutex<Option<Node>> = tokio::sync::Mutex::const_new(None);
    let mut node = tokio::select! {
        biased;
        node = ONE.lock() => node,
        node = OTHER.lock() => node,
    };
    if node.is_none() {
        *node = Some(tokio::task::spawn_blocking(Node::start).await.expect("a node"));
    }
    Breakable(node)
}

/// The node of [`breakable`], whole and running when it is handed out and to be so when it is given back.
#[derive(Debug)]
pub struct Breakable(MutexGuard<'static, Option<Node>>);

impl Deref for Breakable {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.0.as_ref().expect("it is taken away at the end alone")
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
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

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
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

    /// Forgets everything it holds: queues, messages, definitions. Stopped before and started after.
    pub fn wipe(&self) {
        self.run(&["wipe"]);
    }

    /// Runs `rabbitmqctl`; returns what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.run(&[&["ctl"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        script("rabbitmq.sh", self.folder.path(), arguments)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The folder itself is removed after this.
        self.run(&["rm"]);
    }
}
