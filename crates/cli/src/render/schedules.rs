//! Schedules, their sweeps and what those found, for people.

use std::fmt::Write as _;

use assay_common::visible::visible_line;
use assay_coordinator::schedule::document::{FiredDocument, LookEntry, ScheduleDocument, SweepEntry};

use assay_store::LookOutcome;

use super::table;

/// What stands where nothing is known.
const NOTHING: &str = "–";
/// Of the outcomes of a sweep the first of these is told.
const WORST_FIRST: [LookOutcome; 5] =
    [LookOutcome::Worse, LookOutcome::Suspicious, LookOutcome::Low, LookOutcome::Unknown, LookOutcome::Clean];

/// A table of schedules.
pub(crate) fn schedules(schedules: &[ScheduleDocument]) -> String {
    if schedules.is_empty() {
        return "no schedules yet; `assay schedule add SUITE --channel production --cron \"0 3 * * *\"` adds one\n".to_owned();
    }
    let mut table = table(&["SCHEDULE", "STATE", "WHEN", "CHANNELS", "NEXT", "LATEST SWEEP", "FOUND"], &[]);
    for schedule in schedules {
        let latest = schedule.sweeps.first();
        table.add_row([
            visible_line(&schedule.name).into_owned(),
            schedule.state.clone(),
            format!("{} {}", schedule.cron, schedule.time_zone),
            schedule.channels.join(", "),
            schedule.next_at.clone().unwrap_or_else(|| NOTHING.to_owned()),
            latest.map_or_else(|| NOTHING.to_owned(), |sweep| sweep.fired_at.clone()),
            latest.map_or_else(|| NOTHING.to_owned(), found),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// A schedule with its latest sweeps.
pub(crate) fn schedule(schedule: &ScheduleDocument) -> String {
    let ScheduleDocument { name, state, suite, prompts, channels, cron, time_zone, clean_sweeps, .. } =
        schedule;
    let mut text = format!("{} is {state}: {cron} {time_zone}", visible_line(name));
    if let Some(next) = &schedule.next_at {
        // Writing to a String cannot fail.
        let _ = write!(text, ", next at {next}");
    }
    let _ = writeln!(
        text,
        "\nsweeps {} on {} with suite {}; {clean_sweeps} clean sweeps in a row resolve an incident",
        visible_line(&prompts.join(", ")),
        channels.join(", "),
        visible_line(suite)
    );
    if !schedule.sweeps.is_empty() {
        text.push_str(&sweeps(&schedule.sweeps));
    }
    text
}

/// A table of sweeps and what they found.
pub(crate) fn sweeps(sweeps: &[SweepEntry]) -> String {
    let header =
        ["FIRED", "BY", "RUN", "FOUND", "PROMPT", "CHANNEL", "MODEL", "CASES", "DIFFERENCE", "EVIDENCE"];
    let mut table = table(&header, &[7, 8, 9]);
    for sweep in sweeps {
        let run = sweep.run.map_or_else(|| NOTHING.to_owned(), |run| run.to_string());
        let by = if sweep.round > 1 {
            "asked again".to_owned()
        } else {
            visible_line(&sweep.fired_by).into_owned()
        };
        let head =
            |rest: [String; 7]| [sweep.fired_at.clone(), by.clone(), run.clone()].into_iter().chain(rest);
        if sweep.looks.is_empty() {
            let none = || NOTHING.to_owned();
            table.add_row(head([found(sweep), none(), none(), none(), none(), none(), none()]));
        }
        for look in &sweep.looks {
            table.add_row(head([
                look.outcome.to_string(),
                visible_line(&look.prompt).into_owned(),
                look.channel.clone(),
                visible_line(&look.model).into_owned(),
                look.cases.to_string(),
                look.difference.map_or_else(|| NOTHING.to_owned(), |d| format!("{:+.1} points", d * 100.0)),
                evidence(look),
            ]));
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// What was begun.
pub(crate) fn fired(fired: &FiredDocument) -> String {
    format!("{} sweeps what is live: run {}\n", visible_line(&fired.schedule), fired.run)
}

/// The worst that a sweep found.
fn found(sweep: &SweepEntry) -> String {
    let worst =
        WORST_FIRST.into_iter().find(|outcome| sweep.looks.iter().any(|look| look.outcome == *outcome));
    match (worst, &sweep.judged_at, sweep.run) {
        (_, None, _) => "goes on".to_owned(),
        (_, _, None) => "nothing was live".to_owned(),
        (Some(outcome), ..) => outcome.to_string(),
        (None, ..) => "stopped".to_owned(),
    }
}

fn evidence(look: &LookEntry) -> String {
    let loss = evidence_of_loss(look);
    match look.recovery {
        Some(recovery) => format!("{loss}; that it is over {recovery:.2} of 20"),
        None => loss,
    }
}

fn evidence_of_loss(look: &LookEntry) -> String {
    match (look.evidence, look.threshold, look.frozen, look.baseline) {
        (Some(evidence), Some(threshold), ..) => format!("{evidence:.2} of {threshold:.0}"),
        (_, _, _, None) => "no baseline yet".to_owned(),
        // As it was then: the table goes on showing it.
        (_, _, false, _) => "its baseline was not measured yet".to_owned(),
        _ => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use assay_common::id::{Digest, RunId};
    use uuid::Uuid;

    use super::*;

    /// What is told of a look with this baseline, measured for it or not, and with this evidence.
    fn check(baseline: Option<RunId>, frozen: bool, evidence: Option<f64>, expected: &str) {
        let look = LookEntry {
            prompt: "support".to_owned(),
            channel: "production".to_owned(),
            model: "echo/echo".to_owned(),
            digest: Digest::of(b"support"),
            outcome: LookOutcome::Clean,
            baseline,
            frozen,
            cases: 9,
            missing: 0,
            difference: None,
            slack: None,
            evidence,
            threshold: evidence.map(|_| 20.0),
            recovery: None,
        };
        assert_eq!(self::evidence(&look), expected);
    }

    #[test]
    fn says_what_a_sweep_was_held_against() {
        let run = Some(RunId::new(Uuid::from_u128(1)));
        check(None, false, None, "no baseline yet");
        check(run, false, None, "its baseline was not measured yet");
        check(run, true, None, NOTHING);
        check(run, true, Some(7.416), "7.42 of 20");
    }
}
