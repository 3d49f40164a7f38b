//! Provider limits as an operator sees and sets them. What workers make of them is in `lease`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::lease::{BookRow, LeaseRow, books, store_clock};
use crate::ledger::{Book, Known, Learned, Part, Profile, Set, Why, reduced};
use crate::open::Store;
use crate::pools::{Dialect, Locking, Speaks as _, locking, reading, writing};
use crate::row::to_json;

pub(crate) const SQL: &[&str] = &[LIMITS, ALL_LEASES, BOOK.sqlite, BOOK.postgres, SET_LIMIT];

/// A limit of a provider account or of one model of it, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// The account or the model, as tables name it.
    pub scope: String,
    /// What it counts.
    pub dimension: Dimension,
    /// What the files of the workers that use it say, a minute or at once: the least and the most.
    pub configured: Option<(u64, u64)>,
    /// How many of those workers have files that do not name it.
    pub unnamed: usize,
    /// How the provider counts, by those that do.
    pub profiles: BTreeSet<Profile>,
    /// What an operator set it to.
    pub set: Option<Set>,
    /// What the provider said that it is, a minute.
    pub learned: Option<Learned>,
    /// The one that counts, a minute or at once.
    pub limit: Option<u64>,
    /// The rate that the provider has refused more than, in millionths a second, until it has grown again.
    pub cut: Option<u64>,
    /// What somebody else uses of it, in millionths a second, by what the provider says.
    pub stranger: Option<u64>,
    /// Who may use how much of it now.
    pub leases: Vec<Leased>,
    /// What was used of it in the last minute, or is held now.
    pub used: u64,
    /// Nobody calls before this moment of the store's clock.
    pub paused_until: Option<Micros>,
    /// Why it is not all used.
    pub why: Option<Why>,
    /// What somebody waits for whose request is larger than what is there at once; of several the one who waits longest.
    pub gathers: Option<Gathers>,
    /// How many may send, where some who have something to send may not.
    pub senders: Option<usize>,
}

/// A request that gathers its tokens. Those behind it in the line of its worker wait too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathers {
    /// How many it lacks.
    pub tokens: u64,
    /// How long that takes at the rate that its worker has.
    pub wait: Duration,
    /// How many it needs in all, where that is more than the provider says that a window has room for.
    pub outgrows: Option<u64>,
}

/// Whoever gathers for less long is not worth a word.
const LONG_GATHERING: Duration = Duration::from_secs(5);

/// What one worker has of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The worker.
    pub member: MemberId,
    /// The most that it may be using: millionths a second, or calls at once; [`crate::ledger::ALL`]: nothing limits it.
    pub amount: u64,
    /// What it would like; [`crate::ledger::ALL`]: as much as there is.
    pub want: u64,
    /// What it has used since it began, or calls that it holds.
    pub used: u64,
}

const LIMITS: &str = "
    SELECT scope, ledger_us, seen_at, paused_until, dimensions, resumed FROM provider_limits ORDER BY scope";
const ALL_LEASES: &str = "SELECT scope, member, parts FROM leases";

impl Store {
    /// Every limit of which something is known, by scope and dimension. `now` is the clock where the store has none of its
    /// own.
    pub async fn limits(&self, now: Micros) -> Result<Vec<LimitRow>, StoreError> {
        let (rows, leases, now): (Vec<BookRow>, Vec<LeaseRow>, Micros) = reading!(self, |conn| {
            let rows = sqlx::query_as(LIMITS).fetch_all(&mut *conn).await?;
            let leases = sqlx::query_as(ALL_LEASES).fetch_all(&mut *conn).await?;
            Ok((rows, leases, store_clock!(conn, now)))
        })?;
        let rows = books(rows, leases)?.into_iter().flat_map(|(scope, mut book)| {
            // Nobody renews what nobody uses: its clock stands, and its grants are over all the same.
            book.pass(now);
            let known = std::mem::take(&mut book.known);
            known.into_iter().filter_map(move |(dimension, known)| row(&scope, &book, dimension, known, now))
        });
        Ok(rows.collect())
    }
}

fn row(scope: &str, book: &Book, dimension: Dimension, known: Known, now: Micros) -> Option<LimitRow> {
    let configured = book.configured(dimension);
    let least = configured.map(|(least, _)| least);
    let unnamed = book.parts(dimension).filter(|(_, part)| part.configured.is_none()).count();
    let lease = |(member, part): (MemberId, &Part)| Leased {
        member,
        amount: part.exposure(),
        want: part.want,
        used: part.used,
    };
    let leases: Vec<_> = book.parts(dimension).map(lease).collect();
    let paused_until = book.paused_until.filter(|until| *until > now);
    let gathers = book
        .parts(dimension)
        .filter_map(|(_, part)| gathers(part, &known))
        .max_by_key(|gathers| gathers.wait);
    let used = if dimension.is_rate() {
        known.spent.over(Profile::default().length_us, now.0)
    } else {
        leases.iter().map(|lease| lease.used).sum()
    };
    let limit = known.limit(least);
    let is_known = limit.is_some() || known.cut.is_some() || paused_until.is_some() || !leases.is_empty();
    let sending = leases.iter().filter(|lease| lease.amount > 0).count();
    let is_crowded = dimension.is_rate()
        && paused_until.is_none()
        && leases.iter().any(|lease| lease.amount == 0 && lease.want > 0);
    let senders = is_crowded.then_some(sending);
    let why = if dimension.is_rate() {
        let crowded = || senders.map(|senders| Why::Crowded { senders });
        paused_until.map(|_| Why::Paused).or_else(|| reduced(&known, least)).or_else(crowded)
    } else {
        None
    };
    is_known.then(|| LimitRow {
        scope: scope.to_owned(),
        dimension,
        configured,
        unnamed,
        profiles: book.profiles(dimension),
        limit,
        learned: known.learned,
        cut: known.cut.map(|cut| cut.rate),
        stranger: known.strangers(least),
        set: known.set,
        leases,
        used,
        paused_until,
        why,
        gathers,
        senders,
    })
}

/// What somebody gathers in the line of one worker, where that takes long.
fn gathers(part: &Part, known: &Known) -> Option<Gathers> {
    let (tokens, rate) = (part.lacks?, part.exposure());
    // Millionths by millionths a second; who has nothing waits for something else.
    let wait = u128::from(tokens).saturating_mul(1_000_000).checked_div(u128::from(rate))?;
    let wait = Duration::from_secs(u64::try_from(wait).unwrap_or(u64::MAX));
    let has_room = |needs| known.learned.is_none_or(|learned| needs <= part.profile.of_window(learned.limit));
    let outgrows = part.needs.filter(|needs| !has_room(*needs));
    (wait >= LONG_GATHERING).then_some(Gathers { tokens, wait, outgrows })
}

const BOOK: Locking = locking!(
    "SELECT scope, ledger_us, seen_at, paused_until, dimensions, resumed FROM provider_limits WHERE scope = $1",
    "FOR NO KEY UPDATE"
);
const SET_LIMIT: &str = "
    INSERT INTO provider_limits (scope, ledger_us, seen_at, dimensions) VALUES ($1, 0, $2, $3)
    ON CONFLICT (scope) DO UPDATE SET dimensions = excluded.dimensions";

impl Store {
    /// Sets a limit, a minute or at once, for all who use it, from their next renewal on; by the actor of `entry`, for the
    /// reason given. `None` goes back to what files say, and forgets what was learned of it. `false`: there was nothing to
    /// forget.
    pub async fn set_limit(
        &self,
        scope: String,
        dimension: Dimension,
        to: Option<u64>,
        reason: String,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query_as(BOOK.text(conn.dialect())).bind(&scope);
            let found: Option<BookRow> = query.fetch_optional(&mut *conn).await?;
            let book = books(found.into_iter().collect(), Vec::new())?.pop().map(|(_, book)| book);
            let mut known: BTreeMap<Dimension, Known> = book.unwrap_or_default().known;
            let changed = match to {
                Some(to) => {
                    let (by, why) = (entry.actor.clone(), reason.clone());
                    known.entry(dimension).or_default().set = Some(Set { to, at: entry.at, by, why });
                    true
                }
                None => known.get_mut(&dimension).is_some_and(Known::forget),
            };
            if changed {
                let query = sqlx::query(SET_LIMIT).bind(&scope).bind(entry.at.0);
                query.bind(to_json(&known)?).execute(&mut *conn).await?;
                append_audit!(conn, &entry);
            }
            Ok(changed)
        })
    }
}
