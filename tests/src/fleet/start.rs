//! How coordinators and workers of a fleet are started.

use std::fs::File;
use std::process::Stdio;

use super::{Process, World};

impl World {
    /// Starts a coordinator that listens on a free port.
    pub fn coordinator(&mut self) -> Process {
        self.coordinator_at("127.0.0.1:0")
    }

    /// Starts a coordinator that listens there.
    pub fn coordinator_at(&mut self, address: &str) -> Process {
        self.start_coordinator(&self.store_url.clone(), address, &[])
    }

    /// Starts a coordinator on another store.
    pub fn coordinator_on(&mut self, store: &str) -> Process {
        self.start_coordinator(store, "127.0.0.1:0", &[])
    }

    /// Starts a coordinator with these variables in its environment.
    pub fn coordinator_with(&mut self, variables: &[(&str, &str)]) -> Process {
        self.start_coordinator(&self.store_url.clone(), "127.0.0.1:0", variables)
    }

    /// Starts a coordinator with exactly these arguments and variables.
    pub fn coordinator_beside(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        let process = self.start_bare(arguments, variables);
        self.coordinators.push(process.log.clone());
        process
    }

    fn start_coordinator(&mut self, store: &str, address: &str, variables: &[(&str, &str)]) -> Process {
        let arguments = ["--listen", address, "--dead-after", self.dead_after, "--lost-after", "1s"];
        let process = self.start("coordinator", store, &arguments, variables);
        self.coordinators.push(process.log.clone());
        process
    }

    /// Starts a worker.
    pub fn worker(&mut self) -> Process {
        self.worker_with(&[])
    }

    /// Starts a worker with these variables in its environment.
    pub fn worker_with(&mut self, variables: &[(&str, &str)]) -> Process {
        self.start("worker", &self.store_url.clone(), &["--listen", "127.0.0.1:0"], variables)
    }

    /// Starts a worker on another store.
    pub fn worker_on(&mut self, store: &str) -> Process {
        self.start("worker", store, &["--listen", "127.0.0.1:0"], &[])
    }

    /// Starts a worker between another store and another broker.
    pub fn worker_between(&mut self, store: &str, broker: &str) -> Process {
        self.start_bare(&["worker", "--store", store, "--queue", broker, "--listen", "127.0.0.1:0"], &[])
    }

    fn start(
        &mut self,
        command: &str,
        store: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let broker = self.broker.clone();
        let common = [command, "--store", store, "--queue", &broker];
        self.start_bare(&[&common, arguments].concat(), variables)
    }

    /// Starts a process of a fleet with exactly these arguments and variables.
    pub fn start_bare(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        self.started += 1;
        let log = self.place.path().join(format!("{}-{}.log", arguments[0], self.started));
        let mut command = self.place.command(arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&log).unwrap()).spawn().expect("assay starts");
        Process { child, log }
    }
}
