//! The results as JUnit: a suite for the gate with a test case for each of its rules, and one for each variant with a test
//! case for each job.

use std::time::Duration;

use assay_common::gate::Tier;
use assay_common::verdict::{Decision, RuleVerdict, VersionVerdict};
use assay_common::visible::visible;
use assay_coordinator::flakes::Quarantined;
use assay_coordinator::report::Report;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::Value;

use super::{held, tier};
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
            gate.add_test_cases(verdict.versions.iter().flat_map(version));
            gate.add_test_cases(report.quarantine.iter().map(quarantine));
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

/// A test case for each rule; and one for the version where none of them tells that it did not pass: a run that is not fit to be
/// judged passes nothing, whatever its rules weigh.
fn version(version: &VersionVerdict) -> Vec<TestCase> {
    let mut cases: Vec<_> = version.rules.iter().map(|rule| self::rule(version, rule)).collect();
    let told = cases.iter().any(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }));
    if version.outcome != Decision::Pass && !told {
        let undecided = version.rules.iter().filter(|rule| rule.outcome == Decision::Inconclusive);
        let mut reasons: Vec<_> = undecided.map(|rule| &*rule.reason).chain(version.lack()).collect();
        reasons.dedup();
        let mut status = TestCaseStatus::non_success(kind(version.outcome));
        status.set_type(version.outcome.word()).set_message(&*visible(&reasons.join("; ")));
        cases.push(TestCase::new(&*visible(&format!("verdict on {}", version.label)), status));
    }
    cases
}

/// What the gate would say without the cases under quarantine: skipped, since it decides nothing.
fn quarantine(quarantine: &Quarantined) -> TestCase {
    let cases: Vec<_> = quarantine.cases.iter().map(held).collect();
    let outcome = quarantine.verdict.outcome.word();
    let mut status = TestCaseStatus::skipped();
    status.set_type(outcome).set_message(&*visible(&format!("{outcome} without {}", cases.join("; "))));
    TestCase::new("without what is under quarantine", status)
}

fn kind(outcome: Decision) -> NonSuccessKind {
    match outcome {
        Decision::Fail => NonSuccessKind::Failure,
        Decision::Pass | Decision::Inconclusive => NonSuccessKind::Error,
    }
}

/// A rule that decides fails or errs with the verdict; one that does not is skipped, and says why, with its tier.
fn rule(version: &VersionVerdict, rule: &RuleVerdict) -> TestCase {
    let decides = match rule.outcome {
        Decision::Pass => true,
        Decision::Inconclusive => rule.tier == Tier::Critical,
        Decision::Fail => rule.tier != Tier::Advisory,
    };
    let mut status = match rule.outcome {
        Decision::Pass => TestCaseStatus::success(),
        _ if !decides => TestCaseStatus::skipped(),
        outcome => TestCaseStatus::non_success(kind(outcome)),
    };
    if rule.outcome != Decision::Pass {
        let message = format!("{}{}", rule.reason, tier(rule));
        status.set_type(rule.outcome.word()).set_message(&*visible(&message));
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

    /// A version with one rule that came to `outcome`, as a document.
    fn document(tier: Tier, outcome: Decision, of_version: Decision) -> String {
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
        let judged = VersionVerdict {
            prompt: "p".to_owned(),
            label: "new".to_owned(),
            version: None,
            outcome: of_version,
            rules: vec![judged],
        };
        let mut suite = TestSuite::new(GATE);
        suite.add_test_cases(version(&judged));
        let mut report = quick_junit::Report::new("s");
        report.add_test_suite(suite);
        report.to_string().unwrap()
    }

    #[test]
    fn a_verdict_that_no_rule_tells_is_told_by_itself() {
        let check = |tier, outcome, of_version, expected: Option<&str>| {
            let text = document(tier, outcome, of_version);
            let told = "<testcase name=\"verdict on new\"";
            assert_eq!(text.contains(told), expected.is_some(), "{text}");
            assert!(text.contains(expected.unwrap_or_default()), "{text}");
        };
        use Decision::{Fail, Inconclusive, Pass};
        let because = "because; no critical or supporting rule has passed it";
        let error = format!("<error message=\"{because}\" type=\"inconclusive\"");
        let error = Some(&*error);
        check(Tier::Supporting, Inconclusive, Inconclusive, error);
        check(Tier::Advisory, Inconclusive, Inconclusive, error);
        check(Tier::Supporting, Inconclusive, Pass, None);
        check(Tier::Critical, Inconclusive, Inconclusive, None);
        check(Tier::Supporting, Fail, Fail, None);
    }

    #[test]
    fn a_rule_that_does_not_decide_fails_nothing() {
        let check = |tier, outcome, expected: &str| {
            let weight = if expected.starts_with("<skipped") { Pass } else { outcome };
            let text = document(tier, outcome, weight);
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
        assert!(document(Advisory, Fail, Pass).contains("message=\"because (advisory)\""));
    }
}
