//! The coordinator's API over HTTP, on SQLite and on PostgreSQL.
//!
//! `asking`: whose request it is; `submitting`: from files to a run; `reading`: runs and results; `refusing`: bad input;
//! `limiting`: limits.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod asking;
mod limiting;
mod reading;
mod refusing;
mod submitting;

/// What the suites of `Workplace::sums` need.
const CONFIG: &str = "[providers.fake]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n";

macro_rules! served {
    ($($module:ident::$function:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $function() {
                assay_tests::places::on_sqlite(super::$module::$function).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $function() {
                assay_tests::places::on_postgres(super::$module::$function).await;
            })+
        }
    };
}

served!(
    asking::only_a_token_that_holds_is_heard,
    asking::a_scope_is_needed_and_named,
    asking::refused_changes_are_written_down_without_secrets,
    submitting::a_suite_becomes_one_run,
    submitting::a_run_keeps_the_trace_of_its_submission,
    submitting::submissions_at_once_make_one_run,
    submitting::nothing_lies_under_a_digest_that_is_not_its_own,
    submitting::recorded_answers_are_uploaded_too,
    submitting::a_budget_that_the_requests_alone_exceed_is_refused,
    reading::an_open_run_says_why_it_does_not_move,
    reading::who_steers_at_once_is_told_what_he_did,
    reading::results_come_in_pages_and_as_lines,
    reading::long_answers_come_in_bounded_pages,
    reading::runs_come_newest_first,
    refusing::every_refusal_is_a_problem_with_its_status,
    refusing::pages_of_other_sites_are_refused,
    refusing::wrong_lines_are_told_by_number,
    refusing::slow_uploads_hang_nobody,
    refusing::a_suite_from_elsewhere_is_not_believed,
    refusing::hostile_names_stay_data,
    limiting::limits_are_shown_set_and_taken_back,
    limiting::what_nobody_could_keep_to_is_refused,
);
