//! A drop against the baseline, paired by case: is a drop of more than the margin ruled out, or shown?
//!
//! ```text
//!   values 0 or 1, no clusters ─────────────────────▶ Tango's score test on cases
//!   anything else ── scored differences spread ─────▶ Student's t on clusters (a case alone is its own)
//!                 ├─ all equal to −1, 0 or 1 ───────▶ Tango's score test, each cluster counted once
//!                 └─ no spread between clusters ────▶ inconclusive
//! ```
//! A case that errored in either arm counts as −1 when a pass is tested and as +1 when a fail is.
//!
//! All of that is about the difference to be expected. A rule whose estimand is the suite holds the difference of the completed
//! run itself against the margin.

use assay_common::gate::{Amount, Bound, Estimand, Rule};
use assay_common::verdict::Decision;

use super::super::evidence::Difference;
use super::super::stats::power::{detectable, least_margin};
use super::super::stats::{Discordance, Interval, Sample, quantile, tango_interval, tango_z};
use super::rate::Share;
use super::{Finding, Terms, needed, words};

/// Fewer clusters than this make a t interval that deserves a warning.
const FEW_CLUSTERS: u64 = 20;

/// How often a run should rule out what it is said to be able to.
const POWER: f64 = 0.8;

/// Holds the difference against the margin.
pub(super) fn judge(figures: &Difference, rule: &Rule, terms: Terms) -> Finding {
    let n = if terms.clustered { figures.scored.clusters() } else { figures.scored.n() };
    let Bound::MaxDrop(margin) = rule.bound else {
        return Finding::unknown(n, format!("`{}` is not defined for {}", rule.bound.key(), rule.metric));
    };
    if rule.estimand == Estimand::Suite {
        return of_this_suite(figures, margin, n, terms);
    }
    let margin = margin.as_f64();
    let by_cases = terms.binary && !terms.clustered;
    let test = if by_cases { by_cases_test } else { by_clusters_test };
    let unit = terms.unit();
    match (figures.scored.mean(), test(figures, margin, terms)) {
        (Some(mean), Some(Tested { decision, interval, bounds, by_t, progress })) => {
            let said = match decision {
                Decision::Pass => "is ruled out",
                Decision::Fail => "is shown",
                Decision::Inconclusive => "cannot be ruled out",
            };
            let mut reason = format!(
                "a drop of more than {} points {said}: observed {} points, {} on {}",
                words::number(margin * 100.0, 4),
                words::signed_points(mean),
                words::bounds(bounds, -margin, decision, terms.confidence),
                words::count(n, unit),
            );
            if figures.errored > 0 {
                let errors = words::count(figures.errored, "errored case");
                reason += &format!(", with {errors} counted as the worst for either side");
            }
            if by_t && n < FEW_CLUSTERS {
                reason += &format!("; so few {unit}s make the interval rough");
            }
            // The statistic grows as the root of the number of units.
            let needed = needed::by_root(progress, n).filter(|_| decision == Decision::Inconclusive);
            reason += &words::needed(needed, unit);
            let detectable = least_seen(figures, by_cases, terms);
            Finding {
                interval: Some(interval),
                needed,
                detectable,
                ..Finding::found(decision, Some(mean), n, reason)
            }
        }
        (observed, _) => Finding { observed, ..Finding::unknown(n, no_spread(n, unit)) },
    }
}

/// Holds the difference of the completed run itself against the margin, in whole numbers.
fn of_this_suite(figures: &Difference, margin: Amount, n: u64, terms: Terms) -> Finding {
    let of = i128::from(terms.scale.one()) * i128::from(figures.lowest.n());
    let [low, high] = [&figures.lowest, &figures.highest].map(|sample| Share { sum: sample.sum(), of });
    let reaches = |share: Share| share.reaches(Amount(-margin.0));
    let decision = decide(reaches(low), !reaches(high));
    let points = |share: Share| words::measured(share.number() * 100.0, -margin.as_f64() * 100.0);
    let allowed = words::number(margin.as_f64() * 100.0, 4);
    let errors = words::count(figures.errored, "errored case");
    let counted = if figures.errored > 0 { format!(" with {errors} at the worst") } else { String::new() };
    let reason = match decision {
        Decision::Pass => {
            format!(
                "this suite's own difference of {} points is within the {allowed} allowed{counted}",
                points(low)
            )
        }
        Decision::Fail => {
            format!(
                "this suite's own difference of {} points is beyond the {allowed} allowed{counted}",
                points(high)
            )
        }
        Decision::Inconclusive => format!(
            "this suite's own difference lies between {} and {} points, depending on {errors}: too wide for the {allowed} allowed",
            points(low),
            points(high)
        ),
    };
    Finding::found(decision, figures.scored.mean(), n, reason)
}

/// The least drop that a run with as much spread as this one rules out four times in five when nothing changed.
fn least_seen(figures: &Difference, by_cases: bool, terms: Terms) -> Option<f64> {
    let alpha = 1.0 - terms.confidence;
    let (cases, spread) = match by_cases {
        true => {
            let Discordance { lost, gained, n } = figures.discordance;
            (n as f64, (lost + gained) as f64 / n as f64)
        }
        false => {
            let clusters = figures.scored.clusters() as f64;
            (clusters, figures.scored.standard_error()?.powi(2) * clusters)
        }
    };
    (cases > 0.0).then(|| detectable(cases, spread, alpha, POWER).max(least_margin(cases, alpha)))
}

/// What a test says.
struct Tested {
    decision: Decision,
    /// Two-sided at the gate's confidence, over scored cases: for people.
    interval: Interval,
    /// What decided: the least difference that the test for a pass does not refute, and the greatest that the test for
    /// a fail does not, each at the gate's confidence and with errors at their worst.
    bounds: Interval,
    by_t: bool,
    /// The nearer test's statistic as a share of what decides.
    progress: f64,
}

fn no_spread(n: u64, unit: &str) -> String {
    match n {
        1 => format!("a single {unit} shows no spread to judge by"),
        _ => format!("all {n} {unit}s differ by the same, which shows no spread to judge by"),
    }
}

/// Tango's score test on cases that passed or failed.
fn by_cases_test(figures: &Difference, margin: f64, terms: Terms) -> Option<Tested> {
    Some(tango(figures.discordance, figures.errored, margin, terms.confidence))
}

/// Student's t on the mean difference with G − 1 degrees of freedom; `None` where there is no spread to judge by.
///
/// Where the scored cases show no spread at all, that of the errors would pass for theirs, so t is not used. When all
/// gained, all lost or all stayed, Tango's test with each cluster counted once still says how sure that is:
/// differences lie in [−1, 1], so for a mean of −margin at least the share `margin` of clusters has to differ from 0,
/// whatever the values between.
fn by_clusters_test(figures: &Difference, margin: f64, terms: Terms) -> Option<Tested> {
    let scored = &figures.scored;
    if let Some(same) = scored.constant() {
        let (one, n) = (terms.scale.one(), figures.lowest.clusters() - figures.errored_clusters);
        let [lost, gained] = match same {
            0 => [0, 0],
            _ if same == -one => [n, 0],
            _ if same == one => [0, n],
            _ => return None,
        };
        return Some(tango(
            Discordance { lost, gained, n },
            figures.errored_clusters,
            margin,
            terms.confidence,
        ));
    }
    // A t of infinity is what was seen of too few, and no evidence.
    if ![scored, &figures.lowest, &figures.highest].into_iter().all(Sample::has_spread) {
        return None;
    }
    let interval = scored.interval(terms.confidence)?;
    let (lowest, highest) = (figures.lowest.t(-margin)?, figures.highest.t(-margin)?);
    let bound = quantile::student_t(terms.confidence, figures.lowest.clusters() - 1);
    let one_sided = one_sided(terms.confidence);
    let bounds = [figures.lowest.interval(one_sided)?[0], figures.highest.interval(one_sided)?[1]];
    let decision = decide(lowest >= bound, highest <= -bound);
    Some(Tested { decision, interval, bounds, by_t: true, progress: lowest.max(-highest) / bound })
}

/// Both tests at the gate's confidence, one-sided each; `errored` are added at their worst for each.
fn tango(scored: Discordance, errored: u64, margin: f64, confidence: f64) -> Tested {
    let z = quantile::normal(confidence);
    let n = scored.n + errored;
    let lowest = Discordance { lost: scored.lost + errored, n, ..scored };
    let highest = Discordance { gained: scored.gained + errored, n, ..scored };
    let (for_pass, for_fail) = (tango_z(lowest, -margin), tango_z(highest, -margin));
    let decision = decide(for_pass >= z, for_fail <= -z);
    let one_sided = one_sided(confidence);
    let bounds = [tango_interval(lowest, one_sided)[0], tango_interval(highest, one_sided)[1]];
    let interval = tango_interval(scored, confidence);
    Tested { decision, interval, bounds, by_t: false, progress: for_pass.max(-for_fail) / z }
}

/// The confidence of a two-sided interval each of whose ends is a one-sided bound at `confidence`.
fn one_sided(confidence: f64) -> f64 {
    2.0 * confidence - 1.0
}

fn decide(ruled_out: bool, shown: bool) -> Decision {
    match (ruled_out, shown) {
        (true, _) => Decision::Pass,
        (_, true) => Decision::Fail,
        _ => Decision::Inconclusive,
    }
}
