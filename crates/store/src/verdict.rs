//! Verdicts: what the gate of a run said of each prompt version, recorded once when the run is over.
//!
//! **Invariant:** a verdict is written once and never altered; each end of a run is judged once, whoever comes first.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::verdict::{Decision, VersionVerdict};

use crate::error::StoreError;
use crate::event::{append_event, of_verdict};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, parsed, to_json};
use crate::run::{Run, RunRow, run_columns};
use crate::run_end::{RECORD_END, Sums};

pub(crate) const SQL: &[&str] =
    &[MARK_JUDGED, RECORD_VERDICT, UNJUDGED, VERDICTS_OF_RUN, VERDICTS_ON, VERDICT];

/// What a gate said of one prompt version, and everything that it holds for.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The run it judges.
    pub run: RunId,
    /// The candidate's prompt.
    pub prompt: String,
    /// The candidate.
    pub version: Digest,
    /// The version it was compared with, where there was one.
    pub baseline: Option<Digest>,
    /// The suite's name.
    pub suite: String,
    /// The suite revision.
    pub revision: Digest,
    /// The gate's own revision.
    pub gate: Digest,
    /// The revision of what judged the answers: scorers, threshold, reducer.
    pub judge: Digest,
    /// Whether a rule that decides needs no baseline.
    pub absolute: bool,
    /// What it came to.
    pub state: Decision,
    /// Every rule with what was observed.
    pub evidence: VersionVerdict,
    /// When it was recorded.
    pub created_at: Micros,
    /// From when on it carries no promotion.
    pub expires_at: Micros,
    /// Whether its run was opened again and goes on: what it said may change.
    pub reopened: bool,
}

const MARK_JUDGED: &str = "
    UPDATE runs SET judged_end = finished_at
    WHERE id = $1 AND finished_at = $2 AND (judged_end IS NULL OR judged_end <> finished_at)";

const RECORD_VERDICT: &str = "
    INSERT INTO verdicts (run_id, prompt, version, ended_at, baseline, suite_name, revision, gate, judge, absolute,
        state, evidence, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

impl Store {
    /// Records the verdicts on a run that has ended at `ended`, none where it has no gate, and what its results come to.
    /// `false`: they were recorded before, or the run goes on again; nothing is changed then.
    pub async fn record_verdicts(
        &self,
        run: RunId,
        ended: Micros,
        verdicts: Vec<Verdict>,
        sums: Sums,
    ) -> Result<bool, StoreError> {
        let id = run.to_string();
        writing!(self, |conn| {
            // Of two that judge one end the second waits here, and finds it judged.
            let marked = sqlx::query(MARK_JUDGED).bind(&id).bind(ended.0).execute(&mut *conn).await?;
            if marked.rows_affected() == 0 {
                return Ok(false);
            }
            let query = sqlx::query(RECORD_END).bind(&id).bind(to_json(&sums.variants)?);
            query.bind(to_json(&sums.wavering)?).execute(&mut *conn).await?;
            for verdict in &verdicts {
                sqlx::query(RECORD_VERDICT)
                    .bind(&id)
                    .bind(&verdict.prompt)
                    .bind(verdict.version.as_str())
                    .bind(ended.0)
                    .bind(verdict.baseline.as_ref().map(Digest::as_str))
                    .bind(&verdict.suite)
                    .bind(verdict.revision.as_str())
                    .bind(verdict.gate.as_str())
                    .bind(verdict.judge.as_str())
                    .bind(verdict.absolute)
                    .bind(verdict.state.word())
                    .bind(to_json(&verdict.evidence)?)
                    .bind(verdict.created_at.0)
                    .bind(verdict.expires_at.0)
                    .execute(&mut *conn)
                    .await?;
                append_event!(conn, &of_verdict(verdict, ended));
            }
            Ok(true)
        })
    }
}

const UNJUDGED: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs
    WHERE finished_at IS NOT NULL AND (judged_end IS NULL OR judged_end <> finished_at)
    ORDER BY id LIMIT $1"
);

impl Store {
    /// Runs that are over and were not judged yet, oldest first.
    pub async fn unjudged_runs(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<RunRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(UNJUDGED).bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(RunRow::into_run).collect()
    }
}

#[derive(sqlx::FromRow)]
struct VerdictRow {
    run_id: String,
    prompt: String,
    version: String,
    baseline: Option<String>,
    suite_name: String,
    revision: String,
    gate: String,
    judge: String,
    absolute: bool,
    state: String,
    evidence: String,
    created_at: i64,
    expires_at: i64,
    reopened: bool,
}

impl VerdictRow {
    fn into_verdict(self) -> Result<Verdict, StoreError> {
        let baseline = self.baseline.map(|digest| parsed(&digest, "verdicts.baseline")).transpose()?;
        Ok(Verdict {
            run: parsed(&self.run_id, "verdicts.run_id")?,
            prompt: self.prompt,
            version: parsed(&self.version, "verdicts.version")?,
            baseline,
            suite: self.suite_name,
            revision: parsed(&self.revision, "verdicts.revision")?,
            gate: parsed(&self.gate, "verdicts.gate")?,
            judge: parsed(&self.judge, "verdicts.judge")?,
            absolute: self.absolute,
            state: state(&self.state)?,
            evidence: json(&self.evidence, "verdicts.evidence")?,
            created_at: Micros(self.created_at),
            expires_at: Micros(self.expires_at),
            reopened: self.reopened,
        })
    }
}

fn state(word: &str) -> Result<Decision, StoreError> {
    [Decision::Pass, Decision::Inconclusive, Decision::Fail]
        .into_iter()
        .find(|decision| decision.word() == word)
        .ok_or_else(|| StoreError::Unreadable(format!("verdicts.state is `{word}`")))
}

/// The columns of a [`VerdictRow`], for `concat!`.
macro_rules! verdict_columns {
    () => {
        "run_id, prompt, version, baseline, suite_name, revision, gate, judge, absolute, state, evidence, created_at, \
         expires_at, EXISTS (SELECT 1 FROM runs WHERE runs.id = run_id AND runs.finished_at IS NULL) AS reopened"
    };
}

const VERDICTS_OF_RUN: &str = concat!(
    "SELECT ",
    verdict_columns!(),
    " FROM verdicts WHERE run_id = $1 ORDER BY ended_at DESC, prompt, version"
);

impl Store {
    /// The verdicts recorded on a run, those of its last end first.
    pub async fn verdicts_of_run(&self, run: RunId) -> Result<Vec<Verdict>, StoreError> {
        let rows: Vec<VerdictRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(VERDICTS_OF_RUN).bind(run.to_string()).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(VerdictRow::into_verdict).collect()
    }
}

const VERDICTS_ON: &str = concat!(
    "SELECT ",
    verdict_columns!(),
    " FROM verdicts WHERE prompt = $1 AND version = $2 ORDER BY created_at DESC, run_id DESC LIMIT $3"
);

impl Store {
    /// The verdicts on a prompt version, newest first.
    pub async fn verdicts_on(
        &self,
        prompt: &str,
        version: &Digest,
        limit: u32,
    ) -> Result<Vec<Verdict>, StoreError> {
        let rows: Vec<VerdictRow> = reading!(self, |conn| {
            let query = sqlx::query_as(VERDICTS_ON).bind(prompt).bind(version.as_str());
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(VerdictRow::into_verdict).collect()
    }
}

const VERDICT: &str = concat!(
    "SELECT ",
    verdict_columns!(),
    " FROM verdicts WHERE run_id = $1 AND prompt = $2 AND version = $3 AND created_at <= $4
    ORDER BY ended_at DESC LIMIT 1"
);

impl Store {
    /// The verdict of a run on a prompt version, as it was known at the moment `at`.
    pub async fn verdict(
        &self,
        run: RunId,
        prompt: &str,
        version: &Digest,
        at: Micros,
    ) -> Result<Option<Verdict>, StoreError> {
        let row: Option<VerdictRow> = reading!(self, |conn| {
            let query = sqlx::query_as(VERDICT).bind(run.to_string()).bind(prompt).bind(version.as_str());
            Ok(query.bind(at.0).fetch_optional(&mut *conn).await?)
        })?;
        row.map(VerdictRow::into_verdict).transpose()
    }
}
