//! What a run came to, added up once when it ends: reviews look back over a month of results without reading one of them.
//! [`crate::verdict`] writes it with the verdicts.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::money::NanoUsd;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;
use crate::row::{json, parsed};

pub(crate) const SQL: &[&str] = &[RECORD_END, RUN_ENDS, SPENT_BEFORE];

/// What the results of a run come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// A row for each prompt entry and model.
    pub variants: Vec<VariantSum>,
    /// The cases whose repeats disagreed most, the worst first.
    pub wavering: Vec<Wavering>,
}

/// The pass rate of a prompt version on a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantSum {
    /// The prompt.
    pub prompt: String,
    /// The version's number.
    pub version: Option<i64>,
    /// The version.
    pub digest: Digest,
    /// The model, as tables name it.
    pub model: String,
    /// Scored cases.
    pub cases: u64,
    /// Mean over scored cases.
    pub pass_rate: Option<f64>,
    /// The interval of the pass rate.
    pub interval: [f64; 2],
}

/// A case whose repeats in one run disagreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wavering {
    /// The case.
    pub case: String,
    /// The prompt.
    pub prompt: String,
    /// The version's number.
    pub version: Option<i64>,
    /// The model, as tables name it.
    pub model: String,
    /// Repeats that passed or failed.
    pub trials: u64,
    /// How many passed.
    pub passed: u64,
}

/// A run at one of its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub ended_at: Micros,
    /// The suite's name.
    pub suite: String,
    /// Jobs that passed or failed, errored, and were never asked.
    pub jobs: [i64; 3],
    /// What is known to have been spent on it up to this end.
    pub cost: NanoUsd,
    /// What its results come to.
    pub sums: Sums,
}

pub(crate) const RECORD_END: &str = "
    INSERT INTO run_ends (run_id, ended_at, suite_name, passed, failed, errored, cancelled, cost_nano, variants, wavering)
    SELECT id, finished_at, suite_name, passed, failed, errored, cancelled, cost_nano, $2, $3 FROM runs WHERE id = $1";

type Row = (String, i64, String, i64, i64, i64, i64, String, String);

const RUN_ENDS: &str = "
    SELECT run_id, ended_at, suite_name, passed + failed, errored, cancelled, cost_nano, variants, wavering
    FROM run_ends WHERE ended_at >= $1 AND ended_at < $2 ORDER BY ended_at, run_id";

const SPENT_BEFORE: &str = "
    SELECT run_id, CAST(MAX(cost_nano) AS BIGINT) FROM run_ends
    WHERE ended_at < $1 AND run_id IN (SELECT run_id FROM run_ends WHERE ended_at >= $1 AND ended_at < $2)
    GROUP BY run_id";

impl Store {
    /// The runs that ended in a period, in the order of their ends.
    pub async fn run_ends(&self, from: Micros, to: Micros) -> Result<Vec<RunEnd>, StoreError> {
        let rows: Vec<Row> = reading!(self, |conn| {
            Ok(sqlx::query_as(RUN_ENDS).bind(from.0).bind(to.0).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(end).collect()
    }

    /// What had been spent, up to an end before the period, on runs that were opened again and ended in it again.
    pub async fn spent_before(&self, from: Micros, to: Micros) -> Result<Vec<(RunId, NanoUsd)>, StoreError> {
        let rows: Vec<(String, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(SPENT_BEFORE).bind(from.0).bind(to.0).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(|(run, cost)| Ok((parsed(&run, "run_ends.run_id")?, NanoUsd(cost)))).collect()
    }
}

fn end(
    (run, ended, suite, done, errored, cancelled, cost, variants, wavering): Row,
) -> Result<RunEnd, StoreError> {
    Ok(RunEnd {
        run: parsed(&run, "run_ends.run_id")?,
        ended_at: Micros(ended),
        suite,
        jobs: [done, errored, cancelled],
        cost: NanoUsd(cost),
        sums: Sums {
            variants: json(&variants, "run_ends.variants")?,
            wavering: json(&wavering, "run_ends.wavering")?,
        },
    })
}
