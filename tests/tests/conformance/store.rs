//! The conformance suite of the store on SQLite and on PostgreSQL.

use assay_common::job::Response;
use assay_store::{FileLock, Schema, Store, StoreError, StoreUrl};
use assay_tests::store_conformance::{
    asking, budgets, capping, claiming, comparing, ending, fixture, frozen, giving_back, leading, leasing,
    opening, reading, releasing, renewing, reviewing, runs, settling, sweeping,
};

macro_rules! conforms {
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

conforms!(
    opening::require_names_the_remedy,
    opening::migrates_once_and_is_shared,
    opening::prepares_every_statement,
    opening::accounts_have_one_problem_at_a_time,
    frozen::freezing_is_idempotent,
    frozen::versions_are_numbered_by_prompt,
    frozen::a_new_owner_is_a_row_of_the_audit,
    frozen::freezers_at_once_agree,
    frozen::a_dataset_counts_once_sealed,
    frozen::single_cases_are_read_by_position,
    frozen::units_come_in_pages,
    frozen::units_have_any_name,
    frozen::tagged_units_come_in_pages,
    frozen::the_most_specific_recording_answers,
    runs::a_run_is_created_and_found,
    runs::expansion_moves_the_cursor_once,
    runs::one_of_many_expanders_wins,
    runs::due_jobs_come_in_order,
    claiming::a_grant_is_complete,
    claiming::every_decline_has_its_reason,
    claiming::a_lost_answer_is_given_again,
    claiming::attempts_grow_and_the_first_claim_stays,
    claiming::only_members_claim,
    claiming::a_job_has_one_holder,
    budgets::no_more_is_set_aside_than_there_is,
    budgets::askers_at_once_share_a_budget,
    budgets::lost_calls_stay_on_the_books,
    budgets::tries_outlive_their_claim,
    capping::no_day_costs_more_than_its_cap,
    capping::askers_at_once_share_a_cap,
    capping::a_cap_is_raised_by_hand,
    settling::a_batch_sent_twice_counts_once,
    settling::an_answer_is_kept_until_its_job_is_settled,
    settling::senders_at_once_count_once,
    settling::a_late_result_wins_once,
    settling::one_batch_may_hold_both_claims,
    settling::only_its_claim_parks_a_job,
    settling::the_ledger_keeps_every_call,
    settling::outputs_come_back_byte_for_byte,
    giving_back::members_beat,
    giving_back::released_jobs_are_due_at_once,
    giving_back::a_burial_counts_the_crash,
    giving_back::all_are_buried_together,
    giving_back::a_suspect_runs_alone_and_ends_as_poison,
    giving_back::an_owner_who_is_killed_time_after_time_finds_the_poison,
    giving_back::no_claim_outlives_its_member,
    ending::cancel_means_cancel,
    ending::a_run_that_lacks_nothing_is_complete,
    ending::a_large_run_is_cancelled_whole,
    ending::the_dead_give_back_to_nobody,
    ending::no_grant_comes_after_a_cancellation,
    ending::completion_is_decided_by_rows,
    ending::an_empty_run_completes,
    ending::a_run_that_its_gate_ends_is_complete,
    ending::a_run_is_topped_up_once,
    leading::an_old_epoch_is_refused,
    leading::one_candidate_leads,
    leading::open_runs_need_their_pools,
    leading::members_say_what_they_offer,
    reading::outcomes_come_in_pages,
    reading::results_have_everything,
    reading::pages_of_results_are_bounded_in_bytes,
    comparing::versions_lead_to_their_runs,
    comparing::trials_are_counted_by_case,
    comparing::a_quarantine_holds_for_a_time,
    renewing::what_errored_is_asked_again,
    renewing::what_could_not_be_scored_is_scored_again,
    renewing::old_runs_leave_their_report,
    asking::a_token_is_found_by_its_hash,
    asking::the_audit_is_read_backwards,
    asking::a_key_makes_one_run,
    asking::of_submissions_at_once_one_makes_the_run,
    asking::a_paused_run_grants_nothing,
    asking::a_pause_begins_the_deadline_anew,
    asking::somebody_cancels_once,
    asking::a_run_says_what_it_waits_for,
    reviewing::events_come_with_what_they_tell_of,
    reviewing::the_outbox_loses_and_doubles_nothing,
    reviewing::a_run_is_added_up_at_its_end,
    reviewing::risks_stand_as_they_stood,
    reviewing::ranges_hold_from_when_they_are_set,
    sweeping::a_schedule_is_added_paused_and_removed,
    sweeping::a_planned_time_is_fired_once,
    sweeping::of_many_who_fire_one_does,
    sweeping::a_sweep_is_judged_once,
    sweeping::a_baseline_is_measured_once,
    releasing::a_run_is_judged_once,
    releasing::versions_are_found_and_attributed_once,
    releasing::a_channel_remembers,
    releasing::of_releases_at_once_one_is_live,
    releasing::an_incident_is_one_while_it_is_open,
    releasing::a_version_that_comes_back_is_not_recovered_from,
    releasing::incidents_opened_at_once_are_told_apart,
    releasing::what_opened_an_incident_tells_it_apart,
    leasing::a_limit_is_shared_and_given_back,
    leasing::a_limit_that_others_name_is_told,
    leasing::a_lease_ends_by_itself,
    leasing::renewals_at_once_exceed_nothing,
    leasing::a_limit_is_set_and_cleared,
    leasing::who_gathers_tokens_is_seen,
    leasing::a_pause_is_lifted,
    leasing::an_only_owner_has_all_at_once,
);

/// One process owns a SQLite file at a time, and the next is told who does.
#[tokio::test]
async fn a_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let mistyped = StoreUrl::Sqlite(folder.path().join("new/assay.db"));
    let error = FileLock::take(&mistyped).unwrap_err();
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error}");
    assert!(!folder.path().join("new").exists());
    let place = StoreUrl::Sqlite(folder.path().join(".assay/assay.db"));
    let lock = FileLock::take(&place).unwrap().unwrap();
    let error = FileLock::take(&place).unwrap_err();
    assert!(matches!(error, StoreError::Locked { pid, .. } if pid == Some(std::process::id())), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(lock);
    assert!(FileLock::take(&place).unwrap().is_some());
    // By whatever link, also before the file is there.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(".assay/assay.db", &link).unwrap();
    let lock = FileLock::take(&StoreUrl::Sqlite(link)).unwrap();
    assert!(matches!(FileLock::take(&place), Err(StoreError::Locked { .. })));
    drop(lock);
    let server = "postgres://db/assay".parse().unwrap();
    assert!(FileLock::take(&server).unwrap().is_none());
}

/// Whoever takes a file is granted what the process before had kept beside it, as far as that was not settled; nothing stays beside it.
#[tokio::test]
async fn what_was_kept_beside_a_file_is_found_by_the_next_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let place = StoreUrl::Sqlite(path.clone());
    let fixture = fixture::Fixture::expanded(&place, 60).await;
    fixture.claim(fixture.member, 0..60).await;
    // Two segments, for a few answers are large.
    let text = |ordinal: u64| format!("{ordinal}\n\u{0} ✓").repeat(if ordinal < 3 { 60_000 } else { 1 });
    let keep = async |ordinal| {
        let (finish_reason, latency_us, cost) = Default::default();
        let (text, usage, calls) = (text(ordinal), Default::default(), Vec::new());
        let response = Response { text, finish_reason, usage, latency_us, cost, calls };
        fixture.store.keep_responses(&[(fixture.key(ordinal), &response)]).await.unwrap();
    };
    for ordinal in 0..50 {
        keep(ordinal).await;
    }
    let beside = || {
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().contains("-answers-")).count()
    };
    assert_eq!(beside(), 2);
    let settled = [0, 3, 20, 49, 55];
    fixture.settle(settled.map(|ordinal| fixture::finished(fixture.passed(ordinal, 1))).into()).await;

    let next = Store::open(&place, Schema::Migrate).await.unwrap();
    assert_eq!(next.bury_all(fixture::NOW).await.unwrap(), 55);
    assert_eq!((beside(), next.kept_responses(fixture.run).await.unwrap()), (0, 46));
    next.join(fixture.member, "worker", "host".to_owned(), 42, fixture::NOW).await.unwrap();
    let open: Vec<_> = (0..60).filter(|ordinal| !settled.contains(ordinal)).collect();
    let next = fixture::Fixture { store: next, ..fixture };
    for grant in next.claim(next.member, open).await {
        let ordinal = grant.key.ordinal;
        let kept = (ordinal < 50).then(|| text(ordinal));
        assert_eq!(grant.response.map(|response| response.text), kept, "{ordinal}");
    }
}

/// Where nothing answers, the error says where and why, without the password.
#[tokio::test]
async fn an_unreachable_store_is_named() {
    use std::error::Error as _;
    // Bound and not listening any more: connections are refused.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place: StoreUrl = format!("postgres://ann:s3cret@127.0.0.1:{port}/assay").parse().unwrap();
    let error = Store::open(&place, Schema::Require).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot reach the store postgres://ann:***@127.0.0.1:{port}/assay")
    );
    let why = error.source().unwrap().to_string();
    assert!(why.contains("refused"), "{why}");
}

/// A file that is no database is not one afterwards either.
#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "not a database at all ".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    for schema in [Schema::Require, Schema::Migrate] {
        let error = Store::open(&StoreUrl::Sqlite(path.clone()), schema).await.unwrap_err();
        assert!(matches!(error, StoreError::NoDatabase { .. }), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

/// What is written stays when the process that wrote it goes.
#[tokio::test]
async fn a_closed_store_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = StoreUrl::Sqlite(folder.path().join("assay.db"));
    let before = fixture::Fixture::expanded(&place, 3).await;
    before.store.close().await;
    assert!(before.store.run(before.run).await.is_err());
    let after = Store::open(&place, Schema::Require).await.unwrap();
    assert_eq!(after.run(before.run).await.unwrap().unwrap().cursor, 3);
}
