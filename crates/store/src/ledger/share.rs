//! Who gets how much: max-min fair shares of a whole by what each wants. Pure.

/// Fair shares of `total`: nobody gets more than he wants while another lacks something, and what nobody wants is divided
/// evenly. The shares add up to `total`; of a rest that cannot be divided, the first get one more.
pub(crate) fn shares(total: u64, wants: &[u64]) -> Vec<u64> {
    let mut by_want: Vec<usize> = (0..wants.len()).collect();
    by_want.sort_by_key(|at| wants[*at]);
    let (mut shares, mut left) = (vec![0; wants.len()], total);
    for (served, at) in by_want.iter().enumerate() {
        let even = left / (wants.len() - served) as u64;
        if wants[*at] > even {
            // So does everybody after him.
            return divide(left, &by_want[served..], shares);
        }
        shares[*at] = wants[*at];
        left -= wants[*at];
    }
    divide(left, &by_want, shares)
}

/// Adds an even part of `left` to the shares of each of `those`.
fn divide(left: u64, those: &[usize], mut shares: Vec<u64>) -> Vec<u64> {
    let number = those.len() as u64;
    let mut those = those.to_vec();
    those.sort_unstable();
    for (at, place) in those.iter().zip(0..) {
        shares[*at] += left / number + u64::from(place < left % number);
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(total: u64, wants: &[u64], expected: &[u64]) {
        assert_eq!(shares(total, wants), expected, "{total} by {wants:?}");
    }

    #[test]
    fn little_is_wanted_and_much() {
        check(10, &[], &[]);
        check(10, &[u64::MAX], &[10]);
        check(10, &[u64::MAX; 3], &[4, 3, 3]);
        check(100, &[10, u64::MAX, 20], &[10, 70, 20]);
        check(100, &[60, u64::MAX, 20], &[40, 40, 20]);
        check(100, &[10, 20], &[45, 55]);
        check(2, &[1, 0, 1, 1], &[1, 0, 1, 0]);
        check(0, &[5, 5], &[0, 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_is_envied(total in 0..10_000_u64, wants in prop::collection::vec(0..3_000_u64, 1..12)) {
            let shares = shares(total, &wants);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            for (mine, want) in shares.iter().zip(&wants) {
                if mine < want {
                    // Who lacks something has as much as anybody else, but for the rest.
                    prop_assert!(shares.iter().all(|other| *other <= mine + 1));
                }
            }
        }
    }
}
