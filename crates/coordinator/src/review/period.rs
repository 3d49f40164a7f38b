//! Weeks and months of the calendar, in UTC.

use std::str::FromStr;

use assay_common::clock::Micros;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// From Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            _ => Err(format!("`{word}` is no period; there is `week` and `month`")),
        }
    }
}

/// A week or a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// How long it is.
    pub span: Span,
    /// Its first moment.
    pub from: Micros,
    /// The first moment after it.
    pub to: Micros,
}

impl Period {
    /// The week or month that a moment lies in; `None` beyond the calendar.
    pub fn around(span: Span, at: Micros) -> Option<Self> {
        let day = Timestamp::from_microsecond(at.0).ok()?.to_zoned(TimeZone::UTC).date();
        let (first, after) = match span {
            Span::Week => {
                let days = i64::from(day.weekday().to_monday_zero_offset());
                let first = day.checked_sub(days.days()).ok()?;
                (first, first.checked_add(7.days()).ok()?)
            }
            Span::Month => {
                let first = day.first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        Some(Self { span, from: midnight(first)?, to: midnight(after)? })
    }

    /// The one before.
    pub fn before(self) -> Option<Self> {
        Self::around(self.span, Micros(self.from.0 - 1))
    }
}

fn midnight(day: Date) -> Option<Micros> {
    Some(Micros(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::registry::moment;
    use crate::report::civil;

    #[test]
    fn finds_weeks_and_months() {
        let check = |span, at: &str, expected: [&str; 2]| {
            let period = Period::around(span, moment(at).unwrap()).unwrap();
            let [from, to] = [period.from, period.to].map(civil);
            assert_eq!([&from[..10], &to[..10]], expected, "{at}");
            assert_eq!(period.before().unwrap().to, period.from);
        };
        check(Span::Week, "2026-11-23", ["2026-11-23", "2026-11-30"]);
        check(Span::Week, "2026-11-22T23:59:59Z", ["2026-11-16", "2026-11-23"]);
        check(Span::Week, "2027-01-01", ["2026-12-28", "2027-01-04"]);
        check(Span::Month, "2026-12-31T23:59:59Z", ["2026-12-01", "2027-01-01"]);
        check(Span::Month, "2028-02-29", ["2028-02-01", "2028-03-01"]);
    }
}
