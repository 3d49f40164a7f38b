//! Several tests at once: which of them may be named?
//!
//! A gate that has to pass every rule needs none of this: a conjunction passes by mistake no more often than its weakest
//! rule (Berger 1982). Saying *which* rule failed is a choice among several, and that needs a correction.

/// Holm's adjusted p-values, in the order given: name those at most α, and the chance of naming any wrongly is at most α,
/// whatever the tests have to do with one another. With m of them and p₍₁₎ ≤ p₍₂₎ ≤ …:
///
/// max over j ≤ k of min(1, (m − j + 1)·p₍ⱼ₎)
///
/// Holm 1979.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut highest = 0.0_f64;
    adjusted(p, ascending(p), |rank, p| {
        highest = highest.max((p * (rank.of - rank.from_0) as f64).min(1.0));
        highest
    })
}

/// Benjamini and Hochberg's adjusted p-values, in the order given: of those at most q a share of at most q is wrong in the
/// mean, for tests that are independent or depend positively on one another, as overlapping slices do. For exploring:
///
/// min over j ≥ k of min(1, m·p₍ⱼ₎/j)
///
/// Benjamini & Hochberg 1995.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut lowest = 1.0_f64;
    let mut order = ascending(p);
    order.reverse();
    adjusted(p, order, |rank, p| {
        lowest = lowest.min(p * (rank.of as f64 / (rank.of - rank.from_0) as f64));
        lowest
    })
}

/// Adjusted e-values, in the order given: name those at least 1/α, and the chance of naming any wrongly is at most α,
/// whatever they have to do with one another. Each is the least mean of a set that holds it, and with e₍₁₎ ≤ e₍₂₎ ≤ … that
/// is the least mean of it and the first few.
///
/// Vovk & Wang 2021 (closure of the arithmetic mean; Holm's procedure for e-values).
pub fn e_holm(e: &[f64]) -> Vec<f64> {
    let order = ascending(e);
    let sums = order.iter().scan(0.0, |sum, index| {
        *sum += e[*index];
        Some(*sum)
    });
    let sums: Vec<f64> = sums.collect();
    adjusted(e, order, |rank, e| {
        let with_first = (0..rank.from_0).map(|first| (e + sums[first]) / (first + 2) as f64);
        with_first.fold(e, f64::min)
    })
}

/// The indices of the e-values that may be named while the mean share of wrong ones stays at most `q`, whatever they have to
/// do with one another: the k largest, for the greatest k with e₍ₖ₎ ≥ m/(q·k).
///
/// Wang & Ramdas 2022 (e-BH).
pub fn e_bh(e: &[f64], q: f64) -> Vec<usize> {
    let mut order = ascending(e);
    order.reverse();
    let m = e.len() as f64;
    let enough = (1..=order.len()).rev().find(|k| e[order[k - 1]] >= m / (q * *k as f64));
    order.truncate(enough.unwrap_or(0));
    order.sort_unstable();
    order
}

/// The place of a value in the order it is looked at.
struct Rank {
    from_0: usize,
    of: usize,
}

fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order
}

/// Adjusts the values in this order, and puts the results back in their places.
fn adjusted(values: &[f64], order: Vec<usize>, mut adjust: impl FnMut(Rank, f64) -> f64) -> Vec<f64> {
    let mut result = vec![0.0; values.len()];
    let of = values.len();
    for (from_0, index) in order.into_iter().enumerate() {
        result[index] = adjust(Rank { from_0, of }, values[index]);
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn adjusting_keeps_the_order_and_never_helps(p in proptest::collection::vec(0.0_f64..1.0, 0..12)) {
            for adjusted in [holm(&p), benjamini_hochberg(&p)] {
                for (i, j) in (0..p.len()).flat_map(|i| (0..p.len()).map(move |j| (i, j))) {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
                prop_assert!(p.iter().zip(&adjusted).all(|(p, adjusted)| p <= adjusted && *adjusted <= 1.0));
            }
            prop_assert!(holm(&p).iter().zip(benjamini_hochberg(&p)).all(|(holm, bh)| *holm >= bh - 1e-15));
        }

        #[test]
        fn e_values_are_adjusted_by_the_worst_set_that_holds_them(e in proptest::collection::vec(0.0_f64..100.0, 1..8)) {
            for (i, adjusted) in e_holm(&e).into_iter().enumerate() {
                let sets = (0_u32..1 << e.len()).filter(|set| set >> i & 1 == 1);
                let mean = |set: u32| {
                    let members: Vec<f64> = (0..e.len()).filter(|j| set >> j & 1 == 1).map(|j| e[j]).collect();
                    members.iter().sum::<f64>() / members.len() as f64
                };
                let least = sets.map(mean).fold(f64::INFINITY, f64::min);
                prop_assert!((adjusted - least).abs() < 1e-9, "{adjusted} for {least}");
            }
        }
    }
}
