//! A world: one database, one broker, providers, and a fleet that is asked for runs while its plan befalls it. Then nothing
//! befalls it any more, every run must come to its end, and the oracle looks at the books.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::id::{AuditId, Digest, MemberId, RunId};
use assay_common::job::Hint;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::suite::Suite;
use assay_coordinator::steer::{Action, SteerError, steer};
use assay_queue::{Queue, QueueError};
use assay_store::{
    AuditEntry, Candidacy, Mandate, NewRun, Run, RunPool, RunState, Store, StoreError, Submission, Submitted,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::chance::Chance;
use crate::line::{Line, Skies};
use crate::oracle::{self, Call, Circumstances};
use crate::plan::{Event, Plan, asked, case, numbered};
use crate::process::{Ground, Place};
use crate::provider::{Entry, Providers, expected};

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
}

impl Report {
    /// Of a history that ended in a panic.
    pub(crate) fn of_panic() -> Self {
        let wrong = vec!["it ended in a panic".to_owned()];
        let (lasted, calls, points, poison) = Default::default();
        Self { wrong, history: Digest::of(b"panic"), lasted, calls, points, poison }
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
    Report { wrong, history, lasted: began.elapsed(), calls: ground.providers.bill().len(), points, poison }
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
    /// When the cancellation of a run answered.
    cancelled: Mutex<BTreeMap<RunId, Instant>>,
    /// How runs stood at the last look.
    seen: Mutex<BTreeMap<RunId, Run>>,
    /// How jobs ended.
    outcomes: Mutex<BTreeMap<(RunId, u64, u32), Outcome>>,
    /// The cases of jobs that were called poison.
    poison: Mutex<Vec<String>>,
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
        let (cancelled, seen, outcomes, poison) = Default::default();
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
        if one != other {
            self.ground.tell(format!("I22: one key made the runs {one} and {other}"));
        }
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

    async fn befall(&self, event: Event) {
        let Ground { skies, queue, providers, store, .. } = &*self.ground;
        skies.note(&format!("{event:?}"));
        let line = |process: usize| self.places[process].life().line;
        match event {
            Event::Crash(process) => line(process).die(),
            Event::Freeze(process, lasts) => line(process).freeze(lasts),
            Event::CutOff(process, lasts) => line(process).cut_off(lasts),
            Event::Terminate(process) => self.places[process].terminate(),
            Event::Jump(process, by) => self.places[process].clock.jump(by),
            Event::Outage(lasts) => skies.outage(lasts),
            Event::Purge => {
                for pool in self.pools() {
                    queue.purge(&pool).await.unwrap();
                }
            }
            Event::Lose(hints) => self.lose(hints).await.unwrap(),
            Event::Double(hints) => self.double(hints).await.unwrap(),
            Event::EndSession => {
                if let Ok(mut candidacy) = Candidacy::open(store).await {
                    let _ = candidacy.depose().await;
                }
            }
            Event::Storm(account, status, lasts) => providers.storm(account, status, lasts),
            Event::Pause(run) => self.steer(run, Action::Pause).await,
            Event::Resume(run) => self.steer(run, Action::Resume).await,
            Event::Cancel(run) => {
                self.steer(run, Action::Cancel).await;
                let run = self.runs[run].0;
                self.cancelled.lock().unwrap().entry(run).or_insert_with(Instant::now);
            }
        }
    }

    /// Takes hints that a broker loses.
    async fn lose(&self, hints: u32) -> Result<(), QueueError> {
        let nobody = MemberId::new(Uuid::from_u128(9));
        let committed = self.ground.store.settle(nobody, Vec::new(), START).await.unwrap();
        for pool in self.pools() {
            let mut thief = self.ground.queue.subscribe(&pool, hints).await?;
            for _ in 0..hints {
                if let Ok(delivery) = timeout(Duration::ZERO, thief.next()).await {
                    delivery?.ack(committed).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends hints for jobs that are done, held, not expanded or unknown.
    async fn double(&self, hints: u64) -> Result<(), QueueError> {
        let unknown = RunId::new(Uuid::from_u128(77));
        for pool in self.pools() {
            let runs = self.runs.iter().map(|(run, _)| *run).chain([unknown]);
            let hint = |run| (0..hints).map(move |_| run);
            let hints: Vec<_> =
                runs.flat_map(hint).map(|run| Hint { run, ordinal: self.chance.number(0..60) }).collect();
            self.ground.queue.publish(&pool, &hints).await?;
        }
        Ok(())
    }

    async fn steer(&self, run: usize, action: Action) {
        let run = self.runs[run].0;
        let answer = again(async || {
            let entry = self.entry(action.word());
            match steer(&self.people, run, action, "the plan", entry).await {
                Err(SteerError::Store(error)) => Err(error),
                steered => Ok(steered),
            }
        });
        if let Err(error @ SteerError::NoRun(_)) = answer.await {
            self.ground.tell(format!("I22: {error}"));
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
                let open: Vec<_> = runs.iter().filter(|run| !run.state.is_over()).collect();
                return self.ground.tell(format!("I27: {PATIENCE:?} after the last fault: {open:?}"));
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
                self.ground.tell(format!("a process ended in a panic: {error}"));
            }
        }
        let members = self.ground.store.members().await.unwrap();
        let stopped = |name: &str| alive.iter().any(|line| line.name == name && !line.is_dead());
        let left: Vec<_> =
            members.into_iter().map(|member| member.host).filter(|host| stopped(host)).collect();
        if !left.is_empty() {
            self.ground.tell(format!("I20: these stopped and did not leave: {left:?}"));
        }
    }

    /// Looks at every run: I2, I7; and at how its jobs have ended, when more of them have.
    async fn look(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for (id, _) in &self.runs {
            let run = self.ground.store.run(*id).await.unwrap().expect("what was submitted is there");
            oracle::look(&run).into_iter().for_each(|wrong| self.ground.tell(wrong));
            let known = self.seen.lock().unwrap().insert(*id, run.clone());
            if known.as_ref() != Some(&run) {
                self.look_at_outcomes(*id).await;
            }
            runs.push(run);
        }
        runs
    }

    /// How a job has ended stays (I3).
    async fn look_at_outcomes(&self, run: RunId) {
        let rows = self.ground.store.outcomes(run, None, 1_000).await.unwrap();
        let mut known = self.outcomes.lock().unwrap();
        for row in rows {
            let first = *known.entry((run, row.ordinal, row.generation)).or_insert(row.outcome);
            if first != row.outcome {
                self.ground
                    .tell(format!("I3: job {} of {run} was {first:?}, is {:?}", row.ordinal, row.outcome));
            }
        }
    }

    /// What the books say in the end.
    async fn judge(&self) {
        let store = &self.ground.store;
        let bill = self.ground.providers.bill();
        let troubled = self.ground.skies.troubled();
        let befell = Circumstances { errors: self.plan.providers_fail(), troubled };
        for (id, suite) in &self.runs {
            self.look_at_outcomes(*id).await;
            let run = store.run(*id).await.unwrap().expect("what was submitted is there");
            if !run.state.is_over() {
                continue;
            }
            let rows = store.results(*id, None, 1_000).await.unwrap();
            let poison = rows.iter().filter(|row| row.row.outcome == Outcome::Errored(ErrorKind::Poison));
            self.poison.lock().unwrap().extend(poison.map(|row| row.row.case_id.clone()));
            let cancelled = self.cancelled.lock().unwrap().get(id).copied();
            let calls = bill.iter().filter(|entry| entry.job.0 == *id);
            let calls: Vec<_> = calls.map(|entry| judged(entry, cancelled)).collect();
            let expected = |row: &assay_store::ResultRow| {
                let model = &suite.models[suite.variant(row.row.variant).model].model;
                expected(&asked(suite, row.row.variant, &row.row.case_id), model)
            };
            let wrong = oracle::judge(&run, &rows, &calls, expected, befell);
            wrong.into_iter().for_each(|wrong| self.ground.tell(wrong));
            self.fenced(&run).await;
        }
        let known = store.runs(None, 100).await.unwrap().len();
        if known != self.runs.len() {
            self.ground.tell(format!("I22: {} runs were asked for, there are {known}", self.runs.len()));
        }
    }

    /// A leader of the past changes nothing (I18).
    async fn fenced(&self, run: &Run) {
        let store = &self.ground.store;
        let old = store.raise_epoch(MemberId::new(Uuid::from_u128(9)), START).await.unwrap();
        store.raise_epoch(MemberId::new(Uuid::from_u128(10)), START).await.unwrap();
        let refused = [
            store.finish(old, run.id, START).await.err(),
            store.expand(old, run.id, run.cursor, Vec::new(), true).await.err(),
            store.give_up(old, run.id, String::new(), START).await.err(),
            store.bury(old, MemberId::new(Uuid::from_u128(9)), START).await.err(),
        ];
        if !refused.iter().all(|error| matches!(error, Some(StoreError::Deposed { .. }))) {
            self.ground.tell(format!("I18: {:?} was not refused: {refused:?}", Mandate::Epoch(0)));
        }
        if store.run(run.id).await.unwrap().as_ref() != Some(run) {
            self.ground.tell(format!("I18: run {} was changed by a leader of the past", run.id));
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

fn judged(entry: &Entry, cancelled: Option<Instant>) -> Call {
    Call {
        job: entry.job,
        attempt: entry.attempt,
        cost: entry.cost.0,
        told: entry.told,
        seen: entry.seen,
        answered: entry.answered,
        troubled: entry.line.is_troubled(),
        after_cancel: cancelled.is_some_and(|cancelled| entry.line.born > cancelled),
    }
}
