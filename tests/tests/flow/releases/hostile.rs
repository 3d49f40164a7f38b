//! Whatever a name, a reason, a case or a model holds is text, wherever a review is read: in Markdown, in a page, in a spreadsheet. In
//! a terminal it is one line.

use assay_common::clock::Clock;
use assay_common::suite::Suite;
use assay_store::{Schema, Store, StoreUrl};
use fake_provider::{FakeProvider, Reaction, Script, When};

use super::{ALONE, Team, says};

/// What it is asked about is answered now so, now otherwise.
fn wavers() -> Script {
    let wrong = super::sweeps::WRONG.replace("no", "<script>alert(5)</script>");
    let wrong = Reaction::Reply { status: 200, headers: Vec::new(), body: wrong };
    Script::default().rule(When { share: Some(0.5), ..When::default() }, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_name_holds_is_text() {
    let provider = FakeProvider::start(wavers()).await.unwrap();
    tokio::task::block_in_place(|| is_text(&provider));
}

fn is_text(provider: &FakeProvider) {
    let team = Team::of(20, "fake/small", &[]);
    team.place.provider(provider.base_url(), "");
    let name = "<script>alert(1)</script>";
    team.suite(1, None, &ALONE.replace("0.7", "0.1"));
    let read = |file: &str| std::fs::read_to_string(team.place.path().join(file)).unwrap();
    let suite = read("suite.yaml")
        .replace("name: support", &format!("name: \"{name}\""))
        .replace("suite: support", "suite: \"=1+1\"\nrepeats: 4")
        .replace("owner: ann@example.com", "owner: \"@SUM(A1)\"");
    team.place.write("suite.yaml", suite);
    team.place.write("cases.jsonl", read("cases.jsonl").replace("\"c1", "\"<img src=x onerror=alert(4)>c1"));
    team.ann(&["run", "suite.yaml"]).expect(0);
    team.ann(&["prompt", "promote", &format!("{name}@1"), "--channel", "production"]).expect(0);
    let reason = "</td><img src=x onerror=alert(2)> @everyone [a](javascript:1)";
    team.ann(&["incident", "open", name, "--channel", "production", "--reason", reason]).expect(0);
    let risk =
        ["risk", "add", "<svg onload=alert(3)>", "--owner", "\" onclick=\"x", "--deadline", "2099-01-01"];
    team.ann(&risk).expect(0);

    let markdown = team.ann(&["review", "--week", "--markdown", "--html", "review.html"]).expect(0).stdout;
    for tag in ["<script", "<img", "<svg", "@everyone", "[a]("] {
        assert!(!markdown.contains(tag), "{tag} in\n{markdown}");
    }
    let page = read("review.html");
    says(
        &page,
        &[
            "default-src 'none'; style-src 'sha256-",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "&lt;img src=x onerror=alert(4)&gt;c1",
            "<svg xmlns=",
            // A quote in a cell ends no attribute: there is none with text in it.
            "&quot; onclick=&quot;x",
        ],
    );
    for tag in ["<script", "<img", "<svg onload", "href=", "src=\"", "url("] {
        assert!(!page.contains(tag), "{tag} in\n{page}");
    }
    let csv = team.ann(&["review", "--week", "--csv"]).expect(0).stdout;
    says(&csv, &[",'=1+1,", ",'@SUM(A1),"]);
}

/// Whoever names himself, or a cause, over two lines adds none to an error.
#[test]
fn an_error_is_one_line() {
    let team = Team::new(&[]);
    let eve = |arguments: &[&str]| {
        team.asks("eve\nall is well", &[arguments, &["--channel", "production"]].concat())
    };
    let check = |ran: assay_tests::assay::Ran, part: &str| {
        let told = ran.expect(2).stderr;
        says(&told, &[part]);
        assert_eq!(told.lines().count(), 1, "{told}");
    };
    for version in [1, 2] {
        team.judges(version, None, 0);
    }
    let who = "by eve\\u{a}all is well at";
    eve(&["prompt", "promote", "support@1"]).expect(0);
    check(eve(&["prompt", "promote", "support@1"]), who);
    let back = ["prompt", "rollback", "support", "--reason", "x"];
    check(eve(&back), who);
    eve(&["prompt", "promote", "support@2", "--override", "--reason", "x"]).expect(0);
    let resolve = ["incident", "resolve", "1", "--cause", "haste\nall is well"];
    team.ann(&resolve).expect(0);
    check(team.ann(&resolve), "incident 1 is resolved already: haste\\u{a}all is well");
}

/// A name over two lines is refused with its place; one that a store has all the same, and one that is asked for, are shown on one.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_line() {
    let team = Team::of(20, "echo/echo", &[]);
    let run = team.judges(1, None, 0);
    let written = std::fs::read_to_string(team.place.path().join("suite.yaml")).unwrap();
    let ends = |arguments: &[&str], code, parts: &[&str]| {
        let ran = team.ann(arguments).expect(code);
        says(&ran.stderr, parts);
        ran
    };
    for (name, held) in
        [("two\\nlines", "`name` holds a line break"), ("two\\u2028lines", "`name` holds a line break")]
    {
        team.place.write("suite.yaml", written.replace("name: support", &format!("name: \"{name}\"")));
        ends(&["validate", "suite.yaml"], 2, &[held, "suite.yaml:4:12"]);
    }
    let store = Store::open(&StoreUrl::Sqlite(team.place.path().join(".assay/assay.db")), Schema::Require)
        .await
        .unwrap();
    let frozen = store.run(run.parse().unwrap()).await.unwrap().unwrap().revision;
    let suite = store.suite(frozen).await.unwrap().unwrap();
    let mut prompts = suite.prompts.clone();
    prompts[0].name = "two\nlines".to_owned();
    store.freeze_suite(Suite { prompts, ..suite }, Clock::system().now()).await.unwrap();
    store.close().await;

    let shown = "two\\u{a}lines";
    let promote = ["prompt", "promote", "two\nlines@1", "--channel", "production"];
    let over = [&promote[..], &["--override", "--reason", "in haste"]].concat();
    for (arguments, code) in [
        (&promote[..], 1),
        (&over, 0),
        (&over, 2),
        (&["prompt", "list"], 0),
        (&["prompt", "show", "two\nlines"], 0),
        (&["prompt", "show", "two\nlines@7"], 2),
        (&["prompt", "show", "two\nlimes"], 2),
        (&["prompt", "history", "two\nlines"], 0),
        (&["prompt", "verify", "prompts/1.md", "--channel", "production", "--prompt", "two\nlines"], 0),
        (&["prompt", "rollback", "two\nlines", "--channel", "production", "--reason", "x"], 2),
        (&["incident", "open", "two\nlines", "--channel", "production", "--reason", "x"], 0),
        (&["incident", "list"], 0),
        (&["compare", "two\nlines@1", "two\nlines@2"], 2),
        (&["schedule", "show", "two\nlines"], 2),
        (&["review", "--week"], 0),
    ] {
        let ran = team.ann(arguments).expect(code);
        let told = if code == 0 { &ran.stdout } else { &ran.stderr };
        assert!(told.contains(shown), "{arguments:?}: {told}");
        assert!(!told.lines().any(|line| line.starts_with("lines")), "{arguments:?}: {told}");
        assert!(code == 0 || told.lines().count() == 1, "{arguments:?}: {told}");
    }
}
