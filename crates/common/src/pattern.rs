//! Regular expressions from suites, bounded: a pattern is untrusted, and so is the text it meets.

use fancy_regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 8 * 1024;
/// The most steps of backtracking for one match.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// A compiled regular expression with look-around and back-references, whose matching always ends.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It does not compile.
    #[error("not a regular expression: {0}")]
    Invalid(String),
    /// It is longer than any sensible pattern.
    #[error("a regular expression of {0} bytes; the limit is {MAX_PATTERN_BYTES}")]
    TooLong(usize),
    /// It needed too many steps on some text.
    #[error("the regular expression gave up after {BACKTRACK_LIMIT} steps of backtracking")]
    Exhausted,
}

impl Pattern {
    /// Compiles `source`.
    pub fn compile(source: &str) -> Result<Self, PatternError> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong(source.len()));
        }
        RegexBuilder::new(source)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map(Self)
            .map_err(|error| PatternError::Invalid(error.to_string()))
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> Result<bool, PatternError> {
        self.0.is_match(text).map_err(|_| PatternError::Exhausted)
    }

    /// Its first match in `text`: group 1, or the whole match when there is no group or it took no part.
    pub fn extract<'t>(&self, text: &'t str) -> Result<Option<&'t str>, PatternError> {
        let captures = self.0.captures(text).map_err(|_| PatternError::Exhausted)?;
        Ok(captures.and_then(|found| found.get(1).or_else(|| found.get(0))).map(|group| group.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blow_up_ends_in_an_error() {
        let pattern = Pattern::compile(r"^(?:(a+)+)\1?$(?!x)").unwrap();
        let hostile = format!("{}!", "a".repeat(60));
        assert!(matches!(pattern.is_match(&hostile), Err(PatternError::Exhausted) | Ok(false)));
        let backtracking = Pattern::compile(r"(?=(a+)+\1b)c?").unwrap();
        assert!(matches!(backtracking.is_match(&hostile), Err(PatternError::Exhausted) | Ok(false)));
    }

    #[test]
    fn extracts_group_one_or_the_whole_match() {
        let check = |pattern: &str, text: &str, expected: Option<&str>| {
            assert_eq!(Pattern::compile(pattern).unwrap().extract(text).unwrap(), expected);
        };
        check(r"####\s*(-?[\d,.]+)", "so\n#### 1,234", Some("1,234"));
        check(r"\d+", "a 12 b 34", Some("12"));
        check(r"\d+", "none", None);
    }
}
