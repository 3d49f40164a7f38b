//! Money in whole nano-dollars: sums are exact and equal on every database.

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// US dollars × 10⁹.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// From a decimal number of dollars, rounded to the nearest nano-dollar. `None` when it is negative,
    /// not finite or too large to hold.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let nanos = (usd * 1e9).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked by the condition")]
        (0.0..9.2e18).contains(&nanos).then_some(Self(nanos as i64))
    }

    /// As a number of dollars, for people and documents.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// What a model's tokens cost, in nano-dollars a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Nano-dollars for 10⁶ tokens of input.
    pub input_per_mtok: NanoUsd,
    /// Nano-dollars for 10⁶ tokens of output.
    pub output_per_mtok: NanoUsd,
}

impl Price {
    /// Whether nothing costs anything.
    pub fn is_free(&self) -> bool {
        (self.input_per_mtok, self.output_per_mtok) == (NanoUsd(0), NanoUsd(0))
    }

    /// What a call with `usage` costs, each side rounded up to a whole nano-dollar. `None` when the
    /// provider did not say how many tokens it counted: an unknown cost is never zero.
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let side = |tokens: u64, per_mtok: NanoUsd| {
            let nanos = (u128::from(tokens) * u128::try_from(per_mtok.0).ok()?).div_ceil(1_000_000);
            i64::try_from(nanos).ok()
        };
        let input = side(usage.input_tokens?, self.input_per_mtok)?;
        let output = side(usage.output_tokens?, self.output_per_mtok)?;
        input.checked_add(output).map(NanoUsd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_exact_and_unknown_stays_unknown() {
        let price = Price {
            input_per_mtok: NanoUsd::from_usd(0.40).unwrap(),
            output_per_mtok: NanoUsd::from_usd(1.60).unwrap(),
        };
        let usage = Usage { input_tokens: Some(1_000), output_tokens: Some(10) };
        assert_eq!(price.cost(&usage), Some(NanoUsd(1_000 * 400 + 10 * 1_600)));
        assert_eq!(price.cost(&Usage { input_tokens: Some(1), output_tokens: None }), None);
        let absurd = Usage { input_tokens: Some(u64::MAX), output_tokens: Some(0) };
        assert_eq!(price.cost(&absurd), None);
    }
}
