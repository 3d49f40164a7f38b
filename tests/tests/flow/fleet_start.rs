//! Starting the processes of a fleet: what is refused, and what is waited for.

use assay_store::{StoreUrl, create_database, drop_database};
use assay_tests::assay::Workplace;
use assay_tests::fleet::World;
use assay_tests::proxy::Proxy;

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
    let never = "postgres://ann:s3cret@127.0.0.1:notaport/assay";
    let ran = place.assay(&["worker", "--store", never, "--queue", rabbit]).expect(2);
    let expected = "error: postgres://ann:***@127.0.0.1:notaport/assay is no URL of a database: error with configuration: invalid port number\n";
    assert_eq!(ran.stderr, expected);
    check(&["worker", "--store", postgres, "--queue", "kafka://x"], &["kafka"]);
    check(&["worker", "--store", postgres], &["--queue"]);
    check(&["coordinator", "--store", postgres, "--queue", rabbit], &["--listen"]);
    check(
        &["coordinator", "--store", postgres, "--queue", rabbit, "--listen", "nowhere"],
        &["--listen nowhere", "cannot listen"],
    );
    for local in [&["run", "suite.yaml"][..], &["migrate"], &["worker", "--queue", rabbit]] {
        let asked = [local, &["--server", "http://127.0.0.1:1"]].concat();
        check(&asked, &["--server: this command asks no coordinator", "assay submit"]);
    }
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
    let mut door = Proxy::to(world.database()).await;
    let shut = world.store_url_at(door.address());
    let secret = shut.replace("postgres@", "ann:s3cret@");
    let coordinator = world.coordinator_on(&secret);
    coordinator.logged("cannot reach the store").await;
    let log = coordinator.log();
    assert!(
        log.contains(&format!("postgres://ann:***@{}", door.address())) && log.contains("refused"),
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");
    let (status, readiness) = coordinator.readiness().await;
    assert_eq!((status, &readiness["status"]), (503, &"unready".into()));
    assert!(readiness["store"]["reason"].as_str().unwrap().contains("refused"), "{readiness}");
    assert_eq!(coordinator.get("/healthz").await.0, 200);

    // The server of the tests asks for no password; it knows one user.
    drop(coordinator);
    let coordinator = world.coordinator_on(&shut);
    coordinator.logged("cannot reach the store").await;
    let refused = world.client(&["submit", "suite.yaml"]).await.expect(4);
    for part in ["503", "has not reached its store yet", "/readyz"] {
        assert!(refused.stderr.contains(part), "{part} is missing in:\n{}", refused.stderr);
    }
    let worker = world.worker();
    door.open().await;
    coordinator.logged("reached the store").await;
    let run = world.submit_sums().await;
    assert_eq!(world.finished(run).await.passed, 20);
    let (status, readiness) = coordinator.readiness().await;
    assert_eq!((status, &readiness["status"], &readiness["role"]), (200, &"ready".into(), &"leading".into()));
    world.end(vec![coordinator, worker]).await;
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

/// A coordinator is asked by its address, by the name of its machine, and by the names it is given; by no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_goes_by_the_names_it_is_given() {
    let mut world = World::new().await;
    let coordinator = world.coordinator_with(&[("ASSAY_HOSTS", "evals.example,coordinator")]);
    world.until("it is ready", async || coordinator.readiness().await.0 == 200).await;
    let url = format!("http://{}/v1/runs", coordinator.address().await);
    assay_worker::install_tls();
    let asked = async |host: &str| {
        let request = reqwest::Client::new().get(&url).header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    for host in ["evals.example", "Coordinator:8080", "localhost", "10.0.0.1:8080"] {
        assert_eq!(asked(host).await, 401, "{host}");
    }
    assert_eq!(asked("evil.example").await, 421);
    world.end(vec![coordinator]).await;
    let wrong =
        ["coordinator", "--listen", "127.0.0.1:0", "--queue", "amqp://127.0.0.1:1", "--host", "http://a"];
    let wrong = Workplace::default().assay(&wrong).expect(2).stderr;
    assert!(wrong.contains("without http://"), "{wrong}");
}
