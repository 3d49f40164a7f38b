//! A database that is stopped, killed, slow and locked, a disk that is full, clients that hang up. What a long reader does to
//! SQLite is a test of the store itself.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assay_store::{Store, StoreUrl, create_database};
use assay_tests::assay::{Ran, Workplace, binary};
use assay_tests::fleet::{World, ended, limit};
use assay_tests::oracle::{assert_books, latest, store_of};
use assay_tests::postgres::Server;
use assay_tests::proxy::{Proxy, Weather};
use assay_tests::rabbitmq;
use assay_tests::scenes::{assert_says, provider};
use fake_provider::FakeProvider;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// `assay run` over a database of its own on the server, with little patience; it and the folder in which it runs.
async fn impatient(server: &Server, provider: &FakeProvider) -> (Child, Workplace) {
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 1").sums(1_000, "");
    let database = create_database(&server.url().parse().unwrap(), "impatient").await.unwrap();
    let StoreUrl::Postgres(store) = database else { unreachable!("a database of PostgreSQL") };
    (place.start(&["run", "suite.yaml", "--store", &store, "--patience", "2s"]), place)
}

/// Calls in flight finish, their answers wait in the workers and are recorded when it is back. Whoever has less patience
/// says where nobody answers, after half of it as well, and how it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn row_14_a_database_stopped_and_killed() {
    const JOBS: u32 = 2_000;
    let server = Server::start();
    let (slow, provider) = (provider(100).await, provider(50).await);
    let mut world = World::between(server.url(), rabbitmq::vhost()).await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(JOBS, "");
    let (laptop, _place) = impatient(&server, &slow).await;
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit_sums().await;
    world.done(run, 100).await;
    world.calls(&slow, 1).await;
    let id = run.to_string();
    let watching = world.start_client(&["watch", &id, "--patience", "2s"]).await;
    let mut impatient = Some([laptop, watching]);
    for breaks in [Server::stop, Server::kill] {
        assert!(!world.run(run).await.state.is_over(), "there is nothing left to miss");
        breaks(&server);
        world.until("the store is missed", async || coordinator.readiness().await.0 == 503).await;
        let calls = provider.bill().totals().calls;
        sleep(Duration::from_secs(1)).await;
        let more = provider.bill().totals().calls - calls;
        assert!(more <= 20, "{more} calls that nobody can record");
        if let Some([laptop, watching]) = impatient.take() {
            let told = ended(laptop).await.expect(4).stderr;
            let place = server.url().rsplit_once('@').unwrap().1.split('/').next().unwrap();
            assert_says(&told, &["cannot reach the store postgres://", place, "no connection within 1 s"]);
            assert_says(&told, &["is kept; the same command goes on with it"]);
            let told = ended(watching).await.expect(4).stderr;
            assert_says(&told, &[&format!("Run {id} goes on; `assay watch {id}` follows it again")]);
            assert_says(&told, &["has not answered for 5 s"]);
        }
        server.restart();
        world.until("the store is back", async || coordinator.readiness().await.0 == 200).await;
        let done = world.run(run).await.done();
        world.done(run, done + 100).await;
    }
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    let books = world.assert_books(run, &provider, 0).await;
    assert_eq!(books.calls, u64::from(JOBS), "nobody who pays has died");
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

/// Whoever waits for a locked table keeps his beat: nobody is buried, however many connections wait.
#[tokio::test(flavor = "multi_thread")]
async fn row_15_a_database_that_is_slow_and_has_a_locked_table() {
    const CASES: u32 = 60;
    const MODELS: u32 = 12;
    let provider = provider(50).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 20").sums(CASES, "");
    let suite = std::fs::read_to_string(world.place.path().join("suite.yaml")).unwrap();
    let models: Vec<_> = (0..MODELS).map(|n| format!("fake/m{n}")).collect();
    world.place.write("suite.yaml", suite.replace("fake/small", &models.join(", ")));
    world.dead_after = "3s";
    let proxy = Proxy::open_to(world.database()).await;
    let coordinator = world.coordinator();
    let worker = world.worker_on(&world.store_url_at(proxy.address()));
    let run = world.submit_sums().await;
    world.done(run, 20).await;
    let locked =
        world.sql_beside("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(7); COMMIT");
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to wait for");
    assert!(locked.wait_with_output().unwrap().status.success());
    proxy.set(Weather::Slow(Duration::from_millis(100)));
    let done = world.run(run).await.done();
    world.done(run, (done + 100).min(u64::from(CASES * MODELS))).await;
    proxy.set(Weather::Clear);
    assert_eq!(world.finished(run).await.passed, u64::from(CASES * MODELS));
    let books = world.assert_books(run, &provider, 0).await;
    assert_eq!(books.calls, books.jobs, "nobody died, and nobody was taken for dead");
    assert!(!world.logs().contains("is dead"), "{}", world.logs());
    world.end(vec![coordinator, worker]).await;
}

/// `assay` in a process that may outlive a limit on the size of its files, which is how a full disk looks to it.
fn meeting_a_full_disk(place: &Workplace, arguments: &[&str]) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(binary()).args(arguments);
    command.current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::null());
    // A log is not the store: it may be as long as it likes, as a pipe.
    command.stderr(Stdio::piped()).spawn().expect("a shell")
}

/// Nothing more is claimed or paid for; what was answered is recorded when there is room again. When there is none for
/// long, the run says so and ends, and goes on later. A coordinator refuses what is submitted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn row_16_a_full_disk() {
    const JOBS: u32 = 600;
    const IN_FLIGHT: u64 = 10;
    let provider = provider(20).await;
    let place = Workplace::default();
    place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(JOBS, "");
    let fill = async |run: &Child, calls: u64| {
        while provider.bill().totals().calls < calls {
            sleep(Duration::from_millis(5)).await;
        }
        limit(run.id(), "fsize", "4096");
        let mut before = 0;
        loop {
            sleep(Duration::from_millis(300)).await;
            let now = provider.bill().totals().calls;
            if now == std::mem::replace(&mut before, now) {
                break;
            }
        }
    };
    let impatient = meeting_a_full_disk(&place, &["run", "suite.yaml", "--patience", "1s"]);
    fill(&impatient, 50).await;
    let ended = impatient.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{told}");
    assert_says(&told, &["error: cannot write to the store sqlite:", "make room on its disk"]);

    let patient = meeting_a_full_disk(&place, &["run", "suite.yaml"]);
    fill(&patient, 200).await;
    let calls = provider.bill().totals().calls;
    assert!(calls < u64::from(JOBS), "there is nothing left to record");
    limit(patient.id(), "fsize", "unlimited");
    let ended = patient.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{told}");
    let unheard = told.matches("failed to report the state of").count();
    assert!(unheard <= 2, "an outage is told once of the account and once of its model:\n{told}");
    assert!(!told.contains("cannot reach"), "it is there, and full:\n{told}");
    let store = store_of(&place).await;
    // The first could not keep what was in flight when it ended.
    assert_books(&store, latest(&store).await, &[provider.bill()], IN_FLIGHT).await;
    submissions_are_refused(&place, &store).await;
}

/// As long as the disk of a coordinator's store is full: nothing of them is kept, and they are taken once there is room.
async fn submissions_are_refused(place: &Workplace, store: &Store) {
    let create = place.assay(&["token", "create", "tests", "--scopes", "submit,read"]).expect(0);
    let token = create.stdout.trim_end();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let arguments = ["--store", "sqlite:.assay/assay.db", "--queue", &rabbitmq::vhost()];
    let arguments = [&["coordinator", "--listen", &address], &arguments[..]].concat();
    let mut coordinator = meeting_a_full_disk(place, &arguments);
    let client = |arguments: &[&str]| -> Ran {
        let mut command = place.command(arguments);
        command.env("ASSAY_SERVER", format!("http://{address}")).env("ASSAY_TOKEN", token);
        command.output().unwrap().into()
    };
    while client(&["status"]).code != Some(0) {
        assert!(coordinator.try_wait().unwrap().is_none(), "the coordinator has ended");
        sleep(Duration::from_millis(50)).await;
    }
    let runs = store.runs(None, 10).await.unwrap().len();
    limit(coordinator.id(), "fsize", "4096");
    let refused = client(&["submit", "suite.yaml"]).expect(4);
    assert_says(&refused.stderr, &["the store has no room", "make room on the disk"]);
    assert_eq!(store.runs(None, 10).await.unwrap().len(), runs);
    limit(coordinator.id(), "fsize", "unlimited");
    client(&["submit", "suite.yaml"]).expect(0);
    assert_eq!(store.runs(None, 10).await.unwrap().len(), runs + 1);
    kill(Pid::from_raw(coordinator.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = coordinator.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Whatever they left half asked, the connections to the database stay good for others. A coordinator has ten of them, and how
/// many is no setting: thirty clients at once are three for each, so that some hang up while they wait for a connection and
/// some while they have one, as fewer would with two.
#[tokio::test(flavor = "multi_thread")]
async fn row_17_clients_that_hang_up() {
    let mut world = World::new().await;
    world.place.sums(5, "");
    let proxy = Proxy::open_to(world.database()).await;
    let coordinator = world.coordinator_on(&world.store_url_at(proxy.address()));
    world.ready().await;
    let address = coordinator.address().await;
    proxy.set(Weather::Slow(Duration::from_millis(30)));
    for round in 0..5 {
        let mut clients = Vec::new();
        for _ in 0..30 {
            let mut client = TcpStream::connect(&address).await.unwrap();
            let request = format!(
                "GET /v1/runs?limit=5 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
                world.token()
            );
            client.write_all(request.as_bytes()).await.unwrap();
            clients.push(client);
        }
        // Some before their statement, some in it, some after.
        sleep(Duration::from_millis(20 + 40 * round)).await;
        drop(clients);
    }
    proxy.set(Weather::Clear);
    world.client(&["status"]).await.expect(0);
    world.ready().await;
    world.sql(
        "DO $$ BEGIN ASSERT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
            AND state LIKE 'idle in transaction%' AND state_change < now() - interval '1 second'); END $$",
    );
    assert!(!coordinator.log().contains("leads no longer"), "{}", coordinator.log());
    world.end(vec![coordinator]).await;
}
