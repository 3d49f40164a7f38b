//! A run held against the bill: what is lost, what is doubled, what was paid for more than once. Every fault is judged by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::bill::{Bill, JobTag};
use crate::script::Price;

/// The status of an answer that is paid for.
const OK: u16 = 200;

/// What became of the jobs of one run, by its results and by the bills of those who were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Jobs that must have a result.
    pub jobs: u64,
    /// Those without one.
    pub lost: u64,
    /// Results beyond one for a job.
    pub doubled: u64,
    /// Results that nobody was asked for.
    pub unasked: u64,
    /// All calls for the run.
    pub calls: u64,
    /// Calls that were answered, or cut off and maybe paid for, beyond the first of a job and generation.
    pub paid_twice: u64,
    /// Calls that are for no job of the run.
    pub strange: u64,
    /// Calls beyond those on the run's ledger.
    pub unrecorded: u64,
    /// What answered calls cost beyond what the ledger says, in nano-dollars; 0 where it knows no price.
    pub unpaid_nano: i64,
}

/// What a run's own ledger says of its calls.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// How many there were.
    pub calls: u64,
    /// What they cost, in nano-dollars, and by which price; `None` where none is known.
    pub cost: Option<(i64, Price)>,
}

impl Books {
    /// Holds the results of a run, one ordinal each, against the bills. Its jobs are the ordinals below `jobs`.
    pub fn of<'b>(
        run: &str,
        jobs: u64,
        results: impl IntoIterator<Item = u64>,
        recorded: Recorded,
        bills: impl IntoIterator<Item = &'b Bill>,
    ) -> Self {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        for ordinal in results {
            *found.entry(ordinal).or_default() += 1;
        }
        let mut books = Self { jobs, ..Self::default() };
        let mut paid: BTreeMap<(u64, u32), u64> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        let (known, price) = recorded.cost.unwrap_or_default();
        let mut billed = 0;
        for entry in bills.into_iter().flat_map(|bill| &bill.entries) {
            books.calls += 1;
            let tag = entry.job.as_deref().and_then(|job| job.parse::<JobTag>().ok());
            let Some(tag) = tag.filter(|tag| tag.run == run && tag.ordinal < jobs) else {
                books.strange += 1;
                continue;
            };
            asked.insert(tag.ordinal);
            if entry.status == Some(OK) {
                billed += price.cost(entry.input_tokens, entry.output_tokens);
            }
            if entry.status.is_none_or(|status| status == OK) {
                *paid.entry((tag.ordinal, tag.generation)).or_default() += 1;
            }
        }
        books.lost = (0..jobs).filter(|ordinal| !found.contains_key(ordinal)).count() as u64;
        books.doubled = found.values().map(|results| results - 1).sum();
        books.unasked = found.keys().filter(|ordinal| !asked.contains(ordinal)).count() as u64;
        books.unrecorded = books.calls.saturating_sub(recorded.calls);
        books.unpaid_nano = i64::try_from(billed).unwrap_or(i64::MAX) - known;
        books.paid_twice = paid.values().map(|calls| calls - 1).sum();
        books
    }

    /// Whether nothing is lost, doubled or made up, no more is paid twice or on no record than was `in_flight_at_deaths`,
    /// and the ledger says what the rest cost, to the nano-dollar.
    pub fn hold(&self, in_flight_at_deaths: u64) -> bool {
        let Self { lost, doubled, unasked, strange, .. } = self;
        let paid_for = self.unpaid_nano == 0 || (self.unrecorded > 0 && self.unpaid_nano > 0);
        (*lost, *doubled, *unasked, *strange) == (0, 0, 0, 0)
            && self.paid_twice <= in_flight_at_deaths
            && self.unrecorded <= in_flight_at_deaths
            && paid_for
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs, lost, doubled, unasked, calls, paid_twice, strange, unrecorded, unpaid_nano } = self;
        for (name, value) in [
            ("jobs", jobs),
            ("lost", lost),
            ("doubled", doubled),
            ("results without a call", unasked),
            ("calls", calls),
            ("calls for no job of the run", strange),
            ("calls on no record", unrecorded),
            ("paid twice", paid_twice),
        ] {
            writeln!(f, "{name:<28} {value:>9}")?;
        }
        writeln!(f, "{:<28} {unpaid_nano:>9}", "nano-dollars on no record")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bill::Entry;

    fn bill(calls: &[(&str, Option<u16>)]) -> Bill {
        let entry = |(job, status): &(&str, Option<u16>)| Entry {
            at_us: 0,
            job: Some((*job).into()),
            status: *status,
            input_tokens: 0,
            output_tokens: 0,
            cost_nano_usd: 0,
        };
        Bill { entries: calls.iter().map(entry).collect(), in_flight: 0, in_flight_peak: 0, now_us: 0 }
    }

    #[test]
    fn each_sin_is_counted_by_itself() {
        let fine = [("r/0/0/1", Some(200)), ("r/1/0/1", Some(503)), ("r/1/0/2", Some(200))];
        let check = |results: &[u64], calls: &[(&str, Option<u16>)], expected: Books| {
            let all: Vec<_> = fine.iter().chain(calls).copied().collect();
            let recorded = Recorded { calls: all.len() as u64, cost: None };
            let books = Books::of("r", 2, results.iter().copied(), recorded, [&bill(&all)]);
            let rest = Books { jobs: 2, calls: all.len() as u64, ..expected };
            assert_eq!(books, rest, "{results:?} {calls:?}");
        };
        check(&[0, 1], &[], Books::default());
        check(&[0], &[], Books { lost: 1, ..Books::default() });
        check(&[0, 1, 1], &[], Books { doubled: 1, ..Books::default() });
        check(&[0, 1, 7], &[], Books { unasked: 1, ..Books::default() });
        check(&[0, 1], &[("r/0/0/2", Some(200))], Books { paid_twice: 1, ..Books::default() });
        check(&[0, 1], &[("r/0/0/2", None)], Books { paid_twice: 1, ..Books::default() });
        check(&[0, 1], &[("r/0/0/2", Some(429)), ("r/0/1/1", Some(200))], Books::default());
        check(
            &[0, 1],
            &[("x/0/0/1", Some(200)), ("r/2/0/1", None)],
            Books { strange: 2, ..Books::default() },
        );
        // Two of three calls are known, at 9 nano-dollars; two were answered, at 5 each.
        let mut billed = bill(&fine);
        billed.entries.iter_mut().for_each(|entry| entry.input_tokens = 5);
        let price = Price { input_per_mtok: 1_000_000, output_per_mtok: 0 };
        let recorded = Recorded { calls: 2, cost: Some((9, price)) };
        let books = Books::of("r", 2, [0, 1], recorded, [&billed]);
        assert_eq!((books.unrecorded, books.unpaid_nano), (1, 1));
    }

    #[test]
    fn books_that_hold_have_no_sin_but_bounded_second_calls() {
        let fine = Books { jobs: 5, calls: 7, paid_twice: 2, ..Books::default() };
        assert!(fine.hold(2) && !fine.hold(1));
        assert!(Books { unrecorded: 2, unpaid_nano: 7, ..fine }.hold(2));
        for wrong in [
            Books { lost: 1, ..fine },
            Books { doubled: 1, ..fine },
            Books { unasked: 1, ..fine },
            Books { strange: 1, ..fine },
            Books { unrecorded: 10, ..fine },
            Books { unpaid_nano: 1, ..fine },
            Books { unrecorded: 1, unpaid_nano: -1, ..fine },
        ] {
            assert!(!wrong.hold(9), "{wrong:?}");
        }
    }
}
