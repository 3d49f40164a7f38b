//! Suites that mean harm: refused fast, in bounded memory, with a place.

use insta::assert_snapshot;

use super::{Folder, suite_with, told, told_of};

#[test]
fn alias_bombs_and_deep_nesting() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_snapshot!(told(&bomb), @r#"
error: aliases repeat more than 50000 values
 --> suite.yaml:5:30
  |
5 | a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
  |                              ^^^
  |
  = help: write out what is repeated, or put it into a file of cases

1 error: nothing was run
"#);
    assert_snapshot!(told(&format!("suite: {}", "[".repeat(100_000))), @r#"
error: nested more than 64 levels deep
 --> suite.yaml:1:72
  |
1 | suite: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
  |                                                                        ^
  |
  = help: write it flatter

1 error: nothing was run
"#);
    assert_snapshot!(told(&format!("suite:\n  {}", "- ".repeat(100_000))), @r#"
error: nested more than 64 levels deep
 --> suite.yaml:2:129
  |
2 | …- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - …
  |                                                    ^
  |
  = help: write it flatter

1 error: nothing was run
"#);
    assert_snapshot!(told("suite: &a [*a]\n"), @r#"
error: an alias inside of what it stands for
 --> suite.yaml:1:12
  |
1 | suite: &a [*a]
  |            ^^
  |
  = help: name something that is complete before it

1 error: nothing was run
"#);
}

#[test]
fn huge_files() {
    let folder = Folder::with(&[]);
    std::fs::File::create(folder.path("suite.yaml")).unwrap().set_len(1 << 30).unwrap();
    assert_snapshot!(folder.load().unwrap_err(), @r#"
error: suite.yaml has more than 16 MiB
--> suite.yaml
 = help: large data belongs into a .jsonl or .csv file of cases, which is read row by row

1 error: nothing was run
"#);
    folder.write("suite.yaml", suite_with("", ""));
    std::fs::File::create(folder.path("cases.jsonl")).unwrap().set_len(1 << 30).unwrap();
    assert_snapshot!(folder.load().unwrap_err(), @r#"
error: a row of more than 16 MiB
 --> cases.jsonl:1:1
  |
1 | \u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}...\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}…
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: nothing behind this row was read

1 error: nothing was run
"#);
    for file in ["c.csv", "c.json"] {
        folder.write("suite.yaml", suite_with("cases", &format!("cases: [{{file: {file}}}]\n")));
        folder.write(file, format!("[\"question\n{}", " ".repeat(40 << 20)));
        let told = folder.load().unwrap_err();
        assert!(told.contains("does not parse") || told.contains("16 MiB"), "{told}");
    }
}

#[test]
fn paths_that_leave_the_folder() {
    let suite = suite_with(
        "prompts",
        "
prompts:
  - {name: a, label: a, file: /etc/passwd}
  - {name: a, label: b, file: ../../etc/passwd}
  - {name: a, label: c, file: prompts/../../x.md}
  - {name: a, label: d, file: prompts}
  - {name: a, label: e, file: .}
",
    );
    assert_snapshot!(told(&suite), @r#"
error: `/etc/passwd` leaves the suite's folder
 --> suite.yaml:4:31
  |
4 |   - {name: a, label: a, file: /etc/passwd}
  |                               ^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

error: `../../etc/passwd` leaves the suite's folder
 --> suite.yaml:5:31
  |
5 |   - {name: a, label: b, file: ../../etc/passwd}
  |                               ^^^^^^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

error: `prompts/../../x.md` leaves the suite's folder
 --> suite.yaml:6:31
  |
6 |   - {name: a, label: c, file: prompts/../../x.md}
  |                               ^^^^^^^^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

error: cannot read prompts: it is not a file
 --> suite.yaml:7:31
  |
7 |   - {name: a, label: d, file: prompts}
  |                               ^^^^^^^
  |
  = help: name a file that can be read

error: `.` names no file
 --> suite.yaml:8:31
  |
8 |   - {name: a, label: e, file: .}
  |                               ^
  |
  = help: write its path from the suite's folder

5 errors: nothing was run
"#);
    let suite = suite_with("cases", "cases: [{file: '../*.jsonl'}, {file: /etc/*.json}]\n");
    assert_snapshot!(told(&suite), @r#"
error: `../*.jsonl` leaves the suite's folder
 --> suite.yaml:5:16
  |
5 | cases: [{file: '../*.jsonl'}, {file: /etc/*.json}]
  |                ^^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

error: `/etc/*.json` leaves the suite's folder
 --> suite.yaml:5:38
  |
5 | cases: [{file: '../*.jsonl'}, {file: /etc/*.json}]
  |                                      ^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

2 errors: nothing was run
"#);
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.jsonl"), "{}").unwrap();
    let folder = Folder::with(&[(
        "suite.yaml",
        &suite_with("cases", "cases: [{file: 'linked/*.jsonl'}, {file: link.jsonl}]\n"),
    )]);
    std::os::unix::fs::symlink(outside.path(), folder.path("linked")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.jsonl"), folder.path("link.jsonl")).unwrap();
    assert_snapshot!(folder.load().unwrap_err(), @r#"
error: `linked/secret.jsonl` leaves the suite's folder
 --> suite.yaml:5:16
  |
5 | cases: [{file: 'linked/*.jsonl'}, {file: link.jsonl}]
  |                ^^^^^^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

error: `link.jsonl` leaves the suite's folder
 --> suite.yaml:5:42
  |
5 | cases: [{file: 'linked/*.jsonl'}, {file: link.jsonl}]
  |                                          ^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

2 errors: nothing was run
"#);
}

#[test]
fn little_languages_are_bounded() {
    let chain = format!("{{{{ question if true else {}question }}}}", "1+".repeat(120_000));
    let suite = suite_with("", "score: [{type: equals, value: a}]\n");
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("prompts/ask.md", &chain)]), @"");
    let path = format!(
        "score:\n  - {{type: equals, value: a, extract: {{json: '$[?{}@.a{}]'}}}}\n",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    let told_of_path = told(&suite_with("", &path));
    assert!(told_of_path.contains("limit is 512"), "{told_of_path}");
    let remote = "score:\n  - {type: is-json, value: {$ref: 'http://127.0.0.1:1/schema'}}\n  - {type: is-json, value: {$ref: 'file:///etc/passwd'}}\n";
    assert_snapshot!(told(&suite_with("", remote)), @r#"
error: not a JSON Schema: it refers to another document, and nothing is fetched
 --> suite.yaml:8:28
  |
8 |   - {type: is-json, value: {$ref: 'http://127.0.0.1:1/schema'}}
  |                            ^
  |
  = help: such as {type: object, required: [answer]}

error: not a JSON Schema: it refers to another document, and nothing is fetched
 --> suite.yaml:9:28
  |
9 |   - {type: is-json, value: {$ref: 'file:///etc/passwd'}}
  |                            ^
  |
  = help: such as {type: object, required: [answer]}

2 errors: nothing was run
"#);
}

#[test]
fn what_reaches_a_terminal_has_no_control_characters() {
    let told = told("suite: \"a\\e[31m\"\nprompts: [{\"na\\e[2Jme\": x}]\n");
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
