//! The registry: prompts, and what is known of each of their versions beside its content. [`crate::revision`] freezes them.

use std::collections::BTreeMap;

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::prompt::PromptBody;
use assay_common::suite::Suite;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, parsed, plain};

pub(crate) const SQL: &[&str] = &[
    ATTRIBUTE,
    PROMPTS,
    OWNED_SINCE,
    PROMPT,
    VERSIONS,
    VERSION_NUMBERED,
    VERSIONS_BETWEEN,
    BODY,
    PROMPTS_WITH,
];

/// Where a version comes from, as whoever froze it first said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provenance {
    /// What its author says of it.
    pub message: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The commit it was frozen from; ends in `-dirty` where files had changed since.
    pub commit: Option<String>,
}

/// A named line of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What suites call it.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When this store first froze a version of it.
    pub created_at: Micros,
    /// The number of its newest version.
    pub versions: i64,
}

/// A prompt version, but for its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The prompt.
    pub prompt: String,
    /// 1, 2, 3, … in the order in which this store first froze them.
    pub number: i64,
    /// Its identity in every store.
    pub digest: Digest,
    /// Where it comes from.
    pub provenance: Provenance,
    /// When this store first froze it.
    pub frozen_at: Micros,
}

// What was said first stays: a version is immutable.
const ATTRIBUTE: &str = "
    UPDATE prompt_versions SET message = $3, author = $4, source_commit = $5
    WHERE prompt = $1 AND digest = $2 AND message IS NULL AND author IS NULL AND source_commit IS NULL";

impl Store {
    /// Says where the versions of a frozen suite come from, of those of which nobody has said so.
    pub async fn attribute_versions(&self, suite: &Suite, source: Provenance) -> Result<(), StoreError> {
        if source == Provenance::default() {
            return Ok(());
        }
        let mut versions: Vec<_> =
            suite.prompts.iter().map(|entry| (entry.name.clone(), entry.digest.clone())).collect();
        versions.sort_unstable();
        writing!(self, |conn| {
            for (prompt, digest) in &versions {
                sqlx::query(ATTRIBUTE)
                    .bind(prompt)
                    .bind(digest.as_str())
                    .bind(source.message.as_deref().map(plain))
                    .bind(source.author.as_deref().map(plain))
                    .bind(source.commit.as_deref().map(plain))
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })
    }
}

type PromptRow = (String, Option<String>, i64, i64);

const PROMPTS: &str = "
    SELECT name, owner, created_at,
        (SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM prompt_versions WHERE prompt = name) AS versions
    FROM prompts ORDER BY name";

impl Store {
    /// Every prompt, by name.
    pub async fn prompts(&self) -> Result<Vec<Prompt>, StoreError> {
        let rows: Vec<PromptRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(PROMPTS).fetch_all(&mut *conn).await?) })?;
        Ok(rows.into_iter().map(prompt).collect())
    }
}

const OWNED_SINCE: &str = "
    SELECT audit.subject, audit.detail FROM prompts JOIN audit ON audit.subject = prompts.name
    WHERE audit.action = 'prompt.owner' AND audit.happened_at > $1 ORDER BY audit.id";

impl Store {
    /// Who answered for each prompt at a moment, as far as the audit goes back: before, whoever it says was first.
    pub async fn owners(&self, at: Micros) -> Result<BTreeMap<String, Option<String>>, StoreError> {
        let prompts = self.prompts().await?;
        let since: Vec<(String, String)> = reading!(self, |conn| {
            Ok(sqlx::query_as(OWNED_SINCE).bind(at.0).fetch_all(&mut *conn).await?)
        })?;
        let mut owners: BTreeMap<_, _> =
            prompts.into_iter().map(|prompt| (prompt.name, prompt.owner)).collect();
        // The first change after the moment, which comes last here, says whose it was until then.
        for (name, detail) in since.into_iter().rev() {
            let detail: Value = json(&detail, "audit.detail")?;
            owners.insert(name, detail["before"].as_str().map(str::to_owned));
        }
        Ok(owners)
    }
}

const PROMPT: &str = "
    SELECT name, owner, created_at,
        (SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM prompt_versions WHERE prompt = name) AS versions
    FROM prompts WHERE name = $1";

impl Store {
    /// A prompt.
    pub async fn prompt(&self, name: &str) -> Result<Option<Prompt>, StoreError> {
        let row: Option<PromptRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(PROMPT).bind(name).fetch_optional(&mut *conn).await?)
        })?;
        Ok(row.map(prompt))
    }
}

fn prompt((name, owner, created_at, versions): PromptRow) -> Prompt {
    Prompt { name, owner, created_at: Micros(created_at), versions }
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    prompt: String,
    number: i64,
    digest: String,
    message: Option<String>,
    author: Option<String>,
    source_commit: Option<String>,
    frozen_at: i64,
}

impl VersionRow {
    fn into_version(self) -> Result<Version, StoreError> {
        let Self { prompt, number, digest, message, author, source_commit, frozen_at } = self;
        Ok(Version {
            prompt,
            number,
            digest: parsed(&digest, "prompt_versions.digest")?,
            provenance: Provenance { message, author, commit: source_commit },
            frozen_at: Micros(frozen_at),
        })
    }
}

const VERSIONS: &str = "
    SELECT prompt, number, digest, message, author, source_commit, frozen_at
    FROM prompt_versions WHERE prompt = $1 AND number < $2 ORDER BY number DESC LIMIT $3";

impl Store {
    /// A page of the versions of a prompt, newest first: those before the number `before`, else the newest of all.
    pub async fn versions(
        &self,
        prompt: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        let rows: Vec<VersionRow> = reading!(self, |conn| {
            let query = sqlx::query_as(VERSIONS).bind(prompt).bind(before.unwrap_or(i64::MAX));
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(VersionRow::into_version).collect()
    }
}

const VERSION_NUMBERED: &str = "
    SELECT prompt, number, digest, message, author, source_commit, frozen_at
    FROM prompt_versions WHERE prompt = $1 AND number = $2";

// The digests that begin so: between the prefix with only 0 and with only f behind it.
const VERSIONS_BETWEEN: &str = "
    SELECT prompt, number, digest, message, author, source_commit, frozen_at
    FROM prompt_versions WHERE prompt = $1 AND digest >= $2 AND digest <= $3 ORDER BY digest LIMIT 2";

impl Store {
    /// The version of a prompt with this number.
    pub async fn version_numbered(&self, prompt: &str, number: i64) -> Result<Option<Version>, StoreError> {
        let row: Option<VersionRow> = reading!(self, |conn| {
            let query = sqlx::query_as(VERSION_NUMBERED).bind(prompt).bind(number);
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        row.map(VersionRow::into_version).transpose()
    }

    /// Up to two versions of a prompt whose digest begins with `prefix`, which holds lower-case hex digits alone.
    pub async fn versions_with_prefix(&self, prompt: &str, prefix: &str) -> Result<Vec<Version>, StoreError> {
        let (first, last) = (format!("{prefix:0<64}"), format!("{prefix:f<64}"));
        let rows: Vec<VersionRow> = reading!(self, |conn| {
            let query = sqlx::query_as(VERSIONS_BETWEEN).bind(prompt).bind(&first).bind(&last);
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(VersionRow::into_version).collect()
    }
}

const BODY: &str = "SELECT body FROM prompt_versions WHERE prompt = $1 AND number = $2";

impl Store {
    /// The content of a version.
    pub async fn body(&self, prompt: &str, number: i64) -> Result<Option<PromptBody>, StoreError> {
        let body: Option<String> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(BODY).bind(prompt).bind(number).fetch_optional(&mut *conn).await?)
        })?;
        body.map(|body| json(&body, "prompt_versions.body")).transpose()
    }
}

const PROMPTS_WITH: &str = "SELECT prompt FROM prompt_versions WHERE digest = $1 ORDER BY prompt";

impl Store {
    /// The prompts that have a version with this digest.
    pub async fn prompts_with(&self, digest: &Digest) -> Result<Vec<String>, StoreError> {
        reading!(self, |conn| {
            Ok(sqlx::query_scalar(PROMPTS_WITH).bind(digest.as_str()).fetch_all(&mut *conn).await?)
        })
    }
}
