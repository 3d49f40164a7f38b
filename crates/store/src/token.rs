//! Tokens of the API: who may ask for what. Only their hashes are here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use assay_common::clock::Micros;
use assay_common::id::Digest;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, parsed, to_json};

pub(crate) const SQL: &[&str] = &[CREATE_TOKEN, TOKEN, TOKENS, REVOKE_TOKEN];

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To read runs and results.
    Read,
    /// To submit runs, and to cancel, pause and resume them.
    Submit,
    /// To promote on a passing verdict, to roll back, and to deal with incidents.
    Release,
    /// To promote without a passing verdict, and to set limits.
    Admin,
}

impl Scope {
    /// The word on the command line and in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Release => "release",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Read, Self::Submit, Self::Release, Self::Admin]
            .into_iter()
            .find(|scope| scope.word() == word)
            .ok_or_else(|| format!("`{word}` is no scope; there is `read`, `submit`, `release` and `admin`"))
    }
}

/// A token, but for the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who holds it. A name is never given again.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: Digest,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: Micros,
    /// From when on it is refused.
    pub expires_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

const CREATE_TOKEN: &str = "
    INSERT INTO tokens (name, hash, scopes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name) DO NOTHING";

impl Store {
    /// Creates a token that is not revoked. `false`: its name is taken.
    pub async fn create_token(&self, token: Token, entry: AuditEntry) -> Result<bool, StoreError> {
        let scopes = to_json(&token.scopes)?;
        writing!(self, |conn| {
            let query = sqlx::query(CREATE_TOKEN).bind(&token.name).bind(token.hash.as_str()).bind(&scopes);
            let query = query.bind(token.created_at.0).bind(token.expires_at.map(|at| at.0));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

type Row = (String, String, String, i64, Option<i64>, Option<i64>);

const TOKEN: &str = "
    SELECT name, hash, scopes, created_at, expires_at, revoked_at FROM tokens WHERE hash = $1";

impl Store {
    /// The token with this hash, whether it still holds or not.
    pub async fn token(&self, hash: &Digest) -> Result<Option<Token>, StoreError> {
        let row: Option<Row> = reading!(self, |conn| {
            Ok(sqlx::query_as(TOKEN).bind(hash.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        row.map(token).transpose()
    }
}

const TOKENS: &str = "
    SELECT name, hash, scopes, created_at, expires_at, revoked_at FROM tokens ORDER BY created_at, name";

impl Store {
    /// Every token, the oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<Row> =
            reading!(self, |conn| { Ok(sqlx::query_as(TOKENS).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(token).collect()
    }
}

const REVOKE_TOKEN: &str = "UPDATE tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";

impl Store {
    /// Revokes the token called `name` from the entry's moment on. `false`: there is none, or it was revoked before.
    pub async fn revoke_token(&self, name: String, entry: AuditEntry) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(REVOKE_TOKEN).bind(&name).bind(entry.at.0);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

fn token((name, hash, scopes, created, expires, revoked): Row) -> Result<Token, StoreError> {
    Ok(Token {
        name,
        hash: parsed(&hash, "tokens.hash")?,
        scopes: json(&scopes, "tokens.scopes")?,
        created_at: Micros(created),
        expires_at: expires.map(Micros),
        revoked_at: revoked.map(Micros),
    })
}
