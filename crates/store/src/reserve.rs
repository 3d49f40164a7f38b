//! Reserve: a part of a run's budget set aside for a call before it is made, so that what is spent and what may still be
//! spent never exceed the budget together. Settling frees it when the cost is known.

use std::collections::BTreeMap;

use assay_common::job::Reservation;

use crate::bulk::{Bulk, executed, fetched};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, Locking, Speaks as _, locking, writing};
use crate::row::integer;

pub(crate) const SQL: &[&str] = &[PURSE.sqlite, PURSE.postgres, SPEND];
pub(crate) static BULKS: &[&Bulk] = &[&RESERVED, &RESERVE, &FREE_RESERVATIONS];

const PURSE: Locking =
    locking!("SELECT budget_nano, cost_nano, reserved_nano FROM runs WHERE id = $1", "FOR NO KEY UPDATE");

static RESERVED: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, generation, attempt, seq, place) AS (VALUES",
    "($, $, $, $, $, $)",
    ") SELECT given.place FROM given CROSS JOIN reservations
    WHERE reservations.run_id = given.run_id AND reservations.ordinal = given.ordinal
        AND reservations.generation = given.generation AND reservations.attempt = given.attempt
        AND reservations.seq = given.seq",
);

static RESERVE: Bulk = Bulk::new(
    "INSERT INTO reservations (run_id, ordinal, generation, attempt, seq, amount_nano) VALUES",
    "($, $, $, $, $, $)",
    "",
);

/// Removes what was set aside for calls of jobs of one run, from the first ordinal to the last.
pub(crate) static FREE_RESERVATIONS: Bulk = Bulk::new(
    "DELETE FROM reservations
    WHERE run_id = $ AND ordinal BETWEEN $ AND $ AND (ordinal, generation, attempt, seq) IN (VALUES",
    "($, $, $, $)",
    ") RETURNING run_id, amount_nano",
)
.repeatable();

const SPEND: &str = "
    UPDATE runs SET reserved_nano = reserved_nano + $2, short_nano = COALESCE($3, short_nano) WHERE id = $1";

impl Store {
    /// Sets something aside for each call, in their order, as far as the budget of its run allows: `false` where it does
    /// not, and then the run is short of that amount until enough is freed. A run without a budget allows everything.
    /// Asked for twice, a call has one reservation.
    pub async fn reserve(&self, asked: Vec<Reservation>) -> Result<Vec<bool>, StoreError> {
        let mut by_run: BTreeMap<String, Vec<(usize, Reservation)>> = BTreeMap::new();
        for (place, reservation) in asked.iter().enumerate() {
            by_run.entry(reservation.key.run.to_string()).or_default().push((place, *reservation));
        }
        let number = asked.len();
        writing!(self, Durability::Process, |conn| {
            let mut granted = vec![false; number];
            for (run, asked) in &by_run {
                let query = sqlx::query_as(PURSE.text(conn.dialect())).bind(run);
                let found: Option<(Option<i64>, i64, i64)> = query.fetch_optional(&mut *conn).await?;
                let Some((budget, cost, reserved)) = found else { continue };
                let mut left = budget.map_or(i64::MAX, |budget| budget - cost - reserved);
                let (mut taken, mut short) = (Vec::new(), None);
                let known = fetched!(conn, RESERVED() as (i64,), asked, |(place, reservation)| (
                    run,
                    integer(reservation.key.ordinal),
                    i64::from(reservation.key.generation),
                    i64::from(reservation.attempt),
                    i64::from(reservation.seq),
                    integer(*place as u64),
                ));
                for (place, reservation) in asked {
                    let amount = reservation.amount.0;
                    if known.contains(&(integer(*place as u64),)) {
                        granted[*place] = true;
                    } else if amount <= left {
                        granted[*place] = true;
                        left -= amount;
                        taken.push(*reservation);
                    } else {
                        short = Some(short.map_or(amount, |least: i64| least.min(amount)));
                    }
                }
                executed!(conn, RESERVE(), &taken, |reservation| (
                    run,
                    integer(reservation.key.ordinal),
                    i64::from(reservation.key.generation),
                    i64::from(reservation.attempt),
                    i64::from(reservation.seq),
                    reservation.amount.0,
                ));
                let amount: i64 = taken.iter().map(|reservation| reservation.amount.0).sum();
                sqlx::query(SPEND).bind(run).bind(amount).bind(short).execute(&mut *conn).await?;
            }
            Ok(granted)
        })
    }
}
