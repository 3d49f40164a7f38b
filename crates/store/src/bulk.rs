//! Many rows in one statement.
//!
//! A statement costs the same whether it carries one row or a hundred (a round trip to PostgreSQL, two thread hand-overs
//! to SQLite's worker), so rows travel in `VALUES` lists. Chunks are powers of two: few texts, each made once and
//! prepared once for each connection.
//!
//! The same holds on the way back: SQLite's worker hands over row by row, so what is many rows of many columns comes
//! [packed](packed!) in one.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

use crate::pools::Dialect;

/// Chunks have 1, 2, 4, … 512 rows.
const SIZES: u32 = 10;
/// Those that are filled up have 128 at most: half of one may be its filling.
const FILLED_SIZES: u32 = 8;

/// A statement over a list of rows. Every `$` in its texts is a placeholder, bound in the order in which they stand:
/// first those of `before`, then those of each row.
pub(crate) struct Bulk {
    before: &'static str,
    row: &'static str,
    after: &'static str,
    /// What goes before and what follows on PostgreSQL alone: row locks.
    head: &'static str,
    lock: &'static str,
    /// Whether a row that stands there twice changes nothing.
    repeatable: bool,
    /// How many columns SQLite packs into one JSON text; 0: none.
    packed: u32,
    sqlite: [OnceLock<Arc<str>>; SIZES as usize],
    postgres: [OnceLock<Arc<str>>; SIZES as usize],
}

impl Bulk {
    /// `before`, the rows separated by commas, `after`.
    pub(crate) const fn new(before: &'static str, row: &'static str, after: &'static str) -> Self {
        Self {
            before,
            row,
            after,
            head: "",
            lock: "",
            repeatable: false,
            packed: 0,
            sqlite: [const { OnceLock::new() }; SIZES as usize],
            postgres: [const { OnceLock::new() }; SIZES as usize],
        }
    }

    /// The same with a row lock on PostgreSQL; SQLite has no such clause and needs none, having one writer.
    pub(crate) const fn locking(mut self, lock: &'static str) -> Self {
        self.lock = lock;
        self
    }

    /// The same inside another statement on PostgreSQL: for what is to be looked at when its rows are locked, and not before.
    pub(crate) const fn inside(mut self, head: &'static str) -> Self {
        self.head = head;
        self
    }

    /// The same, where a row that stands there twice changes nothing: a chunk is then filled up with its last row, and
    /// one statement does where several of exact sizes would be needed.
    pub(crate) const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The same for a `SELECT` of so many columns, all short and none of them bytes, whose rows SQLite gives as one: a JSON array
    /// of an array each, in any order. For [`packed!`].
    pub(crate) const fn packing(mut self, columns: u32) -> Self {
        self.packed = columns;
        self
    }

    /// The text for one row.
    pub(crate) fn for_one_row(&self, dialect: Dialect) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(self.text(dialect, 0))
    }

    /// Cuts `rows` into chunks, each with the text for it and how often its last row is repeated.
    pub(crate) fn chunks<'a, R>(
        &'a self,
        dialect: Dialect,
        rows: &'a [R],
    ) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, &'a [R], usize)> {
        let mut rest = rows;
        let largest = if self.repeatable { FILLED_SIZES } else { SIZES } - 1;
        std::iter::from_fn(move || {
            let exact = rest.len().checked_ilog2()?;
            let fits = rest.len().is_power_of_two() || !self.repeatable;
            let size = if fits { exact } else { exact + 1 }.min(largest);
            let (chunk, left) = rest.split_at(rest.len().min(1 << size));
            rest = left;
            // Safe: made of this crate's own texts and of placeholders.
            Some((AssertSqlSafe(self.text(dialect, size as usize)), chunk, (1 << size) - chunk.len()))
        })
    }

    fn text(&self, dialect: Dialect, size: usize) -> Arc<str> {
        let texts = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        };
        Arc::clone(texts[size].get_or_init(|| self.write(dialect, 1 << size)))
    }

    fn write(&self, dialect: Dialect, rows: usize) -> Arc<str> {
        let mut bound = 0;
        let mut text = String::new();
        let mut push = |part: &str| {
            for (at, piece) in part.split('$').enumerate() {
                if at > 0 {
                    bound += 1;
                    match dialect {
                        // Without numbers: SQLite finds a numbered parameter by walking the list of all of them.
                        Dialect::Sqlite => text.push('?'),
                        Dialect::Postgres => text.push_str(&format!("${bound}")),
                    }
                }
                text.push_str(piece);
            }
        };
        let columns: Vec<_> = (1..=self.packed).map(|column| format!("c{column}")).collect();
        let packs = dialect == Dialect::Sqlite && !columns.is_empty();
        let columns = columns.join(", ");
        if packs {
            push(&format!("WITH packed ({columns}) AS ("));
        }
        if dialect == Dialect::Postgres {
            push(self.head);
        }
        push(self.before);
        for row in 0..rows {
            push(if row == 0 { " " } else { ", " });
            push(self.row);
        }
        push(" ");
        push(self.after);
        if dialect == Dialect::Postgres {
            push(" ");
            push(self.lock);
        }
        if packs {
            push(&format!(") SELECT json_group_array(json_array({columns})) FROM packed"));
        }
        text.trim_end().into()
    }
}

/// Runs a [`Bulk`] over rows and counts the rows it changed:
/// `executed!(conn, STATEMENT(fixed, …), &rows, |row| (value, …))`.
macro_rules! executed {
    ($conn:ident, $bulk:ident($($fixed:expr),*), $rows:expr, |$row:pat_param| ($($value:expr),+ $(,)?)) => {{
        let mut changed: u64 = 0;
        for (text, chunk, repeats) in $bulk.chunks($crate::pools::Speaks::dialect(&*$conn), $rows) {
            #[allow(unused_mut, reason = "one macro for statements with and without fixed values")]
            let mut query = sqlx::query(text)$(.bind($fixed))*;
            let last = std::iter::repeat_n(&chunk[chunk.len() - 1], repeats);
            for $row in chunk.iter().chain(last) {
                query = query$(.bind($value))+;
            }
            changed += query.execute(&mut *$conn).await?.rows_affected();
        }
        changed
    }};
}

/// Runs a [`Bulk`] over rows and collects the rows it returns as `$type`:
/// `fetched!(conn, STATEMENT(fixed, …) as Type, &rows, |row| (value, …))`.
macro_rules! fetched {
    ($conn:ident, $bulk:ident($($fixed:expr),*) as $type:ty, $rows:expr, |$row:pat_param| ($($value:expr),+ $(,)?)) => {{
        let mut found: Vec<$type> = Vec::new();
        for (text, chunk, repeats) in $bulk.chunks($crate::pools::Speaks::dialect(&*$conn), $rows) {
            let mut query = sqlx::query_as::<_, $type>(text)$(.bind($fixed))*;
            let last = std::iter::repeat_n(&chunk[chunk.len() - 1], repeats);
            for $row in chunk.iter().chain(last) {
                query = query$(.bind($value))+;
            }
            found.append(&mut query.fetch_all(&mut *$conn).await?);
        }
        found
    }};
}

/// [`fetched!`] for a [`Bulk`] that is [`packing`](Bulk::packing): `$type` reads from a row of PostgreSQL by name, and from an array of
/// its columns in their order.
macro_rules! packed {
    ($conn:ident, $bulk:ident() as $type:ty, $rows:expr, |$row:pat_param| ($($value:expr),+ $(,)?)) => {{
        match $crate::pools::Speaks::dialect(&*$conn) {
            $crate::pools::Dialect::Sqlite => {
                let texts = $crate::bulk::fetched!($conn, $bulk() as (String,), $rows, |$row| ($($value),+));
                let mut found: Vec<$type> = Vec::new();
                for (text,) in texts {
                    found.append(&mut $crate::row::json::<Vec<$type>>(&text, "a packed row")?);
                }
                found
            }
            $crate::pools::Dialect::Postgres => {
                $crate::bulk::fetched!($conn, $bulk() as $type, $rows, |$row| ($($value),+))
            }
        }
    }};
}

pub(crate) use {executed, fetched, packed};

#[cfg(test)]
mod tests {
    use super::*;

    static LOCKED_ROWS: Bulk = Bulk::new(
        "WITH holder (member) AS (VALUES ($)), given (a, b) AS (VALUES",
        "($, $, 'x')",
        ") SELECT a FROM t",
    )
    .locking("FOR UPDATE");

    #[test]
    fn numbers_placeholders_for_postgres_alone() {
        let check = |dialect, expected: &str| {
            let texts: Vec<_> = LOCKED_ROWS
                .chunks(dialect, &[(), ()])
                .map(|(text, chunk, _)| (text.0.to_string(), chunk.len()))
                .collect();
            assert_eq!(texts, [(expected.to_owned(), 2)]);
        };
        check(
            Dialect::Sqlite,
            "WITH holder (member) AS (VALUES (?)), given (a, b) AS (VALUES (?, ?, 'x'), (?, ?, 'x') ) SELECT a FROM t",
        );
        check(
            Dialect::Postgres,
            "WITH holder (member) AS (VALUES ($1)), given (a, b) AS (VALUES ($2, $3, 'x'), ($4, $5, 'x') ) SELECT a \
             FROM t FOR UPDATE",
        );
    }

    #[test]
    fn sqlite_packs_rows_into_one() {
        static PACKING: Bulk = Bulk::new("SELECT a, b FROM t WHERE a IN (VALUES", "($)", ")").packing(2);
        let check = |dialect, expected: &str| assert_eq!(&*PACKING.for_one_row(dialect).0, expected);
        check(
            Dialect::Sqlite,
            "WITH packed (c1, c2) AS (SELECT a, b FROM t WHERE a IN (VALUES (?) )) SELECT \
             json_group_array(json_array(c1, c2)) FROM packed",
        );
        check(Dialect::Postgres, "SELECT a, b FROM t WHERE a IN (VALUES ($1) )");
    }

    #[test]
    fn cuts_into_powers_of_two() {
        let check = |rows: usize, expected: &[usize]| {
            let rows = vec![(); rows];
            let sizes: Vec<_> =
                LOCKED_ROWS.chunks(Dialect::Sqlite, &rows).map(|(_, chunk, _)| chunk.len()).collect();
            assert_eq!(sizes, expected);
        };
        check(0, &[]);
        check(1, &[1]);
        check(63, &[32, 16, 8, 4, 2, 1]);
        check(1_300, &[512, 512, 256, 16, 4]);
    }

    #[test]
    fn fills_up_where_a_row_may_stand_twice() {
        static REPEATABLE: Bulk = Bulk::new("(VALUES", "($)", ")").repeatable();
        let check = |rows: usize, expected: &[(usize, usize)]| {
            let rows = vec![(); rows];
            let chunks = REPEATABLE.chunks(Dialect::Sqlite, &rows);
            let sizes: Vec<_> = chunks.map(|(_, chunk, repeats)| (chunk.len(), repeats)).collect();
            assert_eq!(sizes, expected);
        };
        check(0, &[]);
        check(1, &[(1, 0)]);
        check(63, &[(63, 1)]);
        check(64, &[(64, 0)]);
        check(300, &[(128, 0), (128, 0), (44, 20)]);
    }
}
