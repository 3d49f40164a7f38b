//! Budgets: what a run spends never exceeds them, whatever is in flight and whoever dies. The provider's bill is the oracle.

use std::process::{Child, Stdio};
use std::time::Duration;

use assay_store::{Run, Schema, Store, StoreUrl};
use assay_tests::assay::{Ran, Workplace};
use assay_tests::fleet::World;
use fake_provider::{Answer, FakeProvider, Price, Reaction, Script, When};
use tokio::time::{Instant, sleep};

/// Nano-dollars a token, of the request and of the answer: a sum costs three or four of them.
const TOKEN: u64 = 100_000;
/// In nano-dollars.
const BUDGET: u64 = 60_000_000;
/// The most that a call may cost: the bytes of its prompt, the frame of its message, and eight tokens of an answer.
const MOST: u64 = (7 + 32 + 8) * TOKEN;
/// Many more than the budget pays for.
const JOBS: u32 = 260;
/// Long enough for anything here on a busy machine.
const EVENTUALLY: Duration = Duration::from_secs(60);
const SUITE: &str = "budget_usd: 0.06\n";

async fn provider(script: Script) -> FakeProvider {
    let per_mtok = TOKEN * 1_000_000;
    let price = Price { input_per_mtok: per_mtok, output_per_mtok: per_mtok };
    FakeProvider::start(Script { price, ..script.latency(Duration::from_millis(20)) }).await.unwrap()
}

fn script() -> Script {
    Script::answering(Answer::Expression)
}

fn write(place: &Workplace, provider: &FakeProvider, in_flight: u32) {
    place.sums(JOBS, SUITE);
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let models = "models:\n  - provider: fake\n    model: small\n    max_tokens: 8\n";
    place.write("suite.yaml", suite.replace("models: [fake/small]\n", models)).write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\nlimits = {{ in_flight = {in_flight} }}\n\
             [prices.\"fake/small\"]\ninput_per_mtok = 100\noutput_per_mtok = 100\n",
            provider.base_url()
        ),
    );
}

fn start(place: &Workplace) -> Child {
    let mut run = place.command(&["run", "suite.yaml", "--json"]);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The only run, once there is one, as long as it goes on: at every look, what is spent and set aside is within the budget.
async fn watch(store: &Store) -> Run {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < EVENTUALLY, "the run is not over");
        if let Some(run) = store.runs(None, 1).await.unwrap().pop() {
            let held = u64::try_from(run.cost.0 + run.reserved.0).unwrap();
            assert!(held <= BUDGET, "{run:?}");
            if run.state.is_over() {
                return run;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// The store of a workplace, which `assay run` makes.
async fn store(place: &Workplace) -> Store {
    let url = StoreUrl::Sqlite(place.path().join(".assay/assay.db"));
    let started = Instant::now();
    loop {
        match Store::open(&url, Schema::Require).await {
            Ok(store) => return store,
            Err(error) => assert!(started.elapsed() < EVENTUALLY, "there is no store: {error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn cost(run: &Run) -> u64 {
    u64::try_from(run.cost.0).unwrap()
}

/// What was in flight is recorded, nothing is left undone that the budget would have paid for, and the books are the bill.
fn assert_spent(run: &Run, provider: &FakeProvider) {
    let bill = provider.bill().totals();
    assert_eq!((cost(run), run.reserved.0), (bill.cost_nano_usd, 0));
    assert!(bill.cost_nano_usd > BUDGET - MOST, "{bill:?}");
    assert_eq!(run.done(), run.cursor);
    let reason = run.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("its budget of $0.06 is spent: $0.0"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_spends_its_budget_and_no_more() {
    let provider = provider(script()).await;
    let place = Workplace::default();
    write(&place, &provider, 50);
    let child = start(&place);
    let run = watch(&store(&place).await).await;
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(3);
    assert_spent(&run, &provider);
    let variant = &ran.json()["variants"][0];
    assert_eq!(variant["passed"].as_u64(), Some(provider.bill().totals().calls));
    assert_eq!(variant["errored"], 0);
    let again = place.command(&["run", "suite.yaml"]).output().map(Ran::from).unwrap().expect(3);
    let new = format!("the last run of this suite, {}, was cancelled: its budget of $0.06 is spent", run.id);
    assert!(again.stderr.contains(&new), "{}", again.stderr);
    assert!(again.stderr.contains("This is a new run, with a budget of its own"), "{}", again.stderr);
    // Said again where somebody looks later.
    let status = place.assay(&["status", &run.id.to_string()]).expect(0).stdout;
    assert!(status.contains("because its budget of $0.06 is spent"), "{status}");
    assert!(status.contains("help: raise `budget_usd`"), "{status}");
    for steer in ["pause", "resume"] {
        let refused = place.assay(&[steer, &run.id.to_string()]).expect(2).stderr;
        let says =
            ["is cancelled, which does not allow this", "help: a run that was cancelled keeps what it has"];
        assert!(says.iter().all(|part| refused.contains(part)), "{refused}");
    }
}

/// What fails with a status costs nothing and holds nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn failures_do_not_eat_the_budget() {
    let unavailable = Reaction::status(503);
    let provider = provider(script().rule(When::share(0.3).first(1), unavailable)).await;
    let place = Workplace::default();
    write(&place, &provider, 50);
    place.assay(&["run", "suite.yaml", "--json"]).expect(3);
    let run = store(&place).await.runs(None, 1).await.unwrap().remove(0);
    assert_spent(&run, &provider);
}

/// A process that is killed may have been billed for what was in flight: that stays set aside, whoever goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_death_may_have_cost_stays_set_aside() {
    let provider = provider(script()).await;
    let place = Workplace::default();
    write(&place, &provider, 3);
    for calls in [30, 60] {
        let mut child = start(&place);
        let started = Instant::now();
        while provider.bill().totals().calls < calls {
            assert!(started.elapsed() < EVENTUALLY, "nobody calls");
            sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let child = start(&place);
    let run = watch(&store(&place).await).await;
    Ran::from(child.wait_with_output().unwrap()).expect(3);
    let billed = provider.bill().totals().cost_nano_usd;
    assert!(billed <= BUDGET, "{billed}");
    let lost = u64::try_from(run.reserved.0).unwrap();
    assert!(billed >= cost(&run) && billed - cost(&run) <= lost, "{billed} on the bill, {run:?}");
    assert!(run.reason.as_deref().unwrap_or_default().contains("is set aside for calls"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_share_a_budget() {
    let provider = provider(script()).await;
    let mut world = World::new().await;
    write(&world.place, &provider, 50);
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker(), world.worker()];
    world.ready().await;
    let id = world.submit_sums().await;
    let run = watch(&world.store).await;
    assert_eq!(run.id, id);
    assert_spent(&run, &provider);
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

/// Who does not know the price of a call cannot hold a run to its budget: he takes none of its jobs, and what he lacks is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lacks_the_price_says_so_and_takes_nothing() {
    let provider = provider(script()).await;
    let mut world = World::new().await;
    write(&world.place, &provider, 50);
    let coordinator = world.coordinator();
    world.ready().await;
    let priced = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
    let (unpriced, _) = priced.split_once("[prices.").unwrap();
    world.place.write("assay.toml", unpriced);
    let poor = world.worker();
    let id = world.submit_sums().await;
    let lack = "cannot: a run has a budget, so its assay.toml needs [prices.\"fake/small\"]";
    world
        .until("what is missing is told", async || {
            world.client(&["status", &id.to_string()]).await.expect(0).stdout.contains(lack)
        })
        .await;
    assert_eq!(poor.log().matches("cannot serve fake/small").count(), 1, "{}", poor.log());
    assert_eq!(provider.bill().totals().calls, 0);
    world.place.write("assay.toml", priced);
    let rich = world.worker();
    let run = watch(&world.store).await;
    assert_spent(&run, &provider);
    world.end(vec![coordinator, poor, rich]).await;
}
