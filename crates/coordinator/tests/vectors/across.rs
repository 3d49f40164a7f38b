//! Several tests at once, planning, the committed order, and the method that is not used.

use assay_coordinator::order;
use assay_coordinator::verdict::stats::group_sequential::{Spending, boundaries};
use assay_coordinator::verdict::stats::multiplicity::{benjamini_hochberg, e_bh, e_holm, holm};
use assay_coordinator::verdict::stats::power::{Plan, detectable, discordance, exact_power};
use assay_coordinator::verdict::stats::{mcnemar_cases, mcnemar_power};
use serde_json::Value;

use super::Check;
use super::vector::Vector;

pub(crate) const KINDS: [(&str, Check); 10] = [
    ("holm", |v| adjusted(v, &holm(&v.floats("p")), "reject_05", 0.05)),
    ("benjamini_hochberg", |v| adjusted(v, &benjamini_hochberg(&v.floats("p")), "reject_10", 0.1)),
    ("e_holm", |v| {
        let adjusted = e_holm(&v.floats("e"));
        v.close_list("adjusted", &adjusted);
        let named = (0_u64..).zip(&adjusted).filter(|(_, e)| **e >= 1.0 / v.float("alpha"));
        v.same("rejected", named.map(|(index, _)| index).collect::<Vec<_>>());
    }),
    ("e_bh", |v| v.same("rejected", e_bh(&v.floats("e"), v.float("q")))),
    ("discordance", |v| {
        v.close("discordance", discordance(v.float("pA"), v.float("pB"), v.float("phi")));
    }),
    ("ni_power", ni_power),
    ("ni_power_exact", |v| {
        let [lost, gained] = ["q10", "q01"].map(|key| v.float(key));
        v.close("power", exact_power(v.whole("N"), lost, gained, v.float("margin"), v.float("alpha")));
    }),
    ("mcnemar_power_exact", mcnemar_power_exact),
    ("lan_demets", lan_demets),
    ("committed_order", committed_order),
];

fn adjusted(v: &Vector, adjusted: &[f64], key: &str, level: f64) {
    v.close_list("adjusted", adjusted);
    v.same(key, adjusted.iter().map(|p| *p <= level).collect::<Vec<_>>());
}

fn ni_power(v: &Vector) {
    let plan = Plan {
        discordance: v.float("discordance"),
        difference: v.float("true_delta"),
        margin: v.float("margin"),
        alpha: v.float("alpha"),
    };
    v.close("power", plan.power(v.float("N")));
    v.close("n_for_80", plan.cases(0.8));
    v.close("n_for_90", plan.cases(0.9));
    v.close("mde_80", detectable(v.float("N"), plan.discordance, plan.alpha, 0.8));
}

fn mcnemar_power_exact(v: &Vector) {
    let [lost, gained, alpha] = ["q10", "q01", "alpha"].map(|key| v.float(key));
    let [exact, mid_p] = mcnemar_power(v.whole("N"), lost, gained, alpha);
    v.close("power_exact", exact);
    v.close("power_midp", mid_p);
    v.close("n80_connor_miettinen", mcnemar_cases(lost, gained, alpha, 0.8));
}

fn lan_demets(v: &Vector) {
    let spending = match v.text("spending") {
        "obf" => Spending::OBrienFleming,
        "pocock" => Spending::Pocock,
        other => return v.wrong(format!("the spending `{other}` is not known")),
    };
    let z = boundaries(&v.floats("looks"), v.float("alpha_one_sided"), spending);
    v.close_list("z", &z);
}

fn committed_order(v: &Vector) {
    let hex = v.text("seed_hex");
    let seed: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let units: Vec<&str> =
        v.input("unit_ids").as_array().unwrap().iter().map(|unit| unit.as_str().unwrap()).collect();
    let ordered: Vec<Value> =
        order::committed(&seed, &units).into_iter().map(|index| units[index].into()).collect();
    v.same("order", ordered);
}
