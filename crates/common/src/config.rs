//! assay.toml: which providers exist, what they allow, what their tokens cost. Keys are never written here, only
//! where to find them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::money::{NanoUsd, Price};
use crate::nearest::nearest;

mod lease;
mod limits;
mod problem;
mod span;

pub use crate::limit::Window;
pub use lease::{DEFAULT_LEASE_BEAT, DEFAULT_LEASE_TIME};
pub use limits::{DEFAULT_IN_FLIGHT, Limits, MOST_PER_MINUTE, key_of};
pub use problem::Problem;
pub use span::Span;

/// assay.toml as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The store to use when neither a flag nor `ASSAY_STORE` names one.
    pub store: Option<String>,
    /// How long a job may take from its first claim on before it is given up, such as `15m`.
    pub give_up_after: Option<Span>,
    /// How long a worker's share of a limit holds without being renewed, such as `4s`.
    pub lease_time: Option<Span>,
    /// How often a worker renews its shares, such as `1s`.
    pub lease_beat: Option<Span>,
    /// Providers by the name that suites use.
    pub providers: BTreeMap<String, Provider>,
    /// Prices by `provider/model`.
    pub prices: BTreeMap<String, PriceUsd>,
    /// Who is told of what happens, by a name of your choice.
    pub webhooks: BTreeMap<String, Webhook>,
}

/// One provider account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Which protocol it speaks.
    pub kind: ProviderKind,
    /// Where it answers, up to and without `/chat/completions`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable that holds its key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The file that holds its key.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// The longest one call may take in all, such as `10m`.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// The most that all calls of the account may cost in a day of UTC, in US dollars.
    #[serde(default)]
    pub budget_usd_per_day: Option<f64>,
    /// What the account allows, for all its models together.
    #[serde(default)]
    pub limits: Limits,
    /// What the account allows one model by itself.
    #[serde(default)]
    pub models: BTreeMap<String, ModelLimits>,
}

impl Provider {
    /// The most that all its calls may cost in a day, in whole nano-dollars; `None`: as much as they do.
    pub fn budget_per_day(&self) -> Option<NanoUsd> {
        let usd = self.budget_usd_per_day.filter(|usd| *usd <= MOST_USD_PER_DAY)?;
        NanoUsd::from_usd(usd).filter(|budget| budget.0 > 0)
    }

    /// Whether its calls leave this process and are counted by somebody.
    pub fn is_remote(&self) -> bool {
        self.kind == ProviderKind::OpenAi
    }

    /// What of it makes no sense, and which of its keys that is about; empty: the table as a whole.
    fn problem(&self, name: &str) -> Option<(&'static str, &'static str)> {
        if !is_provider_name(name) {
            return Some(("", "a provider's name has letters, digits, `-` and `_`, at most 64 of them"));
        }
        if self.kind == ProviderKind::OpenAi && self.base_url.is_none() && known(name).is_none() {
            let what = "add `base_url`, where its OpenAI-compatible server answers (it usually ends in /v1)";
            return Some(("", what));
        }
        if self.base_url.as_deref().is_some_and(|url| !is_http_url(url)) {
            let what = "`base_url` is no http or https URL, such as http://127.0.0.1:8080/v1";
            return Some(("base_url", what));
        }
        if self.api_key_env.is_some() && self.api_key_file.is_some() {
            return Some(("api_key_file", "keep one of `api_key_env` and `api_key_file`"));
        }
        if self.models.contains_key("") {
            return Some(("models", "`models.\"\"` names no model"));
        }
        if self.budget_usd_per_day.is_some() && self.budget_per_day().is_none() {
            let what = "`budget_usd_per_day` is US dollars, more than 0 and at most 1000000000";
            return Some(("budget_usd_per_day", what));
        }
        None
    }
}

/// The protocol a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's chat completions over HTTP, as most servers speak it.
    #[serde(alias = "openai-compatible")]
    OpenAi,
    /// Plays back the answers frozen with the suite.
    Recorded,
    /// Answers with the prompt itself.
    Echo,
}

/// Somewhere that is told of what happens, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it is told.
    #[serde(default)]
    pub url: Option<String>,
    /// The environment variable that holds the URL, where that is a secret by itself.
    #[serde(default)]
    pub url_env: Option<String>,
    /// The environment variable that holds what messages are signed with.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// What it is told: kinds such as `incident.opened`, or their beginning such as `incident`; everything where empty.
    #[serde(default)]
    pub events: Vec<String>,
    /// The shape of a message.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Whether it may be inside a private network, or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// The shape of a message to a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// An object with type, moment, summary and data.
    #[default]
    Json,
    /// What Slack and those like it show as a message.
    Slack,
}

/// What the kinds of events begin with.
pub const EVENT_GROUPS: [&str; 5] = ["verdict", "release", "incident", "attention", "range"];

impl Webhook {
    /// Whether it is told of events of this kind.
    pub fn wants(&self, kind: &str) -> bool {
        let group = kind.split('.').next();
        self.events.is_empty()
            || self.events.iter().any(|event| event == kind || Some(event.as_str()) == group)
    }

    /// What of it makes no sense, and which of its keys that is about; empty: the table as a whole.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        match (&self.url, &self.url_env) {
            (None, None) => return Some(("", "say where it is told: `url`, or `url_env`")),
            (Some(_), Some(_)) => return Some(("url_env", "keep one of `url` and `url_env`")),
            (Some(url), None) if !is_http_url(url) => return Some(("url", "`url` is no http or https URL")),
            _ => {}
        }
        if self.format == WebhookFormat::Json && self.secret_env.is_none() {
            return Some((
                "",
                "add `secret_env`: what it is told is signed, so that it can tell who says so",
            ));
        }
        let known = |event: &String| EVENT_GROUPS.contains(&event.split('.').next().unwrap_or_default());
        let what = "events are `verdict`, `release`, `incident`, `attention` and `range`, or one of them such as `verdict.fail`";
        (!self.events.iter().all(known)).then_some(("events", what))
    }
}

/// The part of [`Provider`] that one model can have by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelLimits {
    /// What the account allows this model.
    pub limits: Limits,
}

/// How long a job may take from its first claim on, where assay.toml does not say.
pub const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(15 * 60);

/// The largest cap that an account can have: US dollars a day.
pub const MOST_USD_PER_DAY: f64 = 1e9;

/// Tokens of an answer that are set aside for where a model has no `max_tokens`.
pub const ASSUMED_MAX_TOKENS: u32 = 4_096;
/// An answer without `max_tokens` is assumed to take no more than this part of a window: were it taken for all of one, hardly any
/// call would go.
const ASSUMED_PART: u64 = 10;

/// Tokens that an answer is assumed to take of a limit where a model has no `max_tokens`; `window`: what the limit allows in one.
pub fn assumed_answer(window: Option<u64>) -> u64 {
    let assumed = u64::from(ASSUMED_MAX_TOKENS);
    window.map_or(assumed, |window| assumed.min(window / ASSUMED_PART))
}

/// A price as people write it: US dollars for 10⁶ tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceUsd {
    /// Of input.
    pub input_per_mtok: f64,
    /// Of output.
    pub output_per_mtok: f64,
}

impl PriceUsd {
    /// In whole nano-dollars; `None` when a number is negative or absurd.
    pub fn exact(self) -> Option<Price> {
        Some(Price {
            input_per_mtok: NanoUsd::from_usd(self.input_per_mtok)?,
            output_per_mtok: NanoUsd::from_usd(self.output_per_mtok)?,
        })
    }
}

/// Why assay.toml cannot be used. The message of a parse error holds line, column and snippet.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or holds what no assay.toml holds.
    #[error("{0}")]
    Parse(String),
    /// It parses and makes no sense.
    #[error("{0}")]
    Meaning(String),
}

impl Config {
    /// Reads the text of an assay.toml and adds the providers known by name.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Parse(told(&error)))?;
        match config.problem() {
            Some(problem) => Err(ConfigError::Meaning(problem.told(text))),
            None => Ok(config),
        }
    }

    /// The first thing that parses and makes no sense.
    fn problem(&self) -> Option<Problem> {
        let mut providers = self.providers.iter().filter_map(|(name, provider)| {
            let (key, what) = provider.problem(name)?;
            Some(Problem::new(&["providers", name, key], format!("[providers.{name}]: {what}")))
        });
        let mut webhooks = self.webhooks.iter().filter_map(|(name, webhook)| {
            let (key, what) = match is_provider_name(name) {
                true => webhook.problem()?,
                false => ("", "a webhook's name has letters, digits, `-` and `_`, at most 64 of them"),
            };
            Some(Problem::new(&["webhooks", name, key], format!("[webhooks.{name}]: {what}")))
        });
        let mut prices = self.prices.iter().filter(|(_, price)| price.exact().is_none()).map(|(model, _)| {
            let what = "a price is US dollars for a million tokens: 0 or more, and less than nine billion";
            Problem::new(&["prices", model], format!("[prices.\"{model}\"]: {what}"))
        });
        providers
            .next()
            .or_else(|| lease::problem(self))
            .or_else(|| webhooks.next())
            .or_else(|| prices.next())
    }

    /// The provider of that name: as configured, with what is known of that name filled in.
    pub fn provider(&self, name: &str) -> Option<Provider> {
        match (self.providers.get(name), known(name)) {
            (Some(written), Some(known)) => {
                let mut provider = written.clone();
                if provider.api_key_env.is_none()
                    && provider.api_key_file.is_none()
                    && provider.base_url.is_none()
                {
                    provider.api_key_env = known.api_key_env;
                }
                provider.base_url = provider.base_url.or(known.base_url);
                Some(provider)
            }
            (Some(written), None) => Some(written.clone()),
            (None, known) => known,
        }
    }

    /// Every name that [`Config::provider`] answers to.
    pub fn provider_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.providers.keys().map(String::as_str).chain(KNOWN).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The price of `provider/model`. `recorded` and `echo` cost nothing.
    pub fn price(&self, model: &str) -> Option<Price> {
        let free = Price { input_per_mtok: NanoUsd(0), output_per_mtok: NanoUsd(0) };
        match self.prices.get(model) {
            Some(price) => price.exact(),
            None if model.starts_with("echo/") => Some(free),
            None => None,
        }
    }
}

/// A parse error with its place, and what was meant where a key or a word is nearly one of those there are.
fn told(error: &toml::de::Error) -> String {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_unknown = message.starts_with("unknown field ") || message.starts_with("unknown variant ");
    let meant = quoted.next().filter(|_| is_unknown).and_then(|written| nearest(written, quoted));
    let help = meant.map(|meant| format!("help: did you mean `{meant}`?")).unwrap_or_default();
    format!("{error}{help}").trim_end().to_owned()
}

const KNOWN: [&str; 5] = ["anthropic", "echo", "gemini", "openai", "recorded"];

/// Providers known without being written. Each of the three services offers an OpenAI-compatible endpoint.
fn known(name: &str) -> Option<Provider> {
    let http = |base_url: &str, key: &str| Provider {
        kind: ProviderKind::OpenAi,
        base_url: Some(base_url.to_owned()),
        api_key_env: Some(key.to_owned()),
        api_key_file: None,
        timeout: None,
        budget_usd_per_day: None,
        limits: Limits::default(),
        models: BTreeMap::new(),
    };
    let local = |kind| Provider { kind, base_url: None, api_key_env: None, ..http("", "") };
    match name {
        "openai" => Some(http("https://api.openai.com/v1", "OPENAI_API_KEY")),
        "anthropic" => Some(http("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY")),
        "gemini" => Some(http("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY")),
        "recorded" => Some(local(ProviderKind::Recorded)),
        "echo" => Some(local(ProviderKind::Echo)),
        _ => None,
    }
}

/// Whether it has a scheme and a host; what a URL may hold beyond that, the client knows.
fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']) && !rest.contains(char::is_whitespace)
    })
}

fn is_provider_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_providers_limits_and_prices() {
        let config = Config::parse(
            r#"
            [providers.local]
            kind = "openai"
            base_url = "http://127.0.0.1:8080/v1"
            [providers.local.limits]
            requests_per_minute = 3000
            tokens_per_minute = 2_000_000
            [prices."local/m"]
            input_per_mtok = 0.40
            output_per_mtok = 1.60
            "#,
        )
        .unwrap();
        let local = config.provider("local").unwrap();
        assert_eq!(local.limits.requests_per_minute.unwrap().get(), 3000);
        assert_eq!(config.price("local/m").unwrap().output_per_mtok, NanoUsd(1_600_000_000));
        assert_eq!(config.price("local/other"), None);
        assert!(config.provider("openai").unwrap().api_key_env.is_some());
        assert_eq!(config.provider("opnai"), None);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let check = |text: &str, part: &str| {
            let message = Config::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        };
        check("[providers.x]\nkind = \"openai\"", "line 1, column 12: [providers.x]: add `base_url`");
        check("[providers.x]\nkind = \"openai\"\nbase_url = \"notaurl\"", "http or https");
        check("[providers.x]\nkind = \"openai\"\nbase_url = \"http:///v1\"", "http or https");
        check("[providers.x]\nkind = \"opnai\"", "line 2");
        check("[providers.x]\nkind = \"opnai\"", "\nhelp: did you mean `openai`?");
        check("[webhooks.x]\nformat = \"slak\"", "did you mean `slack`?");
        check("[providrs.x]\nkind = \"echo\"", "did you mean `providers`?");
        check("[providers.x]\nkind = \"echo\"\nbase_ur = \"x\"", "did you mean `base_url`?");
        check("[providers.x.limits]\nrequest_per_minute = 1", "did you mean `requests_per_minute`?");
        check("[prices.\"a/b\"]\ninput_per_mtk = 1.0", "did you mean `input_per_mtok`?");
        check("[providers.x.limits]\nrequests_per_minute = 0", "line 2");
        check("[prices.\"a/b\"]\ninput_per_mtok = -1.0\noutput_per_mtok = 1.0", "a/b");
        check("give_up_after = \"soon\"", "length of time");
        check(
            "[providers.openai]\nkind = \"openai\"\n[providers.openai.models.\"\".limits]",
            "names no model",
        );
        check("[webhooks.x]\nsecret_env = \"S\"", "say where");
        check("[webhooks.x]\nurl = \"ftp://a\"\nsecret_env = \"S\"", "http or https");
        check("[webhooks.x]\nurl = \"https://a\"", "secret_env");
        check("[webhooks.x]\nurl = \"https://a\"\nformat = \"slack\"\nevents = [\"deploy\"]", "events are");
        check("[webhooks.\"a b\"]\nurl = \"https://a\"\nformat = \"slack\"", "letters");
    }

    #[test]
    fn a_webhook_is_told_what_it_wants() {
        let check = |events: &str, kind: &str, expected: bool| {
            let text = format!("[webhooks.x]\nurl = \"https://a\"\nformat = \"slack\"\nevents = {events}");
            assert_eq!(Config::parse(&text).unwrap().webhooks["x"].wants(kind), expected, "{events} {kind}");
        };
        check("[]", "verdict.pass", true);
        check("[\"verdict\"]", "verdict.pass", true);
        check("[\"verdict.fail\"]", "verdict.pass", false);
        check("[\"verdict.fail\", \"incident\"]", "incident.opened", true);
        check("[\"verdict\"]", "release.rollback", false);
    }
}
