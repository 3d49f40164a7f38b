//! Datasets: cases stored once for each revision, in pages, and counted only once the last page is in.

use std::collections::BTreeMap;

use assay_common::case::{Case, Vars};
use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::suite::DatasetRef;

use crate::bulk::{Bulk, executed, fetched};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, reading, writing};
use crate::row::{before, integer, json, to_json, whole};

pub(crate) const SQL: &[&str] = &[DATASET, SEAL_DATASET, TAGGED_UNITS];
pub(crate) static BULKS: &[&Bulk] = &[&PUT_CASES, &VARS];

const DATASET: &str = "SELECT cases, clustered FROM datasets WHERE digest = $1";

impl Store {
    /// A dataset all of whose cases are stored.
    pub async fn dataset(&self, digest: Digest) -> Result<Option<DatasetRef>, StoreError> {
        let row: Option<(i64, bool)> = reading!(self, |conn| {
            Ok(sqlx::query_as(DATASET).bind(digest.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        row.map(|(cases, clustered)| {
            Ok(DatasetRef { digest, cases: whole(cases, "datasets.cases")?, clustered })
        })
        .transpose()
    }
}

static PUT_CASES: Bulk = Bulk::new(
    "INSERT INTO cases (dataset, position, case_id, cluster, tags, vars) VALUES",
    "($, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING",
);

impl Store {
    /// Stores a page of cases, the first of which has `first_position` in the dataset. What is there stays.
    pub async fn put_cases(
        &self,
        dataset: Digest,
        first_position: u64,
        cases: Vec<Case>,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(cases.len());
        for (position, case) in (first_position..).zip(cases) {
            rows.push((integer(position), case.id, case.cluster, to_json(&case.tags)?, to_json(&case.vars)?));
        }
        // Sealing, which comes after, survives a power cut only together with this.
        writing!(self, Durability::Process, |conn| {
            executed!(conn, PUT_CASES(), &rows, |(position, id, cluster, tags, vars)| (
                dataset.as_str(),
                position,
                id,
                cluster,
                tags,
                vars
            ));
            Ok(())
        })
    }
}

const SEAL_DATASET: &str = "
    INSERT INTO datasets (digest, cases, clustered, sealed_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

impl Store {
    /// Declares that every case of `dataset` is stored: from now on it counts.
    pub async fn seal_dataset(&self, dataset: DatasetRef, now: Micros) -> Result<(), StoreError> {
        writing!(self, |conn| {
            sqlx::query(SEAL_DATASET)
                .bind(dataset.digest.as_str())
                .bind(integer(dataset.cases))
                .bind(dataset.clustered)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
    }
}

/// Which unit a case belongs to, and what slices know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedUnit {
    /// The case's place in the dataset.
    pub position: u64,
    /// Its cluster, else its own id.
    pub unit: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

const TAGGED_UNITS: &str = "
    SELECT position, COALESCE(cluster, case_id), tags FROM cases
    WHERE dataset = $1 AND position > $2 ORDER BY position LIMIT $3";

impl Store {
    /// A page of a dataset's units with the tags of their cases, by position.
    pub async fn tagged_units(
        &self,
        dataset: Digest,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<TaggedUnit>, StoreError> {
        let rows: Vec<(i64, String, String)> = reading!(self, |conn| {
            let query = sqlx::query_as(TAGGED_UNITS).bind(dataset.as_str()).bind(before(after));
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        let tagged = |(position, unit, tags): (i64, String, String)| {
            Ok(TaggedUnit { position: whole(position, "position")?, unit, tags: json(&tags, "cases.tags")? })
        };
        rows.into_iter().map(tagged).collect()
    }
}

static VARS: Bulk = Bulk::new(
    "WITH given (dataset, position) AS (VALUES",
    "($, $)",
    ") SELECT cases.vars FROM given CROSS JOIN cases
    WHERE cases.dataset = given.dataset AND cases.position = given.position",
);

impl Store {
    /// The variables of the cases at some positions of a dataset, in no order; positions without a case are left out.
    pub async fn vars_at(&self, dataset: Digest, positions: Vec<u64>) -> Result<Vec<Vars>, StoreError> {
        let rows = reading!(self, |conn| {
            Ok(fetched!(conn, VARS() as (String,), &positions, |position| (
                dataset.as_str(),
                integer(*position)
            )))
        })?;
        rows.iter().map(|(vars,)| json(vars, "cases.vars")).collect()
    }
}
