//! Statistics of a run that is complete.

use assay_coordinator::verdict::stats::{
    Alternative, Discordance, Paired, Ratio, Sample, clopper_pearson, geometric_ratio, mcnemar, newcombe,
    quantile, quantile_bounds, quantile_ranks, sign_flip, tango_interval, tango_z, wilson,
};
use serde_json::Value;
use statrs::distribution::{ContinuousCDF, Normal};

use super::Check;
use super::vector::Vector;

pub(crate) const KINDS: [(&str, Check); 11] = [
    ("wilson", |v| v.close_interval(["lower", "upper"], wilson(v.float("k"), v.float("n"), v.float("conf")))),
    ("clopper_pearson", |v| {
        v.close_interval(["lower", "upper"], clopper_pearson(v.float("k"), v.float("n"), v.float("conf")));
    }),
    ("clustered_mean", clustered_mean),
    ("paired_clustered", paired_clustered),
    ("tango_noninferiority", tango_noninferiority),
    ("newcombe_paired", newcombe_paired),
    ("mcnemar", mcnemar_test),
    ("sign_flip_exact", sign_flip_exact),
    ("cost_ratio", cost_ratio),
    ("quantile_ci_ranks", quantile_ci_ranks),
    ("quantile_ci_data", quantile_ci_data),
];

/// Fine enough that rounding a value to a whole multiple of it stays below every tolerance.
const ONE: i64 = 1_000_000_000_000;

fn clustered_mean(v: &Vector) {
    let sample = sample(v, "y");
    let clusters = sample.clusters() as f64;
    v.close("mean", sample.mean());
    v.close("n", sample.n() as f64);
    v.close("G", clusters);
    let error = sample.standard_error();
    v.close("se_clustered", error);
    let uncorrected = error.map(|error| error * ((clusters - 1.0) / clusters).sqrt());
    v.close("se_clustered_miller_no_correction", uncorrected);
    v.close("se_iid", sample.independent_error());
    let effective = sample.effective_size();
    v.close("neff", effective);
    v.close("deff", sample.n() as f64 / effective);
    let confidence = v.float("conf");
    let successes = sample.mean().unwrap_or_default() * effective;
    v.close_interval(["wilson_neff_lo", "wilson_neff_hi"], wilson(successes, effective, confidence));
    v.close_interval(
        ["korn_graubard_lo", "korn_graubard_hi"],
        clopper_pearson(successes, effective, confidence),
    );
    v.close_interval(["t_lo", "t_hi"], sample.interval(confidence));
}

fn paired_clustered(v: &Vector) {
    let sample = sample(v, "d");
    let degrees = sample.clusters().saturating_sub(1);
    v.close("mean", sample.mean());
    v.close("se", sample.standard_error());
    v.close("df", degrees as f64);
    let t = sample.t(-v.float("margin"));
    v.close("t", t);
    v.close_interval(["lo", "hi"], sample.interval(v.float("conf")));
    v.close("p_noninferior", t.map(|t| quantile::student_t_below(-t, degrees)));
}

fn tango_noninferiority(v: &Vector) {
    let counts = Discordance { lost: v.whole("n10"), gained: v.whole("n01"), n: v.whole("n") };
    let z = tango_z(counts, -v.float("margin"));
    let normal = Normal::standard();
    v.close("z", z);
    v.close("p_noninferior", normal.sf(z));
    v.close("p_inferior", normal.cdf(z));
    // A two-sided interval at 90 % has the one-sided bounds at 95 %.
    v.close_interval(["lower_one_sided95", "upper_one_sided95"], tango_interval(counts, 0.9));
    v.close_interval(["lower95", "upper95"], tango_interval(counts, 0.95));
    let bound = quantile::normal(1.0 - v.float("alpha"));
    let verdict = if z >= bound {
        "PASS"
    } else if z <= -bound {
        "FAIL"
    } else {
        "INCONCLUSIVE"
    };
    v.same("verdict", verdict);
}

fn newcombe_paired(v: &Vector) {
    let counts = Paired {
        both: v.whole("n11"),
        lost: v.whole("n10"),
        gained: v.whole("n01"),
        neither: v.whole("n00"),
    };
    let n = counts.both + counts.lost + counts.gained + counts.neither;
    let theta = Discordance { lost: counts.lost, gained: counts.gained, n }.difference();
    v.close("theta", theta);
    v.close_interval(["lower", "upper"], newcombe(counts, v.float("conf")));
}

fn mcnemar_test(v: &Vector) {
    let (lost, gained) = (v.whole("n10"), v.whole("n01"));
    let p = mcnemar(Discordance { lost, gained, n: lost + gained });
    v.close("exact_two_sided", p.exact);
    v.close("midp_two_sided", p.mid_p);
    v.close("exact_one_sided_B_worse", p.exact_worse);
    v.close("midp_one_sided_B_worse", p.mid_p_worse);
}

fn sign_flip_exact(v: &Vector) {
    let alternative = match v.text("alternative") {
        "greater" => Alternative::Greater,
        "less" => Alternative::Less,
        "two-sided" | "two_sided" => Alternative::TwoSided,
        other => return v.wrong(format!("the alternative `{other}` is not known")),
    };
    v.close("p", sign_flip(&v.floats("d"), alternative));
}

fn cost_ratio(v: &Vector) {
    let pairs: Vec<(f64, f64)> = v.floats("a").into_iter().zip(v.floats("b")).collect();
    let mut ratio = Ratio::default();
    for (a, b) in &pairs {
        ratio.push(whole(*a), whole(*b));
        ratio.close_cluster();
    }
    v.close("ratio_of_means", ratio.value());
    let confidence = v.float("conf");
    v.close_interval(["lower", "upper"], ratio.interval(confidence));
    let geometric = geometric_ratio(&pairs, confidence);
    v.close("geo_ratio", geometric.map(|(mean, _)| mean));
    v.close_interval(["geo_lower", "geo_upper"], geometric.map(|(_, interval)| interval));
}

fn quantile_ci_ranks(v: &Vector) {
    let ranks = quantile_ranks(v.whole("n"), v.float("q"), v.float("conf"));
    v.close("l", ranks.low as f64);
    v.close("u", ranks.high as f64);
    v.close("coverage", ranks.coverage);
}

fn quantile_ci_data(v: &Vector) {
    let mut values = v.floats("x");
    let ranks = quantile_ranks(values.len() as u64, v.float("q"), v.float("conf"));
    let [low, high] = quantile_bounds(&mut values, v.float("q"), v.float("conf"));
    v.close("lower", low);
    v.close("upper", high);
    v.close("coverage", ranks.coverage);
}

/// The values with those of a cluster together, in the order in which clusters first occur; without clusters each is its own.
fn sample(v: &Vector, key: &str) -> Sample {
    let mut grouped: Vec<(Value, Vec<i64>)> = Vec::new();
    for (at, value) in v.floats(key).into_iter().enumerate() {
        let cluster = v.input("cluster").get(at).cloned().unwrap_or_else(|| at.into());
        match grouped.iter_mut().find(|(name, _)| *name == cluster) {
            Some((_, members)) => members.push(whole(value)),
            None => grouped.push((cluster, vec![whole(value)])),
        }
    }
    let mut sample = Sample::new(ONE);
    for (_, members) in grouped {
        members.into_iter().for_each(|value| sample.push(value));
        sample.close_cluster();
    }
    sample
}

#[expect(clippy::cast_possible_truncation, reason = "values are small")]
fn whole(value: f64) -> i64 {
    (value * ONE as f64).round() as i64
}
