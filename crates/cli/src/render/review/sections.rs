//! What a review says, as plain text in tables: nothing is escaped yet.

use std::collections::BTreeMap;

use assay_coordinator::release::document::IncidentDocument;
use assay_coordinator::review::document::{Review, VerdictMix};
use assay_coordinator::review::ranges::{bounds, named};
use assay_coordinator::review::signals::Signals;
use assay_coordinator::review::{Span, ranges::RangeEntry, risks::RiskEntry};
use assay_store::{ReleaseKind, Signal};

use crate::render::percent;

/// What stands where nothing is known.
pub(super) const NOTHING: &str = "–";

/// A part of a review.
pub(super) struct Section {
    /// Its heading.
    pub(super) title: &'static str,
    /// What is said before the table, or in place of it.
    pub(super) said: Vec<String>,
    /// The heads of the columns.
    pub(super) header: &'static [&'static str],
    /// Columns of numbers.
    pub(super) right: &'static [usize],
    /// The rows.
    pub(super) rows: Vec<Vec<String>>,
}

/// The heading of a review.
pub(super) fn title(review: &Review) -> String {
    let period = &review.period;
    let day = |moment: &str| moment.get(..10).unwrap_or(moment).to_owned();
    let which = match period.span {
        Span::Week => format!("the week of {}", day(&period.from)),
        Span::Month => format!("the month {}", period.from.get(..7).unwrap_or(&period.from)),
    };
    let so_far = if period.as_of == period.to { String::new() } else { format!(", as of {}", period.as_of) };
    format!("Review of {which}{so_far}")
}

/// Everything, in the order in which it is looked at.
pub(super) fn sections(review: &Review) -> Vec<Section> {
    vec![
        signals(review),
        ranges(&review.ranges),
        releases(review),
        verdicts(review),
        trend(review),
        incidents(review),
        wavering(review),
        spend(review),
        risks(&review.risks),
    ]
}

fn signals(review: &Review) -> Section {
    let row = |signal: Signal| {
        let told = |signals: &Signals| value(signal, signals.value(signal));
        vec![signal.word().to_owned(), told(&review.signals), told(&review.before)]
    };
    Section {
        title: "Signals",
        said: Vec::new(),
        header: &["SIGNAL", "NOW", "BEFORE"],
        right: &[1, 2],
        rows: Signal::ALL.into_iter().map(row).collect(),
    }
}

/// A signal as people read it.
pub(super) fn value(signal: Signal, value: Option<f64>) -> String {
    match (signal, value) {
        (_, None) => NOTHING.to_owned(),
        (Signal::RegressionIncidents, Some(count)) => format!("{count:.0}"),
        (Signal::PassRate | Signal::RollbackRate, Some(rate)) => percent(rate),
    }
}

/// Ranges, and how their signals stand.
pub(super) fn ranges(ranges: &[RangeEntry]) -> Section {
    let row = |range: &RangeEntry| {
        let state = match range.outside {
            Some(true) => "OUTSIDE",
            Some(false) => "inside",
            None => NOTHING,
        };
        vec![
            range.signal.word().to_owned(),
            named(&range.subject),
            bounds(range.low, range.high),
            format!("{} days", range.days),
            value(range.signal, range.value),
            state.to_owned(),
            range.set_by.clone(),
        ]
    };
    let count = |state: Option<bool>| ranges.iter().filter(|range| range.outside == state).count();
    let said = match (ranges.len(), count(Some(true)), count(None)) {
        (0, ..) => "no range is set; `assay range set` says what is acceptable".to_owned(),
        (_, 0, 0) => "every signal is in its range".to_owned(),
        (all, 0, unknown) => {
            format!("no signal is outside its range; {unknown} of {all} could not be measured")
        }
        (all, outside, _) => format!("{outside} of {all} signals are outside their range"),
    };
    Section {
        title: "Acceptable ranges",
        said: vec![said],
        header: &["SIGNAL", "WHOSE", "ACCEPTABLE", "OVER", "IS", "STATE", "SET BY"],
        right: &[4],
        rows: ranges.iter().map(row).collect(),
    }
}

fn releases(review: &Review) -> Section {
    let count = |kind| review.releases.iter().filter(|release| release.kind == kind).count();
    let rows = review.releases.iter().map(|release| {
        vec![
            release.at.clone(),
            format!("{}@{}", release.prompt, release.version),
            release.channel.clone(),
            release.kind.word().to_owned(),
            release.by.clone(),
            release.reason.clone().unwrap_or_else(|| NOTHING.to_owned()),
        ]
    });
    Section {
        title: "Releases",
        said: vec![format!(
            "{} promoted, {} overridden, {} rolled back",
            count(ReleaseKind::Promotion),
            count(ReleaseKind::Override),
            count(ReleaseKind::Rollback)
        )],
        header: &["WHEN", "VERSION", "CHANNEL", "KIND", "WHO", "WHY"],
        right: &[],
        rows: rows.collect(),
    }
}

fn verdicts(review: &Review) -> Section {
    let told = |mix: VerdictMix| [mix.pass, mix.fail, mix.inconclusive];
    let [pass, fail, inconclusive] = told(review.verdicts);
    let judged = review.prompts.iter().filter(|trend| trend.verdicts != VerdictMix::default());
    let rows = judged.map(|trend| {
        let counts = told(trend.verdicts).map(|count| count.to_string());
        [trend.prompt.clone()].into_iter().chain(counts).collect()
    });
    Section {
        title: "Verdicts",
        said: vec![format!("{pass} pass, {fail} fail, {inconclusive} inconclusive")],
        header: &["PROMPT", "PASS", "FAIL", "INCONCLUSIVE"],
        right: &[1, 2, 3],
        rows: rows.collect(),
    }
}

/// The latest pass rate of each version on each model.
fn trend(review: &Review) -> Section {
    let mut rows = Vec::new();
    for trend in &review.prompts {
        let mut latest = BTreeMap::new();
        for point in &trend.points {
            latest.insert((point.version, &point.model, &point.suite), point);
        }
        rows.extend(latest.into_values().map(|point| {
            let [low, high] = point.interval;
            vec![
                version(&trend.prompt, point.version),
                point.model.clone(),
                point.suite.clone(),
                point.at.clone(),
                point.cases.to_string(),
                percent(point.pass_rate),
                format!("{}–{}", percent(low), percent(high)),
            ]
        }));
    }
    let runs: u64 = review.spend.runs;
    Section {
        title: "Pass rates",
        said: vec![format!("{runs} runs; the latest of each version, model and suite, with its interval")],
        header: &["VERSION", "MODEL", "SUITE", "WHEN", "CASES", "PASS RATE", "INTERVAL"],
        right: &[4, 5, 6],
        rows,
    }
}

/// A version as people name it.
pub(super) fn version(prompt: &str, number: Option<i64>) -> String {
    number.map_or_else(|| prompt.to_owned(), |number| format!("{prompt}@{number}"))
}

fn incidents(review: &Review) -> Section {
    let row = |incident: &IncidentDocument| {
        vec![
            incident.number.to_string(),
            incident.state.clone(),
            version(&incident.prompt, Some(incident.version)),
            incident.channel.clone(),
            incident.owner.clone().unwrap_or_else(|| NOTHING.to_owned()),
            incident.opened_at.clone(),
            length(Some(incident.seconds_to_detect)),
            length(incident.seconds_to_acknowledge),
            length(incident.seconds_to_recover),
            incident.summary.clone(),
        ]
    };
    let open = review.incidents.iter().filter(|incident| incident.state != "resolved").count();
    let (opened, closed) = (review.incidents_opened, review.incidents_closed);
    Section {
        title: "Incidents",
        said: vec![format!("{opened} opened, {closed} closed, {open} open at the end")],
        header: &[
            "INCIDENT",
            "STATE",
            "VERSION",
            "CHANNEL",
            "OWNER",
            "OPENED",
            "TO DETECT",
            "TO ACKNOWLEDGE",
            "TO RECOVER",
            "WHAT",
        ],
        right: &[0, 6, 7, 8],
        rows: review.incidents.iter().map(row).collect(),
    }
}

/// A length of time, to two or three digits.
fn length(seconds: Option<f64>) -> String {
    match seconds {
        None => NOTHING.to_owned(),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) if seconds < 172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        Some(seconds) => format!("{:.1} days", seconds / 86_400.0),
    }
}

fn wavering(review: &Review) -> Section {
    let rows = review.wavering.iter().map(|case| {
        vec![
            case.case.clone(),
            version(&case.prompt, case.version),
            case.model.clone(),
            case.runs.to_string(),
            format!("{} of {}", case.passed, case.trials),
            percent(case.flip_rate),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let said = match rows.is_empty() {
        true => "no case was asked several times in a run and disagreed with itself",
        false => "cases whose repeats within a run disagreed, the worst first",
    };
    Section {
        title: "Flakiest cases",
        said: vec![said.to_owned()],
        header: &["CASE", "VERSION", "MODEL", "RUNS", "PASSED", "DISAGREE"],
        right: &[3, 4, 5],
        rows,
    }
}

fn spend(review: &Review) -> Section {
    let spend = &review.spend;
    let rows = spend.suites.iter().map(|suite| {
        vec![suite.suite.clone(), suite.runs.to_string(), suite.jobs.to_string(), dollars(suite.usd)]
    });
    Section {
        title: "Spend",
        said: vec![format!(
            "{} on {} runs, {} answers, {} errors; what has no price is not in it",
            dollars(spend.usd),
            spend.runs,
            spend.jobs,
            spend.errored
        )],
        header: &["SUITE", "RUNS", "ANSWERS", "SPENT"],
        right: &[1, 2, 3],
        rows: rows.collect(),
    }
}

fn dollars(usd: f64) -> String {
    if usd > 0.0 && usd < 1.0 { format!("${usd:.4}") } else { format!("${usd:.2}") }
}

/// Risks, as they stood.
pub(super) fn risks(risks: &[RiskEntry]) -> Section {
    let row = |risk: &RiskEntry| {
        let state = match (&risk.closed_at, risk.overdue) {
            (Some(_), _) => "closed",
            (None, true) => "OVERDUE",
            (None, false) => "open",
        };
        vec![
            risk.number.to_string(),
            state.to_owned(),
            risk.deadline.get(..10).unwrap_or(&risk.deadline).to_owned(),
            risk.owner.clone(),
            risk.prompt.clone().unwrap_or_else(|| NOTHING.to_owned()),
            risk.title.clone(),
            risk.outcome.clone().unwrap_or_else(|| NOTHING.to_owned()),
        ]
    };
    let open = risks.iter().filter(|risk| risk.closed_at.is_none()).count();
    let overdue = risks.iter().filter(|risk| risk.overdue).count();
    Section {
        title: "Risks",
        said: vec![format!("{open} open, {overdue} of them overdue")],
        header: &["RISK", "STATE", "DEADLINE", "OWNER", "PROMPT", "WHAT", "OUTCOME"],
        right: &[0],
        rows: risks.iter().map(row).collect(),
    }
}
