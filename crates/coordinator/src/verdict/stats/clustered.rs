//! The mean of values that come in clusters, folded one value at a time.

use super::{Interval, quantile, two_sided};

/// Values in clusters, as sums: its size does not depend on how many there are. Values are whole multiples of
/// 1/`one`, so every sum is exact and equal whatever the order of the clusters.
///
/// Push the values of a cluster one after the other, then close it. A value that belongs to no cluster is a
/// cluster of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    one: i64,
    n: u64,
    sum: i128,
    squares: i128,
    extremes: Option<[i64; 2]>,
    clusters: u64,
    /// Over clusters: Σ S², Σ S·s and Σ s², with S a cluster's sum and s its size.
    sum_squares: i128,
    sum_by_size: i128,
    size_squares: i128,
    /// The mean that all closed clusters share, in lowest terms; `None` once two differ.
    shared_mean: Option<(i128, u64)>,
    open: (i128, u64),
}

impl Sample {
    /// Without values yet. `one` is what 1 is in the values to come, above 0.
    pub fn new(one: i64) -> Self {
        Self {
            one,
            n: 0,
            sum: 0,
            squares: 0,
            extremes: None,
            clusters: 0,
            sum_squares: 0,
            sum_by_size: 0,
            size_squares: 0,
            shared_mean: None,
            open: (0, 0),
        }
    }

    /// Adds a value to the open cluster.
    pub fn push(&mut self, value: i64) {
        let wide = i128::from(value);
        self.n += 1;
        self.sum += wide;
        self.squares += wide * wide;
        let [low, high] = self.extremes.unwrap_or([value; 2]);
        self.extremes = Some([low.min(value), high.max(value)]);
        self.open = (self.open.0 + wide, self.open.1 + 1);
    }

    /// Closes the open cluster; nothing when it is empty.
    pub fn close_cluster(&mut self) {
        let (sum, size) = std::mem::take(&mut self.open);
        if size == 0 {
            return;
        }
        let mean = lowest_terms(sum, size);
        self.shared_mean =
            if self.clusters == 0 { Some(mean) } else { self.shared_mean }.filter(|m| *m == mean);
        let wide = i128::from(size);
        self.clusters += 1;
        self.sum_squares += sum * sum;
        self.sum_by_size += sum * wide;
        self.size_squares += wide * wide;
    }

    /// How many values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many closed clusters.
    pub fn clusters(&self) -> u64 {
        self.clusters
    }

    /// The sum of all values, in multiples of 1/`one`.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The value that all share, in multiples of 1/`one`.
    pub fn constant(&self) -> Option<i64> {
        self.extremes.and_then(|[low, high]| (low == high).then_some(low))
    }

    /// The mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum as f64 / (self.n as f64 * self.one as f64))
    }

    /// The cluster-robust standard error of the mean ȳ of n values in G clusters:
    ///
    /// (1/n) · √( G/(G−1) · Σ over clusters of (Σ in the cluster of (y − ȳ))² )
    ///
    /// Exactly 0 when all clusters have the same mean; `None` for fewer than two clusters.
    /// Miller 2024 (arXiv 2411.00640) gives the sum, Liang & Zeger 1986 the principle; G/(G−1) corrects for few
    /// clusters.
    pub fn standard_error(&self) -> Option<f64> {
        if self.clusters < 2 {
            return None;
        }
        if self.shared_mean.is_some() {
            return Some(0.0);
        }
        let (floor, rest) = self.split_mean();
        // Σ (S − s·ȳ)² with every value lowered by `floor` first, exactly: what is left of the mean is below
        // one unit of 1/`one`, so the terms that are rounded are small.
        let squares = self.sum_squares - 2 * floor * self.sum_by_size + floor * floor * self.size_squares;
        let by_size = self.sum_by_size - floor * self.size_squares;
        let residual = squares as f64 - 2.0 * rest * by_size as f64 + rest * rest * self.size_squares as f64;
        let clusters = self.clusters as f64;
        let variance = clusters / (clusters - 1.0) * residual.max(0.0);
        Some(variance.sqrt() / (self.n as f64 * self.one as f64))
    }

    /// The standard error of the mean if all values were independent: s/√n, with s² their variance over n − 1. `None` for
    /// fewer than two values.
    pub fn independent_error(&self) -> Option<f64> {
        if self.n < 2 {
            return None;
        }
        let (floor, rest) = self.split_mean();
        let n = self.n as f64;
        let squares = self.squares - 2 * floor * self.sum + floor * floor * i128::from(self.n);
        let spread = (squares as f64 - n * rest * rest).max(0.0) / (n - 1.0);
        Some((spread / n).sqrt() / self.one as f64)
    }

    /// How many independent values tell as much as these n: n / max(1, (SE / SE if independent)²), Kish's
    /// design effect (1965). When all values are equal nothing can be estimated and each cluster counts once.
    pub fn effective_size(&self) -> f64 {
        match (self.standard_error(), self.independent_error(), self.constant()) {
            (Some(clustered), Some(independent), None) => {
                self.n as f64 / (clustered / independent).powi(2).max(1.0)
            }
            _ => self.clusters as f64,
        }
    }

    /// Whether its clusters differ. Where they do not, [`Sample::interval`] has no width and [`Sample::t`] is infinite, as their
    /// formulas have it, and neither is evidence: no spread seen is not no spread. Who decides by them asks this first.
    pub fn has_spread(&self) -> bool {
        self.clusters >= 2 && self.shared_mean.is_none()
    }

    /// The two-sided t interval of the mean with G − 1 degrees of freedom; of no width where the standard error is 0
    /// ([`Sample::has_spread`]), `None` where it is unknown.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let half = quantile::student_t(two_sided(confidence), self.clusters.checked_sub(1)?)
            * self.standard_error()?;
        self.mean().map(|mean| [mean - half, mean + half])
    }

    /// Student's t of H0: the expected mean is `mean0`, with G − 1 degrees of freedom; infinite where the standard error is 0
    /// ([`Sample::has_spread`]) and the mean is another, `None` where it is unknown or both are 0.
    pub fn t(&self, mean0: f64) -> Option<f64> {
        let t = (self.mean()? - mean0) / self.standard_error()?;
        (!t.is_nan()).then_some(t)
    }

    /// The mean in multiples of 1/`one`: its whole part, and the rest in [0, 1).
    fn split_mean(&self) -> (i128, f64) {
        let n = i128::from(self.n.max(1));
        (self.sum.div_euclid(n), self.sum.rem_euclid(n) as f64 / n as f64)
    }
}

/// The fraction sum/size in lowest terms.
fn lowest_terms(sum: i128, size: u64) -> (i128, u64) {
    let (mut divisor, mut rest) = (i128::from(size), sum.rem_euclid(i128::from(size)));
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let size = i128::from(size) / divisor;
    (sum / divisor, u64::try_from(size).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(one: i64, clusters: &[&[i64]]) -> Sample {
        let mut sample = Sample::new(one);
        for cluster in clusters {
            cluster.iter().for_each(|value| sample.push(*value));
            sample.close_cluster();
        }
        sample
    }

    /// The textbook formula on floats, by its definition.
    fn by_definition(one: i64, clusters: &[&[i64]]) -> f64 {
        let n = clusters.iter().map(|cluster| cluster.len()).sum::<usize>() as f64;
        let value = |value: &i64| *value as f64 / one as f64;
        let mean = clusters.iter().flat_map(|cluster| cluster.iter()).map(value).sum::<f64>() / n;
        let squares: f64 =
            clusters.iter().map(|c| c.iter().map(|v| value(v) - mean).sum::<f64>().powi(2)).sum();
        let g = clusters.len() as f64;
        (g / (g - 1.0) * squares).sqrt() / n
    }

    #[test]
    fn the_standard_error_is_that_of_the_definition() {
        let check = |one: i64, clusters: &[&[i64]]| {
            let (error, expected) =
                (sample(one, clusters).standard_error().unwrap(), by_definition(one, clusters));
            assert!((error - expected).abs() < 1e-12, "{clusters:?}: {error}, not {expected}");
        };
        check(1, &[&[1, 0], &[1], &[0, 0, 1]]);
        check(1_000_000, &[&[-333_333, 12], &[999_999], &[0], &[500_000; 7]]);
        check(10, &[&[7], &[-3], &[9], &[9]]);
    }

    #[test]
    fn no_spread_is_seen_exactly() {
        let check = |clusters: &[&[i64]], error: Option<f64>, effective: f64| {
            let sample = sample(3, clusters);
            assert_eq!(sample.standard_error(), error, "{clusters:?}");
            assert_eq!(sample.effective_size(), effective, "{clusters:?}");
            assert!(!sample.has_spread());
            // What the formulas say of it, which decides nothing.
            let mean = sample.mean().filter(|_| error.is_some());
            assert_eq!(sample.interval(0.95), mean.map(|mean| [mean; 2]));
            assert_eq!(sample.t(0.0), mean.map(|_| f64::INFINITY));
            assert_eq!(sample.t(1.0), mean.map(|_| f64::NEG_INFINITY));
            assert_eq!(mean.and_then(|mean| sample.t(mean)), None, "neither above nor below");
        };
        check(&[], None, 0.0);
        check(&[&[1, 2]], None, 1.0);
        check(&[&[1, 1], &[1], &[1, 1, 1]], Some(0.0), 3.0);
        // The same mean of 1/9 in every cluster, and yet not the same values.
        check(&[&[0, 1, 0], &[1, 0, 0], &[0, 0, 0, 1, 1, 0]], Some(0.0), 12.0);
    }

    #[test]
    fn the_order_of_clusters_does_not_matter() {
        let clusters: [&[i64]; 4] = [&[1, 0], &[1], &[0, 0, 1], &[-2]];
        let mut reversed = clusters;
        reversed.reverse();
        assert_eq!(sample(7, &clusters), sample(7, &reversed));
    }
}
