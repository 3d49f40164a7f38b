//! A signal that leaves its range is told of once, also by whoever looks late.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_coordinator::review::ranges::watch;
use assay_store::{IncidentKind, NewIncident, Range, Schema, Signal, Store, Subject};
use assay_tests::api::entry;
use assay_tests::places::on_sqlite;

use super::notify::Receiver;
use super::{Team, says};

/// Nobody told of it when the run ended: whoever lists the ranges next finds out, and tells.
#[tokio::test(flavor = "multi_thread")]
async fn who_lists_the_ranges_tells_of_what_nobody_saw() {
    let (receiver, url) = Receiver::start(200).await;
    let team = Team::new(&[]);
    // Webhooks are waited for a little: on a slow machine what is left is told after the next command.
    let told = |code: i32, messages: usize| {
        for _ in 0..10 {
            tokio::task::block_in_place(|| team.ann(&["range", "list"]).expect(code));
            if receiver.kinds().len() >= messages {
                break;
            }
        }
        assert_eq!(receiver.kinds().len(), messages);
    };
    let elsewhere = |candidate, baseline| {
        team.place.write("assay.toml", "");
        tokio::task::block_in_place(|| team.judges(candidate, baseline, 0));
        let chat = "format = \"slack\"\nallow_private = true\nevents = [\"range\"]";
        team.place.write("assay.toml", format!("[webhooks.chat]\nurl = \"{url}\"\n{chat}\n"));
    };
    elsewhere(2, None);
    // Of what was never run nothing is known.
    let unknown = ["range", "set", "rollback_rate", "--max", "0.5", "--prompt", "support"];
    tokio::task::block_in_place(|| {
        team.ann(&unknown).expect(0);
        let listed = team.ann(&["range", "list"]).expect(0);
        says(&listed.stdout, &["no signal is outside its range; 1 of 1 could not be measured"]);
        team.ann(&["range", "remove", "rollback_rate", "--prompt", "support"]).expect(0);
    });
    let set = ["range", "set", "pass_rate", "--min", "0.87", "--prompt", "support"];
    says(&tokio::task::block_in_place(|| team.ann(&set).expect(0)).stdout, &["it is 95.0 %, inside"]);
    elsewhere(1, None);
    // 95 and 80 of a hundred.
    told(0, 0);
    elsewhere(1, None);
    told(1, 1);
    // It is known.
    told(1, 1);
    elsewhere(4, None);
    told(0, 2);
    let texts = receiver.texts();
    says(&texts[0], &["range.left", "left its range: 0.850 over 30 days, acceptable is at least 0.87"]);
    says(&texts[1], &["range.returned", "is back in its range: 0.875"]);
}

/// A leader that was away looks when it is back. What left and came back meanwhile is told to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_was_missed_is_made_later() {
    on_sqlite(|place| async move {
        let store = Store::open(&place, Schema::Migrate).await.unwrap();
        let hours = |hours: u32| Micros(1_000_000).plus(Duration::from_secs(3_600) * hours);
        let range = Range {
            signal: Signal::RegressionIncidents,
            subject: Subject::All,
            set_at: hours(0),
            set_by: "ann".to_owned(),
            low: None,
            high: Some(0.0),
            window_us: 3 * 3_600_000_000,
            outside: None,
        };
        store.set_range(range, entry("range.set", "regression_incidents")).await.unwrap();
        let opened = async |at: Micros, version: i64| {
            let incident = NewIncident {
                prompt: "support".to_owned(),
                channel: "production".to_owned(),
                version,
                digest: assay_common::id::Digest::of(&version.to_be_bytes()),
                kind: IncidentKind::Manual,
                summary: "it is rude".to_owned(),
                owner: None,
                began_at: at,
                opened_at: at,
                opened_by: "ann".to_owned(),
            };
            store.open_incident(incident, entry("incident.open", "support")).await.unwrap();
        };
        let looks = async |at: Micros| -> Vec<String> {
            watch(&store, at).await.unwrap();
            let events = store.unplanned_events(at, 99).await.unwrap();
            events.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with("range")).collect()
        };
        assert_eq!(looks(hours(1)).await, [""; 0]);
        opened(hours(2), 1).await;
        // The leader was away for two hours.
        assert_eq!(looks(hours(4)).await, ["range.left"]);
        assert_eq!(looks(hours(4)).await, ["range.left"], "once");
        assert_eq!(looks(hours(6)).await, ["range.left", "range.returned"]);
        opened(hours(7), 2).await;
        assert_eq!(looks(hours(11)).await, ["range.left", "range.returned"]);
        store.close().await;
    })
    .await;
}
