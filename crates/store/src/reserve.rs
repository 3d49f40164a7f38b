//! Reserve: money set aside for a call before it is made, out of its run's budget and out of what its account may cost
//! that day, so that what is spent and what may still be spent never exceed either. Settling frees it when the cost is
//! known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_common::clock::Micros;
use assay_common::job::Reservation;
use assay_common::money::NanoUsd;

use crate::bulk::{Bulk, executed, fetched};
use crate::error::StoreError;
use crate::event::append_event;
use crate::open::Store;
use crate::pools::{Durability, Locking, Speaks as _, locking, writing};
use crate::row::integer;
use crate::spending::of_spent;

pub(crate) const SQL: &[&str] = &[PURSE.sqlite, PURSE.postgres, DAY, CAP, SPEND, SPEND_DAY];
pub(crate) static BULKS: &[&Bulk] = &[&RESERVED, &RESERVE, &FREE_RESERVATIONS];

/// What became of the money that a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It is set aside.
    Done,
    /// Its run's budget has not so much left.
    RunIsShort,
    /// What its account may cost that day has not so much left.
    DayIsShort,
}

const PURSE: Locking =
    locking!("SELECT budget_nano, cost_nano, reserved_nano FROM runs WHERE id = $1", "FOR NO KEY UPDATE");

// Locks the row, whether it was there or not. The least and the most are for those who want to know whether files disagree.
const DAY: &str = "
    INSERT INTO spending (account, day, least_cap_nano, most_cap_nano, cost_nano, reserved_nano)
    VALUES ($1, $2, $3, $3, 0, 0)
    ON CONFLICT (account, day) DO UPDATE SET
        least_cap_nano = CASE WHEN excluded.least_cap_nano < spending.least_cap_nano
            THEN excluded.least_cap_nano ELSE spending.least_cap_nano END,
        most_cap_nano = CASE WHEN excluded.most_cap_nano > spending.most_cap_nano
            THEN excluded.most_cap_nano ELSE spending.most_cap_nano END
    RETURNING cost_nano, reserved_nano";

const CAP: &str = "SELECT cap_nano FROM caps WHERE account = $1";

static RESERVED: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, generation, attempt, seq, place) AS (VALUES",
    "($, $, $, $, $, $)",
    ") SELECT given.place FROM given CROSS JOIN reservations
    WHERE reservations.run_id = given.run_id AND reservations.ordinal = given.ordinal
        AND reservations.generation = given.generation AND reservations.attempt = given.attempt
        AND reservations.seq = given.seq",
);

static RESERVE: Bulk = Bulk::new(
    "INSERT INTO reservations (run_id, ordinal, generation, attempt, seq, amount_nano, account, day) VALUES",
    "($, $, $, $, $, $, $, $)",
    "",
);

/// Removes what was set aside for calls of jobs of one run, from the first ordinal to the last.
pub(crate) static FREE_RESERVATIONS: Bulk = Bulk::new(
    "DELETE FROM reservations
    WHERE run_id = $ AND ordinal BETWEEN $ AND $ AND (ordinal, generation, attempt, seq) IN (VALUES",
    "($, $, $, $)",
    ") RETURNING run_id, ordinal, generation, attempt, seq, amount_nano, account, day",
)
.repeatable();

const SPEND: &str = "
    UPDATE runs SET reserved_nano = reserved_nano + $2, short_nano = COALESCE($3, short_nano) WHERE id = $1";

const SPEND_DAY: &str = "
    UPDATE spending SET reserved_nano = reserved_nano + $3, short_nano = $4,
        short_at = CASE WHEN CAST($4 AS BIGINT) IS NULL THEN NULL ELSE COALESCE(short_at, $5) END
    WHERE account = $1 AND day = $2";

impl Store {
    /// Sets something aside for each call, in their order, as far as the budget of its run and the cap of its account
    /// allow. Where one does not, it is short of that amount: the run until enough is freed, the account until a call is
    /// paid for again. A run without a budget allows everything, and so does an account without a cap. Asked for twice, a
    /// call has one reservation.
    pub async fn reserve(&self, asked: Vec<Reservation>, now: Micros) -> Result<Vec<SetAside>, StoreError> {
        let calls: Vec<_> = asked.into_iter().map(|call| (call.key.run.to_string(), call)).collect();
        let day = now.day();
        writing!(self, Durability::Process, |conn| {
            // Runs before accounts, each in order: as `settle` takes them.
            let mut runs = BTreeMap::new();
            for run in calls.iter().map(|(run, _)| run).collect::<BTreeSet<_>>() {
                let query = sqlx::query_as(PURSE.text(conn.dialect())).bind(run);
                let found: Option<(Option<i64>, i64, i64)> = query.fetch_optional(&mut *conn).await?;
                if let Some((most, cost, reserved)) = found {
                    runs.insert(run, Purse::new(most, cost, reserved));
                }
            }
            let mut accounts: BTreeMap<&Arc<str>, Purse> = BTreeMap::new();
            for (account, most) in capped(&calls) {
                let query = sqlx::query_as(DAY).bind(&**account).bind(day).bind(most.0);
                let (cost, reserved): (i64, i64) = query.fetch_one(&mut *conn).await?;
                let query = sqlx::query_scalar(CAP).bind(&**account);
                let set: Option<i64> = query.fetch_optional(&mut *conn).await?;
                accounts.insert(account, Purse::new(Some(set.unwrap_or(most.0)), cost, reserved));
            }
            let places: Vec<_> = (0..).zip(&calls).collect();
            let known = fetched!(conn, RESERVED() as (i64,), &places, |(place, (run, call))| (
                run,
                integer(call.key.ordinal),
                i64::from(call.key.generation),
                i64::from(call.attempt),
                i64::from(call.seq),
                *place,
            ));
            let mut answers = vec![SetAside::Done; calls.len()];
            let mut taken = Vec::new();
            for ((place, (run, call)), answer) in places.into_iter().zip(&mut answers) {
                if !known.contains(&(place,)) {
                    let account = call.cap.as_ref().and_then(|cap| accounts.get_mut(&cap.account));
                    *answer = decide(call.amount.0, runs.get_mut(run), account);
                    if *answer == SetAside::Done {
                        taken.push((run, call));
                    }
                }
            }
            executed!(conn, RESERVE(), &taken, |(run, call)| (
                *run,
                integer(call.key.ordinal),
                i64::from(call.key.generation),
                i64::from(call.attempt),
                i64::from(call.seq),
                call.amount.0,
                call.cap.as_ref().map(|cap| &*cap.account),
                call.cap.as_ref().map(|_| day),
            ));
            for (run, purse) in runs.iter().filter(|(_, purse)| purse.has_changed()) {
                sqlx::query(SPEND).bind(*run).bind(purse.taken).bind(purse.short).execute(&mut *conn).await?;
            }
            for (account, purse) in accounts.iter().filter(|(_, purse)| purse.has_changed()) {
                let query = sqlx::query(SPEND_DAY).bind(&***account).bind(day).bind(purse.taken);
                query.bind(purse.short).bind(now.0).execute(&mut *conn).await?;
                if let Some((short, stands)) = purse.spent() {
                    append_event!(conn, &of_spent(account, stands, short, now));
                }
            }
            Ok(answers)
        })
    }
}

/// What the calls' accounts may cost, by account.
fn capped(calls: &[(String, Reservation)]) -> BTreeMap<&Arc<str>, NanoUsd> {
    calls.iter().filter_map(|(_, call)| call.cap.as_ref()).map(|cap| (&cap.account, cap.most)).collect()
}

/// Takes a call's money out of both purses, or out of neither. A run that is not there has nothing.
fn decide(amount: i64, run: Option<&mut Purse>, account: Option<&mut Purse>) -> SetAside {
    let Some(run) = run else { return SetAside::RunIsShort };
    if !run.has(amount) {
        return SetAside::RunIsShort;
    }
    if let Some(account) = account {
        if !account.has(amount) {
            return SetAside::DayIsShort;
        }
        account.taken += amount;
    }
    run.taken += amount;
    SetAside::Done
}

/// A budget or a cap, and what one transaction takes of it.
struct Purse {
    most: i64,
    cost: i64,
    reserved: i64,
    taken: i64,
    /// The least that was asked for and not there.
    short: Option<i64>,
}

impl Purse {
    fn new(most: Option<i64>, cost: i64, reserved: i64) -> Self {
        Self { most: most.unwrap_or(i64::MAX), cost, reserved, taken: 0, short: None }
    }

    fn has(&mut self, amount: i64) -> bool {
        let has = amount <= self.most - self.cost - self.reserved - self.taken;
        if !has {
            self.short = Some(self.short.map_or(amount, |least| least.min(amount)));
        }
        has
    }

    fn has_changed(&self) -> bool {
        self.taken > 0 || self.short.is_some()
    }

    /// What it is short of even if nothing of what is set aside is spent, with the most, the cost and what is set aside.
    fn spent(&self) -> Option<(i64, (i64, i64, i64))> {
        let short = self.short.filter(|short| *short > self.most - self.cost)?;
        Some((short, (self.most, self.cost, self.reserved + self.taken)))
    }
}
