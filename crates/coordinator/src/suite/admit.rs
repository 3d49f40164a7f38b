//! What is checked of a frozen suite that comes from elsewhere. Its author's machine has validated the file with all its
//! places; here nothing of that is believed, and the configuration decides which providers there are.
//!
//! - `unknown`: what was said and not understood
//! - `prompts`: prompts and models; `scorers`; `gate`: one part of the suite each
//!
//! **Invariant:** what passes can be executed and judged by every worker without a surprise.

mod gate;
mod prompts;
mod scorers;
mod unknown;

use assay_common::config::Config;
use assay_common::suite::Suite;
use assay_common::visible::{is_one_line, visible_line};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::layout::{MAX_DEADLINE_SECONDS, MAX_REPEATS};
use super::shape::MAX_NAME_CHARS;

/// The most jobs of one run.
const MAX_JOBS: u64 = 100_000_000;

/// One thing that is wrong with a suite, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// The part of the suite, such as `models[1]`.
    pub place: String,
    /// What is wrong with it, on one line.
    pub message: String,
    /// What to do, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Everything that is wrong with `suite`, which was read from `sent`, under `config`; nothing when it can be run.
pub fn admit(suite: &Suite, sent: &Value, config: &Config) -> Vec<Objection> {
    let mut objections = Objections::default();
    unknown::fields("suite", sent, &json!(suite), &mut objections);
    objections.name("name", &suite.name);
    if let Some(owner) = &suite.owner {
        objections.name("owner", owner);
    }
    if suite.description.as_ref().is_some_and(|text| text.contains('\0')) {
        objections.add("description", "it holds the character NUL");
    }
    prompts::prompts(&suite.prompts, &mut objections);
    prompts::models(suite, config, &mut objections);
    scorers::scorers(&suite.scorers, &mut objections);
    if suite.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold.as_f64())) {
        objections.add("threshold", "a threshold lies between 0 and 1");
    }
    if !(1..=MAX_REPEATS).contains(&suite.repeats) {
        objections.add("repeats", format!("a case is tried 1 to {MAX_REPEATS} times"));
    }
    if suite.reduce.least_trials() > suite.repeats {
        let least = suite.reduce.least_trials();
        objections.add("reduce", format!("`{}` needs at least {least} trials", suite.reduce));
    }
    if suite.budget.is_some_and(|budget| budget.0 <= 0) {
        objections.add("budget", "a budget is above zero");
    }
    if !(1..=MAX_DEADLINE_SECONDS).contains(&suite.deadline_seconds) {
        objections.add("deadline_seconds", "a deadline lies between one second and ten years");
    }
    match suite.product().jobs() {
        Some(0) => _ = objections.add("dataset", "there is no case to run"),
        Some(jobs) if jobs <= MAX_JOBS => {}
        _ => {
            let too_many = format!("more than {MAX_JOBS} jobs: cases × prompts × models × repeats");
            objections.add("dataset", too_many).hint = Some("split the suite".to_owned());
        }
    }
    if let Some(gate) = &suite.gate {
        gate::gate(gate, suite, &mut objections);
    }
    objections.0
}

/// What has been found so far.
#[derive(Default)]
struct Objections(Vec<Objection>);

impl Objections {
    fn add(&mut self, place: impl Into<String>, message: impl Into<String>) -> &mut Objection {
        let message = visible_line(&message.into()).into_owned();
        let objection = Objection { place: place.into(), message, hint: None };
        self.0.push(objection);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A name in one line.
    fn name(&mut self, place: impl Into<String>, name: &str) {
        let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && is_one_line(name);
        if !fits {
            let message = format!("a name is one line of 1 to {MAX_NAME_CHARS} characters");
            self.add(place, message);
        }
    }
}
