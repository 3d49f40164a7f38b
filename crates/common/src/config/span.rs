//! Lengths of time as people write them, in assay.toml, in suites and behind flags.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time as people write it: `90s`, `15m`, `2h`, `14d`, `500ms`, or several together (`1h30m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time; write 500ms, 90s, 15m, 2h, 14d or 1h30m");
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit_end =
                rest[digits..].find(|c: char| !c.is_ascii_lowercase()).map_or(rest.len(), |at| digits + at);
            let millis = match &rest[digits..unit_end] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            let part = count.checked_mul(millis).ok_or_else(wrong)?;
            total = total.checked_add(Duration::from_millis(part)).ok_or_else(wrong)?;
            rest = rest[unit_end..].trim_start();
        }
        Ok(Self(total))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        format!("{}ms", span.0.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        let seconds = |text: &str| text.parse::<Span>().ok().map(|span| span.0.as_secs_f64());
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("14d"), Some(1_209_600.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        for wrong in ["", "5", "h", "-1s", "1 year", "99999999999999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
