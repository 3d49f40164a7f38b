//! The pools this worker serves: opened when open runs need them, closed when none does any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_common::config::Provider;
use assay_store::{Offer, OpenPool, RunPool};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::environment::{Environment, PoolSpec, Serve};
use crate::execute::Onward;
use crate::persist::with_sources;
use crate::pool::{Opener, Pool};
use crate::{WorkerError, consume, execute};

/// How often the worker looks which pools open runs need.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a provider that could not be opened is left alone: what was scarce may be there again.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// Serves pools until `stop`, and returns when everything that was claimed has been given back to the recorder.
pub(crate) async fn serve(
    serve: Serve,
    opener: Opener,
    environment: Arc<Environment>,
    offered: watch::Sender<Offer>,
    onward: Onward,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let server = Server {
        environment,
        opener,
        onward,
        stop,
        open: BTreeMap::new(),
        lacks: BTreeMap::new(),
        unopened: BTreeMap::new(),
    };
    match serve {
        Serve::These(pools) => server.serve_these(pools, &offered).await,
        Serve::OpenRuns => server.serve_open_runs(&offered).await,
    }
}

struct Server {
    environment: Arc<Environment>,
    opener: Opener,
    onward: Onward,
    /// Ends all pools.
    stop: CancellationToken,
    /// The pools that take work.
    open: BTreeMap<String, Open>,
    /// Providers that pools need and that this worker cannot call, or models of them, and why.
    lacks: BTreeMap<String, String>,
    /// Those among them that could not be opened, and when to try again.
    unopened: BTreeMap<String, Instant>,
}

struct Open {
    stop: CancellationToken,
    pool: Arc<Pool>,
}

/// The two tasks of each pool: from hints to grants, and from grants to settlements.
type Tasks = JoinSet<Result<(), WorkerError>>;

impl Server {
    async fn serve_these(
        mut self,
        pools: Vec<PoolSpec>,
        offered: &watch::Sender<Offer>,
    ) -> Result<(), WorkerError> {
        let mut tasks = Tasks::new();
        for spec in pools {
            self.open(spec, &mut tasks)?;
        }
        offered.send_replace(self.offer());
        self.drain(tasks).await
    }

    async fn serve_open_runs(mut self, offered: &watch::Sender<Offer>) -> Result<(), WorkerError> {
        let mut tasks = Tasks::new();
        let mut failing = false;
        while !self.stop.is_cancelled() {
            match self.environment.store.open_pools().await {
                Ok(needed) => {
                    failing = false;
                    self.follow(needed, &mut tasks);
                    let offer = self.offer();
                    if *offered.borrow() != offer {
                        offered.send_replace(offer);
                    }
                }
                Err(source) if !source.may_pass() => {
                    self.stop.cancel();
                    let error = WorkerError::Store { doing: "read which pools are needed", source };
                    return self.drain(tasks).await.and(Err(error));
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(error = %with_sources(&error), "failed to read which pools are needed");
                    }
                    failing = true;
                }
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended.unwrap_or(Err(WorkerError::Panicked)) {
                        self.stop.cancel();
                        return self.drain(tasks).await.and(Err(error));
                    }
                }
            }
        }
        self.drain(tasks).await
    }

    /// Opens what is needed and not open, closes what is open and not needed, or cannot be paid for any more.
    fn follow(&mut self, needed: Vec<OpenPool>, tasks: &mut Tasks) {
        let needed: Vec<_> = needed
            .into_iter()
            .map(|OpenPool { pool, has_budget }| {
                let unpriced = self.lacks_price(&pool, has_budget);
                (pool, unpriced)
            })
            .collect();
        self.open.retain(|name, open| {
            let pool = needed.iter().find(|(pool, _)| pool.pool == *name);
            if pool.is_none() {
                tracing::info!(queue.pool = name, "no open run needs {name} any more");
            }
            let kept = pool.is_some_and(|(_, unpriced)| unpriced.is_none());
            if !kept {
                open.stop.cancel();
            }
            kept
        });
        // What is said of a model is that it has no price.
        let lacks = |name: &String, (pool, unpriced): &(RunPool, Option<String>)| {
            pool.provider == *name || (pool.model == *name && unpriced.is_some())
        };
        self.lacks.retain(|name, _| needed.iter().any(|needed| lacks(name, needed)));
        let (now, lacks) = (Instant::now(), &mut self.lacks);
        self.unopened.retain(|provider, again_at| {
            let waits = *again_at > now;
            if !waits {
                lacks.remove(provider);
            }
            waits
        });
        for (RunPool { pool, provider, model }, unpriced) in needed {
            let lacks = |name: &String| self.lacks.contains_key(name);
            if self.open.contains_key(&pool) || lacks(&provider) || lacks(&model) {
                continue;
            }
            if let Some(why) = unpriced {
                tracing::warn!(account.name = %provider, "cannot serve {model}: {why}");
                self.lacks.insert(model, why);
                continue;
            }
            match self.lack(&provider) {
                Some(why) => {
                    tracing::warn!(account.name = %provider, "cannot serve {model}: {why}");
                    self.lacks.insert(provider, why);
                }
                None => match self
                    .open(PoolSpec { pool, provider: provider.clone(), model: model.clone() }, tasks)
                {
                    Ok(()) => tracing::info!(account.name = %provider, "serving {model}"),
                    Err(error) => {
                        let why = with_sources(&error);
                        tracing::warn!(account.name = %provider, "cannot serve {model}: {why}");
                        self.unopened.insert(provider.clone(), now + OPEN_AGAIN);
                        self.lacks.insert(provider, why);
                    }
                },
            }
        }
    }

    /// Why this worker cannot call a provider, if it cannot.
    fn lack(&self, provider: &str) -> Option<String> {
        let Environment { config, keys, .. } = &*self.environment;
        if config.provider(provider).is_none() {
            return Some(format!("its assay.toml does not describe `{provider}`"));
        }
        keys.missing().get(provider).cloned()
    }

    /// Why it cannot hold the calls of a pool to what they may cost: to the money of the account for a day, or, where a run
    /// `has_budget`, to that.
    fn lacks_price(&self, RunPool { provider, model, .. }: &RunPool, has_budget: bool) -> Option<String> {
        let config = &self.environment.config;
        let account = config.provider(provider).filter(Provider::is_remote)?;
        let limited = match account.budget_per_day() {
            Some(_) => format!("`{provider}` has a budget_usd_per_day"),
            None if has_budget => "a run has a budget".to_owned(),
            None => return None,
        };
        let is_priced = config.price(model).is_some();
        (!is_priced).then(|| format!("{limited}, so its assay.toml needs [prices.\"{model}\"]"))
    }

    fn open(&mut self, spec: PoolSpec, tasks: &mut Tasks) -> Result<(), WorkerError> {
        let stop = self.stop.child_token();
        let name = spec.pool.clone();
        let pool = Arc::new(self.opener.open(spec, stop.clone())?);
        let (grant, granted) = mpsc::channel(pool.waiting_room);
        self.open.insert(name, Open { stop: stop.clone(), pool: Arc::clone(&pool) });
        tasks.spawn(guarded(consume::consume(Arc::clone(&pool), grant), stop.clone()));
        tasks.spawn(guarded(execute::execute_all(pool, granted, self.onward.clone()), stop));
        Ok(())
    }

    fn offer(&self) -> Offer {
        let serves = self.open.iter().map(|(pool, open)| (pool.clone(), open.pool.prefetch())).collect();
        Offer { serves, lacks: self.lacks.clone() }
    }

    /// Waits for every task; the first error is the one that is told, and ends the others.
    async fn drain(self, mut tasks: Tasks) -> Result<(), WorkerError> {
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or(Err(WorkerError::Panicked));
            if ended.is_err() {
                self.stop.cancel();
            }
            result = result.and(ended);
        }
        result
    }
}

/// A task of a pool whose failure, or panic, ends the other task of it too: nobody is left to do its part.
async fn guarded(
    task: impl Future<Output = Result<(), WorkerError>>,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let failed = stop.drop_guard();
    let result = task.await;
    if result.is_ok() {
        failed.disarm();
    }
    result
}
