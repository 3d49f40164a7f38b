//! A review, compiled from what the store holds of its period.

use std::collections::BTreeMap;

use assay_common::clock::Micros;
use assay_store::{Store, Subject};

use super::document::{
    PeriodEntry, PromptTrend, ReleaseLine, Review, Spend, SuiteSpend, TrendPoint, VerdictMix, WaveringCase,
};
use super::facts::Facts;
use super::period::{Period, Span};
use super::signals::{Owners, signals};
use super::{ranges, risks};
use crate::release::ReleaseError;
use crate::release::document::IncidentDocument;
use crate::report::civil;
use crate::verdict::stats::trials::flip_rate;

/// Wavering cases that are named.
const WAVERING: usize = 10;

/// The review of the week or month that `at` lies in, asked for at `now`.
pub async fn compile(store: &Store, span: Span, at: Micros, now: Micros) -> Result<Review, ReleaseError> {
    let beyond = || ReleaseError::Input("there is no such week or month".to_owned());
    let period = Period::around(span, at).ok_or_else(beyond)?;
    let before = period.before().ok_or_else(beyond)?;
    if period.from > now {
        return Err(ReleaseError::Input(format!("what begins at {} has not begun yet", civil(period.from))));
    }
    let end = period.to.min(Micros(now.0 + 1));
    let facts = Facts::read(store, period.from, end).await?;
    let owners = Owners::read(store, Micros(end.0 - 1)).await?;
    let earlier = Facts::read(store, before.from, before.to).await?;
    let verdicts = verdicts(store.verdicts_between(period.from, end).await?);
    let incidents: Vec<_> =
        facts.incidents.iter().map(|incident| IncidentDocument::of(incident, &[])).collect();
    let closed = facts.incidents.iter().filter(|incident| incident.resolved_at.is_some());
    Ok(Review {
        period: PeriodEntry {
            span,
            from: civil(period.from),
            to: civil(period.to),
            as_of: civil(period.to.min(now)),
        },
        signals: signals(&facts, &owners, &Subject::All),
        before: signals(&earlier, &owners, &Subject::All),
        ranges: ranges::standing(store, Micros(end.0 - 1)).await?,
        releases: facts.releases.iter().map(release).collect(),
        verdicts: verdicts.values().fold(VerdictMix::default(), |sum, mix| sum.plus(*mix)),
        prompts: prompts(&facts, &owners, &verdicts),
        incidents_opened: facts.opened().count() as u64,
        incidents_closed: closed.count() as u64,
        incidents,
        wavering: wavering(&facts),
        spend: spend(&facts),
        risks: risks::list(store, end, false).await?,
    })
}

impl VerdictMix {
    fn plus(self, other: Self) -> Self {
        Self {
            pass: self.pass + other.pass,
            fail: self.fail + other.fail,
            inconclusive: self.inconclusive + other.inconclusive,
        }
    }
}

fn verdicts(counted: Vec<(String, String, u64)>) -> BTreeMap<String, VerdictMix> {
    let mut mixes: BTreeMap<String, VerdictMix> = BTreeMap::new();
    for (prompt, state, count) in counted {
        let mix = mixes.entry(prompt).or_default();
        match state.as_str() {
            "pass" => mix.pass += count,
            "fail" => mix.fail += count,
            _ => mix.inconclusive += count,
        }
    }
    mixes
}

fn release(release: &assay_store::Release) -> ReleaseLine {
    ReleaseLine {
        at: civil(release.released_at),
        prompt: release.prompt.clone(),
        version: release.number,
        channel: release.channel.clone(),
        kind: release.kind,
        by: release.released_by.clone(),
        reason: release.reason.clone(),
    }
}

/// Every prompt of which something was tried, judged or released.
fn prompts(facts: &Facts, owners: &Owners, verdicts: &BTreeMap<String, VerdictMix>) -> Vec<PromptTrend> {
    let mut points: BTreeMap<&str, Vec<TrendPoint>> = BTreeMap::new();
    for name in verdicts.keys().chain(facts.releases.iter().map(|release| &release.prompt)) {
        points.entry(name).or_default();
    }
    for end in &facts.ends {
        for sum in &end.sums.variants {
            let points = points.entry(&sum.prompt).or_default();
            points.extend(sum.pass_rate.map(|pass_rate| TrendPoint {
                at: civil(end.ended_at),
                run: end.run,
                suite: end.suite.clone(),
                version: sum.version,
                model: sum.model.clone(),
                cases: sum.cases,
                pass_rate,
                interval: sum.interval,
            }));
        }
    }
    let trend = |(prompt, points): (&str, Vec<TrendPoint>)| PromptTrend {
        prompt: prompt.to_owned(),
        owner: owners.owner(prompt).map(str::to_owned),
        signals: signals(facts, owners, &Subject::Prompt(prompt.to_owned())),
        verdicts: verdicts.get(prompt).copied().unwrap_or_default(),
        points,
    };
    points.into_iter().map(trend).collect()
}

fn wavering(facts: &Facts) -> Vec<WaveringCase> {
    let mut cases: BTreeMap<_, WaveringCase> = BTreeMap::new();
    for found in facts.ends.iter().flat_map(|end| &end.sums.wavering) {
        let key = (&found.case, &found.prompt, found.version, &found.model);
        let case = cases.entry(key).or_insert_with(|| WaveringCase {
            case: found.case.clone(),
            prompt: found.prompt.clone(),
            version: found.version,
            model: found.model.clone(),
            runs: 0,
            trials: 0,
            passed: 0,
            flip_rate: 0.0,
        });
        case.runs += 1;
        case.trials += found.trials;
        case.passed += found.passed;
    }
    let mut cases: Vec<_> = cases.into_values().collect();
    for case in &mut cases {
        case.flip_rate = flip_rate(case.passed, case.trials).unwrap_or(0.0);
    }
    // Equal ones stay in the order of their names.
    cases.sort_by(|a, b| b.flip_rate.total_cmp(&a.flip_rate));
    cases.truncate(WAVERING);
    cases
}

fn spend(facts: &Facts) -> Spend {
    let mut suites: BTreeMap<&str, (i64, u64, i64)> = BTreeMap::new();
    let (mut nano, mut jobs, mut errored) = (0, 0, 0);
    for end in &facts.ends {
        let [done, failed, _] = end.jobs;
        let spent = facts.spent(end).0;
        let suite = suites.entry(&end.suite).or_default();
        *suite = (suite.0 + spent, suite.1 + 1, suite.2 + done);
        (nano, jobs, errored) = (nano + spent, jobs + done, errored + failed);
    }
    let usd = |nano| assay_common::money::NanoUsd(nano).usd();
    let mut suites: Vec<_> = suites
        .into_iter()
        .map(|(suite, (nano, runs, jobs))| SuiteSpend { suite: suite.to_owned(), usd: usd(nano), runs, jobs })
        .collect();
    suites.sort_by(|a, b| b.usd.total_cmp(&a.usd));
    Spend { usd: usd(nano), runs: facts.ends.len() as u64, jobs, errored, suites }
}
