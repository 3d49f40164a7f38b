//! All of it at once, small: what `tests/chaos.sh` does for as long as you like.

use std::time::Duration;

use assay_tests::chaos::{Schedule, chaos};
use assay_tests::postgres::Server;
use assay_tests::rabbitmq::breakable;

#[tokio::test(flavor = "multi_thread")]
async fn workers_broker_and_database_die_in_one_run() {
    let node = breakable().await;
    let server = Server::start();
    let schedule = Schedule {
        jobs: 4_000,
        workers: 2,
        in_flight: 10,
        latency_ms: 20,
        kill_every: Duration::from_secs(2),
    };
    let outcome = chaos(schedule, &server, &node).await;
    assert!(outcome.deaths() >= 2, "{outcome}");
    assert!(outcome.holds(), "{outcome}");
}
