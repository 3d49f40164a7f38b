//! The ratio of two totals over the same cases, such as cost, folded a case at a time.

use super::{Interval, quantile, two_sided};

/// What two arms came to on the same cases, as sums: its size does not depend on how many there are. Amounts are whole, so
/// every sum is exact and equal whatever the order of the clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    n: u64,
    clusters: u64,
    baseline: i128,
    candidate: i128,
    /// Over clusters: Σ a², Σ a·b and Σ b², with a the baseline's sum and b the candidate's.
    squares: [i128; 3],
    open: (u64, i128, i128),
}

impl Ratio {
    /// Adds a case to the open cluster.
    pub fn push(&mut self, baseline: i64, candidate: i64) {
        let (n, a, b) = self.open;
        self.open = (n + 1, a + i128::from(baseline), b + i128::from(candidate));
    }

    /// Closes the open cluster; nothing when it is empty.
    pub fn close_cluster(&mut self) {
        let (n, a, b) = std::mem::take(&mut self.open);
        if n == 0 {
            return;
        }
        self.n += n;
        self.clusters += 1;
        self.baseline += a;
        self.candidate += b;
        for (sum, square) in self.squares.iter_mut().zip([a * a, a * b, b * b]) {
            *sum = sum.saturating_add(square);
        }
    }

    /// How many cases are in closed clusters.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many clusters are closed.
    pub fn clusters(&self) -> u64 {
        self.clusters
    }

    /// The totals of the baseline and of the candidate.
    pub fn totals(&self) -> [i128; 2] {
        [self.baseline, self.candidate]
    }

    /// The candidate's total by the baseline's; `None` where that is 0.
    pub fn value(&self) -> Option<f64> {
        (self.baseline > 0).then(|| self.candidate as f64 / self.baseline as f64)
    }

    /// The standard error of the ratio R by the delta method, with e = b − R·a for each of G clusters:
    ///
    /// √( G/(G − 1) · Σ e² ) / Σ a
    ///
    /// which is sd(e)/(ā·√n) where each case is its own. `None` for fewer than two clusters.
    pub fn standard_error(&self) -> Option<f64> {
        let ratio = self.value().filter(|_| self.clusters >= 2)?;
        let [aa, ab, bb] = self.squares.map(|sum| sum as f64);
        let clusters = self.clusters as f64;
        let residual = (bb - 2.0 * ratio * ab + ratio * ratio * aa).max(0.0);
        Some((clusters / (clusters - 1.0) * residual).sqrt() / self.baseline as f64)
    }

    /// The two-sided t interval of the ratio with G − 1 degrees of freedom; `None` where the standard error is unknown.
    ///
    /// The delta method, to first order that of Fieller 1954.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let error = self.standard_error()?;
        let half = quantile::student_t(two_sided(confidence), self.clusters - 1) * error;
        self.value().map(|ratio| [ratio - half, ratio + half])
    }
}

/// The geometric mean of bᵢ/aᵢ with its t interval: exp(mean ln(b/a) ± t·sd/√n), better than the ratio of totals where a
/// few cases cost much more than the rest. All amounts are above 0; `None` for fewer than two.
pub fn geometric_ratio(pairs: &[(f64, f64)], confidence: f64) -> Option<(f64, Interval)> {
    if pairs.len() < 2 {
        return None;
    }
    let n = pairs.len() as f64;
    let logs = || pairs.iter().map(|(a, b)| (b / a).ln());
    let mean = logs().sum::<f64>() / n;
    let variance = logs().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = quantile::student_t(two_sided(confidence), pairs.len() as u64 - 1) * (variance / n).sqrt();
    Some((mean.exp(), [(mean - half).exp(), (mean + half).exp()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(clusters: &[&[(i64, i64)]]) -> Ratio {
        let mut ratio = Ratio::default();
        for cluster in clusters {
            cluster.iter().for_each(|(a, b)| ratio.push(*a, *b));
            ratio.close_cluster();
        }
        ratio
    }

    #[test]
    fn a_constant_ratio_has_no_error_and_nothing_has_no_ratio() {
        let twice = ratio(&[&[(1, 2)], &[(5, 10)], &[(7, 14)]]);
        assert_eq!((twice.value(), twice.standard_error()), (Some(2.0), Some(0.0)));
        assert_eq!(ratio(&[&[(1, 2)]]).standard_error(), None);
        assert_eq!(ratio(&[&[(0, 2)], &[(0, 1)]]).value(), None);
    }

    #[test]
    fn a_cluster_counts_as_its_sum() {
        let split = ratio(&[&[(1, 2), (2, 1)], &[(3, 5), (1, 1)], &[(4, 4)]]);
        let summed = ratio(&[&[(3, 3)], &[(4, 6)], &[(4, 4)]]);
        assert_eq!(split.standard_error(), summed.standard_error());
        assert_eq!((split.n(), split.clusters()), (5, 3));
    }
}
