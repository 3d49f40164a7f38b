//! Leases: what a worker may use of provider limits, renewed from beat to beat. The rules are `ledger`'s; here its rows are
//! read, locked and written, in one short transaction for all limits of a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;

use crate::bulk::{Bulk, executed, fetched};
use crate::error::StoreError;
use crate::ledger::{Answer, Ask, Book, OwnClock};
use crate::open::Store;
use crate::pools::{Dialect, Durability, Speaks as _, writing};
use crate::row::{json, parsed, to_json, whole};

pub(crate) const SQL: &[&str] = &[RELEASE];
/// What only PostgreSQL is asked.
pub(crate) const POSTGRES_SQL: &[&str] = &[CLOCK];
pub(crate) static BULKS: &[&Bulk] = &[&BOOKS, &OPEN_BOOKS, &LEASES, &CLOSE_BOOKS, &WRITE_LEASES, &END_LEASES];

/// What a worker asks for with one renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The worker.
    pub member: MemberId,
    /// What of each limit.
    pub asks: Vec<Ask>,
    /// Scopes of which it asks nothing, since its file says nothing of them, and which it uses all the same.
    pub beside: Vec<String>,
    /// How long it is granted for.
    pub ttl: Duration,
}

// By how long grants hold is a matter between the workers and this one clock: no worker's own clock is compared with it.
// SQLite has no server; there the clock is that of the one machine on which all its processes run, and comes with the
// renewal, so that a simulation moves it.
pub(crate) const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

// On PostgreSQL all others who renew wait from here on, so all that the rest needs comes at once: the locks, in one order, so
// that of two renewals that share scopes one waits for the other; the clock as it is when they are held; the end of whoever
// stops in the midst of it, frozen or cut off, before the leases of those who wait are over; and plans that are kept, because
// these tables stay small.
static BOOKS: Bulk = Bulk::new(
    "SELECT scope, ledger_us, seen_at, paused_until, dimensions, resumed FROM provider_limits WHERE scope IN (",
    "$",
    ") ORDER BY scope",
)
.inside(
    "SELECT books.*, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT),
        set_config('idle_in_transaction_session_timeout', '1000', TRUE), set_config('plan_cache_mode', 'auto', TRUE)
    FROM (",
)
.locking("FOR NO KEY UPDATE) AS books")
.repeatable();

// Two workers may be the first together: the second waits for the first, and finds its row.
static OPEN_BOOKS: Bulk = Bulk::new(
    "INSERT INTO provider_limits (scope, ledger_us, seen_at, dimensions) VALUES",
    "($, 0, $, '{}')",
    "ON CONFLICT (scope) DO NOTHING",
);

static LEASES: Bulk =
    Bulk::new("SELECT scope, member, parts FROM leases WHERE scope IN (", "$", ")").repeatable();

static CLOSE_BOOKS: Bulk = Bulk::new(
    "INSERT INTO provider_limits (scope, ledger_us, seen_at, paused_until, dimensions) VALUES",
    "($, $, $, $, $)",
    "ON CONFLICT (scope) DO UPDATE SET ledger_us = excluded.ledger_us, seen_at = excluded.seen_at,
        paused_until = excluded.paused_until, dimensions = excluded.dimensions",
);

static WRITE_LEASES: Bulk = Bulk::new(
    "INSERT INTO leases (scope, member, parts) VALUES",
    "($, $, $)",
    "ON CONFLICT (scope, member) DO UPDATE SET parts = excluded.parts",
);

static END_LEASES: Bulk =
    Bulk::new("DELETE FROM leases WHERE (scope, member) IN (VALUES", "($, $)", ")").repeatable();

/// A row of `provider_limits`.
pub(crate) type BookRow = (String, i64, i64, Option<i64>, String, i64);
/// The same, and what the server's clock shows.
type LockedBookRow = (String, i64, i64, Option<i64>, String, i64, i64);
/// A row of `leases`.
pub(crate) type LeaseRow = (String, String, String);

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

/// Reads the books of `$scopes` without their leases and locks them until the transaction ends; with what the store's clock
/// shows then. A scope that nobody has asked for has none.
macro_rules! locked_books {
    ($conn:ident, $scopes:expr, $now:expr) => {
        match $conn.dialect() {
            Dialect::Sqlite => (fetched!($conn, BOOKS() as BookRow, $scopes, |scope| (scope,)), $now),
            Dialect::Postgres => {
                let rows = fetched!($conn, BOOKS() as LockedBookRow, $scopes, |scope| (scope,));
                let now = rows.iter().map(|(.., now)| *now).max().map_or($now, Micros);
                let books = rows.into_iter().map(|(scope, at, seen, paused, known, resumed, _)| {
                    (scope, at, seen, paused, known, resumed)
                });
                (books.collect::<Vec<BookRow>>(), now)
            }
        }
    };
}

impl Store {
    /// Renews what a member has of its limits, and says what it has from now on, in the order of its asks; for the renewal's
    /// time to live, counted from when this was called. What it did not ask and is limited by what others say comes after that. `now` is the clock where the store has none of its own.
    pub async fn renew(&self, renewal: Renewal, now: Micros) -> Result<Vec<Answer>, StoreError> {
        let asked: BTreeSet<_> = renewal.asks.iter().map(|ask| ask.scope.clone()).collect();
        let scopes: BTreeSet<_> = asked.iter().chain(&renewal.beside).cloned().collect();
        let scopes: Vec<_> = scopes.into_iter().collect();
        writing!(self, Durability::Process, |conn| {
            let (mut rows, mut clock) = locked_books!(conn, &scopes, now);
            let unopened = |scope: &&String| !rows.iter().any(|(of, ..)| of == *scope);
            let unopened: Vec<_> = asked.iter().filter(unopened).cloned().collect();
            if !unopened.is_empty() {
                executed!(conn, OPEN_BOOKS(), &unopened, |scope| (scope, now.0));
                (rows, clock) = locked_books!(conn, &scopes, now);
            }
            let leases = fetched!(conn, LEASES() as LeaseRow, &scopes, |scope| (scope,));
            let Renewal { member, asks, ttl, .. } = &renewal;
            let mut answers = Vec::with_capacity(asks.len());
            let (mut closed, mut written, mut ended) = (Vec::new(), Vec::new(), Vec::new());
            for (scope, mut book) in books(rows, leases)? {
                let mut asks: Vec<_> = asks.iter().filter(|ask| ask.scope == scope).cloned().collect();
                asks.append(&mut book.unasked(&scope, &asks));
                if asks.is_empty() {
                    continue;
                }
                let before: Vec<_> = book.members.keys().copied().collect();
                answers.append(&mut book.renew(*member, &asks, *ttl, clock));
                let gone = before.into_iter().filter(|other| !book.members.contains_key(other));
                ended.extend(gone.map(|other| (scope.clone(), other.to_string())));
                if let Some(parts) = book.members.get(member) {
                    written.push((scope.clone(), to_json(parts)?));
                }
                closed.push((scope, book.clock.at, book.paused_until, to_json(&book.known)?));
            }
            executed!(conn, CLOSE_BOOKS(), &closed, |(scope, at, paused_until, known)| (
                scope,
                at,
                clock.0,
                paused_until.map(|until| until.0),
                known,
            ));
            executed!(conn, WRITE_LEASES(), &written, |(scope, parts)| (scope, member.to_string(), parts));
            executed!(conn, END_LEASES(), &ended, |(scope, member)| (scope, member));
            let order = |answer: &Answer| {
                let of = |ask: &Ask| ask.scope == answer.scope && ask.dimension == answer.dimension;
                asks.iter().position(of).unwrap_or(asks.len())
            };
            answers.sort_by_key(order);
            Ok(answers)
        })
    }
}

const RELEASE: &str = "DELETE FROM leases WHERE member = $1";

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
pub(crate) fn books(rows: Vec<BookRow>, leases: Vec<LeaseRow>) -> Result<Vec<(String, Book)>, StoreError> {
    let book = |(scope, ledger_us, seen_at, paused_until, dimensions, resumed): BookRow| {
        let clock = OwnClock { at: ledger_us, seen: Some(Micros(seen_at)) };
        let known = json(&dimensions, "provider_limits.dimensions")?;
        let paused_until = paused_until.map(Micros);
        let resumed = whole(resumed, "provider_limits.resumed")?;
        Ok((scope, Book { clock, paused_until, resumed, known, members: BTreeMap::new() }))
    };
    let mut books = rows.into_iter().map(book).collect::<Result<Vec<_>, StoreError>>()?;
    for (scope, member, parts) in leases {
        if let Some((_, book)) = books.iter_mut().find(|(of, _)| *of == scope) {
            book.members.insert(parsed(&member, "leases.member")?, json(&parts, "leases.parts")?);
        }
    }
    Ok(books)
}
