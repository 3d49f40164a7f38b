//! Gates that look while a run goes on: it ends once they are decided, and is given more while they are not.

use std::path::Path;
use std::time::Duration;

use assay_tests::assay::{Workplace, repository};
use assay_tests::fleet::World;
use fake_provider::{Answer, FakeProvider, Price, Script};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The questions of examples/first-look under another gate.
fn first_look(place: &Workplace, gate: &str) {
    let folder = repository().join("examples/first-look");
    let suite = std::fs::read_to_string(folder.join("suite.yaml")).unwrap();
    let (suite, _) = suite.split_once("gate:").unwrap();
    for file in ["cases.jsonl", "answers.jsonl", "prompts/answer-only.md", "prompts/chain-of-thought.md"] {
        place.write(file, std::fs::read(folder.join(file)).unwrap());
    }
    place.write("suite.yaml", format!("{suite}{gate}"));
}

/// Two prompts that ask the same in other words, on sums that the fake provider always gets right.
fn twins(place: &Workplace, provider: &FakeProvider, cases: u32, gate: &str) {
    let rows: String =
        (0..cases).map(|n| format!("{{\"id\": \"c{n}\", \"a\": {n}, \"sum\": {}}}\n", n + 1)).collect();
    place.provider(provider.base_url(), "in_flight = 10").write("cases.jsonl", rows).write(
        "suite.yaml",
        format!(
            "suite: twins\n\
             prompts:\n  - {{name: sum, label: one, text: '{{{{ a }}}} + 1'}}\n  - {{name: sum, label: two, text: '1 + {{{{ a }}}}'}}\n\
             models: [fake/small]\n\
             cases: [{{file: cases.jsonl, id: id}}]\n\
             score: [{{type: equals, value: '{{{{ sum }}}}'}}]\n\
             gate: {gate}\n"
        ),
    );
}

async fn provider(latency_ms: u64) -> FakeProvider {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(latency_ms));
    FakeProvider::start(script).await.expect("the fake provider starts")
}

fn first_rule(report: &Value) -> &Value {
    &report["verdict"]["versions"][0]["rules"][0]
}

#[test]
fn thinking_aloud_is_told_from_answering_at_once_by_a_part_of_the_jobs() {
    let place = Workplace::default();
    first_look(&place, "gate: {stop_early: true, rules: [{metric: pass_rate, max_drop: 0.02}]}\n");
    let ran = place.assay(&["run", "suite.yaml", "--json"]).expect(0);
    let report = ran.json();
    let run = &report["run"];
    assert_eq!((&run["state"], &run["stopped_early"]), (&json!("completed"), &json!(true)));
    let used = run["jobs_used"].as_u64().unwrap();
    assert_eq!(run["jobs"], 1_000);
    assert!(used < 500, "{used} of 1000 jobs");
    let rule = first_rule(&report);
    assert_eq!(rule["outcome"], "pass");
    // A gain of 36 points is seen within a tenth of the suite, whatever the order.
    assert!(rule["n"].as_u64().unwrap() <= 100, "{rule}");
    assert!(rule["interval"][0].as_f64().unwrap() >= -0.02, "{rule}");
    assert!(ran.stderr.contains("cannot see a drop below 3.6 points"), "{}", ran.stderr);
    assert!(ran.stderr.contains("500 cases"), "{}", ran.stderr);
    // What was asked is kept, and nothing else is.
    assert_eq!(
        place.assay(&["results"]).expect(0).stdout.lines().filter(|line| !line.contains("cancelled")).count()
            as u64,
        used
    );
    let shown = place.assay(&["run", "suite.yaml", "--new"]).expect(0).stdout;
    assert!(shown.contains("of 1000 jobs, stopped early because its gate came to pass after"), "{shown}");
}

#[test]
fn the_other_way_round_it_fails_early() {
    let place = Workplace::default();
    first_look(
        &place,
        "gate: {stop_early: true, rules: [{metric: pass_rate, max_drop: 0.02}, {metric: latency_p95_ms, max: 9e6}]}\n",
    );
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let suite = suite.replace("    baseline: true", "    # baseline: true").replace(
        "file: prompts/chain-of-thought.md",
        "file: prompts/chain-of-thought.md\n    baseline: true",
    );
    place.write("suite.yaml", suite);
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(1).json();
    assert_eq!(report["run"]["stopped_early"], true);
    assert_eq!(first_rule(&report)["outcome"], "fail");
    // A rule on latency is judged on complete runs only.
    assert_eq!(report["verdict"]["versions"][0]["rules"][1]["outcome"], "inconclusive");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_goes_on_with_the_same_evidence() {
    let decided_after = async |kill_after: Option<u64>| {
        let provider = provider(10).await;
        let place = Workplace::default();
        twins(&place, &provider, 400, "{stop_early: true, rules: [{metric: pass_rate, max_drop: 0.05}]}");
        if let Some(calls) = kill_after {
            let mut child = place.start(&["run", "suite.yaml", "--json"]);
            for _ in 0..6_000 {
                if provider.bill().totals().calls >= calls {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
            child.wait().unwrap();
        }
        let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
        assert_eq!(report["run"]["stopped_early"], true);
        first_rule(&report)["n"].as_u64().unwrap()
    };
    let whole = decided_after(None).await;
    assert!((90..=110).contains(&whole), "{whole}");
    assert_eq!(decided_after(Some(80)).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inconclusive_gate_draws_further_cases_until_it_decides() {
    let provider = provider(0).await;
    let place = Workplace::default();
    let gate = "{min_cases: 40, max_cases: 300, rules: [{metric: pass_rate, max_drop: 0.05}]}";
    twins(&place, &provider, 400, gate);
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    let attempt = |cases: u64, outcome: &str| json!({"jobs": 2 * cases, "cases": cases, "trials": 1, "outcome": outcome});
    let attempts = json!([attempt(40, "inconclusive"), attempt(80, "inconclusive"), attempt(160, "pass")]);
    assert_eq!(report["attempts"], attempts);
    assert_eq!((&report["run"]["jobs"], &report["run"]["stopped_early"]), (&json!(320), &json!(false)));
    assert_eq!(report["variants"][0]["passed"], 160);
    assert_eq!(provider.bill().totals().calls, 320);
    let shown = place.assay(&["run", "suite.yaml"]).expect(0).stdout;
    assert!(
        shown.contains("Attempts: 40 cases: inconclusive; 80 cases: inconclusive; 160 cases: pass"),
        "{shown}"
    );
    // Held against a run that drew fewer, what is not in both is said.
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    place.write("suite.yaml", suite.replace("max_cases: 300", "max_cases: 40"));
    let few = place.assay(&["run", "suite.yaml", "--json"]).expect(3).json();
    let sides = [&report, &few].map(|report| format!("{}:two", report["run"]["id"].as_str().unwrap()));
    let compared = place.assay(&["compare", &sides[0], &sides[1]]).expect(0).stdout;
    assert!(
        compared.contains("160 cases were asked before and 40 after: those of both are compared"),
        "{compared}"
    );
    assert!(compared.contains("was given more by its gate, up to 320 jobs"), "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_cases_end_whole_rounds_of_trials_are_added() {
    let provider = provider(0).await;
    let place = Workplace::default();
    let gate = "{max_repeats: 3, rules: [{metric: pass_rate, max_drop: 0.05}]}";
    twins(&place, &provider, 30, gate);
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(3).json();
    let trials: Vec<_> =
        report["attempts"].as_array().unwrap().iter().map(|attempt| attempt["trials"].clone()).collect();
    assert_eq!(trials, [1, 2, 3]);
    let variant = &report["variants"][1];
    assert_eq!(
        (&variant["passed"], &variant["cases"], &variant["pass_rate"]),
        (&json!(90), &json!(30), &json!(1.0))
    );
    // Wilson's bound for 30 cases: trials of a case are no further cases.
    assert!((variant["interval"][0].as_f64().unwrap() - 30.0 / (30.0 + 3.841_459)).abs() < 1e-6, "{variant}");
    let rule = first_rule(&report);
    assert_eq!((&rule["outcome"], &rule["interval"]), (&json!("inconclusive"), &Value::Null));
    let results = place.assay(&["results"]).expect(0).stdout;
    let third = results.lines().filter(|line| line.contains("\"trial\":3")).count();
    assert_eq!((results.lines().count(), third), (180, 60));
    // Compared, a case is the mean over its rounds.
    let run = report["run"]["id"].as_str().unwrap();
    let sides = [format!("{run}:one"), format!("{run}:two")];
    let compared = place.assay(&["compare", &sides[0], &sides[1], "--json"]).expect(0).json();
    let pair = &compared["pairs"][0];
    let [warning] = compared["warnings"].as_array().unwrap().as_slice() else { panic!("{compared}") };
    assert!(warning.as_str().unwrap().contains("was given more by its gate, up to 180 jobs"), "{warning}");
    assert_eq!(pair["paired"]["test"], "student_t");
    assert_eq!((&pair["paired"]["cases"], &pair["after"]["passed"]), (&json!(30), &json!(90)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_of_a_fleet_ends_a_run_early() {
    let mut world = World::new().await;
    let processes = vec![world.coordinator(), world.worker()];
    world.ready().await;
    let place = Workplace::default();
    first_look(&place, "gate: {stop_early: true, rules: [{metric: pass_rate, max_drop: 0.02}]}\n");
    let run = world.submit(Path::new(&place.path().join("suite.yaml"))).await;
    let run = world.finished(run).await;
    assert!(run.stopped_early);
    let report = world.report(run.id);
    assert_eq!(
        (&report["run"]["stopped_early"], &report["verdict"]["outcome"]),
        (&json!(true), &json!("pass"))
    );
    assert!(report["run"]["jobs_used"].as_u64().unwrap() < 1_000);
    world.end(processes).await;
}

/// A budget that ends while cases are added: what was whole until then is told with its evidence.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_whole_before_the_budget_ended_is_told() {
    let price = Price { input_per_mtok: 100_000_000_000, output_per_mtok: 100_000_000_000 };
    let script = Script { price, ..Script::answering(Answer::Expression) };
    let provider = FakeProvider::start(script).await.expect("the fake provider starts");
    let place = Workplace::default();
    twins(
        &place,
        &provider,
        400,
        "{min_cases: 40, max_cases: 300, rules: [{metric: pass_rate, max_drop: 0.02}]}",
    );
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let models = "models: [{provider: fake, model: small, max_tokens: 8}]\nbudget_usd: 0.06\n";
    place.write("suite.yaml", suite.replace("models: [fake/small]\n", models)).write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\nlimits = {{ in_flight = 10 }}\n\
             [prices.\"fake/small\"]\ninput_per_mtok = 100\noutput_per_mtok = 100\n",
            provider.base_url()
        ),
    );
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(3).json();
    assert_eq!(report["run"]["state"], "cancelled");
    assert!(first_rule(&report)["reason"].as_str().unwrap().contains("not complete"), "{report}");
    let attempts = report["attempts"].as_array().unwrap();
    let [.., whole, last] = attempts.as_slice() else { panic!("{report}") };
    assert_eq!(last["verdict"], Value::Null);
    let rule = first_rule(whole);
    assert_eq!((&rule["n"], &rule["outcome"]), (&whole["cases"], &json!("inconclusive")));
    assert_eq!(rule["observed"], 0.0, "nothing changes sides");
    assert!(rule["interval"][0].as_f64().unwrap() < -0.02, "{rule}");
    let shown = place.assay(&["status", report["run"]["id"].as_str().unwrap()]).expect(0).stdout;
    assert!(shown.contains(&format!("What was whole, after {} cases:", whole["cases"])), "{shown}");
}
