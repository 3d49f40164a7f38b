//! What a provider says of its own limits in the headers of a reply: how much a minute allows, how much of it is left, when all
//! of it is there again. Read of every reply, answers and refusals alike; the account's limits learn from it.
//!
//! Two dialects: OpenAI's `x-ratelimit-*` and Anthropic's `anthropic-ratelimit-*`. Neither is trusted: what makes no sense counts as
//! unsaid, and so does what is no limit of a minute, such as the requests of a day.

use std::time::Duration;

use assay_common::clock::Micros;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

/// More than any account has in a minute: servers without a limit say such numbers.
const ABSURD: u64 = 1_000_000_000;
/// A limit that takes longer than this to be whole again is none of a minute. Half a minute is left to clocks that differ.
const LONGEST_RESET: Duration = Duration::from_secs(90);

/// What the headers of one reply say, by dimension. The default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meters {
    /// Of requests.
    pub(crate) requests: Meter,
    /// Of tokens, whichever side they are on.
    pub(crate) tokens: Meter,
    /// Of tokens of requests, where the provider limits the sides apart.
    pub(crate) input_tokens: Meter,
    /// Of tokens of answers.
    pub(crate) output_tokens: Meter,
    /// What is said of `tokens` may be no limit of its own: Anthropic says there what is narrowest, or the sum of both sides.
    pub(crate) sums_up: bool,
}

/// What is said of one dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    /// What a minute allows; more than 0.
    pub(crate) limit: Option<u64>,
    /// What is left of it; never more than the limit where both are said. Providers round it, to thousands of tokens.
    pub(crate) remaining: Option<u64>,
    /// How long until all of it is there again, seen from when the reply was written.
    pub(crate) whole_in: Option<Duration>,
}

impl Meters {
    /// Reads the headers of a reply that was written at `written`, by the server's clock where it tells the time.
    pub(super) fn read(headers: &HeaderMap, written: Micros) -> Self {
        let openai =
            |dimension: &str| Meter::read(headers, |what| format!("x-ratelimit-{what}-{dimension}"), written);
        let anthropic = |dimension: &str| {
            Meter::read(headers, |what| format!("anthropic-ratelimit-{dimension}-{what}"), written)
        };
        let meter = |dimension: &str| {
            let said = openai(dimension);
            if said == Meter::default() { anthropic(dimension) } else { said }
        };
        if !headers.keys().any(|name| name.as_str().contains("ratelimit-")) {
            return Self::default();
        }
        let sums_up = openai("tokens") == Meter::default() && anthropic("tokens") != Meter::default();
        let (input_tokens, output_tokens) = (meter("input-tokens"), meter("output-tokens"));
        let said = Self {
            requests: meter("requests"),
            tokens: meter("tokens"),
            input_tokens,
            output_tokens,
            sums_up,
        };
        let are_apart = [input_tokens, output_tokens].iter().any(|side| *side != Meter::default());
        if are_apart { said.apart() } else { said }
    }

    /// What they say where the sides are known to be limited apart: what sums those limits up is none of its own.
    pub(crate) fn apart(self) -> Self {
        if self.sums_up { Self { tokens: Meter::default(), sums_up: false, ..self } } else { self }
    }
}

impl Meter {
    /// What a minute allows, where the provider says that it is less than `configured`: whoever wrote assay.toml promised more
    /// than there is. More than configured is no contradiction: part of an account may be meant for others.
    #[cfg_attr(not(test), expect(dead_code, reason = "the account's limits will ask it"))]
    pub(crate) fn contradicts(&self, configured: u64) -> Option<u64> {
        self.limit.filter(|limit| *limit < configured)
    }

    fn read(headers: &HeaderMap, name: impl Fn(&str) -> String, written: Micros) -> Self {
        let text = |what: &str| headers.get(name(what))?.to_str().ok().map(str::trim);
        let count = |what: &str| text(what)?.parse::<u64>().ok().filter(|count| *count <= ABSURD);
        let limit = count("limit").filter(|limit| *limit > 0);
        let remaining = count("remaining").filter(|left| limit.is_none_or(|limit| *left <= limit));
        let whole_in = text("reset").and_then(|text| wait(text, written));
        if whole_in.is_some_and(|wait| wait > LONGEST_RESET) {
            return Self::default();
        }
        Self { limit, remaining, whole_in }
    }
}

/// Reads `6m0s`, `120ms`, `7.66s`, a bare number of seconds, or a moment such as `2026-01-31T09:30:00Z`.
fn wait(text: &str, written: Micros) -> Option<Duration> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Micros(moment.as_microsecond()).since(written));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// Limit, remaining and milliseconds until it is whole again.
    type Said = (Option<u64>, Option<u64>, Option<u128>);
    const NOTHING: Said = (None, None, None);

    fn meters(headers: &[(&str, &str)]) -> Meters {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        // 2026-01-31T09:30:00Z
        Meters::read(&headers.iter().map(pair).collect(), Micros(1_769_851_800_000_000))
    }

    fn said(meter: Meter) -> Said {
        (meter.limit, meter.remaining, meter.whole_in.map(|wait| wait.as_millis()))
    }

    #[test]
    fn both_dialects_are_read() {
        let openai = meters(&[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "598"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1m0.5s"),
        ]);
        assert_eq!(said(openai.requests), (Some(600), Some(598), Some(120)));
        assert_eq!(said(openai.tokens), (Some(150_000), Some(0), Some(60_500)));
        assert_eq!((said(openai.input_tokens), said(openai.output_tokens)), (NOTHING, NOTHING));

        let anthropic = meters(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-01-31T09:30:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-01-31T09:29:00Z"),
        ]);
        assert_eq!(said(anthropic.requests), (Some(50), Some(49), Some(1_000)));
        assert_eq!(said(anthropic.input_tokens), (Some(40_000), None, None));
        assert_eq!(said(anthropic.output_tokens), (Some(8_000), None, Some(0)), "it is whole already");
        assert_eq!(said(anthropic.tokens), NOTHING);
    }

    #[test]
    fn what_repeats_the_limits_of_the_sides_is_none_of_both_together() {
        let both =
            [("anthropic-ratelimit-tokens-limit", "48000"), ("anthropic-ratelimit-tokens-remaining", "0")];
        assert_eq!(said(meters(&both).tokens), (Some(48_000), Some(0), None), "nothing else is said");
        for side in ["anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-output-tokens-remaining"]
        {
            let apart = meters(&[both[0], both[1], (side, "8000")]);
            assert_eq!(said(apart.tokens), NOTHING, "{side}");
        }
        let openai = [("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-limit-input-tokens", "100000")];
        assert_eq!(said(meters(&openai).tokens), (Some(150_000), None, None), "they say what they count");
    }

    #[test]
    fn nonsense_counts_as_unsaid() {
        let check = |limit: &str, remaining: &str, reset: &str, expected: Said| {
            let headers = [
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ];
            assert_eq!(said(meters(&headers).requests), expected, "{headers:?}");
        };
        check("600", "600", "0s", (Some(600), Some(600), Some(0)));
        check(" 600 ", "7", "7.66", (Some(600), Some(7), Some(7_660)));
        check("0", "-1", "soon", NOTHING);
        check("-5", "1e3", "-3s", NOTHING);
        check("many", "", "", NOTHING);
        check("9999999999", "9999999999", "NaN", NOTHING);
        check("18446744073709551616", "5", "1s", (None, Some(5), Some(1_000)));
        check("600", "601", "1s", (Some(600), None, Some(1_000)));
        // The requests of a day.
        check("14400", "14370", "2m59.56s", NOTHING);
        check("14400", "0", "2026-02-01T00:00:00Z", NOTHING);
        assert_eq!(meters(&[("x-request-id", "1")]), Meters::default());
        assert_eq!(meters(&[("ratelimit-limit", "5"), ("x-ratelimit-limit", "5")]), Meters::default());
    }

    #[test]
    fn less_than_configured_is_a_contradiction() {
        let check = |limit: Option<u64>, configured: u64, expected: Option<u64>| {
            assert_eq!(Meter { limit, ..Meter::default() }.contradicts(configured), expected);
        };
        check(Some(500), 600, Some(500));
        check(Some(600), 600, None);
        check(Some(700), 600, None);
        check(None, 600, None);
    }
}
