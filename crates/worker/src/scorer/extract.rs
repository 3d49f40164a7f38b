//! `extract:` the part of an output that a scorer looks at.

use std::borrow::Cow;

use assay_common::jsonpath::JsonPath;
use assay_common::pattern::Pattern;
use assay_common::scorer::Extract;

use super::quoted;

/// A compiled extraction.
#[derive(Debug)]
pub(super) enum Extraction {
    Regex(Pattern),
    Json(JsonPath, String),
    LastNumber,
    LastLine,
}

impl Extraction {
    pub(super) fn compile(extract: &Extract) -> Result<Self, String> {
        Ok(match extract {
            Extract::Regex(source) => {
                Self::Regex(Pattern::compile(source).map_err(|error| format!("extract: {error}"))?)
            }
            Extract::Json(source) => Self::Json(
                JsonPath::compile(source).map_err(|error| format!("extract: {error}"))?,
                source.clone(),
            ),
            Extract::LastNumber => Self::LastNumber,
            Extract::LastLine => Self::LastLine,
        })
    }

    /// The part; inside, why there is none. The outer error is a scorer that could not look.
    pub(super) fn apply<'o>(&self, output: &'o str) -> Result<Result<Cow<'o, str>, String>, String> {
        let nothing = |what: &str| format!("extract: {what} in {}", quoted(output));
        Ok(match self {
            Self::Regex(pattern) => pattern
                .extract(output)
                .map_err(|error| format!("extract: {error}"))?
                .map(Cow::Borrowed)
                .ok_or_else(|| nothing("no match")),
            Self::Json(path, source) => path
                .first(output)
                .map_err(|error| format!("extract: {error}"))?
                .map(Cow::Owned)
                .ok_or_else(|| nothing(&format!("nothing at {source}"))),
            Self::LastNumber => last_number(output).map(Cow::Borrowed).ok_or_else(|| nothing("no number")),
            Self::LastLine => {
                let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
                line.map(Cow::Borrowed).ok_or_else(|| nothing("no line"))
            }
        })
    }
}

/// The last number: digits, with commas between groups of three, a fraction, a sign and a power of ten where they belong to it.
fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let with_power = power_at(bytes, end).map(|power| start_of(bytes, power));
    // `a1e5` is a name.
    let start = with_power
        .filter(|start| !alphanumeric_before(bytes, *start))
        .unwrap_or_else(|| start_of(bytes, end));
    let signed = start > 0 && bytes[start - 1] == b'-' && !alphanumeric_before(bytes, start - 1);
    Some(&text[start - usize::from(signed)..end])
}

/// Where the power of ten begins that ends at `end`: at its `e`, behind a digit.
fn power_at(bytes: &[u8], end: usize) -> Option<usize> {
    let digits = end - digits_before(bytes, end);
    let signed = digits > 0 && matches!(bytes[digits - 1], b'+' | b'-');
    let mark = (digits - usize::from(signed)).checked_sub(1)?;
    (matches!(bytes[mark], b'e' | b'E') && digits_before(bytes, mark) > 0).then_some(mark)
}

/// Where the digits, commas and point begin that end at `end`, behind a digit.
fn start_of(bytes: &[u8], end: usize) -> usize {
    let mut start = end - digits_before(bytes, end);
    let mut group = end - start;
    let point = start.wrapping_sub(1);
    if start > 0
        && bytes[point] == b'.'
        && (digits_before(bytes, point) > 0 || !alphanumeric_before(bytes, point))
    {
        group = digits_before(bytes, point);
        start = point - group;
    }
    // Groups of three after commas: `1,234` is one number, `1,2` are two.
    while group == 3
        && start > 1
        && bytes[start - 1] == b','
        && (1..=3).contains(&digits_before(bytes, start - 1))
    {
        group = digits_before(bytes, start - 1);
        start -= 1 + group;
    }
    start
}

fn digits_before(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count()
}

fn alphanumeric_before(bytes: &[u8], at: usize) -> bool {
    at > 0 && bytes[at - 1].is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(extract: Extract, output: &str, expected: Result<&str, &str>) {
        match (Extraction::compile(&extract).unwrap().apply(output).unwrap(), expected) {
            (Ok(part), Ok(expected)) => assert_eq!(part, expected, "{output}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (found, _) => panic!("{found:?} from {output}"),
        }
    }

    #[test]
    fn finds_the_last_number() {
        let number = |output: &str, expected: &str| check(Extract::LastNumber, output, Ok(expected));
        number("first 12, then 34 apples", "34");
        number("so $1,234.50.", "1,234.50");
        number("1,234,567", "1,234,567");
        number("choose 1,2", "2");
        number("12,3456", "3456");
        number("1234,567", "567");
        number("section.5", "5");
        number("-1,234.5", "-1,234.5");
        number("it is -7", "-7");
        number("10-7", "7");
        number("-3 C", "-3");
        number(".5", ".5");
        number("x = 0.25%", "0.25");
        number("v1.2.3", "2.3");
        number("½ of 10 is 5…", "5");
        number("y 12 and -3.5e2 end", "-3.5e2");
        number("about 6.02E+23 of them", "6.02E+23");
        number("1,234e-3", "1,234e-3");
        number("job a1e5", "5");
        number("step e5", "5");
        number("1e", "1");
        number("2-e3", "3");
        check(Extract::LastNumber, "none", Err("no number"));
        check(Extract::LastNumber, "", Err("no number"));
    }

    #[test]
    fn finds_the_last_line_the_match_and_the_node() {
        check(Extract::LastLine, "a\n b \r\n\n  \n", Ok("b"));
        check(Extract::LastLine, "\n \n", Err("no line"));
        check(Extract::Regex(r"####\s*(-?[\d,.]+)".into()), "so\n#### 1,234", Ok("1,234"));
        check(Extract::Regex("x+".into()), "axxb", Ok("xx"));
        check(Extract::Regex("x".into()), "none", Err("no match"));
        check(Extract::Json("$.a".into()), r#"{"a": [1, "b"]}"#, Ok(r#"[1,"b"]"#));
        check(Extract::Json("$.a".into()), "no JSON", Err("nothing at $.a"));
    }

    #[test]
    fn an_extraction_that_blows_up_is_no_grade() {
        let extraction = Extraction::compile(&Extract::Regex(r"^(?:(a+)\1?)+$".into())).unwrap();
        let hostile = format!("{}!", "a".repeat(60));
        assert!(extraction.apply(&hostile).is_err());
    }

    #[test]
    fn what_does_not_compile_says_so() {
        assert!(Extraction::compile(&Extract::Regex("(".into())).is_err());
        assert!(Extraction::compile(&Extract::Json("nope".into())).is_err());
    }
}
