//! The method that gates do not use, to hold them against: looks that are fixed beforehand, each spending a part of α.
//!
//! It is a little stronger at the last look, and only asymptotically valid, only at the looks agreed on, and blind to how
//! fast a large effect shows.

use super::quantile;

/// How α is spent by the share t of the cases that are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// Like O'Brien and Fleming: 2·(1 − Φ(z_{1−α/2}/√t)), little at first.
    OBrienFleming,
    /// Like Pocock: α·ln(1 + (e − 1)·t), evenly.
    Pocock,
}

impl Spending {
    fn spent(self, alpha: f64, share: f64) -> f64 {
        match self {
            Self::OBrienFleming => {
                2.0 * quantile::normal_below(-quantile::normal(1.0 - alpha / 2.0) / share.sqrt())
            }
            Self::Pocock => alpha * (1.0 + (std::f64::consts::E - 1.0) * share).ln(),
        }
    }
}

/// Points of the density that is carried from look to look.
const POINTS: usize = 801;
/// How far the density reaches, in standard deviations.
const REACH: f64 = 8.0;

/// The z that each look has to reach, one-sided: with shares 0 < t₁ < t₂ < … ≤ 1 of the cases, the chance under the null of
/// reaching any up to the k-th is the α spent there. The density of Brownian motion that reached none so far is carried from
/// look to look by numerical integration.
///
/// Lan & DeMets 1983; O'Brien & Fleming 1979; Pocock 1977.
pub fn boundaries(shares: &[f64], alpha: f64, spending: Spending) -> Vec<f64> {
    let mut density: Option<Density> = None;
    let (mut spent, mut before) = (0.0, 0.0);
    let look = |share: &f64| {
        let to_spend = spending.spent(alpha, *share) - spent;
        let crossing = |z: f64| match &density {
            None => quantile::normal_below(-z),
            Some(density) => density.crossing(z * share.sqrt(), share - before),
        };
        let z = solve(crossing, to_spend);
        density = Some(Density::after(density.as_ref(), z * share.sqrt(), *share, share - before));
        (spent, before) = (spent + to_spend, *share);
        z
    };
    shares.iter().map(look).collect()
}

/// Where a falling function of z has this value.
fn solve(falling: impl Fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (-REACH, REACH);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if falling(middle) > value {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The density of what has not crossed, at evenly spaced points.
struct Density {
    from: f64,
    step: f64,
    values: Vec<f64>,
}

impl Density {
    /// At the next look, `elapsed` after the previous one, cut off at `bound`.
    fn after(previous: Option<&Self>, bound: f64, share: f64, elapsed: f64) -> Self {
        let from = -REACH * share.sqrt();
        let step = (bound - from) / (POINTS - 1) as f64;
        let density = |at: f64| match previous {
            None => normal_density(at, elapsed),
            Some(previous) => previous.integrate(|start| normal_density(at - start, elapsed)),
        };
        let values = (0..POINTS).map(|i| density(from + step * i as f64)).collect();
        Self { from, step, values }
    }

    /// The chance to be above `bound` after `elapsed`.
    fn crossing(&self, bound: f64, elapsed: f64) -> f64 {
        self.integrate(|start| quantile::normal_below((start - bound) / elapsed.sqrt()))
    }

    /// Simpson's rule.
    fn integrate(&self, of: impl Fn(f64) -> f64) -> f64 {
        let weight = |i: usize| match i {
            0 => 1.0,
            _ if i == POINTS - 1 => 1.0,
            _ if i.is_multiple_of(2) => 2.0,
            _ => 4.0,
        };
        let terms = self.values.iter().enumerate();
        let sum: f64 = terms.map(|(i, value)| weight(i) * value * of(self.from + self.step * i as f64)).sum();
        sum * self.step / 3.0
    }
}

fn normal_density(value: f64, variance: f64) -> f64 {
    (-value * value / (2.0 * variance)).exp() / (std::f64::consts::TAU * variance).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_table_of_five_looks() {
        let shares = [0.2, 0.4, 0.6, 0.8, 1.0];
        let published = [4.877, 3.357, 2.680, 2.290, 2.031];
        for (z, published) in boundaries(&shares, 0.025, Spending::OBrienFleming).into_iter().zip(published) {
            assert!((z - published).abs() < 0.001, "{z} for {published}");
        }
    }
}
