//! The results as JUnit: a suite for each variant, a test case for each job.

use std::time::Duration;

use assay_common::outcome::Outcome;
use assay_common::suite::Suite;
use assay_coordinator::report::Report;
use assay_store::{ResultRow, Store};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::exit::Exit;

/// Rows read from the store at a time.
const PAGE: u32 = 1_000;

/// The document; it holds every job, so its size grows with the run.
pub(crate) async fn junit(store: &Store, suite: &Suite, report: &Report) -> Result<String, Exit> {
    let mut suites: Vec<_> = report
        .variants
        .iter()
        .map(|variant| TestSuite::new(format!("{} on {}", variant.label, variant.model_label)))
        .collect();
    let mut after = None;
    loop {
        let page = store.results(report.run.id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.row.ordinal);
        for row in &page {
            if let Some(suite) = suites.get_mut(row.row.variant as usize) {
                suite.add_test_case(case(row));
            }
        }
    }
    let mut document = quick_junit::Report::new(suite.name.as_str());
    document.add_test_suites(suites);
    document.to_string().map_err(Exit::unfinished)
}

fn case(row: &ResultRow) -> TestCase {
    let name = if row.row.trial > 1 {
        format!("{} #{}", row.row.case_id, row.row.trial)
    } else {
        row.row.case_id.clone()
    };
    let status = match row.row.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let reasons: Vec<_> = row
                .row
                .scores
                .iter()
                .filter(|named| !named.score.pass)
                .map(|named| named.score.reason.as_str())
                .collect();
            status.set_message(reasons.join("; "));
            status
        }
        Outcome::Errored(kind) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type(kind.word()).set_message(row.error.clone().unwrap_or_default());
            status
        }
        Outcome::Cancelled => TestCaseStatus::skipped(),
    };
    let mut case = TestCase::new(name, status);
    if let Some(micros) = row.row.latency_us.and_then(|micros| u64::try_from(micros).ok()) {
        case.set_time(Duration::from_micros(micros));
    }
    case
}
