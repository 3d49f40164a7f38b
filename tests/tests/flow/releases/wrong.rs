//! Whatever can be wrong: each says what, and what is near. Nothing is changed.

use super::{Team, says};

#[test]
fn what_is_not_there_is_named_with_what_is_near() {
    let team = Team::new(&[]);
    let check = |arguments: &[&str], code, parts: &[&str]| {
        let ran = team.ann(arguments).expect(code);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        says(&ran.stderr, parts);
    };
    check(&["prompt", "list"], 4, &["assay.db"]);
    team.judges(1, None, 0);
    check(&["prompt", "show", "suport"], 2, &["no prompt `suport`", "did you mean `support`"]);
    check(&["prompt", "show", "support@7"], 2, &["no version 7 of `support`", "there is version 1"]);
    check(&["prompt", "show", "support@latest"], 2, &["`latest` is no version"]);
    check(&["prompt", "show", "support@ffffffff"], 2, &["no version ffffffff"]);
    check(
        &["prompt", "promote", "support", "--channel", "production"],
        2,
        &["which version", "support@NUMBER"],
    );
    check(&["prompt", "promote", "support@1", "--channel", "producton"], 2, &["did you mean `production`"]);
    check(&["prompt", "promote", "support@1", "--channel", "a b"], 2, &["no name of a channel"]);
    check(&["prompt", "promote", "support@1", "--channel", "production", "--override"], 2, &["--reason"]);
    check(
        &["prompt", "promote", "support@1", "--channel", "production", "--override", "--reason", " "],
        2,
        &["a reason says why"],
    );
    check(
        &["prompt", "pull", "support", "--channel", "production"],
        2,
        &["nothing was released", "`production`"],
    );
    check(&["prompt", "verify", "prompts/1.md", "--channel", "producton"], 2, &["did you mean `production`"]);
    check(&["prompt", "verify", "prompts/1.md", "--channel", "Bad Chan"], 2, &["no name of a channel"]);
    let verify = ["prompt", "verify", "prompts/1.md", "--channel", "nope"];
    let new = "nothing is live on nope yet (it is new)";
    check(&verify, 2, &[new, "--new-channel"]);
    let passed = team.ann(&[&verify[..], &["--new-channel"]].concat()).expect(0);
    says(&passed.stdout, &[new, "support@1 passed in run"]);
    team.ann(&["prompt", "promote", "support@1", "--channel", "production"]).expect(0);
    check(
        &["prompt", "promote", "support@1", "--channel", "production"],
        2,
        &["live on production already", "by ann"],
    );
    let back = ["prompt", "rollback", "support", "--channel", "production", "--reason", "x"];
    check(&back, 2, &["nothing to roll back to", "support@1"]);
    check(&["prompt", "rehearse", "support", "--channel", "production"], 2, &["nothing to roll back to"]);
    check(&["prompt", "pull", "support", "--channel", "prodution"], 2, &["did you mean `production`"]);
    check(&["prompt", "history", "support", "--at", "yesterday"], 2, &["--at `yesterday`"]);
    check(&["prompt", "verify", "prompts/9.md", "--channel", "production"], 2, &["prompts/9.md"]);
    check(
        &["prompt", "verify", "prompts", "--channel", "production"],
        2,
        &["prompts is a folder: name the file"],
    );
    check(&["--json", "review", "--week", "--csv"], 2, &["--json and --csv are two forms of one answer"]);
    check(
        &["prompt", "verify", "prompts/2.md", "--channel", "production"],
        1,
        &["is no version of any prompt"],
    );
    check(&["incident", "ack", "4"], 2, &["no incident 4"]);
    check(&["incident", "link", "4"], 2, &["no incident 4"]);
    check(&["incident", "open", "support", "--channel", "stagng", "--reason", "x"], 2, &["stagng"]);
    // The channels of rehearsals are nobody's.
    let scratch = ["--channel", "rehearsal~production"];
    for command in [
        &["prompt", "pull", "support"][..],
        &["prompt", "rehearse", "support"],
        &["prompt", "rollback", "support", "--reason", "x"],
        &["prompt", "verify", "prompts/1.md"],
        &["incident", "open", "support", "--reason", "x"],
    ] {
        check(&[command, &scratch].concat(), 2, &["`rehearsal~production` is no name of a channel"]);
    }
    let rehearsed = "support@rehearsal~production";
    let no_name = "`rehearsal~production` is no name of a channel";
    check(&["compare", rehearsed, "support@1"], 2, &[no_name]);
    check(&["compare", "support@1", rehearsed], 2, &[no_name]);
    team.suite(2, Some(1), super::COMPARED);
    let asks = std::fs::read_to_string(team.place.path().join("suite.yaml")).unwrap();
    let asks = asks.replace("label: v1, file: prompts/1.md", "channel: rehearsal~production");
    team.place.write("suite.yaml", asks);
    check(&["run", "suite.yaml"], 2, &[no_name, "suite.yaml:4:"]);
    assert_eq!(team.ann(&["incident", "list"]).expect(0).stdout, "no incident is open\n");
}

/// A verdict that is missing, foreign, inconclusive or expired carries no promotion, and says which it is.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_verdict_carries_a_promotion() {
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.ann(&["prompt", "promote", "support@1", "--channel", "production"]).expect(0);
    let refused = |version: &str, parts: &[&str]| {
        let promote = ["prompt", "promote", version, "--channel", "production"];
        says(&team.ann(&promote).expect(1).stderr, parts);
    };
    // Judged alone: nothing was compared with what is live.
    team.judges(2, None, 0);
    refused("support@2", &["compares it with nothing, but support@1 is live"]);
    team.ann(&["prompt", "promote", "support@2", "--channel", "staging"]).expect(0);
    // Compared with a version that is not live.
    team.judges(4, Some(2), 0);
    refused("support@3", &["but support@1 is live"]);
    // Never judged as a candidate.
    team.suite(3, Some(1), "");
    team.ann(&["run", "suite.yaml"]).expect(0);
    refused("support@4", &["no run has judged it", "support@1, which is live"]);
    // Too few cases to say.
    team.suite(2, Some(1), &format!("{}  min_cases: 1000\n", super::COMPARED));
    team.ann(&["run", "suite.yaml"]).expect(3);
    refused("support@2", &["is inconclusive on"]);
    // Passed, a moment too long ago.
    team.suite(2, Some(1), &format!("{}  expires: 1s\n", super::COMPARED));
    team.ann(&["run", "suite.yaml"]).expect(0);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    refused("support@2", &["expired at"]);
    team.judges(2, Some(1), 0);
    team.ann(&["prompt", "promote", "support@2", "--channel", "production"]).expect(0);
}

/// An override that was not needed is on record as that.
#[test]
fn an_override_of_what_passed_is_said_to_be_needless() {
    let team = Team::new(&[]);
    let run = team.judges(1, None, 0);
    // Nobody is told, and what would have been is listed.
    team.place.write("assay.toml", "[webhooks.x]\nurl = \"http://127.0.0.1:1/\"\nformat = \"slack\"\n");
    let over = ["--channel", "production", "--override", "--reason", "in haste"];
    let released = team.ann(&[&["prompt", "promote", "support@1"], &over[..]].concat()).expect(0);
    let passed = format!("its verdict of run {run} passed");
    says(&released.stdout, &[&format!("{passed}: promoting it without --override"), "incident 1 is open"]);
    let incidents = team.ann(&["incident", "list", "--json"]).expect(0).json();
    assert_eq!(incidents[0]["summary"], format!("released by override, though {passed}: in haste"));
    says(
        &team.ann(&["prompt", "history", "support"]).expect(0).stdout,
        &["override", &format!("run {run} passed; in haste")],
    );
    let told = team.ann(&["notify", "list"]).expect(0).stdout;
    says(
        &told,
        &["support@1 was put by override, though its verdict passed, on production by ann: in haste"],
    );
    // What somebody finds wrong besides is no note of that: it is an incident, which those join that somebody opens of it again.
    let report = |reason: &str, parts: &[&str]| {
        let open = ["incident", "open", "support", "--channel", "production", "--reason", reason];
        says(&team.ann(&open).expect(0).stdout, parts);
    };
    report("it swears", &["incident 2 is open: support@1 on production: it swears"]);
    let joined = "no incident was opened: this was noted with incident 2, which somebody has opened of the same version";
    report("it leaks", &[joined, "incident 2 is open", "noted by ann: it leaks"]);
    let incidents = team.ann(&["incident", "list", "--json"]).expect(0).json();
    let kinds: Vec<_> = incidents.as_array().unwrap().iter().map(|incident| &incident["kind"]).collect();
    assert_eq!(kinds, ["manual", "override"]);
}

/// A release that took the version off is noted with its incident once.
#[test]
fn an_incident_is_linked_once() {
    let team = Team::new(&[]);
    for version in [1, 2] {
        team.judges(version, None, 0);
    }
    let asks = |arguments: &[&str]| team.ann(&[arguments, &["--channel", "production"]].concat()).expect(0);
    asks(&["prompt", "promote", "support@1"]);
    asks(&["incident", "open", "support", "--reason", "it is rude"]);
    asks(&["prompt", "promote", "support@2", "--override", "--reason", "it is polite"]);
    let linked = team.ann(&["incident", "link", "1"]).expect(0).stdout;
    says(&linked, &["linked by ann: release 2: override to version 2"]);
    says(&team.ann(&["incident", "link", "1"]).expect(2).stderr, &["1 is linked already, with release 2"]);
    assert_eq!(team.ann(&["incident", "show", "1"]).expect(0).stdout, linked);
}
