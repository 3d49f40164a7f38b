//! An exact test that two arms are alike, on any values: what if the labels of each pair had been drawn by a coin?

/// The most pairs whose 2ⁿ ways are all looked at.
const MOST_PAIRS: usize = 20;

/// Which differences speak against the arms being alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// Positive ones.
    Greater,
    /// Negative ones.
    Less,
    /// Either.
    TwoSided,
}

/// The p-value of "the differences are symmetric about 0": the share of the 2ⁿ ways to choose their signs whose sum is as
/// extreme as the one seen, ties included. `None` above twenty pairs.
///
/// It tests that the arms are alike and no margin, so it is a diagnostic and not a gate. Fisher 1935; Phipson & Smyth 2010.
pub fn sign_flip(differences: &[f64], alternative: Alternative) -> Option<f64> {
    if differences.len() > MOST_PAIRS {
        return None;
    }
    let seen: f64 = differences.iter().sum();
    // Sums of the same terms in another order may differ in their last bits.
    let slack = 1e-12 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    let ways = 1_u32 << differences.len();
    let sum_of = |way: u32| -> f64 {
        let signed = (0..).zip(differences);
        signed.map(|(bit, difference)| if way >> bit & 1 == 0 { *difference } else { -difference }).sum()
    };
    let extreme = (0..ways).map(sum_of).filter(|sum| match alternative {
        Alternative::Greater => *sum >= seen - slack,
        Alternative::Less => *sum <= seen + slack,
        Alternative::TwoSided => sum.abs() >= seen.abs() - slack,
    });
    Some(extreme.count() as f64 / f64::from(ways))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_and_covers_everything() {
        let differences = [0.3, -0.1, 0.4, 0.0, 0.25];
        let mirrored = differences.map(|difference| -difference);
        assert_eq!(sign_flip(&differences, Alternative::Greater), sign_flip(&mirrored, Alternative::Less));
        assert_eq!(
            sign_flip(&differences, Alternative::TwoSided),
            sign_flip(&mirrored, Alternative::TwoSided)
        );
        assert_eq!(sign_flip(&[], Alternative::Less), Some(1.0));
        assert_eq!(sign_flip(&[1.0; 5], Alternative::Greater), Some(1.0 / 32.0));
        assert_eq!(sign_flip(&[1.0; 21], Alternative::Greater), None);
    }
}
