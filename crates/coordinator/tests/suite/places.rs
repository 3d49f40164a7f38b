//! Places that are easy to get wrong: tabs, line ends, long lines, bytes that are no text; and one cause, told once.

use insta::assert_snapshot;

use super::{Folder, suite_with, told, told_of};

#[test]
fn tabs() {
    assert_snapshot!(told("suite: sums\nprompts:\n  - name: a\n\ttext: b\n"), @r#"
error: a tab in the indentation
 --> suite.yaml:4:1
  |
4 |  text: b
  | ^
  |
  = help: YAML is indented with spaces

1 error: nothing was run
"#);
    assert_snapshot!(told("suite: sums\nmodels:\n\t- echo/parrot\n"), @r#"
error: a tab in the indentation
 --> suite.yaml:3:1
  |
3 |  - echo/parrot
  | ^
  |
  = help: YAML is indented with spaces

1 error: nothing was run
"#);
    assert_snapshot!(told(&suite_with("suite", "suite: sums\t# \towner\nownr:\tme\n")), @r#"
error: unknown key `ownr` in the suite
 --> suite.yaml:2:1
  |
2 | ownr: me
  | ^^^^
  |
  = help: did you mean `owner`?

1 error: nothing was run
"#);
}

#[test]
fn line_ends_of_other_systems() {
    let suite = suite_with("", "ownr: me\n").replace('\n', "\r\n");
    let cases = "{\"id\": \"a\", \"question\": 1}\r\n{\"id\": \"a\", \"question\": 2}\r\n";
    let prompt = "One\r\n{{ question }}\r\n{{ qestion }}\r\n";
    assert_snapshot!(
        told_of(&[("suite.yaml", &suite), ("cases.jsonl", cases), ("prompts/ask.md", prompt)]),
        @r#"
error: no row has the field `lang`
 --> suite.yaml:6:40
  |
6 |   - {file: cases.jsonl, id: id, tags: [lang]}
  |                                        ^^^^
  |
  = help: there is `id` and `question`

error: unknown key `ownr` in the suite
 --> suite.yaml:7:1
  |
7 | ownr: me
  | ^^^^
  |
  = help: did you mean `owner`?

error: the case id `a` is taken by cases.jsonl:1
 --> cases.jsonl:2:8
  |
2 | {"id": "a", "question": 2}
  |        ^^^
  |
  = help: ids are unique in a suite

error: no case has the variable `qestion`
 --> prompts/ask.md:3:4
  |
3 | {{ qestion }}
  |    ^^^^^^^
  |
  = help: did you mean `question`?

4 errors: nothing was run
"#
    );
}

#[test]
fn long_lines_are_shown_around_their_place() {
    let padding = "é".repeat(300_000);
    let cases = format!(
        "{{\"question\": \"{padding}\", \"id\": \"a\"}}\n{{\"id\": \"a\", \"question\": \"{padding}\"}}\n"
    );
    let suite = suite_with("", &format!("description: {padding}\nowner: [{padding}, &x]\n"));
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("cases.jsonl", &cases)]), @r#"
error: no row has the field `lang`
 --> suite.yaml:6:40
  |
6 |   - {file: cases.jsonl, id: id, tags: [lang]}
  |                                        ^^^^
  |
  = help: there is `id` and `question`

error: `owner` is a list, but a text is wanted
 --> suite.yaml:8:8
  |
8 | owner: [éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…
  |        ^
  |
  = help: Who answers for it.

error: the case id `a` is taken by cases.jsonl:1
 --> cases.jsonl:2:8
  |
2 | {"id": "a", "question": "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…
  |        ^^^
  |
  = help: ids are unique in a suite

3 errors: nothing was run
"#);
}

#[test]
fn bytes_that_are_no_text() {
    let check = |file: &str, row: &[u8]| {
        let folder =
            Folder::with(&[("suite.yaml", &suite_with("cases", &format!("cases: [{{file: {file}}}]\n")))]);
        folder.write(file, row);
        folder.load().unwrap_err()
    };
    assert_snapshot!(check("c.jsonl", b"{\"question\": 1}\n{\"question\": \"Ren\xe9\"}\n"), @r#"
error: the row is not UTF-8
 --> c.jsonl:2:18
  |
2 | {"question": "Ren�"}
  |                  ^
  |
  = help: save the file as UTF-8

1 error: nothing was run
"#);
    assert_snapshot!(check("c.csv", b"question\nRen\xe9\n"), @r#"
error: the row is not UTF-8
 --> c.csv:2:4
  |
2 | Ren�
  |    ^
  |
  = help: save the file as UTF-8

1 error: nothing was run
"#);
    assert_snapshot!(check("c.json", b"[{\"question\": 1},\n {\"question\": \"Ren\xe9\"}]"), @r#"
error: the file does not parse: invalid unicode code point
 --> c.json:2:19
  |
2 |  {"question": "Ren�"}]
  |                   ^
  |
  = help: a file of cases is a list of objects: [{"name": "value"}]

1 error: nothing was run
"#);
    assert_snapshot!(check("c.yaml", b"- question: 1\n- question: Ren\xe9\n"), @r#"
error: the file is not UTF-8
 --> c.yaml:2:16
  |
2 | - question: Ren�
  |                ^
  |
  = help: save the file as UTF-8

1 error: nothing was run
"#);
    let folder = Folder::with(&[("suite.yaml", &suite_with("", ""))]);
    folder.write("prompts/ask.md", b"{{ question }}\nRen\xe9\n");
    assert_snapshot!(folder.load().unwrap_err(), @r#"
error: the file is not UTF-8
 --> prompts/ask.md:2:4
  |
2 | Ren�
  |    ^
  |
  = help: save the file as UTF-8

1 error: nothing was run
"#);
}

#[test]
fn characters_that_reorder_a_line_are_written_out() {
    let told = told(&suite_with("", "ow\u{202e}ner: a\u{200b}\n"));
    assert_snapshot!(told, @r#"
error: unknown key `ow\u{202e}ner` in the suite
 --> suite.yaml:7:1
  |
7 | ow\u{202e}ner: a\u{200b}
  | ^^^^^^^^^^^^^
  |
  = help: did you mean `owner`?

1 error: nothing was run
"#);
    assert!(!told.contains(['\u{202e}', '\u{200b}']));
}

#[test]
fn one_cause_is_told_once() {
    let check = |part: &str, lines: &str| told(&suite_with(part, lines));
    assert_snapshot!(check("", "repeats: 4000000000\n"), @r#"
error: `repeats` is 4000000000, but must be from 1 to 1000
 --> suite.yaml:7:10
  |
7 | repeats: 4000000000
  |          ^^^^^^^^^^
  |
  = help: Trials of each case. Default: 1.

1 error: nothing was run
"#);
    assert_snapshot!(check("", "repeats: 99999999999999999999999\n"), @r#"
error: 99999999999999999999999 does not fit 64 bits
 --> suite.yaml:7:10
  |
7 | repeats: 99999999999999999999999
  |          ^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "99999999999999999999999"

1 error: nothing was run
"#);
    assert_snapshot!(check("models", "models: [{provider: echo, model: parrot, file: ../answers.jsonl}]\n"), @r#"
error: `echo` answers by itself: `file` is for recorded answers
 --> suite.yaml:4:48
  |
4 | models: [{provider: echo, model: parrot, file: ../answers.jsonl}]
  |                                                ^^^^^^^^^^^^^^^^
  |
  = help: delete `file`, or play it back with `provider: recorded`

1 error: nothing was run
"#);
    assert_snapshot!(check("cases", "cases: [{file: ../cases.jsonl, id: id, cluster: thread, tags: [lang]}]\n"), @r#"
error: `../cases.jsonl` leaves the suite's folder
 --> suite.yaml:5:16
  |
5 | cases: [{file: ../cases.jsonl, id: id, cluster: thread, tags: [lang]}]
  |                ^^^^^^^^^^^^^^
  |
  = help: files are opened beneath the folder of the suite alone: copy it there

1 error: nothing was run
"#);
    assert_snapshot!(check("", "repeats: 0\nreduce: pass@3\n"), @r#"
error: `repeats` is 0, but must be from 1 to 1000
 --> suite.yaml:7:10
  |
7 | repeats: 0
  |          ^
  |
  = help: Trials of each case. Default: 1.

1 error: nothing was run
"#);
    let gated = "gate: {rules: [{metric: pass_rate, min: 0.5, slice: {lang: fr}}]}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite_with("", gated)), ("cases.jsonl", "{\"id\": 1, \"question\": 1, \"lang\": \"de\"}\noops\n")]), @r#"
error: the row does not parse: expected value
 --> cases.jsonl:2:1
  |
2 | oops
  | ^
  |
  = help: a row is one JSON object on one line

1 error: nothing was run
"#);
    assert_snapshot!(check("", "threshold: .nan\nbudget_usd: .inf\nownr: me\n"), @r#"
error: .nan is no finite number
 --> suite.yaml:7:12
  |
7 | threshold: .nan
  |            ^^^^
  |
  = help: quote it if it is a text: ".nan"

error: .inf is no finite number
 --> suite.yaml:8:13
  |
8 | budget_usd: .inf
  |             ^^^^
  |
  = help: quote it if it is a text: ".inf"

error: unknown key `ownr` in the suite
 --> suite.yaml:9:1
  |
9 | ownr: me
  | ^^^^
  |
  = help: did you mean `owner`?

3 errors: nothing was run
"#);
}

#[test]
fn numbers_name_cases_and_tags_by_their_shortest_text() {
    let suite = suite_with(
        "cases",
        "cases: [{file: c.jsonl, id: id, tags: [tier]}]\ngate: {rules: [{metric: pass_rate, min: 0.5, slice: {tier: 1.0}}]}\n",
    );
    let cases =
        "{\"id\": 1.50, \"tier\": 1.0, \"question\": 1}\n{\"id\": \"1.5\", \"tier\": 2, \"question\": 2}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("c.jsonl", cases)]), @r#"
error: the case id `1.5` is taken by c.jsonl:1
 --> c.jsonl:2:8
  |
2 | {"id": "1.5", "tier": 2, "question": 2}
  |        ^^^^^
  |
  = help: ids are unique in a suite

1 error: nothing was run
"#);
}
