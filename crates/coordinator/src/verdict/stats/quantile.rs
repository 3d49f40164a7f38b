//! Quantiles of the normal and of Student's t distribution.

use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};

/// Probabilities closer to 0 or 1 than this are taken as this: beyond it the incomplete beta function that
/// Student's t needs is not reliable, and no gate asks for such confidence.
const EXTREME: f64 = 1e-12;

/// From here on the quantile of Student's t is taken from its expansion: the incomplete beta function loses
/// digits as the degrees of freedom grow, the expansion gains them.
const MANY_DEGREES: u64 = 10_000;

/// The z below which a standard normal value falls with probability `p`.
pub fn normal(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(EXTREME, 1.0 - EXTREME))
}

/// The chance that a standard normal value falls below `z`.
pub fn normal_below(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The value below which Student's t with `degrees` ≥ 1 degrees of freedom falls with probability `p`.
///
/// For many degrees it is the expansion of Fisher and Cornish around the normal quantile z,
/// z + (z³ + z)/4ν + (5z⁵ + 16z³ + 3z)/96ν² (Abramowitz & Stegun 26.7.5), whose next term is below 10⁻⁹ there.
pub fn student_t(p: f64, degrees: u64) -> f64 {
    let p = p.clamp(EXTREME, 1.0 - EXTREME);
    let nu = degrees.max(1) as f64;
    if degrees < MANY_DEGREES {
        return StudentsT::new(0.0, 1.0, nu).map_or(f64::NAN, |t| t.inverse_cdf(p));
    }
    let z = normal(p);
    z + (z.powi(3) + z) / (4.0 * nu) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * nu * nu)
}

/// The chance that Student's t with `degrees` ≥ 1 degrees of freedom falls below `t`, which may be infinite.
///
/// For many degrees it is the expansion of Fisher around the normal's, whose next term is below 10⁻¹² there:
/// Φ(t) − φ(t)·((t³ + t)/4ν + (3t⁷ − 7t⁵ − 5t³ − 3t)/96ν²) (Johnson, Kotz & Balakrishnan 1995, chapter 28).
pub fn student_t_below(t: f64, degrees: u64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 1.0 } else { 0.0 };
    }
    let nu = degrees.max(1) as f64;
    if degrees < MANY_DEGREES {
        return StudentsT::new(0.0, 1.0, nu).map_or(f64::NAN, |distribution| distribution.cdf(t));
    }
    // Beyond, nothing is left of the density.
    let t = t.clamp(-40.0, 40.0);
    let terms = (t.powi(3) + t) / (4.0 * nu)
        + (3.0 * t.powi(7) - 7.0 * t.powi(5) - 5.0 * t.powi(3) - 3.0 * t) / (96.0 * nu * nu);
    normal_below(t) - Normal::standard().pdf(t) * terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_printed_tables() {
        let check =
            |value: f64, printed: f64| assert!((value - printed).abs() < 5e-9, "{value} for {printed}");
        check(normal(0.95), 1.644_853_627);
        check(normal(0.975), 1.959_963_985);
        check(student_t(0.975, 1), 12.706_204_736);
        check(student_t(0.975, 10), 2.228_138_852);
        check(student_t(0.975, 19), 2.093_024_054);
        check(student_t(0.95, 30), 1.697_260_887);
        check(student_t(0.05, 30), -1.697_260_887);
    }

    #[test]
    fn the_two_ways_to_student_t_meet() {
        for p in [0.5, 0.8, 0.95, 0.975, 0.999] {
            let (below, above) = (student_t(p, MANY_DEGREES - 1), student_t(p, MANY_DEGREES));
            assert!((below - above).abs() < 1e-7, "{p}: {below} and {above}");
            for degrees in [MANY_DEGREES - 1, MANY_DEGREES, 50 * MANY_DEGREES] {
                let back = student_t_below(student_t(p, degrees), degrees);
                assert!((back - p).abs() < 1e-8, "{back} for {p} with {degrees}");
            }
        }
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY].map(|t| student_t_below(t, 3)), [1.0, 0.0]);
    }

    #[test]
    fn certainty_is_a_large_number_and_no_infinity() {
        assert!(normal(1.0).is_finite() && normal(0.0).is_finite());
        assert!(student_t(1.0, 3).is_finite() && student_t(1.0, 100_000).is_finite());
    }
}
