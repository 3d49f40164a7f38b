//! The flags of `coordinator` and `worker`, and of `token`.

use assay_common::config::Span;
use assay_store::Scope;
use clap::Subcommand;

/// Flags of the processes of a fleet.
#[derive(Debug, clap::Args)]
pub(crate) struct FleetArgs {
    /// Where hints wait: amqp://USER@HOST/VHOST
    #[arg(long, value_name = "URL", env = "ASSAY_QUEUE", hide_env_values = true)]
    pub(crate) queue: String,
    /// How long calls in flight may take after SIGTERM; a second signal ends at once
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) grace: Span,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CoordinatorArgs {
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
    /// Where to serve the API over HTTP, and /healthz and /readyz
    #[arg(long, value_name = "HOST:PORT", env = "ASSAY_LISTEN")]
    pub(crate) listen: String,
    /// A name that clients ask for it by, such as evals.example; IP addresses and this machine's name need none
    ///
    /// May be given several times, or as a list with commas. A request to any other name is refused: a page on the web can
    /// make its own name lead here.
    #[arg(long = "host", value_name = "NAME", env = "ASSAY_HOSTS", value_delimiter = ',', value_parser = host_name)]
    pub(crate) hosts: Vec<String>,
    /// A member whose beat has not changed for this long is dead
    #[arg(long, value_name = "DURATION", default_value = "30s", hide = true)]
    pub(crate) dead_after: Span,
    /// A hint that has been out for this long, while its queue is empty, was lost
    #[arg(long, value_name = "DURATION", default_value = "30s", hide = true)]
    pub(crate) lost_after: Span,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
    /// Where to answer /healthz and /readyz over HTTP; without it nowhere
    #[arg(long, value_name = "HOST:PORT", env = "ASSAY_LISTEN")]
    pub(crate) listen: Option<String>,
}

/// Reads a name without scheme and port; nothing is no name, which the list then lacks.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        true => Ok(name.to_owned()),
        false => Err("a name such as evals.example, without http:// and without a port".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this once
    #[command(after_help = "\
Example:
  assay token create ci --scopes submit,read --expires 90d --store postgres://assay@db/assay")]
    Create {
        /// Who holds it; a name is never given again
        name: String,
        /// What it allows: any of `read`, `submit`, `release` and `admin`
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
        /// How long it holds, from a second to ten years, such as `90d`; for ever when absent
        #[arg(long, value_name = "DURATION")]
        expires: Option<Span>,
    },
    /// Show every token but for the token itself
    List,
    /// Refuse a token from now on
    Revoke {
        /// Its name
        name: String,
    },
}
