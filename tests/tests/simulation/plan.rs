//! The plan of a simulation, drawn from its seed: how large the fleet is, what it is asked, and what befalls it when.

use std::time::Duration;

use assay_common::case::Case;
use assay_common::config::Config;
use assay_common::id::Digest;
use assay_common::model::{Model, Sampling};
use assay_common::money::NanoUsd;
use assay_common::prompt::{PromptBody, PromptEntry};
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::scorer::{Check, Scorer};
use assay_common::suite::{DatasetRef, Priority, Suite};
use serde_json::json;

use crate::chance::Chance;
use crate::gate;
use crate::process::Kind;

/// Providers, limits and prices. The network is never asked.
const CONFIG: &str = r#"
give_up_after = "60s"
[providers.alpha]
kind = "openai"
base_url = "http://alpha.invalid/v1"
timeout = "6s"
limits = { in_flight = 3 }
[providers.beta]
kind = "openai"
base_url = "http://beta.invalid/v1"
timeout = "6s"
limits = { in_flight = 2, requests_per_minute = 600 }
[prices."alpha/large"]
input_per_mtok = 1.0
output_per_mtok = 4.0
[prices."beta/small"]
input_per_mtok = 0.5
output_per_mtok = 2.0
"#;

/// Cases that every suite has.
pub(crate) const FEWEST_CASES: u64 = 3;

/// What a call of the dearest model may cost at most, roughly.
const DEAR: i64 = 400_000;

/// A drawn plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How many processes of each kind there are.
    pub(crate) fleet: Fleet,
    pub(crate) suites: Vec<Suite>,
    pub(crate) weather: Weather,
    /// In their order.
    pub(crate) events: Vec<(Duration, Event)>,
    /// How long anything befalls the fleet.
    pub(crate) trouble: Duration,
    /// The case whose answers kill whoever reads them, as long as anything befalls the fleet.
    pub(crate) fatal: Option<u64>,
    /// The point at which a process dies, counted over all of them.
    pub(crate) doom: Option<u64>,
}

/// Who is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fleet {
    /// Workers and coordinators.
    Of(usize, usize),
    /// One process that does everything for itself, as `assay run` does.
    Laptop,
}

/// How likely a fault is each time that it could happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// A process dies on its way to the store, or back.
    pub(crate) crash: f64,
    /// A transaction does not begin, or its answer is lost.
    pub(crate) cut: f64,
    /// A transaction takes long.
    pub(crate) slow: f64,
    /// A call comes to anything but an answer.
    pub(crate) provider: f64,
}

/// What befalls the fleet at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A process dies.
    Crash(usize),
    /// A process stands still, and then goes on.
    Freeze(usize, Duration),
    /// A process does not reach the store, and everything else.
    CutOff(usize, Duration),
    /// A process is told to stop, and then started anew.
    Terminate(usize),
    /// The wall clock of a process jumps by so many microseconds.
    Jump(usize, i64),
    /// Nobody reaches the store.
    Outage(Duration),
    /// All waiting hints are gone.
    Purge,
    /// So many hints are taken out of each queue and never seen again.
    Lose(u32),
    /// So many hints are sent that nobody needs.
    Double(u64),
    /// The session that holds the leader's lock ends without the leader's knowing.
    EndSession,
    /// An account answers every call with this status.
    Storm(&'static str, u16, Duration),
    /// A run is paused.
    Pause(usize),
    /// A run is told to go on.
    Resume(usize),
    /// A run is cancelled.
    Cancel(usize),
    /// What errored in a run is asked again.
    Retry(usize),
}

impl Plan {
    /// Draws the plan of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let chance = Chance::new(seed, 1);
        let fleet = match chance.number(0..5) {
            0 => Fleet::Laptop,
            _ => Fleet::Of(chance.one_of(&[1, 2, 2, 3]), chance.one_of(&[1, 2, 2])),
        };
        let runs = chance.one_of(&[1, 1, 2, 3]);
        let suites: Vec<_> = (0..runs).map(|number| suite(&chance, number)).collect();
        // Some seeds spare one kind of fault, so that its absence is seen too.
        let rate = |likelihood: f64| if chance.happens(0.7) { likelihood * chance.share() } else { 0.0 };
        let weather = Weather { crash: rate(0.004), cut: rate(0.02), slow: rate(0.03), provider: rate(0.4) };
        let trouble = chance.millis(3_000..12_000);
        let within = u64::try_from(trouble.as_millis()).unwrap_or(u64::MAX);
        let processes = fleet.processes().iter().map(|(_, count)| count).sum();
        let mut events: Vec<_> = (0..chance.number(0..14))
            .map(|_| {
                (chance.millis(0..within), event(&chance, processes, suites.len(), weather.provider > 0.0))
            })
            .collect();
        events.sort_by_key(|(at, _)| *at);
        let fatal = chance.happens(0.15).then(|| chance.number(0..FEWEST_CASES));
        Self { seed, fleet, suites, weather, events, trouble, fatal, doom: None }
    }

    /// Whether a provider fails at any time.
    pub(crate) fn providers_fail(&self) -> bool {
        let storm = |(_, event): &(Duration, Event)| matches!(event, Event::Storm(..));
        self.weather.provider > 0.0 || self.events.iter().any(storm)
    }

    /// What assay.toml says.
    pub(crate) fn config() -> Config {
        Config::parse(CONFIG).expect("the configuration is valid")
    }
}

impl Fleet {
    /// The kinds of its processes, and how many there are of each.
    pub(crate) fn processes(self) -> Vec<(Kind, usize)> {
        match self {
            Self::Of(workers, coordinators) => {
                vec![(Kind::Worker, workers), (Kind::Coordinator, coordinators)]
            }
            Self::Laptop => vec![(Kind::Laptop, 1)],
        }
    }
}

fn event(chance: &Chance, processes: usize, runs: usize, provider: bool) -> Event {
    let process = usize::try_from(chance.number(0..processes as u64)).unwrap_or(0);
    let run = usize::try_from(chance.number(0..runs as u64)).unwrap_or(0);
    let account = chance.one_of(&["alpha", "beta"]);
    match chance.number(0..17) {
        0 | 1 => Event::Crash(process),
        2 | 3 => Event::Freeze(process, chance.millis(500..12_000)),
        4 => Event::CutOff(process, chance.millis(500..12_000)),
        5 => Event::Terminate(process),
        6 => {
            let by = i64::try_from(chance.number(0..60_000_000)).unwrap_or(0);
            Event::Jump(process, by - 30_000_000)
        }
        7 => Event::Outage(chance.millis(500..9_000)),
        8 => Event::Purge,
        9 => Event::Lose(4),
        10 => Event::Double(chance.number(1..20)),
        11 => Event::EndSession,
        12 if provider => {
            Event::Storm(account, chance.one_of(&[401, 402, 429, 500, 503]), chance.millis(500..6_000))
        }
        13 => chance.one_of(&[Event::Pause(run), Event::Resume(run)]),
        14 if chance.happens(0.4) => Event::Cancel(run),
        15 | 16 => Event::Retry(run),
        _ => Event::Purge,
    }
}

/// The text of a prompt, and what it becomes for a case.
const TEMPLATES: [&str; 2] = ["Is {{ n }} lucky?", "Say whether {{ n }} is lucky."];

/// What every prompt for the nth case says, and that of no other.
pub(crate) fn numbered(n: u64) -> String {
    format!(" {n} ")
}

/// A suite of as few jobs as there can be, with a budget.
pub(crate) fn smallest() -> Suite {
    let mut suite = suite(&Chance::new(0, 0), 0);
    suite.prompts.truncate(1);
    suite.models.truncate(1);
    suite.dataset.cases = FEWEST_CASES;
    suite.repeats = 1;
    suite.gate = None;
    suite.budget = Some(NanoUsd(20 * DEAR));
    suite
}

fn suite(chance: &Chance, number: usize) -> Suite {
    let prompt = |(place, text): (usize, &&str)| {
        let body = PromptBody::text(text);
        PromptEntry {
            name: "lucky".to_owned(),
            label: format!("v{place}"),
            owner: None,
            baseline: false,
            digest: body.digest(),
            body,
        }
    };
    let model = |provider: &str, model: &str| Model {
        provider: provider.to_owned(),
        model: model.to_owned(),
        sampling: Sampling { max_tokens: Some(40), ..Sampling::default() },
        recording: None,
    };
    let prompts = chance.one_of(&[1, 1, 2]);
    let models = chance.one_of(&[
        &[("alpha", "large")][..],
        &[("beta", "small")],
        &[("alpha", "large"), ("beta", "small")],
    ]);
    let gate = chance.happens(0.4).then(|| gate::draw(chance));
    // A gate needs some answers to come to a decision.
    let cases = chance.number(if gate.is_some() { 12..30 } else { FEWEST_CASES..18 });
    let repeats = chance.one_of(&[1, 1, 1, 2]);
    let jobs = i64::try_from(cases).unwrap_or(1)
        * i64::from(repeats * u32::try_from(prompts * models.len()).unwrap_or(1));
    let budget = chance.happens(0.35).then(|| NanoUsd(DEAR / 8 * jobs / chance.one_of(&[1, 2, 4]) + DEAR));
    Suite {
        name: format!("lucky-{number}"),
        owner: None,
        description: None,
        prompts: TEMPLATES.iter().take(prompts).enumerate().map(prompt).collect(),
        models: models.iter().map(|(provider, name)| model(provider, name)).collect(),
        dataset: DatasetRef {
            digest: Digest::of(format!("{cases} numbers").as_bytes()),
            cases,
            clustered: false,
        },
        scorers: vec![Scorer {
            check: Check::Equals { value: json!("yes") },
            negated: false,
            weight: Millionths::ONE,
            metric: None,
            extract: None,
        }],
        threshold: None,
        repeats,
        reduce: Reducer::Mean,
        priority: chance.one_of(&Priority::ALL),
        budget,
        deadline_seconds: 48 * 3_600,
        gate,
    }
}

/// The nth case of every dataset.
pub(crate) fn case(n: u64) -> Case {
    let vars = json!({"n": n}).as_object().cloned().unwrap_or_default();
    Case { id: n.to_string(), cluster: None, tags: Default::default(), vars }
}

/// The prompt of a variant for a case, by a second method than the templates' own.
pub(crate) fn asked(suite: &Suite, variant: u32, case: &str) -> String {
    TEMPLATES[suite.variant(variant).prompt].replace("{{ n }}", case)
}
