//! Holds callers to the limits of an account: admits a call or refuses it, says in headers what is left, and keeps count of what was
//! used. By its own arithmetic on every call, so that no client can argue with it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gauge::{Gauge, Used};
use crate::limits::{Answers, Dialect, Hidden, Limits, MINUTE_MS};

/// How callers kept to the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What is counted in one piece, in milliseconds.
    pub window_ms: u64,
    /// Calls that were refused with 429.
    pub refused: u64,
    /// By dimension that is limited: `requests`, `tokens`, `input_tokens`, `output_tokens`, and `in_flight`, which has no windows.
    pub used: BTreeMap<String, Used>,
}

/// What a call takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Tokens of the request.
    pub(crate) input: u64,
    /// Tokens that the request allows the answer, where it says so.
    pub(crate) most_output: Option<u64>,
    /// Tokens of the answer.
    pub(crate) output: u64,
}

/// When a call that was refused would have been admitted, in whole seconds; `None`: it is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) retry_after: Option<u64>,
}

/// An account, its limits and what was used of them.
pub(crate) struct Strict {
    limits: Limits,
    gauges: Vec<(Dimension, Gauge)>,
    in_flight: u64,
    in_flight_used: Used,
    refused: u64,
    /// When the hidden client calls next.
    hidden_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

impl Strict {
    /// Nothing used. The first windows begin at 0, whenever now is.
    pub(crate) fn new(limits: Limits, now_us: u64) -> Self {
        let gauges = Dimension::ALL
            .into_iter()
            .filter_map(|dimension| Some((dimension, new_gauge(&limits, dimension.per_minute(&limits)?))))
            .collect();
        let in_flight_used = no_places(&limits);
        Self { limits, gauges, in_flight: 0, in_flight_used, refused: 0, hidden_us: now_us }
    }

    /// Other limits from now on. What was used stays used in each dimension that was and is limited, where windows are as before.
    pub(crate) fn change(&mut self, limits: Limits, now_us: u64) {
        let mut before = std::mem::take(&mut self.gauges);
        if (self.limits.window, self.limits.window_ms) != (limits.window, limits.window_ms) {
            before.clear();
        }
        for dimension in Dimension::ALL {
            let Some(per_minute) = dimension.per_minute(&limits) else { continue };
            let known = before.iter().position(|(known, _)| *known == dimension);
            let mut gauge =
                known.map_or_else(|| new_gauge(&limits, per_minute), |at| before.swap_remove(at).1);
            gauge.set_limit(now_us, limits.of_window(per_minute));
            self.gauges.push((dimension, gauge));
        }
        self.in_flight_used.limit = no_places(&limits).limit;
        self.hidden_us = self.hidden_us.max(now_us);
        self.limits = limits;
    }

    /// Admits a call, which must be [ended](Strict::end), or refuses it.
    pub(crate) fn admit(&mut self, now_us: u64, demand: Demand) -> Result<(), Refused> {
        self.let_hidden_call(now_us);
        let mut wait_us = self.wait_us(now_us, demand);
        if self.limits.in_flight.is_some_and(|most| self.in_flight >= most) {
            self.in_flight_used.refused += 1;
            wait_us = wait_us.max(Some(SECOND_US));
        }
        if let Some(wait_us) = wait_us {
            self.refused += 1;
            return Err(Refused {
                retry_after: self.limits.retry_after.then(|| wait_us.div_ceil(SECOND_US).max(1)),
            });
        }
        self.count(now_us, demand);
        self.in_flight += 1;
        self.in_flight_used.peak = self.in_flight_used.peak.max(self.in_flight);
        Ok(())
    }

    /// A call that was admitted has ended.
    pub(crate) fn end(&mut self, now_us: u64, demand: Demand) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.limits.answers == Answers::Produced {
            for (dimension, gauge) in &mut self.gauges {
                if matches!(dimension, Dimension::Tokens | Dimension::OutputTokens) {
                    gauge.add(now_us, demand.output);
                }
            }
        }
    }

    /// What a reply says of the limits.
    pub(crate) fn headers(&mut self, now_us: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(dialect) = self.limits.headers else { return headers };
        let now = Timestamp::now();
        for (dimension, gauge) in &mut self.gauges {
            let Some(per_minute) = dimension.per_minute(&self.limits) else { continue };
            let whole_in = Duration::from_micros(gauge.whole_in_us(now_us));
            let left = gauge.left(now_us).saturating_mul(MINUTE_MS) / self.limits.window_ms.max(1);
            let values = [
                ("limit", per_minute.to_string()),
                ("remaining", left.min(per_minute).to_string()),
                (
                    "reset",
                    match dialect {
                        Dialect::OpenAi => span(whole_in),
                        Dialect::Anthropic => moment(now, whole_in),
                    },
                ),
            ];
            for (what, value) in values {
                let word = dimension.word();
                let name = match (dialect, *dimension) {
                    (Dialect::OpenAi, Dimension::InputTokens | Dimension::OutputTokens) => continue,
                    (Dialect::OpenAi, _) => format!("x-ratelimit-{what}-{word}"),
                    (Dialect::Anthropic, _) => format!("anthropic-ratelimit-{word}-{what}"),
                };
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    headers.insert(name, value);
                }
            }
        }
        headers
    }

    /// How callers have kept to the limits.
    pub(crate) fn kept(&mut self, now_us: u64) -> Kept {
        self.let_hidden_call(now_us);
        let name = |dimension: Dimension| dimension.word().replace('-', "_");
        let mut used: BTreeMap<_, _> =
            self.gauges.iter().map(|(dimension, gauge)| (name(*dimension), gauge.used(now_us))).collect();
        if self.limits.in_flight.is_some() {
            used.insert("in_flight".to_owned(), self.in_flight_used.clone());
        }
        Kept { window_ms: self.limits.window_ms, refused: self.refused, used }
    }

    /// How long until all dimensions have room for the call; `None`: they have.
    fn wait_us(&mut self, now_us: u64, demand: Demand) -> Option<u64> {
        let mut longest = None;
        for (dimension, gauge) in &mut self.gauges {
            let wait = gauge.wait_us(now_us, dimension.at_admission(&self.limits, demand));
            if wait.is_some() {
                gauge.refuse();
            }
            longest = longest.max(wait);
        }
        longest
    }

    fn count(&mut self, now_us: u64, demand: Demand) {
        for (dimension, gauge) in &mut self.gauges {
            gauge.add(now_us, dimension.at_admission(&self.limits, demand));
        }
    }

    /// The hidden client makes the calls that are due.
    fn let_hidden_call(&mut self, now_us: u64) {
        let Some(Hidden { requests_per_minute, tokens }) = self.limits.hidden else { return };
        let demand = Demand { input: tokens, most_output: Some(0), output: 0 };
        let spacing_us = MINUTE_MS * 1_000 / requests_per_minute.max(1);
        while self.hidden_us <= now_us {
            let at_us = self.hidden_us;
            let has_room = self.gauges.iter_mut().all(|(dimension, gauge)| {
                gauge.wait_us(at_us, dimension.at_admission(&self.limits, demand)).is_none()
            });
            if has_room {
                self.count(at_us, demand);
            }
            self.hidden_us += spacing_us.max(1);
        }
    }
}

const SECOND_US: u64 = 1_000_000;

impl Dimension {
    const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::InputTokens, Self::OutputTokens];

    fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input-tokens",
            Self::OutputTokens => "output-tokens",
        }
    }

    fn per_minute(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::Requests => limits.requests_per_minute,
            Self::Tokens => limits.tokens_per_minute,
            Self::InputTokens => limits.input_tokens_per_minute,
            Self::OutputTokens => limits.output_tokens_per_minute,
        }
    }

    /// What of a call is counted when it is admitted.
    fn at_admission(self, limits: &Limits, demand: Demand) -> u64 {
        let reserved = match limits.answers {
            Answers::Reserved => demand.most_output.unwrap_or(demand.output),
            Answers::Produced => 0,
        };
        match self {
            Self::Requests => 1,
            Self::Tokens => demand.input + reserved,
            Self::InputTokens => demand.input,
            Self::OutputTokens => reserved,
        }
    }
}

fn new_gauge(limits: &Limits, per_minute: u64) -> Gauge {
    Gauge::new(limits.window, limits.window_ms.saturating_mul(1_000), limits.of_window(per_minute))
}

fn no_places(limits: &Limits) -> Used {
    Used { limit: limits.in_flight.unwrap_or_default(), windows: Vec::new(), peak: 0, refused: 0 }
}

/// As OpenAI writes it: `120ms`, `7.5s`, `6m0s`.
fn span(span: Duration) -> String {
    let (minutes, rest) = (span.as_secs() / 60, span - Duration::from_secs(span.as_secs() / 60 * 60));
    match (minutes, rest) {
        (0, rest) if rest < Duration::from_secs(1) => format!("{}ms", rest.as_millis()),
        (0, rest) => format!("{}s", rest.as_secs_f64()),
        (minutes, rest) => format!("{minutes}m{}s", rest.as_secs_f64()),
    }
}

/// As Anthropic writes it, to the second: when it is whole and not before.
fn moment(now: Timestamp, whole_in: Duration) -> String {
    let at = now.as_millisecond().saturating_add(i64::try_from(whole_in.as_millis()).unwrap_or(i64::MAX));
    let second = Timestamp::from_second(at.saturating_add(999) / 1_000);
    second.unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Window;

    fn call(input: u64, most_output: u64, output: u64) -> Demand {
        Demand { input, most_output: Some(most_output), output }
    }

    fn refused(seconds: u64) -> Result<(), Refused> {
        Err(Refused { retry_after: Some(seconds) })
    }

    /// What was used of a dimension up to some moment, and refused for it.
    fn used(strict: &mut Strict, dimension: &str) -> (u64, u64) {
        let kept = strict.kept(0);
        let used = &kept.used[dimension];
        (used.windows.iter().sum(), used.refused)
    }

    /// Any calls at any times: what is admitted keeps every limit, what is refused would not have, and whoever comes back when he
    /// is told has room, if nobody else came.
    #[test]
    fn refuses_what_exceeds_a_limit_and_nothing_else() {
        let window_us = 60_000_000;
        let limits = Limits { tokens_per_minute: Some(5_000), ..Limits::requests(40) };
        let mut strict = Strict::new(limits, 0);
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        let (mut now_us, mut chance, mut refusals) = (0, 1_u64, 0);
        for _ in 0..3_000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now_us += (chance >> 33) % 2_000_000;
            let tokens = 1 + (chance >> 20) % 300;
            let recent = |now_us: u64| admitted.iter().filter(move |(at, _)| at + window_us > now_us);
            let fits = |now_us| {
                recent(now_us).count() < 40
                    && recent(now_us).map(|(_, tokens)| tokens).sum::<u64>() + tokens <= 5_000
            };
            match strict.admit(now_us, call(tokens, 0, 0)) {
                Ok(()) => {
                    assert!(fits(now_us));
                    admitted.push((now_us, tokens));
                }
                Err(refused) => {
                    refusals += 1;
                    assert!(!fits(now_us));
                    assert!(fits(now_us + refused.retry_after.unwrap_or_default() * 1_000_000));
                }
            }
        }
        let kept = strict.kept(now_us);
        let sum = |dimension: &str| kept.used[dimension].windows.iter().sum::<u64>();
        assert_eq!((sum("requests"), kept.refused), (admitted.len() as u64, refusals));
        assert_eq!(sum("tokens"), admitted.iter().map(|(_, tokens)| tokens).sum::<u64>());
        assert!(refusals > 100 && kept.used["requests"].peak <= 40 && kept.used["tokens"].peak <= 5_000);
    }

    #[test]
    fn answers_are_counted_with_the_request_or_when_they_end() {
        let check = |answers: Answers, at_admission: u64, at_the_end: u64| {
            let limits = Limits { output_tokens_per_minute: Some(1_000), answers, ..Limits::default() };
            let mut strict = Strict::new(limits, 0);
            assert_eq!(strict.admit(0, call(50, 300, 20)), Ok(()));
            assert_eq!(used(&mut strict, "output_tokens").0, at_admission, "{answers:?}");
            strict.end(0, call(50, 300, 20));
            assert_eq!(used(&mut strict, "output_tokens").0, at_the_end, "{answers:?}");
        };
        check(Answers::Reserved, 300, 300);
        check(Answers::Produced, 0, 20);
    }

    #[test]
    fn in_flight_is_until_the_end() {
        let mut strict = Strict::new(Limits { in_flight: Some(2), ..Limits::default() }, 0);
        let one = Demand::default();
        assert_eq!(
            (strict.admit(0, one), strict.admit(0, one), strict.admit(0, one)),
            (Ok(()), Ok(()), refused(1))
        );
        strict.end(1, one);
        assert_eq!(strict.admit(1, one), Ok(()));
        let kept = strict.kept(1);
        let expected = Used { limit: 2, windows: Vec::new(), peak: 2, refused: 1 };
        assert_eq!((&kept.used["in_flight"], kept.refused), (&expected, 1));
    }

    #[test]
    fn a_hidden_client_takes_its_part() {
        let hidden = Some(Hidden { requests_per_minute: 6, tokens: 5 });
        let limits = Limits { tokens_per_minute: Some(100), hidden, ..Limits::requests(10) };
        let mut strict = Strict::new(limits, 0);
        // At 0, 10, 20 and 30 s it has called itself.
        let ours = (0..10).take_while(|_| strict.admit(35_000_000, call(1, 0, 0)).is_ok()).count();
        assert_eq!(ours, 6);
        // Refused from 40 s on, it leaves nothing behind; its first call is forgotten after a minute.
        assert_eq!(strict.admit(59_999_999, call(1, 0, 0)), refused(1));
        assert_eq!(used(&mut strict, "tokens"), (26, 0));
    }

    #[test]
    fn what_was_used_outlives_a_change_of_limits() {
        let mut strict = Strict::new(Limits::requests(10), 0);
        (0..8).for_each(|_| assert_eq!(strict.admit(0, Demand::default()), Ok(())));
        strict.change(Limits { tokens_per_minute: Some(10), ..Limits::requests(5) }, 1);
        assert_eq!(strict.admit(2, Demand::default()), refused(60));
        strict.change(Limits::requests(9), 3);
        assert_eq!(
            (strict.admit(4, Demand::default()), strict.admit(4, Demand::default())),
            (Ok(()), refused(60))
        );
        strict.change(Limits { window: Window::Fixed, ..Limits::requests(9) }, 5);
        assert_eq!(strict.admit(6, Demand::default()), Ok(()), "other windows begin anew");
    }

    #[test]
    fn every_dialect_has_its_words() {
        let limits = Limits {
            tokens_per_minute: Some(60_000),
            input_tokens_per_minute: Some(600),
            window_ms: 30_000,
            window: Window::Bucket,
            ..Limits::requests(60)
        };
        let headers = |headers: Option<Dialect>| -> Vec<String> {
            let mut strict = Strict::new(Limits { headers, ..limits.clone() }, 0);
            assert_eq!(strict.admit(0, call(100, 900, 0)), Ok(()));
            let mut lines: Vec<_> = strict
                .headers(0)
                .iter()
                .filter(|(name, _)| !name.as_str().ends_with("-reset"))
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
                .collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(headers(None), [""; 0]);
        let openai = [
            "x-ratelimit-limit-requests: 60",
            "x-ratelimit-limit-tokens: 60000",
            "x-ratelimit-remaining-requests: 58",
            "x-ratelimit-remaining-tokens: 58000",
            "x-ratelimit-reset-requests: 1s",
            "x-ratelimit-reset-tokens: 1s",
        ];
        assert_eq!(headers(Some(Dialect::OpenAi)), openai);
        let anthropic = [
            "anthropic-ratelimit-input-tokens-limit: 600",
            "anthropic-ratelimit-input-tokens-remaining: 400",
            "anthropic-ratelimit-requests-limit: 60",
            "anthropic-ratelimit-requests-remaining: 58",
            "anthropic-ratelimit-tokens-limit: 60000",
            "anthropic-ratelimit-tokens-remaining: 58000",
        ];
        assert_eq!(headers(Some(Dialect::Anthropic)), anthropic);
        let spans = [120, 1_000, 7_500, 60_000, 62_500].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["120ms", "1s", "7.5s", "1m0s", "1m2.5s"]);
        let at = |ms| moment(Timestamp::UNIX_EPOCH, Duration::from_millis(ms));
        assert_eq!(
            [at(0), at(1), at(61_000)],
            ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "1970-01-01T00:01:01Z"]
        );
    }
}
