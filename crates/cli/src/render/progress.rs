//! Progress while a run goes on, on a terminal's stderr alone.

use std::time::Duration;

use assay_coordinator::api::document::Counts;
use assay_store::Run;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that says how far the run is.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts the line; says so when a run is resumed. indicatif hides it where stderr is no terminal.
    pub(crate) fn start(resumed: Option<&Run>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{elapsed_precise} {wide_bar} {pos}/{len} {per_sec} eta {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if let Some(run) = resumed {
            bar.set_position(run.done());
            bar.reset_eta();
            bar.println(format!("resuming run {}: {} of {} jobs are done", run.id, run.done(), run.planned));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows how far the run is, of so many jobs.
    pub(crate) fn show(&self, counts: &Counts, jobs: u64) {
        self.0.set_length(jobs);
        self.0.set_position(counts.done);
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
