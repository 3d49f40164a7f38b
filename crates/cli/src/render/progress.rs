//! Progress while a run goes on, on a terminal's stderr alone.

use std::fmt;
use std::time::Duration;

use assay_coordinator::api::document::Counts;
use assay_store::Run;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(200);

/// A line that says how far the run is.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts the line; says so when a run is resumed. indicatif hides it where stderr is no terminal.
    pub(crate) fn start(resumed: Option<&Run>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{elapsed_precise} {wide_bar} {pos}/{len} {rate}{left} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = out.write_str(&rate(state.per_sec()));
            };
            let left = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = out.write_str(&left(state.per_sec(), state.eta()));
            };
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        if let Some(run) = resumed {
            bar.println(format!("resuming run {}: {} of {} jobs are done", run.id, run.done(), run.planned));
        }
        let progress = Self(bar);
        resumed.into_iter().for_each(|run| progress.show(&Counts::of(run), run.planned));
        progress
    }

    /// Shows how far the run is, of so many jobs; the first time, the line appears.
    pub(crate) fn show(&self, counts: &Counts, jobs: u64) {
        let first = self.0.length().is_none();
        self.0.set_length(jobs);
        self.0.set_position(counts.done);
        if first {
            self.0.reset_eta();
            self.0.enable_steady_tick(TICK);
        }
        let mut message = format!("passed {} failed {}", counts.passed, counts.failed);
        if counts.errored > 0 {
            message.push_str(&format!(" errored {}", counts.errored));
        }
        self.0.set_message(message);
    }

    /// Takes the line away: the report says the rest.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Jobs a second, with as many digits as anybody reads; below one a second, jobs a minute.
fn rate(per_second: f64) -> String {
    match per_second {
        slow if slow < 1.0 => format!("{:.0}/min", slow * 60.0),
        some if some < 10.0 => format!("{some:.1}/s"),
        many => format!("{many:.0}/s"),
    }
}

/// How long it will take; nothing before there is a pace to tell it from.
fn left(per_second: f64, eta: Duration) -> String {
    if per_second > 0.0 { format!(" eta {:#}", HumanDuration(eta)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_end_in_sight_before_there_is_a_pace() {
        let check = |per_second, seconds, expected| {
            assert_eq!(left(per_second, Duration::from_secs(seconds)), expected);
        };
        check(0.0, 0, "");
        check(2.0, 45, " eta 45s");
        check(2.0, 600, " eta 10m");
    }

    #[test]
    fn rates_have_no_more_digits_than_are_read() {
        let check = |per_second, expected| assert_eq!(rate(per_second), expected);
        check(0.0, "0/min");
        check(0.25, "15/min");
        check(1.26, "1.3/s");
        check(77.8458, "78/s");
        check(3_141.59, "3142/s");
    }
}
