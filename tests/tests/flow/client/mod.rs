//! The command line as a client of a coordinator: `submit`, `watch`, `status`, `results`, `cancel`, `pause`, `resume`,
//! and `token`, with the real binary.
//!
//! - `steering`: submitted, paused, resumed, cancelled; `waiting`: followed to the end
//! - `wrong`: whatever can be wrong; `tokens`: who may ask
//!
//! Nobody executes the runs here but `assay run` on the same store, which goes on with the unfinished run of its suite.

mod steering;
mod tokens;
mod waiting;
mod wrong;

use std::process::Command;
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{Scope, StoreUrl};
use assay_tests::api::Api;
use assay_tests::assay::{Ran, Workplace};
use tokio::task::spawn_blocking;

const BOTH: [Scope; 2] = [Scope::Read, Scope::Submit];
/// What the suites here need.
const CONFIG: &str = "[providers.fake]\nkind = \"echo\"\n";

/// A folder, a coordinator's API on a store in it, and a token for it.
struct Scene {
    place: Workplace,
    api: Api,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let place = Workplace::default();
        let api = Api::start(&store_of(&place), CONFIG).await;
        let token = api.token("ci", &BOTH).await;
        Self { place, api, token }
    }

    /// A suite of `cases` answers that the provider echoes; all but the last third are right.
    fn suite(&self, cases: u32, more: &str) {
        let rows: String = (0..cases)
            .map(|n| {
                format!(
                    "{{\"id\": \"c{n}\", \"say\": \"{n}\", \"want\": \"{}\"}}\n",
                    if n < cases * 2 / 3 { n } else { 0 }
                )
            })
            .collect();
        self.place.write("cases.jsonl", rows).write("assay.toml", CONFIG).write(
            "suite.yaml",
            format!(
                "suite: echoes\nprompts:\n  - {{name: echo, text: '{{{{ say }}}}', label: plain}}\n  - {{name: echo, text: ' {{{{ say }}}}', label: spaced}}\nmodels: [fake/e]\ncases:\n  - {{file: cases.jsonl, id: id}}\nscore:\n  - {{type: equals, value: '{{{{ want }}}}'}}\n{more}\n"
            ),
        );
    }

    /// `assay` with the coordinator in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("ASSAY_SERVER", &self.api.base).env("ASSAY_TOKEN", &self.token);
        command
    }

    /// Runs it to its end, beside the server.
    async fn assay(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Lets `assay run` execute what was submitted, on the store of the server.
    async fn execute(&self, arguments: &[&str]) -> Ran {
        let store = format!("sqlite:{}", self.place.path().join("shared.db").display());
        let mut command =
            self.place.command(&[&["run", "suite.yaml", "--store", &store], arguments].concat());
        spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Waits until the store has a run.
    async fn submitted(&self) -> RunId {
        for _ in 0..600 {
            if let Some(run) = self.api.store.runs(None, 1).await.unwrap().pop() {
                return run.id;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("nothing was submitted within twelve seconds")
    }
}

fn store_of(place: &Workplace) -> StoreUrl {
    StoreUrl::Sqlite(place.path().join("shared.db"))
}
