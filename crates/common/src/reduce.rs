//! How the trials of one case become one value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reducer of the trials of a case under a variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reducer {
    /// The share of trials that passed.
    #[default]
    Mean,
    /// The middle value; of an even number, the mean of the two in the middle.
    Median,
    /// The most frequent value; the lower one of a tie.
    Mode,
    /// 1 when more than half of the trials passed.
    Majority,
    /// 1 when every trial passed.
    All,
    /// 1 when any trial passed.
    Any,
    /// 1 when at least this many trials passed.
    AtLeast(u32),
    /// The chance that at least one of k trials passes, 1 − C(n−c, k)/C(n, k) (Chen et al. 2021).
    PassAt(u32),
    /// The chance that all of k trials pass, C(c, k)/C(n, k) (Yao et al. 2024).
    PassHat(u32),
}

impl Reducer {
    /// The value of a case of which `passed` of `trials` trials passed, in multiples of 1/`one`: exact where
    /// [`Reducer::denominator`] divides `one`, else the nearest. `None` when it is undefined: no trials, or a k above
    /// their number.
    pub fn reduce(self, passed: u32, trials: u32, one: i64) -> Option<i64> {
        if trials == 0 || passed > trials || self.least_trials() > trials {
            return None;
        }
        let whole = |yes: bool| if yes { one } else { 0 };
        Some(match self {
            Self::Mean => share_of(one, u128::from(passed), u128::from(trials)),
            Self::Median => match (passed * 2).cmp(&trials) {
                std::cmp::Ordering::Greater => one,
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => share_of(one, 1, 2),
            },
            Self::Mode | Self::Majority => whole(passed * 2 > trials),
            Self::All => whole(passed == trials),
            Self::Any => whole(passed > 0),
            Self::AtLeast(k) => whole(passed >= k),
            Self::PassAt(k) => one - all_of(trials - passed, trials, k, one),
            Self::PassHat(k) => all_of(passed, trials, k, one),
        })
    }

    /// A number whose inverse divides every value that `trials` trials can have; `None` where it has more than 64 bits.
    pub fn denominator(self, trials: u32) -> Option<u64> {
        match self {
            Self::Mean => Some(u64::from(trials.max(1))),
            Self::Median => Some(2),
            Self::Mode | Self::Majority | Self::All | Self::Any | Self::AtLeast(_) => Some(1),
            Self::PassAt(k) | Self::PassHat(k) => choose(trials, k).and_then(|all| u64::try_from(all).ok()),
        }
    }

    /// Whether the value is always 0 or 1.
    pub fn is_binary(self, trials: u32) -> bool {
        trials == 1 || matches!(self, Self::Mode | Self::Majority | Self::All | Self::Any | Self::AtLeast(_))
    }

    /// Reads `mean`, `at-least(2)`, `pass@3`, `pass^3`, …
    pub fn parse(text: &str) -> Option<Self> {
        let count = |digits: &str| digits.parse::<u32>().ok().filter(|k| *k >= 1);
        Some(match text {
            "mean" => Self::Mean,
            "median" => Self::Median,
            "mode" => Self::Mode,
            "majority" => Self::Majority,
            "all" => Self::All,
            "any" => Self::Any,
            _ => {
                if let Some(rest) = text.strip_prefix("at-least(") {
                    Self::AtLeast(count(rest.strip_suffix(')')?)?)
                } else if let Some(k) = text.strip_prefix("pass@") {
                    Self::PassAt(count(k)?)
                } else {
                    Self::PassHat(count(text.strip_prefix("pass^")?)?)
                }
            }
        })
    }

    /// How a suite writes each reducer, for hints.
    pub const FORMS: [&'static str; 9] =
        ["mean", "median", "mode", "majority", "all", "any", "at-least(k)", "pass@k", "pass^k"];

    /// The number of trials it needs at least.
    pub fn least_trials(self) -> u32 {
        match self {
            Self::AtLeast(k) | Self::PassAt(k) | Self::PassHat(k) => k,
            _ => 1,
        }
    }
}

/// C(c, k) / C(n, k), the chance that k draws without replacement from n all fall among c, in multiples of 1/`one`.
fn all_of(c: u32, n: u32, k: u32, one: i64) -> i64 {
    if let (Some(some), Some(all)) = (choose(c, k), choose(n, k))
        && all < 1 << 64
    {
        return share_of(one, some, all);
    }
    let chance: f64 = (0..k).map(|i| f64::from(c.saturating_sub(i)) / f64::from(n - i)).product();
    #[expect(clippy::cast_possible_truncation, reason = "a share of `one`, which fits")]
    let nearest = (chance * one as f64).round() as i64;
    nearest
}

/// C(n, k), where it fits.
fn choose(n: u32, k: u32) -> Option<u128> {
    (0..k).try_fold(1_u128, |product, i| {
        Some(product.checked_mul(u128::from(n.saturating_sub(i)))? / u128::from(i + 1))
    })
}

/// The multiple of 1/`one` nearest to `part`/`of`; halves upwards. `of` has at most 64 bits.
fn share_of(one: i64, part: u128, of: u128) -> i64 {
    let one = u128::from(one.unsigned_abs());
    i64::try_from((2 * one * part + of) / (2 * of)).unwrap_or(i64::MAX)
}

impl fmt::Display for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Median => f.write_str("median"),
            Self::Mode => f.write_str("mode"),
            Self::Majority => f.write_str("majority"),
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::AtLeast(k) => write!(f, "at-least({k})"),
            Self::PassAt(k) => write!(f, "pass@{k}"),
            Self::PassHat(k) => write!(f, "pass^{k}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Millionths;

    #[test]
    fn values_are_exact_where_the_denominator_divides_one() {
        let check = |form: &str, trials, denominator, passed, expected| {
            let reducer = Reducer::parse(form).unwrap();
            assert_eq!(reducer.denominator(trials), denominator, "{form} of {trials}");
            let one = i64::try_from(denominator.unwrap_or(1)).unwrap();
            assert_eq!(reducer.reduce(passed, trials, one), Some(expected), "{form} of {passed}/{trials}");
        };
        check("mean", 3, Some(3), 2, 2);
        check("median", 4, Some(2), 2, 1);
        check("pass@2", 3, Some(3), 1, 2);
        check("pass^2", 4, Some(6), 3, 3);
        check("pass@500", 1_000, None, 1_000, 1);
    }

    #[test]
    fn reduces_trials_of_a_case() {
        let check = |form: &str, passed, trials, expected: Option<f64>| {
            let reducer = Reducer::parse(form).unwrap();
            assert_eq!(reducer.to_string(), form);
            let value = reducer.reduce(passed, trials, Millionths::ONE.0).map(Millionths);
            assert_eq!(value, expected.and_then(Millionths::from_f64), "{form} of {passed}/{trials}");
        };
        check("mean", 1, 3, Some(0.333_333));
        check("median", 1, 2, Some(0.5));
        check("median", 2, 3, Some(1.0));
        check("mode", 1, 2, Some(0.0));
        check("majority", 2, 3, Some(1.0));
        check("majority", 1, 2, Some(0.0));
        check("all", 2, 3, Some(0.0));
        check("any", 1, 3, Some(1.0));
        check("at-least(2)", 2, 3, Some(1.0));
        check("at-least(4)", 2, 3, None);
        // 1 − C(3,2)/C(5,2) = 1 − 3/10
        check("pass@2", 2, 5, Some(0.7));
        // C(3,2)/C(5,2) = 3/10
        check("pass^2", 3, 5, Some(0.3));
        check("pass^2", 1, 5, Some(0.0));
        check("pass@6", 5, 5, None);
        check("mean", 0, 0, None);
        // Beyond 64 bits: 1 − C(500,500)/C(1000,500)
        check("pass@500", 500, 1_000, Some(1.0));
        assert_eq!(Reducer::parse("at-least(0)"), None);
        assert_eq!(Reducer::parse("pass@"), None);
    }
}
