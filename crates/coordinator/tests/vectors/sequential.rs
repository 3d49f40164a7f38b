//! Looks at a run while its results come in.

use std::collections::BTreeMap;

use assay_common::verdict::Decision;
use assay_coordinator::verdict::stats::sequential::{
    Demand, Finite, Futility, Grid, Mixture, Population, Sequence, Stage, Stop, finite_bounds, mean_bounds,
    paired_wealth,
};
use assay_coordinator::verdict::stats::{Discordance, Interval, quantile, tango_z};

use super::Check;
use super::vector::Vector;

pub(crate) const KINDS: [(&str, Check); 14] = [
    ("eproc_counts", |v| {
        let [lost, stayed, gained] = ["n10", "n0", "n01"].map(|key| v.whole(key));
        let wealth = paired_wealth(lost, stayed, gained, v.float("margin"), v.bets());
        v.close_interval(["logE_pass", "logE_fail"], wealth);
    }),
    ("eproc_cluster_units", |v| {
        let path = grid_path(v, &v.known_units("Y"), [v.float("lo"), v.float("hi")]);
        v.close_list("logE_pass", &path.iter().map(|wealth| wealth[0]).collect::<Vec<_>>());
        v.close_list("logE_fail", &path.iter().map(|wealth| wealth[1]).collect::<Vec<_>>());
    }),
    ("eproc_epochs_mean", grid_population),
    ("grid_population_path", grid_population),
    ("eproc_missing_worst_case", missing_worst_case),
    ("eproc_threshold_path", threshold_path),
    ("eproc_suite_path", suite_path),
    ("ha_population_path", |v| {
        wealth_of_cases(v);
        let step = |points: i32| f64::from(points) / 100.0;
        let thetas = (-99..=99).map(step).collect();
        let mut sequence = Sequence::over(thetas, v.whole("N"), v.float("alpha_one_sided"), mixture(v));
        v.units("d").into_iter().for_each(|d| sequence.push(d));
        v.close_interval(["cs_lower", "cs_upper"], sequence.bounds());
        if v.text("theta_grid") != "-0.99..0.99 step 0.01" {
            v.wrong("another grid of differences");
        }
    }),
    ("ha_epochs_path", wealth_of_cases),
    ("ha_cluster_path", |v| {
        wealth_path(v, v.whole("N_units"), [v.float("lo"), v.float("hi")], &v.known_units("Y"));
    }),
    ("gate_population", gate_population),
    ("gate_population_futility", gate_population),
    ("gate_grid_final", gate_grid_final),
    ("gate_suite", gate_suite),
];

/// ln of the grid's wealth for a pass and for a fail after every unit.
fn grid_path(v: &Vector, values: &[f64], [low, high]: Interval) -> Vec<[f64; 2]> {
    let [mut pass, mut fail] = [Grid::new(v.bets()), Grid::new(v.bets())];
    let after = values.iter().map(|y| {
        pass.push(y / -low);
        fail.push(-y / high);
        [pass.ln_wealth(), fail.ln_wealth()]
    });
    after.collect()
}

fn grid_population(v: &Vector) {
    let (margin, differences) = (v.float("margin"), v.known_units("d"));
    let excess: Vec<f64> = differences.iter().map(|d| d + margin).collect();
    let path = grid_path(v, &excess, [margin - 1.0, margin + 1.0]);
    let bounds = |n: usize| {
        let values = counted(differences[..n].iter().map(|d| f64::midpoint(*d, 1.0)));
        mean_bounds(&values, v.float("alpha_one_sided"), v.bets()).map(|mean| 2.0 * mean - 1.0)
    };
    v.close_points(|n, key| match key {
        "logE_pass" => path[n - 1][0],
        "logE_fail" => path[n - 1][1],
        "theta_hat" => differences[..n].iter().sum::<f64>() / n as f64,
        "lower" => bounds(n)[0],
        "upper" => bounds(n)[1],
        _ => f64::NAN,
    });
}

fn missing_worst_case(v: &Vector) {
    let margin = v.float("margin");
    let wealth = |side: usize, worst: f64| {
        let values: Vec<f64> = v.units("d").iter().map(|d| d.unwrap_or(worst) + margin).collect();
        grid_path(v, &values, [margin - 1.0, margin + 1.0]).last().unwrap()[side]
    };
    v.close_interval(["logE_pass", "logE_fail"], [wealth(0, -1.0), wealth(1, 1.0)]);
    // The gate itself puts them at their worst.
    let demand =
        Demand { mixture: Mixture { grid_share: 1.0, ..mixture(v) }, ..Demand::of_cases(margin, 1, 0.05) };
    let mut gate = Population::new(demand);
    for d in v.units("d") {
        gate.push(d.map(|d| d + margin));
    }
    v.close_interval(["logE_pass", "logE_fail"], gate.ln_wealth());
}

fn threshold_path(v: &Vector) {
    let (tau, values) = (v.float("tau"), v.known_units("x"));
    let excess: Vec<f64> = values.iter().map(|x| x - tau).collect();
    let path = grid_path(v, &excess, [-tau, 1.0 - tau]);
    let bounds =
        |n: usize| mean_bounds(&counted(values[..n].iter().copied()), v.float("alpha_one_sided"), v.bets());
    v.close_points(|n, key| match key {
        "logE_pass" => path[n - 1][0],
        "logE_fail" => path[n - 1][1],
        "lower" => bounds(n)[0],
        "upper" => bounds(n)[1],
        _ => f64::NAN,
    });
}

/// Each value with how often it occurs.
fn counted(values: impl Iterator<Item = f64>) -> Vec<(f64, u64)> {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    values.for_each(|value| *times.entry(value.to_bits()).or_default() += 1);
    times.into_iter().map(|(bits, times)| (f64::from_bits(bits), times)).collect()
}

fn mixture(v: &Vector) -> Mixture {
    Mixture { bets: v.bets(), grid_share: v.float_or("wg", 0.5), cap: v.float_or("cap", 0.5) }
}

fn wealth_of_cases(v: &Vector) {
    let margin = v.float("margin");
    let values: Vec<f64> = v.known_units("d").iter().map(|d| d + margin).collect();
    wealth_path(v, v.whole("N"), [margin - 1.0, margin + 1.0], &values);
}

fn wealth_path(v: &Vector, planned: u64, range: Interval, values: &[f64]) {
    let alpha = v.float("alpha_one_sided");
    let mut gate = Population::new(Demand {
        range,
        planned,
        alpha,
        alpha_fail: alpha,
        mixture: mixture(v),
        futility: None,
    });
    let after = values.iter().map(|y| {
        gate.push(Some(*y));
        gate.ln_wealth()
    });
    let path: Vec<_> = after.collect();
    v.close_points(|n, key| match key {
        "logE_pass" => path[n - 1][0],
        "logE_fail" => path[n - 1][1],
        _ => f64::NAN,
    });
}

fn gate_population(v: &Vector) {
    let futility = v.input("futility").as_object().map(|asked| {
        let [start, every, chance] = ["start", "every", "cp"].map(|key| asked[key].as_f64().unwrap());
        Futility { start, every, chance }
    });
    let demand = Demand {
        alpha_fail: v.float_or("alpha_fail", v.float("alpha")),
        mixture: mixture(v),
        futility,
        ..Demand::of_cases(v.float("margin"), v.whole("N"), v.float("alpha"))
    };
    let (stop, wealth) = run(v, demand);
    v.same("verdict", word(stop.decision));
    v.same(
        "stage",
        match stop.stage {
            Stage::Sequential => "sequential",
            Stage::Futility => "futility",
            Stage::End => "end",
        },
    );
    v.same("n", stop.n);
    v.close_interval(["logE_pass", "logE_fail"], wealth);
}

/// Half of the level for the looks, half for one test on the complete suite.
fn gate_grid_final(v: &Vector) {
    let (margin, alpha, share) = (v.float("margin"), v.float("alpha"), v.float("final_share"));
    let demand = Demand {
        mixture: Mixture { grid_share: 1.0, ..mixture(v) },
        futility: None,
        ..Demand::of_cases(margin, v.whole("N"), alpha * (1.0 - share))
    };
    let (stop, wealth) = run(v, demand);
    v.same("n", stop.n);
    v.close_interval(["logE_pass", "logE_fail"], wealth);
    if stop.stage == Stage::Sequential {
        v.same("stage", "sequential");
        return v.same("verdict", word(stop.decision));
    }
    v.same("stage", "final");
    let count = |sign: f64| v.known_units("d").iter().filter(|d| **d == sign).count() as u64;
    let z = tango_z(Discordance { lost: count(-1.0), gained: count(1.0), n: stop.n }, -margin);
    v.close("z", z);
    let bound = quantile::normal(1.0 - alpha * share);
    let decision = if z >= bound {
        Decision::Pass
    } else if z <= -bound {
        Decision::Fail
    } else {
        Decision::Inconclusive
    };
    v.same("verdict", word(decision));
}

/// Until it stops, with the wealth it stopped at.
fn run(v: &Vector, demand: Demand) -> (Stop, [f64; 2]) {
    let margin = v.float("margin");
    let mut gate = Population::new(demand);
    let units = v.units("d");
    let stop = units.iter().find_map(|d| gate.push(d.map(|d| d + margin)));
    let end = Stop { decision: Decision::Inconclusive, stage: Stage::End, n: units.len() as u64 };
    (stop.unwrap_or(end), gate.ln_wealth())
}

/// A run of a suite to its end.
struct SuiteRun {
    path: Vec<[f64; 2]>,
    /// The first verdict, and the first that was certain, each with its number of units.
    first: Option<(usize, Decision)>,
    certain: Option<(usize, Decision)>,
    last: Option<Decision>,
}

impl SuiteRun {
    fn of(v: &Vector) -> Self {
        let mut gate = Finite::no_worse(v.float("margin"), v.whole("N"), 1.0, v.float("alpha"), v.bets());
        let mut run = Self { path: Vec::new(), first: None, certain: None, last: None };
        for (n, d) in (1..).zip(v.units("d")) {
            gate.push(d.map(|d| f64::midpoint(d, 1.0)));
            run.path.push(gate.ln_wealth());
            run.first = run.first.or(gate.decision().map(|decision| (n, decision)));
            run.certain = run.certain.or(gate.certain().map(|decision| (n, decision)));
        }
        run.last = gate.certain();
        run
    }

    fn check(&self, v: &Vector, n_key: &str) {
        let n = |when: Option<(usize, Decision)>| when.map(|(n, _)| n as f64);
        v.same("verdict", word(self.first.map_or(Decision::Inconclusive, |(_, decision)| decision)));
        v.close(n_key, n(self.first).unwrap_or(self.path.len() as f64));
        v.close("logical_n", n(self.certain));
        // Whatever is certain is refuted with infinite wealth: the evidence never comes later.
        v.same("by", if self.first.is_some() { "evidence" } else { "end" });
        v.same("full_run_verdict", word(self.last.unwrap_or(Decision::Inconclusive)));
    }
}

fn gate_suite(v: &Vector) {
    let run = SuiteRun::of(v);
    run.check(v, "n");
    v.close_interval(["logE_pass", "logE_fail"], *run.path.last().unwrap());
}

fn suite_path(v: &Vector) {
    let run = SuiteRun::of(v);
    run.check(v, "stop_n");
    let values: Vec<f64> = v.known_units("d").iter().map(|d| f64::midpoint(*d, 1.0)).collect();
    let bounds = |n: usize| {
        let bounds = finite_bounds(&values[..n], v.whole("N"), v.float("alpha"), v.bets());
        bounds.map(|mean| 2.0 * mean - 1.0)
    };
    v.close_points(|n, key| match key {
        "logE_pass" => run.path[n - 1][0],
        "logE_fail" => run.path[n - 1][1],
        "lower" => bounds(n)[0],
        "upper" => bounds(n)[1],
        _ => f64::NAN,
    });
}

fn word(decision: Decision) -> String {
    decision.word().to_uppercase()
}
