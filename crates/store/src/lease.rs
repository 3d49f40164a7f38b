//! Leases: what a worker may use of provider limits, renewed from beat to beat. The rules are `ledger`'s; here its rows are
//! read, locked and written, in one short transaction for all limits of a worker.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;

use crate::bulk::{Bulk, executed, fetched};
use crate::error::StoreError;
use crate::ledger::{Answer, Ask, Book, Grant, OwnClock};
use crate::open::Store;
use crate::pools::{Dialect, Durability, Speaks as _, writing};
use crate::row::{integer, json, parsed, to_json, whole};

pub(crate) const SQL: &[&str] = &[OPEN_BOOK, CLOSE_BOOK, RELEASE];
/// What only PostgreSQL is asked.
pub(crate) const POSTGRES_SQL: &[&str] = &[CLOCK];
pub(crate) static BULKS: &[&Bulk] = &[&BOOKS, &GRANTS, &END_GRANTS, &ADD_GRANTS];

/// What a worker asks for with one renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The worker.
    pub member: MemberId,
    /// What of each limit.
    pub asks: Vec<Ask>,
    /// How long it is granted for.
    pub ttl: Duration,
}

// By how long grants hold is a matter between the workers and this one clock: no worker's own clock is compared with it.
// SQLite has no server; there the clock is that of the one machine on which all its processes run, and comes with the
// renewal, so that a simulation moves it.
pub(crate) const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

// In one order, so that of two renewals that share scopes one waits for the other.
static BOOKS: Bulk = Bulk::new(
    "SELECT scope, ledger_us, seen_at, paused_until, dimensions FROM provider_limits WHERE scope IN (",
    "$",
    ") ORDER BY scope",
)
.locking("FOR NO KEY UPDATE")
.repeatable();

// Two workers may be the first together: the second waits for the first, and finds its row.
const OPEN_BOOK: &str = "
    INSERT INTO provider_limits (scope, ledger_us, seen_at, dimensions) VALUES ($1, 0, $2, '{}')
    ON CONFLICT (scope) DO NOTHING";

const CLOSE_BOOK: &str = "
    UPDATE provider_limits SET ledger_us = $2, seen_at = $3, paused_until = $4, dimensions = $5 WHERE scope = $1";

static GRANTS: Bulk = Bulk::new(
    "SELECT scope, dimension, member, seq, amount, until_us, want, burst, used, configured FROM grants
    WHERE scope IN (",
    "$",
    ")",
)
.repeatable();

static END_GRANTS: Bulk =
    Bulk::new("DELETE FROM grants WHERE (scope, dimension, member, seq) IN (VALUES", "($, $, $, $)", ")")
        .repeatable();

static ADD_GRANTS: Bulk = Bulk::new(
    "INSERT INTO grants (scope, dimension, member, seq, amount, until_us, want, burst, used, configured) VALUES",
    "($, $, $, $, $, $, $, $, $, $)",
    "",
);

/// A row of `provider_limits`.
pub(crate) type BookRow = (String, i64, i64, Option<i64>, String);
/// A row of `grants`.
pub(crate) type GrantRow = (String, String, String, i64, i64, i64, i64, i64, i64, Option<i64>);

/// What the store's clock shows, in a transaction: PostgreSQL's own, else what the caller says.
macro_rules! store_clock {
    ($conn:ident, $now:expr) => {
        match $conn.dialect() {
            Dialect::Sqlite => $now,
            Dialect::Postgres => {
                Micros(sqlx::query_scalar($crate::lease::CLOCK).fetch_one(&mut *$conn).await?)
            }
        }
    };
}

pub(crate) use store_clock;

/// Reads the books of `$scopes` and locks them until the transaction ends. A scope that nobody has asked for has none.
macro_rules! opened_books {
    ($conn:ident, $scopes:expr) => {{
        let scopes: &[String] = $scopes;
        let books = fetched!($conn, BOOKS() as crate::lease::BookRow, scopes, |scope| (scope,));
        let grants = fetched!($conn, GRANTS() as crate::lease::GrantRow, scopes, |scope| (scope,));
        $crate::lease::books(books, grants)?
    }};
}

impl Store {
    /// Renews what a member has of its limits, and says what it has from now on, in the order of its asks; for the renewal's
    /// time to live, counted from when this was called. `now` is the clock where the store has none of its own.
    pub async fn renew(&self, renewal: Renewal, now: Micros) -> Result<Vec<Answer>, StoreError> {
        let scopes: BTreeSet<_> = renewal.asks.iter().map(|ask| ask.scope.clone()).collect();
        let scopes: Vec<_> = scopes.into_iter().collect();
        writing!(self, Durability::Process, |conn| {
            let mut books = opened_books!(conn, &scopes);
            if books.len() < scopes.len() {
                for scope in scopes.iter().filter(|scope| books.iter().all(|(known, _)| known != *scope)) {
                    sqlx::query(OPEN_BOOK).bind(scope).bind(now.0).execute(&mut *conn).await?;
                }
                books = opened_books!(conn, &scopes);
            }
            let now = store_clock!(conn, now);
            let Renewal { member, asks, ttl } = &renewal;
            let mut answers = Vec::with_capacity(asks.len());
            let (mut ended, mut added) = (Vec::new(), Vec::new());
            for (scope, mut book) in books {
                let asks: Vec<_> = asks.iter().filter(|ask| ask.scope == scope).cloned().collect();
                let before = book.grants.clone();
                answers.append(&mut book.renew(*member, &asks, *ttl, now));
                sqlx::query(CLOSE_BOOK)
                    .bind(&scope)
                    .bind(book.clock.at)
                    .bind(now.0)
                    .bind(book.paused_until.map(|until| until.0))
                    .bind(to_json(&book.known)?)
                    .execute(&mut *conn)
                    .await?;
                let gone = before.iter().filter(|grant| !book.grants.contains(grant));
                ended.extend(gone.map(|grant| (scope.clone(), grant.clone())));
                let new = book.grants.into_iter().filter(|grant| !before.contains(grant));
                added.extend(new.map(|grant| (scope.clone(), grant)));
            }
            executed!(conn, END_GRANTS(), &ended, |(scope, grant)| (
                scope,
                grant.dimension.word(),
                grant.member.to_string(),
                integer(grant.seq),
            ));
            executed!(conn, ADD_GRANTS(), &added, |(scope, grant)| (
                scope,
                grant.dimension.word(),
                grant.member.to_string(),
                integer(grant.seq),
                integer(grant.amount),
                grant.until,
                integer(grant.want),
                integer(grant.burst),
                integer(grant.used),
                grant.configured.map(integer),
            ));
            let order = |answer: &Answer| {
                let of = |ask: &Ask| ask.scope == answer.scope && ask.dimension == answer.dimension;
                asks.iter().position(of)
            };
            answers.sort_by_key(order);
            Ok(answers)
        })
    }
}

const RELEASE: &str = "DELETE FROM grants WHERE member = $1";

impl Store {
    /// Gives back all that a member has of any limit: it makes no more calls, and has none under way.
    pub async fn release_leases(&self, member: MemberId) -> Result<(), StoreError> {
        writing!(self, Durability::Process, |conn| {
            sqlx::query(RELEASE).bind(member.to_string()).execute(&mut *conn).await?;
            Ok(())
        })
    }
}

/// The books of scopes from their rows.
pub(crate) fn books(rows: Vec<BookRow>, grants: Vec<GrantRow>) -> Result<Vec<(String, Book)>, StoreError> {
    let book = |(scope, ledger_us, seen_at, paused_until, dimensions): BookRow| {
        let clock = OwnClock { at: ledger_us, seen: Some(Micros(seen_at)) };
        let known = json(&dimensions, "provider_limits.dimensions")?;
        let paused_until = paused_until.map(Micros);
        Ok((scope, Book { clock, paused_until, known, grants: Vec::new() }))
    };
    let mut books = rows.into_iter().map(book).collect::<Result<Vec<_>, StoreError>>()?;
    for row in grants {
        let (scope, grant) = grant(row)?;
        if let Some((_, book)) = books.iter_mut().find(|(of, _)| *of == scope) {
            book.grants.push(grant);
        }
    }
    Ok(books)
}

fn grant(row: GrantRow) -> Result<(String, Grant), StoreError> {
    let (scope, dimension, member, seq, amount, until, want, burst, used, configured) = row;
    let dimension: Dimension = parsed(&dimension, "grants.dimension")?;
    let grant = Grant {
        dimension,
        member: parsed(&member, "grants.member")?,
        seq: whole(seq, "grants.seq")?,
        amount: whole(amount, "grants.amount")?,
        until,
        want: whole(want, "grants.want")?,
        burst: whole(burst, "grants.burst")?,
        used: whole(used, "grants.used")?,
        configured: configured.map(|limit| whole(limit, "grants.configured")).transpose()?,
    };
    Ok((scope, grant))
}
