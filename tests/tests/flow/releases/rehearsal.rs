//! The rehearsal that a team runs: both of its forms, with the script that stands in the repository.

use std::process::Command;

use assay_tests::assay::{Ran, Workplace, binary, repository};

use super::says;

fn rehearse(place: &Workplace, arguments: &[&str]) -> Ran {
    let mut command = Command::new(repository().join("examples/rehearsal/rehearse.sh"));
    command.args(arguments).current_dir(place.path()).env("ASSAY", binary()).env("ASSAY_ACTOR", "ann");
    for variable in ["ASSAY_STORE", "ASSAY_SERVER", "ASSAY_TOKEN"] {
        command.env_remove(variable);
    }
    command.output().unwrap().into()
}

#[test]
fn a_release_goes_wrong_and_comes_back() {
    let place = Workplace::default();
    let walk = rehearse(&place, &[]).expect(0);
    says(&walk.stderr, &["routing@3 is not promoted"]);
    says(
        &walk.stdout,
        &[
            "incident 1 is open",
            "routing@3 was rolled back to routing@2 on rehearsal~production",
            "incident 1 is recovered from",
            "routing@2 is live on production",
            "opened by somebody in a hurry",
            "2 promoted, 1 overridden, 1 rolled back",
        ],
    );
    assert!(std::fs::read_to_string(place.path().join(".rehearsal/review.html")).unwrap().contains("<svg "));

    let told = rehearse(&place, &["simulate"]).expect(0);
    says(&told.stdout, &["You have ten minutes", "ASSAY_STORE='sqlite:.rehearsal/assay.db'"]);
    assert_eq!(told.stderr, "", "what is wrong is for them to find");
    let store = ["--store", "sqlite:.rehearsal/assay.db"];
    for command in [
        &["incident", "ack", "1"][..],
        &["prompt", "rollback", "routing", "--channel", "production", "--reason", "German"],
        &["incident", "resolve", "1", "--cause", "haste"],
    ] {
        place.assay(&[command, &store[..]].concat()).expect(0);
    }
    says(&rehearse(&place, &["debrief"]).expect(0).stdout, &["incident 1 is resolved", "1 rolled back"]);
}
