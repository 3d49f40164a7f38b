//! `assay limits`.

use assay_coordinator::limits::Kind;
use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Set limits for all workers, in place of what files say; they follow within two renewals
    #[command(after_help = "\
Examples:
  assay limits set openai --requests-per-minute 5000 --reason \"tier 4 since today\"
  assay limits set openai/gpt-4.1 --tokens-per-minute 800000 --reason \"the batch job shares it\"
  assay limits set openai --budget-usd-per-day 50 --reason \"the sweep has to be done by noon\"

Exit codes:
  0  set
  2  there is no such account or model, the number makes no sense, or nobody could keep to it; the near ones are named
  4  the store, or the coordinator that --server names, cannot be reached; stderr says why")]
    Set(SetArgs),
    /// Let calls of an account begin at once: lift a pause, and try again what is in trouble
    ///
    /// For when you know better than the provider said: the key is topped up, or the `Retry-After` of a 429 is wrong. It holds for
    /// all models and all workers, who follow within two renewals, and for jobs that were told to come back later. Limits stay as
    /// they are, and so does a rate that a 429 has cut: it grows again from then on. `assay limits clear` forgets that.
    #[command(after_help = "\
Examples:
  assay limits resume openai --reason \"the key is topped up\"
  assay limits resume openai --reason \"an hour of Retry-After was the provider's mistake\" --server http://127.0.0.1:8080

Exit codes:
  0  lifted
  2  there is no such account, or nothing holds its calls back
  4  the store, or the coordinator that --server names, cannot be reached; stderr says why")]
    Resume {
        /// The account
        account: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Go back to what files say, and forget what was learned from the provider
    #[command(after_help = "\
Examples:
  assay limits clear openai --reason \"back to the contract\"
  assay limits clear openai/gpt-4.1 --dimension tokens --reason \"the batch job is over\"

Exit codes:
  0  cleared
  2  there is no such account or model, or nothing was set or learned
  4  the store, or the coordinator that --server names, cannot be reached; stderr says why")]
    Clear {
        /// The account, or ACCOUNT/MODEL
        scope: String,
        /// Only this one: requests, tokens, input_tokens, output_tokens, in_flight or budget_usd_per_day
        #[arg(long, value_name = "NAME")]
        dimension: Option<Kind>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What is to be set.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("limit").required(true).multiple(true))]
pub(crate) struct SetArgs {
    /// The account, or ACCOUNT/MODEL where assay.toml limits that model by itself
    pub(crate) scope: String,
    /// Requests begun in any minute
    #[arg(long, value_name = "N", group = "limit", allow_negative_numbers = true)]
    pub(crate) requests_per_minute: Option<f64>,
    /// Tokens in any minute, of input and output together
    #[arg(long, value_name = "N", group = "limit", allow_negative_numbers = true)]
    pub(crate) tokens_per_minute: Option<f64>,
    /// Tokens of input in any minute
    #[arg(long, value_name = "N", group = "limit", allow_negative_numbers = true)]
    pub(crate) input_tokens_per_minute: Option<f64>,
    /// Tokens of output in any minute
    #[arg(long, value_name = "N", group = "limit", allow_negative_numbers = true)]
    pub(crate) output_tokens_per_minute: Option<f64>,
    /// Requests begun and not yet answered, of all workers together
    #[arg(long, value_name = "N", group = "limit", allow_negative_numbers = true)]
    pub(crate) in_flight: Option<f64>,
    /// What the account's calls may cost in a day of UTC, in US dollars
    #[arg(long, value_name = "USD", group = "limit", allow_negative_numbers = true)]
    pub(crate) budget_usd_per_day: Option<f64>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

impl SetArgs {
    /// What was given, by what it limits.
    pub(crate) fn given(&self) -> Vec<(Kind, f64)> {
        Kind::all().filter_map(|kind| Some((kind, self.of(kind)?))).collect()
    }

    fn of(&self, kind: Kind) -> Option<f64> {
        use assay_common::limit::Dimension::{InFlight, InputTokens, OutputTokens, Requests, Tokens};
        match kind {
            Kind::Of(Requests) => self.requests_per_minute,
            Kind::Of(Tokens) => self.tokens_per_minute,
            Kind::Of(InputTokens) => self.input_tokens_per_minute,
            Kind::Of(OutputTokens) => self.output_tokens_per_minute,
            Kind::Of(InFlight) => self.in_flight,
            Kind::Money => self.budget_usd_per_day,
        }
    }
}
