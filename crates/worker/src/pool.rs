//! What the tasks of one pool share: its gate, its provider, the compiled suites, the tokens that stop it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_common::config::{DEFAULT_GIVE_UP_AFTER, Limits, Provider as Settings, ProviderKind};
use assay_common::model::{Model, Sampling};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::consume::CLAIM_BATCH;
use crate::environment::{Environment, PoolSpec};
use crate::held::Held;
use crate::lane::Lanes;
use crate::limit::gate::{Account, Gate};
use crate::limit::lease::Leases;
use crate::member::Alive;
use crate::plan::Plans;
use crate::provider::Provider;
use crate::{ProviderError, WorkerError};

/// Claimed jobs that wait for the rate, in seconds of that rate: a cancelled run ends within it.
const SECONDS_WAITING: u32 = 5;

/// One pool of this worker.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) environment: Arc<Environment>,
    pub(crate) gate: Gate,
    pub(crate) provider: Arc<Provider>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) held: Arc<Held>,
    /// Those of the whole process.
    pub(crate) lanes: Lanes,
    pub(crate) alive: Alive,
    pub(crate) dice: Dice,
    /// How old a job that keeps failing may get.
    pub(crate) give_up_after: Duration,
    /// Claimed jobs that may wait for a slot.
    pub(crate) waiting_room: usize,
    /// Take no more work.
    pub(crate) stop: CancellationToken,
    /// End now.
    pub(crate) hard: CancellationToken,
}

/// A seeded source of jitter.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<StdRng>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Drawn evenly from [0, 1).
    pub(crate) fn draw(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

/// Opens pools: those of one provider share its account and its client, for as long as the worker lives.
pub(crate) struct Opener {
    environment: Arc<Environment>,
    held: Arc<Held>,
    lanes: Lanes,
    alive: Alive,
    plans: Arc<Plans>,
    accounts: BTreeMap<String, (Settings, Arc<Account>, Arc<Provider>)>,
    leases: Arc<Leases>,
    /// Pools opened so far.
    opened: u64,
    hard: CancellationToken,
}

impl Opener {
    pub(crate) fn new(
        environment: Arc<Environment>,
        held: Arc<Held>,
        alive: Alive,
        leases: Arc<Leases>,
        hard: CancellationToken,
    ) -> Self {
        let plans = Arc::new(Plans::new(environment.store.clone(), Arc::clone(&environment.config)));
        let lanes = Lanes::default();
        Self { environment, held, lanes, alive, plans, accounts: BTreeMap::new(), leases, opened: 0, hard }
    }

    /// Opens a pool that takes work until `stop`.
    pub(crate) fn open(&mut self, spec: PoolSpec, stop: CancellationToken) -> Result<Pool, WorkerError> {
        let PoolSpec { pool, provider: name, model: model_name } = spec;
        let environment = &self.environment;
        if !self.accounts.contains_key(&name) {
            let settings = environment
                .config
                .provider(&name)
                .ok_or_else(|| WorkerError::UnknownProvider(name.clone()))?;
            let (account, provider) = account(environment, &self.leases, &name, &settings)
                .map_err(|source| WorkerError::Provider { name: name.clone(), source })?;
            self.accounts.insert(name.clone(), (settings, account, provider));
        }
        let (settings, account, provider) = &self.accounts[&name];
        let model = model_limits(&name, settings, &pool);
        let leases = is_shared(settings).then_some(&*self.leases);
        let gate = Gate::new(Arc::clone(account), model_name, model, leases);
        let waiting_room = waiting_room(gate.in_flight(), per_minute(settings, model));
        self.opened += 1;
        Ok(Pool {
            name: pool,
            environment: Arc::clone(environment),
            gate,
            provider: Arc::clone(provider),
            plans: Arc::clone(&self.plans),
            held: Arc::clone(&self.held),
            lanes: self.lanes.clone(),
            alive: self.alive.clone(),
            dice: Dice::new(environment.seed.wrapping_add(self.opened)),
            give_up_after: environment.config.give_up_after.map_or(DEFAULT_GIVE_UP_AFTER, |span| span.0),
            waiting_room,
            stop,
            hard: self.hard.clone(),
        })
    }
}

impl Pool {
    /// How many hints this pool takes before it has settled the first of them: what the sender must keep waiting so that
    /// no slot runs dry.
    pub(crate) fn prefetch(&self) -> u32 {
        prefetch_of(self.gate.in_flight(), self.waiting_room)
    }
}

/// Those called, as many that are answered and being recorded, those waiting for a slot, and those being claimed. No
/// more: what one worker holds without working on it another could work on.
fn prefetch_of(in_flight: u32, waiting_room: usize) -> u32 {
    let beside = u32::try_from(waiting_room + CLAIM_BATCH).unwrap_or(u32::MAX);
    in_flight.saturating_mul(2).saturating_add(beside)
}

fn account(
    environment: &Environment,
    leases: &Leases,
    name: &str,
    settings: &Settings,
) -> Result<(Arc<Account>, Arc<Provider>), ProviderError> {
    let account = Account::new(name, &settings.limits, is_shared(settings).then_some(leases));
    let in_flight = account.in_flight();
    let key = environment.keys.of(name);
    let provider = Provider::new(settings, key, in_flight, environment.clock.clone(), &environment.wire)?;
    if is_shared(settings) {
        let per_minute = settings.limits.requests_per_minute.map_or(0, NonZeroU32::get);
        tracing::info!(
            account.name = name,
            limit.in_flight = in_flight,
            limit.requests_per_minute = per_minute,
            "the limits of account {name} are shared by all who work on this store"
        );
    }
    Ok((Arc::new(account), Arc::new(provider)))
}

/// Whether others may use the same account: what this process answers itself is its own.
fn is_shared(settings: &Settings) -> bool {
    settings.kind == ProviderKind::OpenAi
}

/// The limits of the one model whose pool this is, where assay.toml names it.
fn model_limits<'s>(provider: &str, settings: &'s Settings, pool: &str) -> Option<&'s Limits> {
    let pool_of = |model: &str| {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        Model { provider, model, sampling: Sampling::default(), recording: None }.pool()
    };
    settings.models.iter().find(|(model, _)| pool_of(model) == pool).map(|(_, model)| &model.limits)
}

fn per_minute(settings: &Settings, model: Option<&Limits>) -> Option<NonZeroU32> {
    let of_model = model.and_then(|limits| limits.requests_per_minute);
    [settings.limits.requests_per_minute, of_model].into_iter().flatten().min()
}

/// Without a rate as many as are called at once, so that no slot waits for a claim.
fn waiting_room(in_flight: u32, per_minute: Option<NonZeroU32>) -> usize {
    let most = (in_flight as usize).max(CLAIM_BATCH);
    match per_minute {
        None => most,
        Some(rate) => ((rate.get().saturating_mul(SECONDS_WAITING) / 60) as usize).clamp(1, most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_account_claims_little_ahead() {
        let check = |in_flight: u32, per_minute: u32, expected: usize| {
            assert_eq!(waiting_room(in_flight, NonZeroU32::new(per_minute)), expected);
        };
        check(200, 0, 200);
        check(10, 0, 64);
        check(200, 60, 5);
        check(200, 1, 1);
        check(50, 600_000, 64);
    }

    #[test]
    fn a_model_is_found_by_its_pool() {
        let config = assay_common::config::Config::parse(
            r#"
            [providers.local]
            kind = "openai"
            base_url = "http://127.0.0.1:1/v1"
            limits = { in_flight = 20 }
            [providers.local.models."a/b".limits]
            in_flight = 3
            "#,
        )
        .unwrap();
        let local = config.provider("local").unwrap();
        let check = |model: &str, in_flight: Option<u32>| {
            let model = Model {
                provider: "local".into(),
                model: model.into(),
                sampling: Sampling::default(),
                recording: None,
            };
            let limits = model_limits("local", &local, &model.pool());
            assert_eq!(limits.and_then(|limits| limits.in_flight).map(NonZeroU32::get), in_flight);
        };
        check("a/b", Some(3));
        check("c", None);
    }
}
