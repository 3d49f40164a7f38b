//! Pools: the queues that open runs need, as workers and the leader look for them.

use std::collections::BTreeMap;

use assay_common::suite::Suite;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;

pub(crate) const SQL: &[&str] = &[PUT_POOL, OPEN_POOLS, KNOWN_POOLS];

/// A pool that a run needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunPool {
    /// Its name, which is that of its queue.
    pub pool: String,
    /// The provider whose account it belongs to.
    pub provider: String,
    /// `provider/model`, for people.
    pub model: String,
}

impl RunPool {
    /// The pools of a suite, by name.
    pub fn all_of(suite: &Suite) -> Vec<Self> {
        let pools: BTreeMap<_, _> = suite.models.iter().map(|model| (model.pool(), model)).collect();
        let pools = pools.into_iter();
        pools
            .map(|(pool, model)| Self { pool, provider: model.provider.clone(), model: model.name() })
            .collect()
    }
}

pub(crate) const PUT_POOL: &str =
    "INSERT INTO run_pools (run_id, pool, provider, model) VALUES ($1, $2, $3, $4)";

/// A pool that open runs need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPool {
    /// The pool.
    pub pool: RunPool,
    /// Whether one of those runs makes calls and has a budget.
    pub has_budget: bool,
}

const OPEN_POOLS: &str = "
    SELECT run_pools.pool, run_pools.provider, run_pools.model,
        CAST(MAX(CASE WHEN runs.state = 'running' AND runs.budget_nano IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT)
    FROM runs JOIN run_pools ON run_pools.run_id = runs.id
    WHERE runs.state IN ('running', 'paused', 'cancelling')
    GROUP BY run_pools.pool, run_pools.provider, run_pools.model ORDER BY run_pools.pool";

impl Store {
    /// The pools of all runs that have not come to their end, by name.
    pub async fn open_pools(&self) -> Result<Vec<OpenPool>, StoreError> {
        let rows: Vec<(String, String, String, i64)> =
            reading!(self, |conn| { Ok(sqlx::query_as(OPEN_POOLS).fetch_all(&mut *conn).await?) })?;
        let open = |(pool, provider, model, budgeted)| OpenPool {
            pool: RunPool { pool, provider, model },
            has_budget: budgeted > 0,
        };
        Ok(rows.into_iter().map(open).collect())
    }
}

const KNOWN_POOLS: &str = "SELECT DISTINCT pool FROM run_pools";

impl Store {
    /// The names of all pools that any run ever needed. Reads a row for each run.
    pub async fn known_pools(&self) -> Result<Vec<String>, StoreError> {
        reading!(self, |conn| { Ok(sqlx::query_scalar(KNOWN_POOLS).fetch_all(&mut *conn).await?) })
    }
}
