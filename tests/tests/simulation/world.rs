//! A world: one database, one broker, providers, and a fleet that is asked for runs while its plan befalls it. Then nothing
//! befalls it any more, every run must come to its end, and the oracle looks at the books.

mod befall;
mod judge;
mod queues;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::id::{AuditId, Digest, RunId};
use assay_common::outcome::Outcome;
use assay_common::suite::Suite;
use assay_coordinator::steer::Action;
use assay_queue::Queue;
use assay_store::{AuditEntry, NewRun, Run, RunPool, RunState, Store, StoreError, Submission, Submitted};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::chance::Chance;
use crate::line::{Line, Skies};
use crate::oracle::{self, fleet};
use crate::plan::{Plan, case, numbered};
use crate::process::{Ground, Place};
use crate::provider::Providers;

/// The wall time at which every world begins.
const START: Micros = Micros(1_700_000_000_000_000);
/// How long runs may take to end once nothing befalls the fleet any more.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often runs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What came of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Everything that was wrong.
    pub(crate) wrong: Vec<String>,
    /// The digest of everything that happened, and when.
    pub(crate) history: Digest,
    /// How much simulated time it took.
    pub(crate) lasted: Duration,
    /// Calls that were made.
    pub(crate) calls: usize,
    /// Points that processes came to while anything befell the fleet.
    pub(crate) points: u64,
    /// The cases of jobs that were called poison.
    pub(crate) poison: Vec<String>,
    /// What gates made of its runs.
    pub(crate) gates: Gates,
    /// The most hints that waited in one queue, as far as anybody looked.
    pub(crate) deepest: u64,
}

/// How often gates had a say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gates {
    /// Runs that they ended.
    pub(crate) stopped: usize,
    /// Times that they had a run go on.
    pub(crate) topped_up: usize,
    /// Recorded verdicts that were held against the rows.
    pub(crate) verdicts: usize,
}

impl Report {
    /// Of a history that ended in a panic.
    pub(crate) fn of_panic() -> Self {
        let wrong = vec!["it ended in a panic".to_owned()];
        let (lasted, calls, points, poison, gates, deepest) = Default::default();
        Self { wrong, history: Digest::of(b"panic"), lasted, calls, points, poison, gates, deepest }
    }
}

/// Plays a plan to its end.
pub(crate) async fn play(plan: Plan, aside: Handle) -> Report {
    let began = Instant::now();
    let world = World::make(plan, aside).await;
    world.trouble().await;
    let points = world.ground.skies.points();
    world.calm().await;
    world.close().await;
    world.judge().await;
    let (ground, history) = (&world.ground, world.ground.skies.history());
    let wrong = std::mem::take(&mut *ground.wrong.lock().unwrap());
    let poison = std::mem::take(&mut *world.poison.lock().unwrap());
    let gates = *world.gates.lock().unwrap();
    let (lasted, calls) = (began.elapsed(), ground.providers.bill().len());
    let deepest = *world.deepest.lock().unwrap();
    Report { wrong, history, lasted, calls, points, poison, gates, deepest }
}

struct World {
    plan: Plan,
    ground: Arc<Ground>,
    places: Vec<Arc<Place>>,
    lives: Mutex<Vec<AbortOnDropHandle<()>>>,
    /// People who ask for runs and steer them.
    people: Store,
    clock: Clock,
    chance: Chance,
    runs: Vec<(RunId, Suite)>,
    /// When the cancellation of a run answered, or its gate was seen to have ended it.
    cancelled: Mutex<BTreeMap<RunId, Instant>>,
    /// How runs stood at the last look.
    seen: Mutex<BTreeMap<RunId, Run>>,
    /// How jobs ended.
    outcomes: Mutex<BTreeMap<(RunId, u64, u32), Outcome>>,
    /// The cases of jobs that were called poison.
    poison: Mutex<Vec<String>>,
    gates: Mutex<Gates>,
    /// What bounds the hints in a queue.
    crowd: Mutex<fleet::Crowd>,
    /// The most of them in one queue.
    deepest: Mutex<u64>,
}

impl World {
    async fn make(plan: Plan, aside: Handle) -> Self {
        let store = Store::simulated(aside).unwrap();
        let skies = Arc::new(Skies::new(plan.seed, plan.weather, plan.doom));
        let config = Arc::new(Plan::config());
        let providers = Arc::new(Providers::new(
            plan.seed,
            Arc::clone(&skies),
            (*config).clone(),
            plan.fatal.map(numbered),
        ));
        let clock = Clock::paused(START);
        let people = Arc::new(Line::new("people".to_owned(), Arc::clone(&skies), false));
        let people = store.through(people);
        let wrong = Mutex::default();
        let queue = Queue::memory();
        let ground = Ground { store, queue, config, skies: Arc::clone(&skies), providers, wrong };
        let kinds = plan.fleet.processes();
        let kinds = kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let place =
            |(number, kind)| Arc::new(Place::new(kind, number, plan.seed, Clock::paused(START), &skies));
        let places: Vec<_> = kinds.enumerate().map(place).collect();
        let ground = Arc::new(ground);
        let live = |place: &Arc<Place>| {
            let (place, ground) = (Arc::clone(place), Arc::clone(&ground));
            AbortOnDropHandle::new(tokio::spawn(async move { place.live(ground).await }))
        };
        let lives = Mutex::new(places.iter().map(live).collect());
        let chance = Chance::new(plan.seed, 4);
        let (cancelled, seen, outcomes, poison, gates, crowd, deepest) = Default::default();
        let runs = Vec::new();
        let mut world = Self {
            plan,
            ground,
            places,
            lives,
            people,
            clock,
            chance,
            runs,
            cancelled,
            seen,
            outcomes,
            poison,
            gates,
            crowd,
            deepest,
        };
        for number in 0..world.plan.suites.len() {
            let suite = world.plan.suites[number].clone();
            world.runs.push((world.submit(number, &suite).await, suite));
        }
        world
    }

    /// Two ask for the same at once, until they are answered: both are told of one run (I22).
    async fn submit(&self, number: usize, suite: &Suite) -> RunId {
        let dataset = &suite.dataset;
        let store = &self.ground.store;
        store.put_cases(dataset.digest.clone(), 0, (0..dataset.cases).map(case).collect()).await.unwrap();
        store.seal_dataset(dataset.clone(), START).await.unwrap();
        let revision = store.freeze_suite(suite.clone(), START).await.unwrap();
        let ask = async |asker: u128| {
            let id = RunId::new(Uuid::from_u128((number as u128) << 64 | asker));
            let run = new_run(id, suite, revision.clone(), self.clock.now(), self.plan.seed);
            let submission = Submission { key: suite.name.clone(), run, entry: self.entry("run.submit") };
            let answer = again(async || self.people.submit(submission.clone()).await).await;
            match answer {
                Submitted::Created => id,
                Submitted::Known(run) | Submitted::Conflict(run) => run,
            }
        };
        let (one, other) = tokio::join!(ask(1), ask(2));
        self.ground.tell(fleet::one_run(&[one, other]));
        one
    }

    /// Everything that was planned befalls the fleet.
    async fn trouble(&self) {
        let began = Instant::now();
        let mut looked = began;
        for (at, event) in &self.plan.events {
            while looked + LOOK_EVERY < began + *at {
                looked += LOOK_EVERY;
                sleep_until(looked).await;
                self.look().await;
            }
            sleep_until(began + *at).await;
            self.befall(*event).await;
        }
        while looked < began + self.plan.trouble {
            looked += LOOK_EVERY;
            sleep_until(looked).await;
            self.look().await;
        }
    }

    /// Nothing befalls anybody; what people paused they resume. Every run comes to its end (I27).
    async fn calm(&self) {
        let Ground { skies, providers, .. } = &*self.ground;
        skies.note("calm");
        skies.clear();
        providers.clear();
        self.places.iter().for_each(|place| place.life().line.clear());
        let began = Instant::now();
        loop {
            let runs = self.look().await;
            if runs.iter().all(|run| run.state.is_over()) {
                return;
            }
            if began.elapsed() > PATIENCE {
                return self.ground.tell(fleet::all_over(&runs, PATIENCE));
            }
            for (place, run) in runs.iter().enumerate().filter(|(_, run)| run.state == RunState::Paused) {
                skies.note(&format!("resume {}", run.id));
                self.steer(place, Action::Resume).await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Stops every process.
    async fn close(&self) {
        let alive = self.places.iter().filter(|place| place.is_alive());
        let alive: Vec<_> = alive.map(|place| place.life().line).collect();
        self.places.iter().for_each(|place| place.close());
        let lives = std::mem::take(&mut *self.lives.lock().unwrap());
        for life in lives {
            if let Err(error) = life.await {
                self.ground.tell([format!("a process ended in a panic: {error}")]);
            }
        }
        let members = self.ground.store.members().await.unwrap();
        let members: Vec<_> = members.into_iter().map(|member| member.host).collect();
        let stopped = alive.iter().filter(|line| !line.is_dead());
        let stopped: Vec<_> = stopped.map(|line| line.name.clone()).collect();
        self.ground.tell(fleet::left(&members, &stopped));
    }

    /// Looks at every run: I2, I7; at how its jobs have ended, when anything of it has changed; and at the queues.
    async fn look(&self) -> Vec<Run> {
        let (mut runs, mut ended) = (Vec::new(), 0);
        for (id, _) in &self.runs {
            let run = self.ground.store.run(*id).await.unwrap().expect("what was submitted is there");
            self.ground.tell(oracle::look(&run));
            if run.stopped_early {
                self.cancelled.lock().unwrap().entry(*id).or_insert_with(Instant::now);
            }
            let known = self.seen.lock().unwrap().insert(*id, run.clone());
            ended += run.done().saturating_sub(known.as_ref().map_or(0, Run::done));
            if known.as_ref() != Some(&run) {
                self.look_at_outcomes(&run).await;
            }
            runs.push(run);
        }
        self.look_at_queues(ended).await;
        runs
    }

    /// What a run counts is what its jobs are (I2, I15), and how a job has ended stays (I3).
    async fn look_at_outcomes(&self, run: &Run) {
        let rows = self.ground.store.outcomes(run.id, None, 1_000).await.unwrap();
        self.ground.tell(oracle::look_at_outcomes(run, rows.iter()));
        let states = self.ground.store.job_states(run.id).await.unwrap();
        self.ground.tell(oracle::look_at_jobs(run, states));
        let mut known = self.outcomes.lock().unwrap();
        for row in rows {
            let first = *known.entry((run.id, row.ordinal, row.generation)).or_insert(row.outcome);
            if first != row.outcome {
                let (run, ordinal, now) = (run.id, row.ordinal, row.outcome);
                self.ground.tell([format!("I3: job {ordinal} of {run} was {first:?}, is {now:?}")]);
            }
        }
    }

    fn pools(&self) -> Vec<String> {
        let pools = self.runs.iter().flat_map(|(_, suite)| RunPool::all_of(suite));
        let mut pools: Vec<_> = pools.map(|pool| pool.pool).collect();
        pools.sort();
        pools.dedup();
        pools
    }

    fn entry(&self, action: &str) -> AuditEntry {
        AuditEntry {
            id: AuditId::new(Uuid::from_u64_pair(self.chance.number(0..u64::MAX), 1)),
            at: self.clock.now(),
            actor: "plan".to_owned(),
            action: action.to_owned(),
            subject: "run".to_owned(),
            detail: serde_json::Value::Null,
        }
    }
}

/// Asks until there is an answer, as people do.
async fn again<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

fn new_run(id: RunId, suite: &Suite, revision: Digest, now: Micros, seed: u64) -> NewRun {
    let mut drawn = [0; 32];
    drawn[..8].copy_from_slice(&seed.to_be_bytes());
    NewRun {
        id,
        revision,
        suite_name: suite.name.clone(),
        seed: drawn,
        planned: suite.first_jobs().unwrap_or(0),
        pools: RunPool::all_of(suite),
        priority: suite.priority,
        budget: suite.budget,
        created_at: now,
        deadline_at: now.plus(Duration::from_secs(suite.deadline_seconds)),
        trace: None,
    }
}
