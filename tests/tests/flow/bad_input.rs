//! Bad input: a clear error with its place, exit 2, nothing on stdout, nothing stored, nothing called.

use assay_tests::assay::{Ran, Workplace};
use fake_provider::{FakeProvider, Script};

/// Every way to be wrong that reaches the command line; the suite's own diagnostics are tables beside its loader.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_before_anything_happens() {
    let provider = FakeProvider::start(Script::default()).await.unwrap();
    let check = |change: &dyn Fn(&Workplace), arguments: &[&str], parts: &[&str]| {
        let place = Workplace::default();
        place.provider(provider.base_url(), "").sums(3, "");
        change(&place);
        let ran = place.assay(arguments).expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
        assert!(!place.path().join(".assay").exists(), "something was stored for {arguments:?}");
    };
    let nothing = |_: &Workplace| {};
    let run: &[&str] = &["run", "suite.yaml", "--json"];
    let append = |line: &'static str| {
        move |place: &Workplace| {
            let path = place.path().join("suite.yaml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, format!("{text}{line}\n")).unwrap();
        }
    };
    check(&nothing, &["run", "missing.yaml", "--json"], &["missing.yaml"]);
    check(&nothing, &["run"], &["SUITE"]);
    check(&nothing, &["run", "suite.yaml", "--jsn"], &["--json"]);
    check(&nothing, &["run", "suite.yaml", "--patience", "soon"], &["length of time"]);
    check(&nothing, &["run", "suite.yaml", "--store", "mysql://x"], &["mysql", "sqlite:"]);
    check(&nothing, &["run", "suite.yaml", "--queue", "amqp://bob:s3cret@x"], &["--queue"]);
    check(&nothing, &["run", "suite.yaml", "--log", "=,="], &["--log"]);
    check(&append("scores: []"), run, &["suite.yaml:", "scores", "did you mean `score`"]);
    check(&append("repeats: [1"), run, &["suite.yaml:"]);
    check(&append("gate: {rules: [{metric: pass_rate, max_drop: 0.1}]}"), run, &["suite.yaml:", "baseline"]);
    check(&|place| _ = place.write("cases.jsonl", ""), run, &["cases.jsonl"]);
    check(
        &|place| _ = place.write("cases.jsonl", "{\"id\": 1, \"a\": 1, \"sum\": 2}\n{oops\n"),
        run,
        &["cases.jsonl:2"],
    );
    check(
        &|place| _ = place.write("assay.toml", "[providers.fake]\nkind = \"opnai\"\n"),
        run,
        &["assay.toml", "line 2"],
    );
    check(&|place| _ = place.write("assay.toml", ""), run, &["fake", "provider"]);
    // What has its name is not passed over, whatever it is.
    check(
        &|place| {
            let path = place.path().join("assay.toml");
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("nowhere", path).unwrap();
        },
        run,
        &["cannot read", "assay.toml"],
    );
    check(
        &|place| {
            let toml = "[providers.fake]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key_env = \"NO_SUCH_KEY\"\n";
            place.write("assay.toml", toml);
            append("scores: []")(place);
        },
        run,
        &[
            "did you mean `score`",
            "2 errors",
            "NO_SUCH_KEY",
            "`fake`",
            "suite.yaml:5:10",
            "models: [fake/small]",
            "^^^^",
            "api_key_env",
        ],
    );
    assert_eq!(provider.bill().totals().calls, 0);
}

#[test]
fn what_hides_or_reorders_text_never_reaches_a_terminal() {
    let place = Workplace::default();
    place
        .write("cases.jsonl", "{\"id\": \"c\\u202e1\", \"a\": \"\\u2066x\\u200b\\u001b[2J\"}\n{\"id\": \"c2\", \"a\": \"b\"}\n")
        .write(
            "suite.yaml",
            "suite: \"s\u{2067}\"\nprompts:\n  - {name: p, label: one, text: '{{ a }}'}\n  - {name: p, label: \"t\u{202d}wo\", text: 'b'}\n\
             models: [\"echo/e\u{2068}\"]\ncases:\n  - {file: cases.jsonl, id: id}\nscore:\n  - {type: equals, value: b}\n\
             gate: {rules: [{metric: pass_rate, max_drop: 0.1, name: \"r\u{200f}\"}]}\n",
        );
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let check = |arguments: &[&str], code, parts: &[&str]| {
        let ran = place.assay(arguments).expect(code);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!told.contains(hidden), "{arguments:?}: {told:?}");
        for part in parts {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
    };
    check(
        &["run", "suite.yaml"],
        3,
        &["s\\u{2067}", "t\\u{202d}wo", "c\\u{202e}1", "r\\u{200f}", "e\\u{2068}"],
    );
    check(&["status"], 0, &["s\\u{2067}"]);
    check(&["results"], 0, &["c\\u202e1", "\\u2066x\\u200b\\u001b[2J"]);
    check(&["run", "suite.yaml", "--json"], 3, &["e\\u2068"]);
    check(&["run", "no\u{202e}.yaml"], 2, &["no\\u{202e}.yaml"]);
}

#[test]
fn readers_never_create_a_store() {
    let place = Workplace::default();
    for arguments in [&["status"][..], &["results"], &["status", "--store", "sqlite:other.db"]] {
        let ran = place.assay(arguments).expect(4);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(".db"), "{}", ran.stderr);
    }
    for arguments in [&["migrate", "--check"][..], &["migrate"], &["status"]] {
        let ran = place.assay(&[arguments, &["--store", "sqlite:nodir/none.db"]].concat()).expect(2);
        assert!(ran.stderr.contains("there is no folder nodir"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn nothing_stays_beside_a_file_that_is_no_store() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n",
    );
    place.write("short", "x").write("notes", "no database, and longer than a header of one\n".repeat(20));
    for file in ["short", "notes"] {
        let ran = place.assay(&["run", "suite.yaml", "--store", &format!("sqlite:{file}")]).expect(4);
        assert!(ran.stderr.contains("no SQLite database; name another file"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read(place.path().join("short")).unwrap(), b"x");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 3);
}

#[test]
fn a_store_that_cannot_be_reached_is_named_without_its_password() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n",
    );
    let url = "postgres://assay:hunter2@127.0.0.1:1/assay";
    let ran = place.assay(&["run", "suite.yaml", "--json", "--store", url]).expect(4);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let ran = place.assay(&["run", "suite.yaml", "--json", "--store", "sqlite:suite.yaml/x.db"]).expect(2);
    assert!(ran.stderr.contains("there is no folder suite.yaml"), "{}", ran.stderr);
}

#[test]
fn an_unknown_run_is_said_so() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n",
    );
    place.assay(&["run", "suite.yaml"]).expect(0);
    let ran = place.assay(&["results", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"]).expect(2);
    assert!(ran.stderr.contains("0190a1b2"), "{}", ran.stderr);
    place.assay(&["status", "not-an-id"]).expect(2);
}

/// The shell of somebody who works on a fleet has its broker in the environment: a run here is none of its business.
#[test]
fn a_run_here_does_not_look_at_the_queue_of_a_fleet() {
    let place = Workplace::default();
    place.write(
        "suite.yaml",
        "suite: s\nprompts: [{name: p, text: a}]\nmodels: [echo/e]\ncases: [{id: a, vars: {x: 1}}]\n",
    );
    let assay = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        let ran: Ran = command.env("ASSAY_QUEUE", "amqp://bob:s3cret@127.0.0.1:1").output().unwrap().into();
        assert!(!ran.stdout.contains("s3cret") && !ran.stderr.contains("s3cret"), "{}", ran.stdout);
        ran.expect(0)
    };
    assay(&["run", "suite.yaml"]);
    assay(&["run", "--help"]);
}
