//! What a provider account allows, for all its models together or for one by itself. The worker leases it; see
//! docs/limits.md.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Config, Problem, Span};
use crate::limit::{Dimension, Window};
use crate::nearest::nearest;

/// Requests in flight where assay.toml does not say: of one process, for all models of the account together.
pub const DEFAULT_IN_FLIGHT: u32 = 50;

/// The largest limit there is. More is a slip of the pen, or no limit.
pub const MOST_PER_MINUTE: u32 = 1_000_000_000;

/// What limits are counted over, where assay.toml does not say.
const DEFAULT_WINDOW_LENGTH: Duration = Duration::from_secs(60);
const MINUTE_MS: u128 = 60_000;
const WINDOW_LENGTHS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(24 * 60 * 60)];

/// What a provider account allows. A limit belongs to the account, not to a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, try_from = "Written")]
pub struct Limits {
    /// Requests begun in any minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens counted in any minute, of input and output together.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of input counted in any minute, where the provider counts them apart.
    pub input_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of output counted in any minute, where the provider counts them apart.
    pub output_tokens_per_minute: Option<NonZeroU64>,
    /// Requests begun and not yet answered.
    pub in_flight: Option<NonZeroU32>,
    /// How the provider counts.
    pub window: Option<Window>,
    /// What it counts over. The numbers above stay those of a minute: 600 a minute over `10s` are 100 in ten seconds.
    pub window_length: Option<Span>,
}

/// The same as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    requests_per_minute: Number,
    tokens_per_minute: Number,
    input_tokens_per_minute: Number,
    output_tokens_per_minute: Number,
    in_flight: Number,
    window: Option<Window>,
    window_length: Option<Span>,
}

/// A limit, where there is one.
#[derive(Clone, Copy, Default)]
struct Number(Option<NonZeroU32>);

impl Limits {
    /// How the provider counts.
    pub fn window(&self) -> Window {
        self.window.unwrap_or_default()
    }

    /// What it counts over.
    pub fn window_length(&self) -> Duration {
        self.window_length.map_or(DEFAULT_WINDOW_LENGTH, |span| span.0)
    }

    /// The limit of one dimension: a minute, or at once.
    pub fn of(&self, dimension: Dimension) -> Option<u64> {
        match dimension {
            Dimension::Requests => self.requests_per_minute.map(|limit| limit.get().into()),
            Dimension::Tokens => self.tokens_per_minute.map(NonZeroU64::get),
            Dimension::InputTokens => self.input_tokens_per_minute.map(NonZeroU64::get),
            Dimension::OutputTokens => self.output_tokens_per_minute.map(NonZeroU64::get),
            Dimension::InFlight => self.in_flight.map(|limit| limit.get().into()),
        }
    }

    /// What one dimension's limit comes to in one window: the most that a single request can need of it and ever begin.
    pub fn of_window(&self, dimension: Dimension) -> Option<u64> {
        let limit = self.of(dimension)?;
        Some(if dimension.is_rate() { self.in_window(limit) } else { limit })
    }

    /// What a limit a minute comes to in one window.
    fn in_window(&self, limit: u64) -> u64 {
        let scaled = u128::from(limit) * self.window_length().as_millis() / MINUTE_MS;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// Why a limit would let nothing through, ever: not even one fits into a window.
    pub fn nothing_fits(&self, dimension: Dimension, limit: u64) -> Option<String> {
        if !dimension.is_rate() || self.in_window(limit) > 0 {
            return None;
        }
        let (key, length) = (key_of(dimension), self.window_length());
        let what = if dimension == Dimension::Requests { "request" } else { "token" };
        let least = MINUTE_MS.div_ceil(length.as_millis().max(1));
        Some(format!(
            "{key} = {limit} leaves not one {what} in a window of {length:?}, which is window_length: make it {least} or more, or \
             the window longer"
        ))
    }
}

/// What a dimension's limit is called in assay.toml, and in an option of the command line with other hyphens.
pub fn key_of(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Requests => "requests_per_minute",
        Dimension::Tokens => "tokens_per_minute",
        Dimension::InputTokens => "input_tokens_per_minute",
        Dimension::OutputTokens => "output_tokens_per_minute",
        Dimension::InFlight => "in_flight",
    }
}

impl TryFrom<Written> for Limits {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let apart = written.input_tokens_per_minute.0.or(written.output_tokens_per_minute.0);
        if written.tokens_per_minute.0.is_some() && apart.is_some() {
            return Err("keep `tokens_per_minute`, which is for input and output together, or \
                        `input_tokens_per_minute` and `output_tokens_per_minute`, which are for each apart"
                .to_owned());
        }
        let length = written.window_length.map(|span| span.0);
        if length.is_some_and(|length| length < WINDOW_LENGTHS[0] || length > WINDOW_LENGTHS[1]) {
            return Err("`window_length` is from 100ms to 24h; it is 1m where nothing is said".to_owned());
        }
        let limits = Self {
            requests_per_minute: written.requests_per_minute.0,
            tokens_per_minute: written.tokens_per_minute.0.map(NonZeroU64::from),
            input_tokens_per_minute: written.input_tokens_per_minute.0.map(NonZeroU64::from),
            output_tokens_per_minute: written.output_tokens_per_minute.0.map(NonZeroU64::from),
            in_flight: written.in_flight.0,
            window: written.window,
            window_length: written.window_length,
        };
        let nothing_fits = |dimension| limits.nothing_fits(dimension, limits.of(dimension)?);
        Dimension::ALL.into_iter().find_map(nothing_fits).map_or(Ok(limits), Err)
    }
}

impl Config {
    /// What of the limits is no error and yet of no use, each with its place.
    pub fn limit_warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (name, provider) in &self.providers {
            let is_limited = provider.limits != Limits::default()
                || provider.budget_usd_per_day.is_some()
                || !provider.models.is_empty();
            if is_limited && !provider.is_remote() {
                let what = "its limits are of no use: nobody but this process answers its calls";
                warnings.push(Problem::new(&["providers", name], format!("[providers.{name}]: {what}")));
            }
            for (model, of_model) in &provider.models {
                let place = format!("[providers.{name}.models.\"{model}\".limits]");
                let above = Dimension::ALL.into_iter().filter_map(|dimension| {
                    let own = of_model.limits.of(dimension)?;
                    let account = most(&provider.limits, dimension).filter(|account| own > *account)?;
                    let key = key_of(dimension);
                    let what = format!(
                        "{place}: {key} = {own} is more than the {account} of its account, which is what counts"
                    );
                    Some(Problem::new(&["providers", name, "models", model, "limits", key], what))
                });
                warnings.extend(above);
            }
        }
        warnings
    }

    /// Models of a provider that have limits of their own and are none of `asked`, each with the one of those that seems meant:
    /// one that is written almost so, or one behind the provider's name, as prices have it.
    pub fn misnamed_limits<'a>(&'a self, provider: &str, asked: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        let Some(known) = self.providers.get(provider) else { return Vec::new() };
        // Who has limits of his own is named as he is meant.
        let unlimited = || asked.iter().copied().filter(|model| !known.models.contains_key(*model));
        let others = known.models.keys().map(String::as_str).filter(|model| !asked.contains(model));
        let meant = |model: &'a str| {
            let behind = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            behind.and_then(|behind| asked.iter().copied().find(|asked| *asked == behind))
        };
        others
            .filter_map(|model| Some((model, meant(model).or_else(|| nearest(model, unlimited()))?)))
            .collect()
    }
}

/// The most of a dimension that an account allows, as far as its limits say, whichever of its sides they count.
fn most(limits: &Limits, dimension: Dimension) -> Option<u64> {
    let [input, output] = [Dimension::InputTokens, Dimension::OutputTokens].map(|side| limits.of(side));
    limits.of(dimension).or_else(|| match dimension {
        Dimension::Tokens => Some(input?.saturating_add(output?)),
        Dimension::InputTokens | Dimension::OutputTokens => limits.of(Dimension::Tokens),
        Dimension::Requests | Dimension::InFlight => None,
    })
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    formatter,
                    "a whole number from 1 to {MOST_PER_MINUTE}; leave the key out where there is no limit"
                )
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                let within = u32::try_from(number).ok().filter(|number| *number <= MOST_PER_MINUTE);
                let limit = within.and_then(NonZeroU32::new);
                limit
                    .map(|limit| Number(Some(limit)))
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }
        }
        deserializer.deserialize_i64(Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(limits: &str) -> String {
        format!(
            "[providers.x]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1/v1\"\n[providers.x.limits]\n{limits}"
        )
    }

    fn warned(text: &str) -> Vec<String> {
        let problems = Config::parse(text).unwrap().limit_warnings();
        problems.iter().map(|problem| problem.told(text)).collect()
    }

    #[test]
    fn a_limit_is_a_number_that_makes_sense() {
        let check = |limits: &str, parts: [&str; 2]| {
            let message = Config::parse(&local(limits)).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{limits}: {message}");
        };
        for key in ["requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "in_flight"] {
            for number in ["0", "-1", "1000000001", "9223372036854775807", "1.5", "\"600\""] {
                check(&format!("{key} = {number}"), ["line 5", "whole number from 1 to 1000000000"]);
            }
        }
        check("requests_per_minut = 5", ["line 5", "requests_per_minute"]);
        check("tokens_per_minute = 5\noutput_tokens_per_minute = 5", ["line 4", "each apart"]);
        check("window = \"rolling\"", ["line 5", "sliding"]);
        check("window_length = \"10ms\"", ["line 4", "100ms to 24h"]);
        check("window_length = \"2d\"", ["line 4", "100ms to 24h"]);
        check(
            "requests_per_minute = 5\nwindow_length = \"10s\"",
            [
                "line 4",
                "requests_per_minute = 5 leaves not one request in a window of 10s, which is window_length: make it 6",
            ],
        );
        check(
            "tokens_per_minute = 599\nwindow_length = \"100ms\"",
            ["line 4", "not one token in a window of 100ms"],
        );
    }

    #[test]
    fn counts_over_a_minute_unless_it_says_otherwise() {
        let check = |limits: &str, expected: (Window, u64)| {
            let limits = Config::parse(&local(limits)).unwrap().providers["x"].limits;
            assert_eq!((limits.window(), limits.of_window(Dimension::Tokens).unwrap()), expected);
        };
        check("tokens_per_minute = 600", (Window::Sliding, 600));
        check("tokens_per_minute = 600\nwindow = \"bucket\"\nwindow_length = \"2s\"", (Window::Bucket, 20));
        check("tokens_per_minute = 600\nwindow = \"fixed\"\nwindow_length = \"1h\"", (Window::Fixed, 36_000));
    }

    #[test]
    fn warns_of_limits_that_limit_nothing() {
        let text = local("requests_per_minute = 60\nin_flight = 5")
            + "\n[providers.x.models.\"m\".limits]\nrequests_per_minute = 600\nin_flight = 5\ntokens_per_minute = 9"
            + "\n[providers.e]\nkind = \"echo\"\nbudget_usd_per_day = 1.0";
        let warnings = warned(&text);
        let [echo, model] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(echo.starts_with("line 11, column 12: [providers.e]"), "{echo}");
        let place = "line 8, column 1: [providers.x.models.\"m\".limits]: ";
        assert!(
            model.starts_with(&format!("{place}requests_per_minute = 600 is more than the 60")),
            "{model}"
        );
    }

    #[test]
    fn a_model_is_held_to_its_account_however_that_counts() {
        let check = |account: &str, model: &str, expected: Option<&str>| {
            let text = format!("{}\n[providers.x.models.m.limits]\n{model}", local(account));
            let warnings = warned(&text);
            assert_eq!(warnings.len(), usize::from(expected.is_some()), "{warnings:?}");
            assert!(expected.is_none_or(|part| warnings[0].contains(part)), "{warnings:?}");
        };
        let apart = "input_tokens_per_minute = 100\noutput_tokens_per_minute = 20";
        check(apart, "tokens_per_minute = 120", None);
        check(apart, "tokens_per_minute = 121", Some("121 is more than the 120 of its account"));
        check("tokens_per_minute = 100", "output_tokens_per_minute = 101", Some("101 is more than the 100"));
        check("output_tokens_per_minute = 100", "tokens_per_minute = 101", None);
    }

    #[test]
    fn limits_of_a_model_are_found_that_seem_meant_for_another() {
        let model = |name: &str| format!("\n[providers.x.models.\"{name}\".limits]\nin_flight = 5");
        let config = Config::parse(&(local("") + &model("large") + &model("smal") + &model("mini"))).unwrap();
        let check = |asked: &[&str], expected: &[(&str, &str)]| {
            assert_eq!(config.misnamed_limits("x", asked), expected, "{asked:?}");
        };
        check(&["large", "smal", "mini"], &[]);
        check(&["large", "small"], &[("smal", "small")]);
        check(&["large"], &[]);
        let long = |text: String| text.replace("providers.x", "providers.account");
        let named = |name: &str| Config::parse(&long(local("") + &model(name))).unwrap();
        let check = |name: &str, asked: &[&str], expected: &[(&str, &str)]| {
            assert_eq!(named(name).misnamed_limits("account", asked), expected, "{name}, {asked:?}");
        };
        // As prices and `assay limits` name it.
        check("account/o1", &["o1", "o2"], &[("account/o1", "o1")]);
        check("account/o1", &["account/o1"], &[]);
        check("account/o1", &["o2"], &[]);
        assert!(config.misnamed_limits("y", &["large"]).is_empty());
    }

    #[test]
    fn a_cap_is_an_amount_of_money() {
        let check = |usd: &str, expected: Option<i64>| {
            let text = format!("[providers.x]\nkind = \"echo\"\nbudget_usd_per_day = {usd}");
            let config = Config::parse(&text);
            if let Err(error) = &config {
                assert!(error.to_string().contains("line 3, column "), "{error}");
            }
            let cap = config.map(|config| config.providers["x"].budget_per_day().unwrap().0);
            assert_eq!(cap.ok(), expected, "{usd}");
        };
        check("2.5", Some(2_500_000_000));
        check("20", Some(20_000_000_000));
        for wrong in ["0", "-1.0", "nan", "inf", "1e12", "1e-12", "\"20\""] {
            check(wrong, None);
        }
    }
}
