//! Two who promote at once.

use super::{Team, says};

/// One of them wins; the other is told by whom.
#[test]
fn of_two_promotions_at_once_one_wins() {
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.ann(&["prompt", "promote", "support@1", "--channel", "production"]).expect(0);
    team.judges(2, Some(1), 0);
    team.judges(4, Some(1), 0);
    // Version 4 of the folder has the number 3 in the store.
    let start = |who, version| {
        let mut command = team.place.command(&["prompt", "promote", version, "--channel", "production"]);
        command
            .env("ASSAY_ACTOR", who)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start("bob", "support@2"), start("eve", "support@3")];
    let ended = both.map(|child| assay_tests::assay::Ran::from(child.wait_with_output().unwrap()));
    let (won, lost): (Vec<_>, Vec<_>) = ended.into_iter().partition(|ran| ran.code == Some(0));
    assert_eq!((won.len(), lost.len()), (1, 1));
    // In the same moment the loser finds the channel moved; a moment later, that he was compared with something else.
    let first = won[0].stdout.contains("support@2");
    let (live, by) = if first { ("support@2", "bob") } else { ("support@3", "eve") };
    says(&lost[0].stderr, &[live, "is live", &format!("promotion by {by} at 2")]);
    let history = team.ann(&["prompt", "history", "support", "--json"]).expect(0).json();
    assert_eq!(history["releases"].as_array().unwrap().len(), 2, "{history}");
}
