//! Expansion: the run's product becomes rows of jobs, lazily and in committed order.

use assay_common::plan::Product;
use assay_common::suite::Suite;
use assay_store::{Mandate, NewJob, Run, StoreError};

use crate::environment::Environment;
use crate::order::Order;

/// Jobs kept open at most: pending ahead of the workers, or running.
pub(crate) const EXPAND_AHEAD: u64 = 100_000;
/// Jobs of the first transaction: small, so that the first call starts at once.
const FIRST_CHUNK: u64 = 512;
/// Jobs of every later transaction: short, since claims and results wait for it.
const CHUNK: u64 = 1_024;

/// One run's expansion. Killed anywhere it loses and doubles nothing: each chunk moves the run's cursor in the
/// transaction that inserts it.
#[derive(Debug)]
pub struct Expansion {
    product: Product,
    /// Pool of each variant.
    pools: Vec<String>,
    order: Order,
}

impl Expansion {
    /// That of `run`. Its committed order is read as far as the next chunk needs it.
    pub fn of(suite: &Suite, run: &Run) -> Self {
        let order = Order::new(suite.dataset.clone(), &run.seed);
        let pools = suite.variants().map(|variant| suite.models[variant.model].pool()).collect();
        Self { product: suite.product(), pools, order }
    }

    /// Inserts the next chunk where fewer than `ahead` jobs are open. Returns whether it did.
    pub async fn advance(
        &mut self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
        ahead: u64,
    ) -> Result<bool, StoreError> {
        let open = run.cursor.saturating_sub(run.done());
        if run.expanded || open >= ahead {
            return Ok(false);
        }
        let chunk = if run.cursor == 0 { FIRST_CHUNK } else { CHUNK }.min(ahead - open);
        self.order.reach(&environment.store, self.product.place(run.cursor).rank).await?;
        // As far as the order is at hand.
        let planned_end = run.planned.min(run.cursor + chunk);
        let jobs: Vec<_> = (run.cursor..planned_end).map_while(|ordinal| self.job(ordinal)).collect();
        // A case that is gone has no jobs.
        let end = if jobs.is_empty() { planned_end } else { run.cursor + jobs.len() as u64 };
        // False: another leader moved the cursor first, and its chunk is as good as ours.
        let ended = end == run.planned;
        let expanded = environment.store.expand(mandate, run.id, run.cursor, jobs, ended).await?;
        assay_common::crash_point!(Expanded);
        tracing::debug!(
            run.cursor = end,
            run.planned = run.planned,
            "expanded to {end} of {} jobs",
            run.planned
        );
        Ok(expanded)
    }

    fn job(&self, ordinal: u64) -> Option<NewJob> {
        let place = self.product.place(ordinal);
        Some(NewJob {
            ordinal,
            position: self.order.position(place.rank)?,
            variant: place.variant,
            trial: place.trial,
            pool: self.pools.get(place.variant as usize)?.clone(),
        })
    }
}
