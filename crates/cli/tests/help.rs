//! What a newcomer reads first.

use std::process::Command;

fn assay(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_assay")).args(arguments).output().expect("assay runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn help_teaches_commands_exit_codes_and_where_to_start() {
    let (code, help) = assay(&["--help"]);
    assert_eq!(code, Some(0));
    let commands = [
        "run",
        "validate",
        "schema",
        "status",
        "results",
        "submit",
        "watch",
        "cancel",
        "pause",
        "resume",
        "retry",
        "prune",
        "token",
        "prompt",
        "incident",
        "limits",
        "coordinator",
        "worker",
    ];
    for part in commands.into_iter().chain(["Exit codes:", "Start here:"]) {
        assert!(help.contains(part), "{part} is missing in:\n{help}");
    }
    let (code, help) = assay(&["run", "--help"]);
    assert_eq!(code, Some(0));
    for part in ["--new", "--patience", "--store", "--json", "--junit", "--markdown", "Examples:"] {
        assert!(help.contains(part), "{part} is missing in:\n{help}");
    }
    for (command, codes) in [
        ("run", "01234"),
        ("validate", "02"),
        ("status", "024"),
        ("results", "024"),
        ("submit", "01234"),
        ("watch", "01234"),
        ("cancel", "024"),
        ("pause", "024"),
        ("resume", "024"),
        ("retry", "024"),
        ("limits", "024"),
    ] {
        let (code, help) = assay(&[command, "--help"]);
        assert_eq!(code, Some(0));
        let listed = help.split("Exit codes:").nth(1).unwrap_or_default().lines();
        let listed: String = listed.filter_map(|line| line.trim_start().chars().next()).collect();
        assert_eq!(listed, codes, "{command}:\n{help}");
        assert!(help.contains(&format!("Examples:\n  assay {command}")), "{help}");
        let asks_a_coordinator = !matches!(command, "run" | "validate");
        assert!(!asks_a_coordinator || help.matches("--server").count() > 1, "{command}:\n{help}");
    }
}

#[test]
fn the_schema_is_one_json_document() {
    let (code, schema) = assay(&["schema"]);
    assert_eq!(code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["type"], "object");
    assert!(schema["properties"]["prompts"]["description"].is_string());
}
