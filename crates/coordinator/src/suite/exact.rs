//! Whether reading a number keeps every digit it was written with. What is judged is what was written, or it is refused.

use serde_json::Number;

/// The longest number that messages repeat.
const MAX_SHOWN: usize = 60;
/// A decimal without an exponent is read exactly up to this length: fifteen digits and the point.
const SURE: usize = 16;

/// What is wrong with a number, and what to do about it.
pub(super) struct Inexact {
    pub(super) message: String,
    pub(super) hint: String,
}

/// What reading `written` in 64 bits would make of it; `None` where that is the same number, however it is written: `1.50`
/// is `1.5`.
pub(super) fn inexact(written: &str) -> Option<Inexact> {
    if written.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+')) {
        let fits = written.parse::<i64>().is_ok() || written.parse::<u64>().is_ok();
        return (!fits).then(|| told(written, "does not fit 64 bits"));
    }
    if written.len() <= SURE && !written.contains(['e', 'E']) {
        return None;
    }
    // What is no finite number is somebody else's to refuse.
    let read = Number::from_f64(written.parse().ok()?)?.to_string();
    let same = value(written).is_some_and(|digits| Some(digits) == value(&read));
    (!same).then(|| told(written, &format!("has more digits than 64 bits hold: it would become {read}")))
}

fn told(written: &str, what: &str) -> Inexact {
    if written.len() > MAX_SHOWN {
        let message = format!("a number of {} characters {what}", written.len());
        return Inexact { message, hint: "quote it to keep every digit".to_owned() };
    }
    Inexact {
        message: format!("{written} {what}"),
        hint: format!("quote it to keep every digit: \"{written}\""),
    }
}

/// The digits of a decimal but for outer zeros, and the power of ten they are multiplied by. Reading keeps its sign.
fn value(decimal: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = decimal.split_once(['e', 'E']).unwrap_or((decimal, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches(['-', '+']));
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let power = exponent.parse::<i64>().ok()?.checked_add(zeros)?.checked_sub(places)?;
    Some((significant.trim_start_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_kept_or_refused() {
        let check = |written: &str, expected: Option<&str>| {
            let found = inexact(written).map(|inexact| inexact.message);
            assert_eq!(found.as_deref(), expected.map(|what| format!("{written} {what}")).as_deref());
        };
        let unfit = Some("does not fit 64 bits");
        check("0", None);
        check("-0", None);
        check("18446744073709551615", None);
        check("-9223372036854775808", None);
        check("18446744073709551616", unfit);
        check("-9223372036854775809", unfit);
        check("100000000000000000000", unfit);

        check("1.50", None);
        check("-0.0", None);
        check("0e999999999999999999999", None);
        check("1.5000000000000000000000", None);
        check("0.1000000000000000000e1", None);
        check("1E2", None);
        check("1.0e22", None);
        check("0.1234567890123456", None);
        check("123456789.12345679", None);
        check("2.2250738585072014e-308", None);
        let becomes = |read: &str| format!("has more digits than 64 bits hold: it would become {read}");
        check("1234567890123456.78", Some(&becomes("1234567890123456.8")));
        check("0.1000000000000000055511151231257827", Some(&becomes("0.1")));
        check("-0.30000000000000001", Some(&becomes("-0.3")));
        check("18446744073709551616.0", Some(&becomes("1.8446744073709552e+19")));
        check("1e-400", Some(&becomes("0.0")));
        check("1e-99999999999999999999", Some(&becomes("0.0")));
    }

    #[test]
    fn a_number_that_nobody_reads_is_not_repeated() {
        let inexact = inexact(&"7".repeat(1_000)).unwrap();
        assert_eq!(inexact.message, "a number of 1000 characters does not fit 64 bits");
        assert_eq!(inexact.hint, "quote it to keep every digit");
    }
}
