//! action.yml, held against the real binary: every assay command line in it is one that the binary takes.

use std::collections::BTreeMap;

use assay_tests::assay::{Workplace, repository};
use serde_json::Value;

fn action() -> Value {
    let text = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn steps(action: &Value) -> &Vec<Value> {
    action["runs"]["steps"].as_array().unwrap()
}

/// The script of the step that runs the suite, and its variables.
fn running(action: &Value) -> (&str, BTreeMap<&str, &str>) {
    let step = steps(action).iter().find(|step| step["id"] == "run").unwrap();
    let variables = step["env"].as_object().unwrap().iter();
    (
        step["run"].as_str().unwrap(),
        variables.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect(),
    )
}

#[test]
fn every_input_is_used_and_reaches_the_shell_as_a_variable() {
    let action = action();
    let text = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    for (input, described) in action["inputs"].as_object().unwrap() {
        assert!(described["description"].is_string(), "{input}");
        assert!(text.contains(&format!("inputs.{input}")), "{input} is used nowhere");
    }
    for step in steps(&action) {
        assert_eq!(step["shell"], "bash");
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "text from outside would be run:\n{script}");
    }
}

/// Parsed by the binary itself: a word that it does not know ends with another complaint than the file that is missing.
#[test]
fn every_command_line_is_one_the_binary_takes() {
    let action = action();
    let (script, _) = running(&action);
    let lines: Vec<_> = script.lines().map(str::trim).filter(|line| line.starts_with("assay ")).collect();
    assert_eq!(lines.len(), 2, "{script}");
    for line in lines {
        let line = line.split(" > ").next().unwrap();
        let place = Workplace::default();
        let filled = line
            .replace("$SUITE", "missing.yaml")
            .replace("$KEY", "key")
            .replace("$PATIENCE", "10m")
            .replace("$STORE", "sqlite:.assay/assay.db")
            .replace("$out", ".");
        assert!(!filled.contains('$'), "{filled}");
        let arguments: Vec<_> = filled.split(' ').skip(1).map(|word| word.trim_matches('"')).collect();
        let mut command = place.command(&arguments);
        command.env("ASSAY_SERVER", "http://127.0.0.1:9").env("ASSAY_TOKEN", "token");
        command.env("GITHUB_STEP_SUMMARY", place.path().join("summary.md"));
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("missing.yaml"), "{line}\n{stderr}");
    }
}

/// The step as GitHub runs it, with bash: the reports are where the next steps look, and the verdict is the last word.
#[test]
fn the_step_that_runs_a_suite_leaves_its_reports() {
    let action = action();
    let (script, variables) = running(&action);
    let place = Workplace::default();
    let binary = assay_tests::assay::binary().parent().unwrap().display().to_string();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-e", "-c", script]).current_dir(place.path());
    for name in variables.keys() {
        bash.env(name, "");
    }
    let path = format!("{binary}:{}", std::env::var("PATH").unwrap());
    let suite = repository().join("examples/first-look/suite.yaml");
    bash.env("PATH", path)
        .env("SUITE", suite)
        .env("PATIENCE", "10m")
        .env("STORE", "sqlite:.assay/assay.db")
        .env("RUNNER_TEMP", place.path())
        .env("GITHUB_OUTPUT", place.path().join("output"))
        .env("GITHUB_STEP_SUMMARY", place.path().join("summary.md"));
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    assert!(read("output").contains("exit-code=0\n"), "{}", read("output"));
    let output = read("output");
    let left = |name: &str| {
        let path = output.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    let report: Value = serde_json::from_str(&left("json")).unwrap();
    assert_eq!(report["verdict"]["outcome"], "pass");
    let markdown = left("markdown");
    assert_eq!(read("summary.md"), markdown);
    for part in ["✅ pass", "95.4 %", "```diff\n", "\nWorse:\n\n- ", "Run `"] {
        assert!(markdown.contains(part), "{part} is missing in\n{markdown}");
    }
    let junit = left("junit");
    let rules = report["verdict"]["versions"][0]["rules"].as_array().unwrap().len();
    assert!(junit.contains(&format!("<testsuite name=\"gate\" tests=\"{rules}\"")), "{}", &junit[..2_000]);
}
