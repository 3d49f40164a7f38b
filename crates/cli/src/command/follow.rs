//! Following a run of a coordinator to its end: `assay watch`, and `assay submit --wait`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::anyhow;
use assay_common::id::RunId;
use assay_coordinator::api::document::RunDocument;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::conclude::{exit_of, print};
use super::files;
use crate::args::Files;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::render::{Progress, warn};
use crate::settings::Settings;
use crate::source::Source;

/// The pauses between two looks: short at first, since small runs end soon.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// However little patience somebody has: a coordinator that takes so long for an answer may be busy, not away.
const SHORTEST_WAIT: Duration = Duration::from_secs(5);

/// Follows the run, prints its report, and ends as `assay run` would.
pub(crate) async fn call(
    settings: &Settings,
    client: Client,
    run: RunId,
    patience: Duration,
    files: &Files,
) -> Result<Exit, Exit> {
    let progress = Progress::start(None);
    let followed = tokio::select! {
        followed = Follower::new(&client, run, patience).follow(&progress) => followed,
        () = signalled() => Err(Exit::Unfinished(anyhow!("stopped watching. {}", goes_on(run)))),
    };
    progress.end();
    let mut document = followed?;
    // They are recorded a moment after the end: whoever wants them asks for the run's status.
    document.recorded.clear();
    print(settings, &document)?;
    if !settings.json {
        writeln!(std::io::stdout(), "Every answer with its scores: assay results {run}")?;
    }
    let report = document.into_report();
    files::write(files, &Source::Server(client), &report).await?;
    Ok(exit_of(&report))
}

fn goes_on(run: RunId) -> String {
    format!("Run {run} goes on; `assay watch {run}` follows it again")
}

struct Follower<'c> {
    client: &'c Client,
    run: RunId,
    patience: Duration,
    /// How many jobs were done when that number last changed, and when.
    progress: (u64, Instant),
    /// Since when the coordinator is away.
    away: Option<Instant>,
}

impl<'c> Follower<'c> {
    fn new(client: &'c Client, run: RunId, patience: Duration) -> Self {
        Self { client, run, patience, progress: (0, Instant::now()), away: None }
    }

    /// Looks until the run is over.
    async fn follow(mut self, progress: &Progress) -> Result<RunDocument, Exit> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = Instant::now();
            let wait = self.away.map_or(self.patience, |since| self.patience.saturating_sub(since.elapsed()));
            let wait = wait.max(SHORTEST_WAIT);
            let looked = timeout(wait, self.client.run(self.run)).await;
            match looked.unwrap_or_else(|_| Err(self.client.silent_for(wait))) {
                Ok(document) => {
                    self.answered();
                    if matches!(&*document.entry.run.state, "completed" | "cancelled") {
                        return Ok(document);
                    }
                    progress.show(&document.entry.counts, document.entry.run.jobs);
                    self.seen(&document)?;
                }
                Err(error) if error.may_pass() => self.missed(error, asked)?,
                Err(error) => return Err(error.into()),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn answered(&mut self) {
        if self.away.take().is_some() {
            warn(&["the coordinator answers again"]);
        }
    }

    /// A run that stands still because somebody has to do something is not waited for without end.
    fn seen(&mut self, document: &RunDocument) -> Result<(), Exit> {
        let done = document.entry.counts.done;
        if done != self.progress.0 {
            self.progress = (done, Instant::now());
        }
        let attention: Vec<_> =
            document.reasons.iter().filter(|reason| reason.kind.needs_attention()).collect();
        if attention.is_empty() {
            self.progress.1 = Instant::now();
        }
        if self.progress.1.elapsed() < self.patience {
            return Ok(());
        }
        let why: Vec<_> = attention
            .iter()
            .map(|reason| match &reason.hint {
                Some(hint) => format!("{}; {hint}", reason.detail),
                None => reason.detail.clone(),
            })
            .collect();
        Err(Exit::Unfinished(anyhow!("{}\n{}", why.join("\n"), goes_on(self.run))))
    }

    /// A coordinator that is away, or has no answer since somebody asked, is waited for, as long as patience lasts.
    fn missed(&mut self, error: ClientError, asked: Instant) -> Result<(), Exit> {
        let since = *self.away.get_or_insert_with(|| {
            warn(&[format!("warning: {error}; trying again")]);
            asked
        });
        if since.elapsed() < self.patience {
            return Ok(());
        }
        Err(Exit::Unfinished(anyhow::Error::new(error).context(goes_on(self.run))))
    }
}

/// Ready at the first SIGINT or SIGTERM.
async fn signalled() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
