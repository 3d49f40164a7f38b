//! The statistics against values that other implementations computed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may panic as the test may")]

use std::path::{Path, PathBuf};

use assay_coordinator::verdict::stats::{Discordance, Sample, quantile, tango_interval, tango_z, wilson};
use serde_json::Value;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Fine enough that rounding a value to a whole multiple of it stays below every tolerance.
const ONE: i64 = 1_000_000_000_000;

#[test]
fn wilson_interval() {
    for_each("wilson", |input, expect| {
        let [low, high] = wilson(float(&input["k"]), float(&input["n"]), float(&input["conf"]));
        expect.close("lower", low);
        expect.close("upper", high);
    });
}

#[test]
fn tango_score_test_and_interval() {
    for_each("tango_noninferiority", |input, expect| {
        let whole = |key: &str| input[key].as_u64().unwrap();
        let counts = Discordance { lost: whole("n10"), gained: whole("n01"), n: whole("n") };
        let (margin, alpha) = (float(&input["margin"]), float(&input["alpha"]));
        let z = tango_z(counts, -margin);
        let normal = Normal::standard();
        expect.close("z", z);
        expect.close("p_noninferior", normal.sf(z));
        expect.close("p_inferior", normal.cdf(z));
        // A two-sided interval at 90 % has the one-sided bounds at 95 %.
        for (confidence, keys) in
            [(0.9, ["lower_one_sided95", "upper_one_sided95"]), (0.95, ["lower95", "upper95"])]
        {
            let [low, high] = tango_interval(counts, confidence);
            expect.close(keys[0], low);
            expect.close(keys[1], high);
        }
        let bound = quantile::normal(1.0 - alpha);
        let verdict = if z >= bound {
            "PASS"
        } else if z <= -bound {
            "FAIL"
        } else {
            "INCONCLUSIVE"
        };
        assert_eq!(expect.values["verdict"], verdict, "{}", expect.id);
    });
}

#[test]
fn mean_of_clustered_values() {
    for_each("clustered_mean", |input, expect| {
        let sample = sample(&input["y"], &input["cluster"]);
        expect.close("mean", sample.mean().unwrap());
        expect.close("n", sample.n() as f64);
        expect.close("G", sample.clusters() as f64);
        expect.close("se_clustered", sample.standard_error().unwrap());
        let effective = sample.effective_size();
        expect.close("neff", effective);
        expect.close("deff", sample.n() as f64 / effective);
        let [low, high] = wilson(sample.mean().unwrap() * effective, effective, 0.95);
        expect.close("wilson_neff_lo", low);
        expect.close("wilson_neff_hi", high);
        // Where no spread was seen the reference prints an interval of no width; we print none.
        match sample.interval(0.95) {
            Some([low, high]) => {
                expect.close("t_lo", low);
                expect.close("t_hi", high);
            }
            None => expect.close("se_clustered", 0.0),
        }
    });
}

#[test]
fn paired_differences_in_clusters() {
    for_each("paired_clustered", |input, expect| {
        let sample = sample(&input["d"], &input["cluster"]);
        let degrees = sample.clusters() - 1;
        expect.close("mean", sample.mean().unwrap());
        expect.close("se", sample.standard_error().unwrap());
        expect.close("df", degrees as f64);
        let (t, interval) = (sample.t(-float(&input["margin"])), sample.interval(float(&input["conf"])));
        // Without spread there is nothing to hold the mean against: neither t nor p, and no interval.
        assert_eq!(t.is_none(), expect.values["t"].is_null(), "{}", expect.id);
        assert_eq!(interval.is_none(), t.is_none(), "{}", expect.id);
        if let (Some(t), Some([low, high])) = (t, interval) {
            expect.close("t", t);
            expect.close("lo", low);
            expect.close("hi", high);
            let student = StudentsT::new(0.0, 1.0, degrees as f64).unwrap();
            expect.close("p_noninferior", student.sf(t));
        }
    });
}

/// What a vector expects, and how closely.
struct Expected {
    id: String,
    values: Value,
    tolerance: f64,
}

impl Expected {
    fn close(&self, key: &str, actual: f64) {
        let expected = float(&self.values[key]);
        let off = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(off <= self.tolerance, "{} {key}: {actual}, not {expected}", self.id);
    }
}

/// Runs `check(input, expected)` on every vector of a kind; there must be some.
fn for_each(kind: &str, check: impl Fn(&Value, &Expected)) {
    let path = folder().join(format!("{kind}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.lines().count() > 0, "{} is empty", path.display());
    for line in text.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let expected = Expected {
            id: vector["id"].as_str().unwrap().to_owned(),
            values: vector["expect"].clone(),
            tolerance: float(&vector["tol"]),
        };
        check(&vector["input"], &expected);
    }
}

fn folder() -> PathBuf {
    std::env::var_os("ASSAY_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stats_vectors"), PathBuf::from)
}

/// The values with those of a cluster together, in the order in which clusters first occur.
fn sample(values: &Value, clusters: &Value) -> Sample {
    let mut grouped: Vec<(&Value, Vec<i64>)> = Vec::new();
    for (value, cluster) in values.as_array().unwrap().iter().zip(clusters.as_array().unwrap()) {
        #[expect(clippy::cast_possible_truncation, reason = "values lie in [-1, 1]")]
        let exact = (float(value) * ONE as f64).round() as i64;
        match grouped.iter_mut().find(|(name, _)| *name == cluster) {
            Some((_, members)) => members.push(exact),
            None => grouped.push((cluster, vec![exact])),
        }
    }
    let mut sample = Sample::new(ONE);
    for (_, members) in grouped {
        members.into_iter().for_each(|value| sample.push(value));
        sample.close_cluster();
    }
    sample
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap()
}
