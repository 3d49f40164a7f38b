//! When a schedule is due: a cron expression in a time zone. Pure.
//!
//! What a clock change skips is due right after it, and what it repeats is due once.

use assay_common::clock::Micros;
use assay_common::nearest::nearest;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Times that are counted to tell how many there are in a year.
const COUNTED: usize = 400;
/// A year of 365 days, in microseconds.
const YEAR_US: f64 = 365.0 * 24.0 * 3_600.0 * 1e6;

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

impl Timetable {
    /// Reads an expression of five fields and the IANA name of a zone. What is wrong is said for a person.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| {
            format!("`{cron}` is no cron expression ({error}); five fields say minute, hour, day, month and weekday, as in `0 3 * * *`")
        })?;
        let zone = TimeZone::get(zone).map_err(|_| {
            let names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let near = nearest(zone, names.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            format!("`{zone}` is no time zone, such as `UTC` or `Europe/Berlin`{near}")
        })?;
        Ok(Self { cron: parsed, zone })
    }

    /// The latest time up to `now` that it was due; `None` where there was none.
    pub fn last_due(&self, now: Micros) -> Option<Micros> {
        let found = self.cron.find_previous_occurrence(&self.zoned(now)?, true).ok()?;
        Some(micros(&found))
    }

    /// The first time after `now` that it is due; `None` where there is none.
    pub fn next_due(&self, now: Micros) -> Option<Micros> {
        let found = self.cron.find_next_occurrence(&self.zoned(now)?, false).ok()?;
        Some(micros(&found))
    }

    /// How often it is due in a year, about.
    pub fn yearly(&self, now: Micros) -> f64 {
        let (mut at, mut count) = (now, 0);
        while count < COUNTED
            && let Some(next) = self.next_due(at)
            && ((next.0 - now.0) as f64) < YEAR_US
        {
            (at, count) = (next, count + 1);
        }
        if count < COUNTED { count as f64 } else { count as f64 * YEAR_US / (at.0 - now.0) as f64 }
    }

    fn zoned(&self, at: Micros) -> Option<Zoned> {
        Some(Timestamp::from_microsecond(at.0).ok()?.to_zoned(self.zone.clone()))
    }
}

fn micros(zoned: &Zoned) -> Micros {
    Micros(zoned.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Micros {
        Micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn it_is_due_in_its_time_zone() {
        let check = |cron: &str, zone: &str, now: &str, last: &str, next: &str| {
            let table = Timetable::parse(cron, zone).unwrap();
            assert_eq!((table.last_due(at(now)), table.next_due(at(now))), (Some(at(last)), Some(at(next))));
        };
        check("0 3 * * *", "UTC", "2026-11-23T03:00:00Z", "2026-11-23T03:00:00Z", "2026-11-24T03:00:00Z");
        check("0 3 * * *", "UTC", "2026-11-23T02:59:59.9Z", "2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z");
        let berlin = "Europe/Berlin";
        check("30 2 * * *", berlin, "2026-07-01T12:00:00Z", "2026-07-01T00:30:00Z", "2026-07-02T00:30:00Z");
        // In the night of 25 October 2026 the hour from 2 to 3 comes twice: once is enough.
        check("30 2 * * *", berlin, "2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
        // In the night of 29 March 2026 there is no half past two: it is due after the change, and not left out.
        let table = Timetable::parse("30 2 * * *", berlin).unwrap();
        let due = table.next_due(at("2026-03-28T12:00:00Z")).unwrap();
        assert!(due >= at("2026-03-29T01:00:00Z") && due <= at("2026-03-29T01:30:00Z"), "{due:?}");
        assert_eq!(table.last_due(at("2026-03-29T04:00:00Z")), Some(due));
    }

    #[test]
    fn what_is_no_timetable_says_why() {
        let check = |cron: &str, zone: &str, part: &str| {
            let told = Timetable::parse(cron, zone).unwrap_err();
            assert!(told.contains(part), "{told}");
        };
        check("every night", "UTC", "`every night` is no cron expression");
        check("0 3 * *", "UTC", "five fields");
        check("0 0 3 * * *", "UTC", "five fields");
        check("61 3 * * *", "UTC", "no cron expression");
        check("0 3 * * *", "Europe/Berln", "did you mean `Europe/Berlin`?");
        assert_eq!(Timetable::parse("0 3 30 2 *", "UTC").unwrap().next_due(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn a_year_has_so_many_of_them() {
        let check = |cron: &str, expected: f64| {
            let yearly = Timetable::parse(cron, "UTC").unwrap().yearly(at("2026-01-01T00:30:00Z"));
            assert!((yearly - expected).abs() <= expected * 0.01, "{cron}: {yearly}");
        };
        check("0 3 * * *", 365.0);
        check("0 * * * *", 8_760.0);
        check("0 3 * * 1", 52.0);
    }
}
