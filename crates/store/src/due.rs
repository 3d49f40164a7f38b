//! What may be dispatched: pending jobs that are due. Dispatch writes nothing; a job stays pending until it is
//! claimed.

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;
use crate::row::{before, parsed, whole};

pub(crate) const SQL: &[&str] = &[DUE_FRESH, DUE_RETURNED, NEXT_DUE];

// Packed into one row: of many small ones handing them over costs most.
const DUE_FRESH: &str = "
    SELECT STRING_AGG(CAST(page.ordinal AS TEXT), ' ') FROM (
        SELECT ordinal FROM jobs
        WHERE run_id = $1 AND pool = $2 AND state = 'pending' AND not_before = 0 AND ordinal > $3
        ORDER BY ordinal LIMIT $4
    ) AS page";

impl Store {
    /// A page of pending jobs of a pool that were never given back, by ordinal.
    pub async fn due_fresh(
        &self,
        run: RunId,
        pool: String,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let packed: Option<String> = reading!(self, |conn| {
            let query = sqlx::query_scalar(DUE_FRESH).bind(run.to_string()).bind(&pool).bind(before(after));
            Ok(query.bind(i64::from(limit)).fetch_one(&mut *conn).await?)
        })?;
        let packed = packed.unwrap_or_default();
        let ordinals = packed.split_ascii_whitespace().map(|ordinal| parsed(ordinal, "jobs.ordinal"));
        let mut ordinals = ordinals.collect::<Result<Vec<u64>, _>>()?;
        // They come in this order from both databases, and no standard says so.
        ordinals.sort_unstable();
        Ok(ordinals)
    }
}

const DUE_RETURNED: &str = "
    SELECT ordinal FROM jobs
    WHERE run_id = $1 AND pool = $2 AND state = 'pending' AND not_before > 0 AND not_before <= $3
    ORDER BY ordinal LIMIT $4";

impl Store {
    /// Pending jobs of a pool that were given back and are due, by ordinal.
    pub async fn due_returned(
        &self,
        run: RunId,
        pool: String,
        now: Micros,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let ordinals: Vec<i64> = reading!(self, |conn| {
            let query = sqlx::query_scalar(DUE_RETURNED).bind(run.to_string()).bind(&pool).bind(now.0);
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        ordinals.into_iter().map(|ordinal| whole(ordinal, "jobs.ordinal")).collect()
    }
}

const NEXT_DUE: &str = "
    SELECT not_before FROM jobs WHERE run_id = $1 AND state = 'pending' AND not_before > 0
    ORDER BY not_before LIMIT 1";

impl Store {
    /// When the first of the jobs that were given back is due.
    pub async fn next_due(&self, run: RunId) -> Result<Option<Micros>, StoreError> {
        let due: Option<i64> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(NEXT_DUE).bind(run.to_string()).fetch_optional(&mut *conn).await?)
        })?;
        Ok(due.map(Micros))
    }
}
