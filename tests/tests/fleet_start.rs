//! Starting the processes of a fleet: what is refused, and what is waited for.

use assay_store::{StoreUrl, create_database, drop_database};
use assay_tests::assay::Workplace;
use assay_tests::fleet::World;
use tokio::net::{TcpListener, TcpStream};

#[test]
fn combinations_that_make_no_fleet_are_refused() {
    let place = Workplace::default();
    let check = |arguments: &[&str], parts: &[&str]| {
        let ran = place.assay(arguments).expect(2);
        assert_eq!(ran.stdout, "");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
    };
    let (postgres, rabbit) = ("postgres://127.0.0.1:1/assay", "amqp://127.0.0.1:1");
    check(&["worker", "--store", "sqlite:a.db", "--queue", rabbit], &["sqlite:a.db", "use `assay run`"]);
    check(&["worker", "--store", postgres, "--queue", "memory:"], &["memory:", "use `assay run`"]);
    let listen = ["--listen", "127.0.0.1:0"];
    check(
        &[&["coordinator", "--store", postgres, "--queue", "memory:"], &listen[..]].concat(),
        &["use `assay run`"],
    );
    check(&["worker", "--store", postgres, "--queue", "kafka://x"], &["kafka"]);
    check(&["worker", "--store", postgres], &["--queue"]);
    check(&["coordinator", "--store", postgres, "--queue", rabbit], &["--listen"]);
    check(
        &["coordinator", "--store", postgres, "--queue", rabbit, "--listen", "nowhere"],
        &["--listen nowhere", "cannot listen"],
    );
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_store_says_how_to_make_one() {
    let server: StoreUrl = std::env::var("ASSAY_TEST_POSTGRES").expect("run ./test.sh").parse().unwrap();
    let name = format!("assay_test_{}", uuid::Uuid::now_v7().simple());
    let StoreUrl::Postgres(url) = create_database(&server, &name).await.unwrap() else { unreachable!() };
    let place = Workplace::default();
    let common = ["--store", &url, "--queue", "amqp://127.0.0.1:1"];
    for command in [&["worker"][..], &["coordinator", "--listen", "127.0.0.1:0"]] {
        let ran = place.assay(&[command, &common].concat()).expect(4);
        assert!(ran.stderr.contains("assay migrate --store postgres"), "{}", ran.stderr);
    }
    drop_database(&server, &name).await.unwrap();
}

/// With neither database nor broker there it starts, says what it waits for, and goes on when they come.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_at_the_start_is_waited_for() {
    let mut world = World::new().await;
    world.place.sums(20, "");
    world.place.write(
        "suite.yaml",
        "suite: echoes\nprompts: [{name: p, text: '{{ a }}'}]\nmodels: [echo/e]\ncases: [{file: cases.jsonl, id: id}]\n",
    );
    let run = world.submit_sums().await;
    // A door to the database that is still shut.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    drop(door);
    let shut = format!("postgres://ann:s3cret@{address}/{}", world.store_url().rsplit('/').next().unwrap());
    let coordinator = world.coordinator_on(&shut);
    coordinator.logged("cannot reach the store").await;
    let log = coordinator.log();
    assert!(log.contains(&format!("postgres://ann:***@{address}")) && log.contains("refused"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    let (status, readiness) = coordinator.readiness().await;
    assert_eq!((status, &readiness["status"]), (503, &"unready".into()));
    assert!(readiness["store"]["reason"].as_str().unwrap().contains("refused"), "{readiness}");
    assert_eq!(coordinator.get("/healthz").await.0, 200);

    // The server of the tests asks for no password; it knows one user.
    let shut = shut.replace("ann:s3cret", "postgres");
    drop(coordinator);
    let coordinator = world.coordinator_on(&shut);
    coordinator.logged("cannot reach the store").await;
    let worker = world.worker();
    let door = TcpListener::bind(address).await.unwrap();
    let database = world.store_url().split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let opened = tokio::spawn(async move {
        while let Ok((mut outside, _)) = door.accept().await {
            let mut inside = TcpStream::connect(&database).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut outside, &mut inside).await });
        }
    });
    coordinator.logged("reached the store").await;
    assert_eq!(world.finished(run).await.passed, 20);
    let (status, readiness) = coordinator.readiness().await;
    assert_eq!((status, &readiness["status"], &readiness["role"]), (200, &"ready".into(), &"leading".into()));
    world.end(vec![coordinator, worker]).await;
    opened.abort();
}

/// Without its store it still ends when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_can_be_stopped() {
    let mut world = World::new().await;
    let mut worker = world.worker_on("postgres://127.0.0.1:1/assay");
    worker.logged("trying until it answers").await;
    worker.terminate();
    assert!(worker.wait().await.success(), "{}", worker.log());
    world.end(Vec::new()).await;
}
