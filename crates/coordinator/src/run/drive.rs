//! The loop of `assay run`: rounds over its one run, watched by somebody whose patience ends.

use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{self as store, AccountProblem, Mandate, Run, RunState, StoreError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::course::Standing;
use super::dispatch::Dispatch;
use super::round::{DriveError, Outage, Rounds};
use crate::environment::Environment;
use crate::reasons::{PAUSED, WAITING};
use crate::report::civil;

/// Workers put a job off by a minute at most; who is put off for longer was told to by a provider.
const OWN_WAITS: Duration = Duration::from_secs(120);
/// How often accounts are asked why nothing moves.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How driving a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Every expanded job is terminal.
    Finished(Run),
    /// The caller asked to stop; the run goes on when it is driven again.
    Interrupted(Run),
    /// An account keeps its jobs from moving; the run goes on when it is driven again.
    NeedsAttention(Run, Vec<(String, AccountProblem)>),
}

impl Ended {
    /// The run's row at that moment.
    pub fn run(&self) -> &Run {
        match self {
            Self::Finished(run) | Self::Interrupted(run) | Self::NeedsAttention(run, _) => run,
        }
    }
}

/// Drives one run.
pub struct Driver {
    rounds: Rounds,
    run: RunId,
    patience: Duration,
    /// When accounts were last asked why nothing moves.
    asked: Instant,
    /// How many jobs were done when that number last changed, and when.
    progress: (u64, Instant),
}

impl Driver {
    /// Reads what the run needs. `patience` is how long it may stand still while an account needs attention, and how long the store
    /// may be away.
    pub async fn load(environment: Environment, run: RunId, patience: Duration) -> Result<Self, DriveError> {
        let row = environment.store.run(run).await?.ok_or(DriveError::NoRun(run))?;
        let mut rounds = Rounds::new(environment, Mandate::Own, Dispatch::with_leftovers([]));
        rounds.take_up(&row).await?;
        let now = Instant::now();
        Ok(Self { rounds, run, patience, asked: now, progress: (row.done(), now) })
    }

    /// Drives the run until it has ended or `stop` is cancelled. `watch` sees the run's row at every look.
    pub async fn drive(self, stop: &CancellationToken, watch: impl FnMut(&Run)) -> Result<Ended, DriveError> {
        let started = Instant::now();
        let ended = self.turn(stop, watch).await?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let run = ended.run();
        let jobs = run.done();
        let (id, planned, state) = (run.id, run.planned, run.state.word());
        tracing::info!(run.id = %id, run.jobs = jobs, duration_ms, "{state} run {id}: {jobs} of {planned} jobs are done");
        Ok(ended)
    }

    /// Makes rounds until the run has ended. An outage of the store or the queue is waited out, as long as patience
    /// lasts: what was dispatched goes on meanwhile.
    async fn turn(
        mut self,
        stop: &CancellationToken,
        mut watch: impl FnMut(&Run),
    ) -> Result<Ended, DriveError> {
        let mut outage = Outage::default();
        let queue = self.rounds.environment().queue.clone();
        loop {
            let asked = Instant::now();
            let pause = match self.look(stop, &mut watch).await {
                Ok(Look::Ended(ended)) => return Ok(*ended),
                Ok(Look::GoOn(pause)) => {
                    outage.ends();
                    pause
                }
                Err(error) if error.may_pass() && !stop.is_cancelled() => {
                    let (lasted, pause) = outage.goes_on(&error, asked);
                    if lasted >= self.patience {
                        return Err(error);
                    }
                    pause
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
                // On a laptop the run's end is somebody's wait.
                () = queue.drained() => {}
            }
        }
    }

    /// One look: whether the run has ended, else one round.
    async fn look(
        &mut self,
        stop: &CancellationToken,
        watch: &mut impl FnMut(&Run),
    ) -> Result<Look, DriveError> {
        let run = self.rounds.environment().store.run(self.run).await?.ok_or(DriveError::NoRun(self.run))?;
        watch(&run);
        if stop.is_cancelled() {
            return Ok(Look::Ended(Box::new(Ended::Interrupted(run))));
        }
        let mut seen = self.rounds.go(std::slice::from_ref(&run)).await?;
        let ended = match seen.standings.pop() {
            Some((_, Standing::Finished(run))) => Some(Ended::Finished(*run)),
            Some((_, Standing::Refused { account, problem })) => {
                Some(Ended::NeedsAttention(run, vec![(account, problem)]))
            }
            _ if run.state == RunState::Paused => self.paused(run).await?,
            _ => self.stalled(run).await?,
        };
        match (ended, seen.undispatched) {
            (Some(ended), _) => {
                watch(ended.run());
                Ok(Look::Ended(Box::new(ended)))
            }
            (None, Some(error)) => Err(error.into()),
            (None, None) => Ok(Look::GoOn(seen.pause)),
        }
    }

    /// A run that somebody has paused is not waited for, once nothing of it is in flight.
    async fn paused(&self, run: Run) -> Result<Option<Ended>, StoreError> {
        if self.rounds.environment().store.standing(self.run).await?.running {
            return Ok(None);
        }
        let since = self.rounds.environment().clock.now();
        let detail = format!("run {} is paused", run.id);
        let problem = AccountProblem { kind: PAUSED.to_owned(), detail, since };
        Ok(Some(Ended::NeedsAttention(run, vec![(String::new(), problem)])))
    }

    async fn stalled(&mut self, run: Run) -> Result<Option<Ended>, StoreError> {
        if run.done() != self.progress.0 {
            self.progress = (run.done(), Instant::now());
        }
        if self.progress.1.elapsed() < self.patience || self.asked.elapsed() < ASK_EVERY {
            return Ok(None);
        }
        let environment = self.rounds.environment();
        // A full disk can be read: the worker waits for room, and nobody else would say why.
        environment.store.touch(self.run).await?;
        self.asked = Instant::now();
        let mut problems = environment.store.problems(environment.clock.now()).await?;
        let pools = self.rounds.pools();
        problems
            .retain(|(account, _)| pools.iter().any(|pool| [&pool.provider, &pool.model].contains(&account)));
        let standing = environment.store.standing(self.run).await?;
        if standing.running {
            // What ends by itself may be over by now.
            let passes = [AccountProblem::RATE_LIMITED, AccountProblem::RETRIES];
            problems.retain(|(_, problem)| !passes.contains(&problem.kind.as_str()));
        }
        // Slow is not stuck: without a problem there is nothing to tell anybody.
        let waits = || self.waits_too_long(&run, standing);
        let problems = if problems.is_empty() { waits().into_iter().collect() } else { problems };
        Ok((!problems.is_empty()).then_some(Ended::NeedsAttention(run, problems)))
    }

    /// Every open job was told by its provider to come back, and none within anybody's patience.
    fn waits_too_long(&self, run: &Run, standing: store::Standing) -> Option<(String, AccountProblem)> {
        let now = self.rounds.environment().clock.now();
        let due = standing.next_due.filter(|due| *due > now.plus(self.patience.max(OWN_WAITS)))?;
        let stuck = !standing.running && !standing.fresh && run.expanded;
        let detail = format!("every open job waits for its next try, the first until {}", civil(due));
        let problem = AccountProblem { kind: WAITING.to_owned(), detail, since: now };
        stuck.then(|| (format!("run {}", run.id), problem))
    }
}

/// What one look around came to.
enum Look {
    Ended(Box<Ended>),
    /// After a pause.
    GoOn(Duration),
}
