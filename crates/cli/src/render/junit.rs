//! The results as JUnit: a suite for the gate with a test case for each of its rules, and one for each variant with a test
//! case for each job.

use std::time::Duration;

use assay_common::gate::Tier;
use assay_common::verdict::{Decision, RuleVerdict, VersionVerdict};
use assay_common::visible::visible;
use assay_coordinator::report::Report;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::Value;

use crate::exit::Exit;

/// The suite of the gate's rules; no variant is called so, since each names its model.
const GATE: &str = "gate";

/// The document as it grows; it holds every job, so its size grows with the run.
pub(crate) struct Junit {
    name: String,
    suites: Vec<TestSuite>,
}

impl Junit {
    /// A document of the report's variants, without a job.
    pub(crate) fn new(report: &Report) -> Self {
        let name = |label: &str, model: &str| format!("{label} on {model}");
        let suites = report
            .variants
            .iter()
            .map(|variant| TestSuite::new(&*visible(&name(&variant.label, &variant.model_label))));
        let gate = report.verdict.iter().map(|verdict| {
            let mut gate = TestSuite::new(GATE);
            let rules = verdict
                .versions
                .iter()
                .flat_map(|version| version.rules.iter().map(move |rule| (version, rule)));
            rules.for_each(|(version, rule)| _ = gate.add_test_case(self::rule(version, rule)));
            gate
        });
        Self { name: visible(&report.run.suite).into_owned(), suites: gate.chain(suites).collect() }
    }

    /// Adds a job: one line of `assay results`.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<(), Exit> {
        let result: Value = serde_json::from_slice(line).map_err(Exit::unfinished)?;
        let name = format!("{} on {}", text(&result, "label"), text(&result, "model_label"));
        let name = visible(&name);
        if let Some(suite) = self.suites.iter_mut().find(|suite| suite.name.as_str() == name) {
            suite.add_test_case(case(&result));
        }
        Ok(())
    }

    /// The document as XML.
    pub(crate) fn finish(self) -> Result<String, Exit> {
        let mut document = quick_junit::Report::new(self.name);
        document.add_test_suites(self.suites);
        document.to_string().map_err(Exit::unfinished)
    }
}

fn text<'v>(result: &'v Value, key: &str) -> &'v str {
    result[key].as_str().unwrap_or_default()
}

/// A rule that decides fails or errs with the verdict; one that does not is skipped, and says why.
fn rule(version: &VersionVerdict, rule: &RuleVerdict) -> TestCase {
    let decides = match rule.outcome {
        Decision::Pass => true,
        Decision::Inconclusive => rule.tier == Tier::Critical,
        Decision::Fail => rule.tier != Tier::Advisory,
    };
    let mut status = match rule.outcome {
        Decision::Pass => TestCaseStatus::success(),
        _ if !decides => TestCaseStatus::skipped(),
        Decision::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Decision::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if rule.outcome != Decision::Pass {
        status.set_type(rule.outcome.word()).set_message(&*visible(&rule.reason));
    }
    TestCase::new(&*visible(&format!("{} of {} on {}", rule.name, version.label, rule.model_label)), status)
}

fn case(result: &Value) -> TestCase {
    let name = match result["trial"].as_u64() {
        Some(trial @ 2..) => format!("{} #{trial}", text(result, "case")),
        _ => text(result, "case").to_owned(),
    };
    let status = match text(result, "outcome") {
        "passed" => TestCaseStatus::success(),
        "failed" => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let scores = result["scores"].as_array().map(Vec::as_slice).unwrap_or_default();
            let failed = scores.iter().filter(|score| score["pass"] == false);
            let reasons = failed.map(|score| text(score, "reason")).collect::<Vec<_>>().join("; ");
            status.set_message(&*visible(&reasons));
            status
        }
        "errored" => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type(text(result, "error_kind")).set_message(&*visible(text(result, "error")));
            status
        }
        _ => TestCaseStatus::skipped(),
    };
    let mut case = TestCase::new(&*visible(&name), status);
    let latency = result["latency_ms"].as_f64().and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
    if let Some(latency) = latency {
        case.set_time(latency);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_does_not_decide_fails_nothing() {
        let check = |tier, outcome, expected: &str| {
            let judged = RuleVerdict {
                name: "pass_rate".to_owned(),
                metric: "pass_rate".to_owned(),
                model: "m/m".to_owned(),
                slice: None,
                tier,
                outcome,
                observed: None,
                threshold: 0.9,
                interval: None,
                n: 0,
                reason: "because".to_owned(),
                model_label: "m/m".to_owned(),
                needed: None,
                detectable: None,
            };
            let version = VersionVerdict {
                prompt: "p".to_owned(),
                label: "new".to_owned(),
                version: None,
                outcome,
                rules: Vec::new(),
            };
            let mut suite = TestSuite::new(GATE);
            suite.add_test_case(rule(&version, &judged));
            let mut report = quick_junit::Report::new("s");
            report.add_test_suite(suite);
            let text = report.to_string().unwrap();
            assert!(text.contains("<testcase name=\"pass_rate of new on m/m\""), "{text}");
            let found = ["<failure", "<error", "<skipped"].into_iter().find(|tag| text.contains(tag));
            assert_eq!(found.unwrap_or("passed"), expected, "{tier:?} {outcome:?}:\n{text}");
        };
        use Decision::{Fail, Inconclusive, Pass};
        use Tier::{Advisory, Critical, Supporting};
        for tier in [Critical, Supporting, Advisory] {
            check(tier, Pass, "passed");
        }
        check(Critical, Fail, "<failure");
        check(Supporting, Fail, "<failure");
        check(Advisory, Fail, "<skipped");
        check(Critical, Inconclusive, "<error");
        check(Supporting, Inconclusive, "<skipped");
        check(Advisory, Inconclusive, "<skipped");
    }
}
