//! Repeats of a case, and nights of a suite.

use assay_coordinator::verdict::stats::trials::{Spread, flip_rate, pass_at, pass_hat, spread};
use assay_coordinator::verdict::stats::{Drift, Stability, flake};

use super::Check;
use super::vector::{Vector, units};

pub(crate) const KINDS: [(&str, Check); 5] = [
    ("pass_at_k", |v| {
        let [trials, passed, k] = ["n", "c", "k"].map(|key| v.whole(key));
        v.close("pass_at_k", pass_at(passed, trials, k));
        v.close("pass_hat_k", pass_hat(passed, trials, k));
        v.close("flip_rate", flip_rate(passed, trials));
    }),
    ("variance_components", variance_components),
    ("epochs_variance", epochs_variance),
    ("flake_class", flake_class),
    ("e_sr_detector", e_sr_detector),
];

fn variance_components(v: &Vector) {
    let passed: Vec<u64> =
        v.input("pass_counts").as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let trials = v.whole("K");
    let spread = spread(&passed, trials);
    v.close("within", spread.map(|spread| spread.within));
    v.close("between", spread.map(|spread| spread.between));
    v.close("var_mean", spread.map(|spread| spread.of_mean(passed.len() as u64, trials)));
    v.close("icc", spread.and_then(Spread::correlation));
}

fn epochs_variance(v: &Vector) {
    let spread = Spread { within: v.float("within_d"), between: v.float("between_d") };
    let (cases, trials) = (v.whole("N"), v.whole("K"));
    let variance = spread.of_mean(cases, trials);
    v.close("var", variance);
    v.close("se", variance.sqrt());
    v.close("neff_vs_K1", spread.effective_cases(cases, trials));
}

fn flake_class(v: &Vector) {
    let flake = flake(v.whole("c"), v.whole("n"), v.float("pi0"), v.float("a"));
    let state = match flake.stability {
        Stability::StablePass => "stable_pass",
        Stability::StableFail => "stable_fail",
        Stability::Suspect => "suspect",
        Stability::Flaky => "flaky",
    };
    v.same("state", state);
    v.close("tail_p", flake.tail);
    v.close_interval(["minority_lower95", "minority_upper95"], flake.minority);
}

fn e_sr_detector(v: &Vector) {
    let mut drift = Drift::new(v.float("slack"), v.bets());
    let (mut roberts, mut cusum) = (Vec::new(), Vec::new());
    for night in v.input("nights").as_array().unwrap() {
        drift.push(units(night));
        roberts.push(drift.roberts());
        cusum.push(drift.cusum());
    }
    v.close_list("sr", &roberts);
    v.close_list("cusum", &cusum);
}
