//! `assay submit`: a suite to a coordinator; with `--wait` until its verdict.

use std::io::Write as _;

use assay_common::suite::{Priority, Suite};
use assay_coordinator::api::document::Accepted;
use assay_coordinator::suite::{Loaded, load_with};
use assay_store::Provenance;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::{files, follow, live};
use crate::args::SubmitArgs;
use crate::chance::draw;
use crate::client::Client;
use crate::exit::Exit;
use crate::provenance::provenance;
use crate::render::warn;
use crate::settings::Settings;

/// Uploads what the coordinator lacks, submits, and prints the run's id or follows it to its end.
pub(crate) async fn call(settings: &Settings, args: &SubmitArgs) -> Result<Exit, Exit> {
    let client = settings.client()?;
    let live = live::look(settings, &args.suite).await?;
    let loaded = load_with(&args.suite, None, &live, &|_| None).map_err(Exit::input)?;
    warn(&loaded.warnings);
    files::check_all(&args.files)?;
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => uuid::Builder::from_random_bytes(draw()?).into_uuid().to_string(),
    };
    if args.wait {
        // A token that may submit and not read would start what nobody then follows.
        client.runs(1).await?;
    }
    let span = tracing::info_span!("submit", run.suite = loaded.suite.name, run.id = Empty);
    let source = provenance(&args.source, &args.suite);
    let accepted = send(&client, &loaded, &key, &source, args.priority).instrument(span.clone()).await?;
    span.record("run.id", tracing::field::display(accepted.run));
    drop(span);
    if args.wait {
        tell(&accepted);
        let run = accepted.run;
        let followed = follow::call(settings, client, run, args.patience.0, &args.files).await;
        return followed.map_err(|exit| match exit {
            // The run is there, so whatever is refused now is not the end of it.
            Exit::Input(error) => Exit::Unfinished(
                error.context(format!("run {run} was submitted and goes on; `assay watch {run}` follows it")),
            ),
            exit => exit,
        });
    }
    let mut out = std::io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&accepted).map_err(std::io::Error::from)?)?;
    } else {
        tell(&accepted);
        writeln!(out, "{}", accepted.run)?;
    }
    Ok(Exit::Done)
}

async fn send(
    client: &Client,
    loaded: &Loaded,
    key: &str,
    source: &Provenance,
    priority: Option<Priority>,
) -> Result<Accepted, Exit> {
    client.upload(loaded).await?;
    submit(client, &loaded.suite, key, source, priority).await
}

async fn submit(
    client: &Client,
    suite: &Suite,
    key: &str,
    source: &Provenance,
    priority: Option<Priority>,
) -> Result<Accepted, Exit> {
    let accepted = client.submit(suite, key, source, priority).await.map_err(|error| match error {
        // Whether it arrived is not known: the key makes it safe to ask again.
        error if error.may_pass() => Exit::Unfinished(anyhow::Error::new(error).context(format!(
            "whether the run was created is not known; `--idempotency-key {key}` makes it safe to send again"
        ))),
        error => error.into(),
    })?;
    if accepted.revision != suite.revision() {
        warn(&[
            "warning: the coordinator froze another revision than this assay reads; use the same version on both sides",
        ]);
    }
    Ok(accepted)
}

/// Says what was submitted, on stderr: stdout belongs to the result.
fn tell(accepted: &Accepted) {
    let Accepted { run, jobs, estimate, created, sights, warnings, .. } = accepted;
    let cost = match (estimate.cost_usd, estimate.requests_usd) {
        (Some(usd), _) => format!(", at most about ${usd:.2}"),
        (None, Some(usd)) => format!(", about ${usd:.2} for the requests alone"),
        (None, None) => String::new(),
    };
    let tokens =
        estimate.input_tokens.map_or_else(String::new, |tokens| format!(", about {tokens} tokens to send"));
    let what = if *created { "submitted" } else { "submitted before, under the same key:" };
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{what} run {run}: {jobs} jobs{tokens}{cost}");
    warn(sights);
    warn(warnings);
}
