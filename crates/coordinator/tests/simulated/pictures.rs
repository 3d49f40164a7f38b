//! The plots in docs/img, drawn with the functions that gates use. The test says which of them is out of date.

use std::path::Path;

use assay_coordinator::order::committed;
use assay_coordinator::plot::{Axis, Chart, Line};
use assay_coordinator::verdict::Outlook;
use assay_coordinator::verdict::stats::sequential::{Demand, Population};
use assay_coordinator::verdict::stats::{Discordance, tango_interval, wilson};

use crate::first_look::first_look;
use crate::shares::{Truth, share};

const SIZE: [f64; 2] = [640.0, 340.0];
/// Two-sided: what is beyond one end has a chance of one in twenty.
const CONFIDENCE: f64 = 0.9;
/// Runs that a point of the picture of shares is the mean of.
const RUNS: u64 = 100;

#[test]
fn the_pictures_of_the_documentation_are_those_drawn_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/img");
    let pictures = [
        ("verdicts.svg", verdicts()),
        ("interval.svg", interval()),
        ("detectable.svg", detectable()),
        ("wealth.svg", wealth()),
        ("shares.svg", shares()),
    ];
    for (name, picture) in pictures {
        let file = folder.join(name);
        if std::env::var_os("ASSAY_DRAW").is_some() {
            std::fs::write(&file, &picture).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == picture, "docs/img/{name} is out of date: run this test with ASSAY_DRAW=1");
    }
}

fn line(name: &str, points: impl IntoIterator<Item = [f64; 2]>) -> Line {
    Line { name: name.to_owned(), points: points.into_iter().collect(), ..Line::default() }
}

/// The drops that four runs leave possible, beside a margin of two points.
fn verdicts() -> String {
    let runs = [
        ("500 cases: 9 lost, 11 gained", Discordance { lost: 9, gained: 11, n: 500 }),
        ("500 cases: 15 lost, 9 gained", Discordance { lost: 15, gained: 9, n: 500 }),
        ("500 cases: 46 lost, 10 gained", Discordance { lost: 46, gained: 10, n: 500 }),
        ("60 cases: none lost, none gained", Discordance { lost: 0, gained: 0, n: 60 }),
    ];
    let words = ["pass", "inconclusive", "fail", "inconclusive"];
    let bar = |(at, (name, seen)): (usize, &(&str, Discordance))| {
        let [low, high] = tango_interval(*seen, CONFIDENCE);
        let (x, mean) = (at as f64, (seen.gained as f64 - seen.lost as f64) / seen.n as f64);
        Line {
            dotted: true,
            band: vec![[x - 0.12, low, high], [x + 0.12, low, high]],
            ..line(name, [[x, low], [x, mean], [x, high]])
        }
    };
    Chart {
        title: "A drop of two points is allowed: what four runs come to".to_owned(),
        size: SIZE,
        x: Axis {
            name: "verdict".to_owned(),
            ends: [-0.5, 3.5],
            logarithmic: false,
            marks: words.iter().enumerate().map(|(at, word)| (at as f64, (*word).to_owned())).collect(),
        },
        y: Axis::linear("difference of pass rates, candidate − baseline: 90 % interval", [-0.12, 0.06], true),
        lines: runs.iter().enumerate().map(bar).collect(),
        levels: vec![(-0.02, "margin".to_owned())],
    }
    .svg()
}

/// Wilson's interval around 90 %, and below 100 %.
fn interval() -> String {
    let sizes: Vec<f64> = (1..=200).map(|tens| f64::from(tens) * 10.0).collect();
    let band = sizes.iter().map(|n| {
        let [low, high] = wilson(0.9 * n, *n, 0.95);
        [*n, low, high]
    });
    Chart {
        title: "How far a pass rate may be off, by the number of cases".to_owned(),
        size: SIZE,
        x: Axis::logarithmic(
            "cases",
            [10.0, 2_000.0],
            &[10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0],
        ),
        y: Axis::linear("pass rate: 95 % interval", [0.5, 1.0], true),
        lines: vec![
            Line { band: band.collect(), ..line("90 % pass", sizes.iter().map(|n| [*n, 0.9])) },
            line("all pass: not below", sizes.iter().map(|n| [*n, wilson(*n, *n, 0.95)[0]])),
        ],
        levels: Vec::new(),
    }
    .svg()
}

/// The least drop that a gate rules out four times in five.
fn detectable() -> String {
    let sizes = std::iter::successors(Some(20_u64), |cases| Some(cases + cases.div_ceil(12)));
    let sizes: Vec<u64> = sizes.take_while(|cases| *cases <= 5_000).collect();
    let of = |again: bool, sees: fn(Outlook) -> f64| {
        let sees = move |cases: &u64| [*cases as f64, sees(Outlook::of(*cases, 0.02, 0.95, again))];
        sizes.iter().map(sees).collect::<Vec<_>>()
    };
    Chart {
        title: "The least drop that a gate can be expected to see".to_owned(),
        size: SIZE,
        x: Axis::logarithmic(
            "cases",
            [20.0, 5_000.0],
            &[20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0],
        ),
        y: Axis::linear("drop", [0.0, 0.26], true),
        lines: vec![
            line("7 % change sides", of(false, |outlook| outlook.detectable)),
            line("7 % change sides, looked at after every case", of(true, |outlook| outlook.detectable)),
            line("none changes sides", of(false, |outlook| outlook.least)),
        ],
        levels: vec![(0.02, "two points".to_owned())],
    }
    .svg()
}

/// The wealth of both gamblers on the answers of examples/first-look in a committed order: thinking aloud against answering at
/// once, and the other way round.
fn wealth() -> String {
    let (arms, margin, cases) = (first_look(), 0.02, 60);
    let ids: Vec<String> = (0..arms.len()).map(|case| format!("case {case}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let order = committed(&[7; 32], &ids);
    let path = |sign: f64, side: usize| {
        let mut gate = Population::new(Demand::of_cases(margin, arms.len() as u64, 0.05));
        let right = |answer: char| f64::from(u8::from(answer == '+'));
        let mut points = vec![[0.0, 1.0]];
        for case in order.iter().take(cases) {
            let [at_once, aloud] = arms[*case].map(right);
            let stopped = gate.push(Some(sign * (aloud - at_once) + margin)).is_some();
            points.push([points.len() as f64, gate.ln_wealth()[side].exp()]);
            if stopped {
                break;
            }
        }
        points
    };
    Chart {
        title: "Evidence grows case by case until it decides (answers of examples/first-look)".to_owned(),
        size: SIZE,
        x: Axis::linear("cases, in the order that was drawn", [0.0, 40.0], false),
        y: Axis::logarithmic("wealth of the gambler", [0.5, 40.0], &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0]),
        lines: vec![
            Line { dotted: true, ..line("thinking aloud after answering at once: for a pass", path(1.0, 0)) },
            Line { dotted: true, ..line("the other way round: for a fail", path(-1.0, 1)) },
        ],
        levels: vec![(20.0, "decided".to_owned())],
    }
    .svg()
}

/// The mean share of a suite's jobs that it takes to decide, by what is true.
fn shares() -> String {
    let of = |margin: f64| {
        let point = move |half: i32| {
            let difference = f64::from(half) / 200.0;
            let truth = Truth { cases: 500, rate: 0.9, difference, margin };
            // The same chance for every truth, so the line is smooth.
            [difference, share(truth, 1, RUNS).0]
        };
        (-20..=8).step_by(2).map(point).collect::<Vec<_>>()
    };
    Chart {
        title: "The share of 500 cases that a gate asks before it stops early (pass rate 90 %)".to_owned(),
        size: SIZE,
        x: Axis::linear("true difference of pass rates", [-0.1, 0.04], true),
        y: Axis::linear("mean share of the jobs", [0.0, 1.0], true),
        lines: vec![
            Line { dotted: true, ..line("a drop of two points is allowed", of(0.02)) },
            Line { dotted: true, ..line("five points", of(0.05)) },
        ],
        levels: Vec::new(),
    }
    .svg()
}
