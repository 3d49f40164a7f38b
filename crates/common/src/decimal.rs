//! Numbers as people and models write them, read as exact decimals.

use rust_decimal::Decimal;

/// Reads `text` as a decimal after dropping white space, `,`, `$`, `%` and one trailing `.`, so that `$1,234.50.`
/// is 1234.50. A power of ten may follow (`1e-6`). `None` when the rest is no number, or one of more than 28 digits.
pub fn read_decimal(text: &str) -> Option<Decimal> {
    let kept: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | '$' | '%')).collect();
    let number = kept.strip_suffix('.').unwrap_or(&kept);
    if number.contains('_') {
        return None;
    }
    if number.contains(['e', 'E']) { Decimal::from_scientific(number).ok() } else { number.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                read_decimal(text).map(|number| number.normalize().to_string()).as_deref(),
                expected,
                "{text}"
            );
        };
        check("42", Some("42"));
        check(" $1,234.50. ", Some("1234.5"));
        check("12 %", Some("12"));
        check("-0.1", Some("-0.1"));
        check("+7", Some("7"));
        check("1e-6", Some("0.000001"));
        check("2E3", Some("2000"));
        check("18\u{a0}000", Some("18000"));
        for wrong in ["", ".", "$", "twelve", "1.2.3", "--1", "1e999", "0x10", "NaN", "inf", "_1", "1_000"] {
            check(wrong, None);
        }
        check(&"9".repeat(40), None);
        check("79228162514264337593543950335e28", None);
    }
}
