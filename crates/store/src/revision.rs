//! Suite revisions: a suite frozen with everything it refers to, and the versions of its prompts.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::prompt::PromptEntry;
use assay_common::suite::Suite;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, to_json};

pub(crate) const SQL: &[&str] =
    &[FREEZE_REVISION, FREEZE_PROMPT, PUT_OWNER, FREEZE_VERSION, VERSION_NUMBER, SUITE];

const FREEZE_REVISION: &str = "
    INSERT INTO suite_revisions (revision, suite_name, dataset, frozen_at, content) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";

// Also the lock under which a prompt's versions are numbered: the update keeps a second freezer waiting. Says who owned it.
const FREEZE_PROMPT: &str = "
    INSERT INTO prompts (name, owner, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET owner = prompts.owner RETURNING owner";

const PUT_OWNER: &str = "UPDATE prompts SET owner = $2 WHERE name = $1";

const FREEZE_VERSION: &str = "
    INSERT INTO prompt_versions (prompt, number, digest, body, frozen_at)
    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4 FROM prompt_versions WHERE prompt = $1
    HAVING NOT EXISTS (SELECT 1 FROM prompt_versions AS known WHERE known.prompt = $1 AND known.digest = $2)";

impl Store {
    /// Freezes a suite: its revision, its prompts, and their versions, each numbered in the order in which this store
    /// first saw it. Freezing it again changes nothing.
    pub async fn freeze_suite(&self, suite: Suite, now: Micros) -> Result<Digest, StoreError> {
        self.freeze_suite_by(suite, Vec::new(), now).await
    }

    /// The same, with what the audit says of each prompt (its subject) if that has another owner from now on. Whose it was is
    /// added, as `before`.
    pub async fn freeze_suite_by(
        &self,
        suite: Suite,
        owned: Vec<AuditEntry>,
        now: Micros,
    ) -> Result<Digest, StoreError> {
        let revision = suite.revision();
        let content = to_json(&suite)?;
        let frozen = revision.clone();
        writing!(self, |conn| {
            sqlx::query(FREEZE_REVISION)
                .bind(revision.as_str())
                .bind(&suite.name)
                .bind(suite.dataset.digest.as_str())
                .bind(now.0)
                .bind(&content)
                .execute(&mut *conn)
                .await?;
            for prompt in in_lock_order(&suite.prompts) {
                let query = sqlx::query_scalar(FREEZE_PROMPT).bind(&prompt.name);
                let query = query.bind(&prompt.owner).bind(now.0);
                let before: Option<String> = query.fetch_one(&mut *conn).await?;
                if prompt.owner.is_some() && prompt.owner != before {
                    let query = sqlx::query(PUT_OWNER).bind(&prompt.name).bind(&prompt.owner);
                    query.execute(&mut *conn).await?;
                    if let Some(entry) = owned.iter().find(|entry| entry.subject == prompt.name) {
                        let mut entry = entry.clone();
                        entry.detail["before"] = before.into();
                        append_audit!(conn, &entry);
                    }
                }
                sqlx::query(FREEZE_VERSION)
                    .bind(&prompt.name)
                    .bind(prompt.digest.as_str())
                    .bind(to_json(&prompt.body)?)
                    .bind(now.0)
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })?;
        Ok(frozen)
    }
}

/// By name, so that two suites that share prompts do not wait for each other; entries of one prompt keep their order.
fn in_lock_order(prompts: &[PromptEntry]) -> Vec<&PromptEntry> {
    let mut ordered: Vec<_> = prompts.iter().collect();
    ordered.sort_by_key(|prompt| prompt.name.as_str());
    ordered
}

const VERSION_NUMBER: &str = "SELECT number FROM prompt_versions WHERE prompt = $1 AND digest = $2";

impl Store {
    /// The version number of each prompt entry; `None` for one that was never frozen here.
    pub async fn version_numbers(&self, suite: &Suite) -> Result<Vec<Option<i64>>, StoreError> {
        reading!(self, |conn| {
            let mut numbers = Vec::with_capacity(suite.prompts.len());
            for prompt in &suite.prompts {
                let query =
                    sqlx::query_scalar(VERSION_NUMBER).bind(&prompt.name).bind(prompt.digest.as_str());
                numbers.push(query.fetch_optional(&mut *conn).await?);
            }
            Ok(numbers)
        })
    }
}

const SUITE: &str = "SELECT content FROM suite_revisions WHERE revision = $1";

impl Store {
    /// The suite of a revision.
    pub async fn suite(&self, revision: Digest) -> Result<Option<Suite>, StoreError> {
        let content: Option<String> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(SUITE).bind(revision.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        content.map(|content| json(&content, "suite_revisions.content")).transpose()
    }
}
