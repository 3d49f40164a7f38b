//! Datasets and recorded answers that are wrong, with the file and the line.

use insta::assert_snapshot;

use super::{Folder, suite_with, told_of};

fn told_of_cases(entry: &str, file: &str, text: &str) -> String {
    let suite = suite_with("cases", &format!("cases:\n  - {entry}\n"));
    told_of(&[("suite.yaml", &suite), (file, text)])
}

#[test]
fn json_lines() {
    let rows = "{\"id\": 1, \"question\": \"a\"}\n\nnot json\n{\"id\": 1, \"question\": \"b\"}\n[1]\n\
                {\"question\": \"c\"}\n{\"id\": 3, \"id\": 4, \"question\": \"d\"}\n{\"id\": 5, \"question\": \"\\ud800\"}\n\
                {\"id\": 6, \"question\": \"a\\u0000b\"}\n{\"id\": [7], \"question\": \"e\"}\n";
    assert_snapshot!(told_of_cases("{file: c.jsonl, id: id}", "c.jsonl", rows), @r#"
error: the row does not parse: expected ident
 --> c.jsonl:3:2
  |
3 | not json
  |  ^
  |
  = help: a row is one JSON object on one line

error: the case id `1` is taken by c.jsonl:1
 --> c.jsonl:4:8
  |
4 | {"id": 1, "question": "b"}
  |        ^
  |
  = help: ids are unique in a suite

error: the row does not parse: invalid type: sequence, expected an object with one field for each variable
 --> c.jsonl:5:1
  |
5 | [1]
  | ^
  |
  = help: a row is one JSON object on one line

error: the row lacks its id, the field `id`
 --> c.jsonl:6:1
  |
6 | {"question": "c"}
  | ^^^^^^^^^^^^^^^^^
  |
  = help: there is `question`

error: the row does not parse: the field `id` is given twice
 --> c.jsonl:7:17
  |
7 | {"id": 3, "id": 4, "question": "d"}
  |                 ^
  |
  = help: a row is one JSON object on one line

error: the row does not parse: unexpected end of hex escape
 --> c.jsonl:8:30
  |
8 | {"id": 5, "question": "\ud800"}
  |                              ^
  |
  = help: a row is one JSON object on one line

error: `question` holds the character NUL
 --> c.jsonl:9:23
  |
9 | {"id": 6, "question": "a\u0000b"}
  |                       ^^^^^^^^^^
  |
  = help: take it out: databases hold no text with a NUL

error: `id` is a list or an object, but a text or a number is wanted
  --> c.jsonl:10:8
   |
10 | {"id": [7], "question": "e"}
   |        ^
   |
   = help: name a field that holds one value

8 errors: nothing was run
"#);
}

#[test]
fn csv() {
    let rows = "id,question\n1,\"a, b\"\n2\n1,c\n";
    assert_snapshot!(told_of_cases("{file: c.csv, id: id}", "c.csv", rows), @r#"
error: the row has 1 field, but the header has 2
 --> c.csv:3:2
  |
3 | 2
  |  ^
  |
  = help: put double quotes around a value that holds a comma

error: the case id `1` is taken by c.csv:2
 --> c.csv:4:1
  |
4 | 1,c
  | ^
  |
  = help: ids are unique in a suite

2 errors: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.csv}", "c.csv", "question,question\na,b\n"), @r#"
error: the column `question` is given twice
 --> c.csv:1:10
  |
1 | question,question
  |          ^^^^^^^^
  |
  = help: give each column a name of its own

1 error: nothing was run
"#);
}

/// Rows behind a quote that is never closed would otherwise be part of its value.
#[test]
fn csv_quotes_are_closed() {
    let rows = "id,question\n1,a\n2,\"b\n3,c\n";
    assert_snapshot!(told_of_cases("{file: c.csv, id: id}", "c.csv", rows), @r#"
error: a double quote opens a value in this row, and none closes it
 --> c.csv:3:1
  |
3 | 2,"b
  | ^^^^
  |
  = help: close it; inside such a value a double quote is written twice

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.csv}", "c.csv", "id,\"question\n1,a\n"), @r#"
error: a double quote opens a value in this row, and none closes it
 --> c.csv:1:1
  |
1 | id,"question
  | ^^^^^^^^^^^^
  |
  = help: close it; inside such a value a double quote is written twice

1 error: nothing was run
"#);
}

#[test]
fn json_lists() {
    let rows = "[\n  {\"id\": 1, \"question\": \"a\"},\n  {\"id\": 1,\n   \"question\": \"b\"},\n  3\n]";
    assert_snapshot!(told_of_cases("{file: c.json, id: id}", "c.json", rows), @r#"
error: the case id `1` is taken by c.json:2
 --> c.json:3:10
  |
3 |   {"id": 1,
  |          ^
  |
  = help: ids are unique in a suite

error: the file does not parse: invalid type: integer `3`, expected an object with one field for each variable
 --> c.json:5:3
  |
5 |   3
  |   ^
  |
  = help: a file of cases is a list of objects: [{"name": "value"}]

2 errors: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.json}", "c.json", "{\"question\": \"a\"}"), @r#"
error: the file does not parse: invalid type: map, expected a list of objects
 --> c.json:1:1
  |
1 | {"question": "a"}
  | ^
  |
  = help: a file of cases is a list of objects: [{"name": "value"}]

1 error: nothing was run
"#);
}

#[test]
fn yaml_lists() {
    let rows =
        "- {id: 1, question: a}\n- b\n- id: 1\n  question: c\n- {id: 123456789012345678901, question: d}\n";
    assert_snapshot!(told_of_cases("{file: c.yaml, id: id}", "c.yaml", rows), @r#"
error: the row is a text, but a map is wanted
 --> c.yaml:2:3
  |
2 | - b
  |   ^
  |
  = help: a row is a map of variables: `- {name: value}`

error: the case id `1` is taken by c.yaml:1
 --> c.yaml:3:7
  |
3 | - id: 1
  |       ^
  |
  = help: ids are unique in a suite

error: 123456789012345678901 does not fit 64 bits
 --> c.yaml:5:8
  |
5 | - {id: 123456789012345678901, question: d}
  |        ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "123456789012345678901"

3 errors: nothing was run
"#);
}

#[test]
fn numbers_that_would_be_rounded() {
    let lines = "{\"id\": 123456789012345678901, \"question\": 1}\n{\"id\": 123456789012345678902, \"question\": 1.50}\n\
                 {\"id\": \"ü\", \"question\": {\"n\": [1, 1234567890123456.78]}}\n{\"id\": \"c\", \"question\": 18446744073709551615}\n";
    assert_snapshot!(told_of_cases("{file: c.jsonl, id: id}", "c.jsonl", lines), @r#"
error: 123456789012345678901 does not fit 64 bits
 --> c.jsonl:1:8
  |
1 | {"id": 123456789012345678901, "question": 1}
  |        ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "123456789012345678901"

error: 123456789012345678902 does not fit 64 bits
 --> c.jsonl:2:8
  |
2 | {"id": 123456789012345678902, "question": 1.50}
  |        ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "123456789012345678902"

error: 1234567890123456.78 has more digits than 64 bits hold: it would become 1234567890123456.8
 --> c.jsonl:3:35
  |
3 | {"id": "ü", "question": {"n": [1, 1234567890123456.78]}}
  |                                   ^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "1234567890123456.78"

3 errors: nothing was run
"#);
    let list = "[{\"id\": 1, \"question\": \"18446744073709551616\"},\n {\"id\": 2,\n  \"question\": 18446744073709551616}, {\"id\": 3,\n\
                \"question\": 1e-999}]";
    assert_snapshot!(told_of_cases("{file: c.json, id: id}", "c.json", list), @r#"
error: 18446744073709551616 does not fit 64 bits
 --> c.json:3:15
  |
3 |   "question": 18446744073709551616}, {"id": 3,
  |               ^^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "18446744073709551616"

error: 1e-999 has more digits than 64 bits hold: it would become 0.0
 --> c.json:4:13
  |
4 | "question": 1e-999}]
  |             ^^^^^^
  |
  = help: quote it to keep every digit: "1e-999"

2 errors: nothing was run
"#);
    let rows = "- {id: 1, question: 0.30000000000000001}\n";
    assert_snapshot!(told_of_cases("{file: c.yaml, id: id}", "c.yaml", rows), @r#"
error: 0.30000000000000001 has more digits than 64 bits hold: it would become 0.3
 --> c.yaml:1:21
  |
1 | - {id: 1, question: 0.30000000000000001}
  |                     ^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "0.30000000000000001"

1 error: nothing was run
"#);
    let inline = suite_with("cases", "cases: [{vars: {question: [1.5, 0.30000000000000001]}}]\n");
    assert_snapshot!(told_of(&[("suite.yaml", &inline)]), @r#"
error: 0.30000000000000001 has more digits than 64 bits hold: it would become 0.3
 --> suite.yaml:5:33
  |
5 | cases: [{vars: {question: [1.5, 0.30000000000000001]}}]
  |                                 ^^^^^^^^^^^^^^^^^^^
  |
  = help: quote it to keep every digit: "0.30000000000000001"

1 error: nothing was run
"#);
}

#[test]
fn ids_are_unique_across_files() {
    let suite = suite_with(
        "cases",
        "
cases:
  - {file: 'more/*.jsonl', id: id}
  - {vars: {question: x}, id: b}
  - {file: cases.jsonl, id: id}
",
    );
    let more = "{\"id\": \"a\", \"question\": \"x\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("more/1.jsonl", more), ("more/2.jsonl", more)]), @r#"
error: the case id `a` is taken by more/2.jsonl:1
 --> cases.jsonl:1:8
  |
1 | {"id": "a", "question": "1+1", "answer": "2", "lang": "de"}
  |        ^^^
  |
  = help: ids are unique in a suite

error: the case id `b` is taken by suite.yaml:8
 --> cases.jsonl:2:8
  |
2 | {"id": "b", "question": "2+2", "answer": "4", "lang": "en"}
  |        ^^^
  |
  = help: ids are unique in a suite

error: the case id `a` is taken by more/1.jsonl:1
 --> more/2.jsonl:1:8
  |
1 | {"id": "a", "question": "x"}
  |        ^^^
  |
  = help: ids are unique in a suite

3 errors: nothing was run
"#);
}

#[test]
fn rows_without_an_id_are_told_apart_by_their_content() {
    let rows = "{\"question\": \"a\"}\n{\"question\": \"b\"}\n{\"question\": \"a\"}\n";
    assert_snapshot!(told_of_cases("{file: c.jsonl}", "c.jsonl", rows), @r#"
error: the same row as c.jsonl:1
 --> c.jsonl:3:1
  |
3 | {"question": "a"}
  | ^^^^^^^^^^^^^^^^^
  |
  = help: delete one, or name the field that tells them apart with `id:`

1 error: nothing was run
"#);
}

#[test]
fn empty_datasets_and_files_that_are_none() {
    assert_snapshot!(told_of_cases("{file: c.jsonl}", "c.jsonl", "\n"), @r#"
error: the dataset is empty: there is no case to run
 --> suite.yaml:6:3
  |
6 |   - {file: c.jsonl}
  |   ^
  |
  = help: add a row to a file, or a case with `vars`

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.csv}", "c.csv", "question\n"), @r#"
error: the dataset is empty: there is no case to run
 --> suite.yaml:6:3
  |
6 |   - {file: c.csv}
  |   ^
  |
  = help: add a row to a file, or a case with `vars`

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.parquet}", "c.parquet", "PAR1"), @r#"
error: c.parquet: parquet files are not read by this version
 --> suite.yaml:6:12
  |
6 |   - {file: c.parquet}
  |            ^^^^^^^^^
  |
  = help: export the rows to .jsonl

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: c.txt}", "c.txt", "a"), @r#"
error: c.txt: a file of this kind holds no cases
 --> suite.yaml:6:12
  |
6 |   - {file: c.txt}
  |            ^^^^^
  |
  = help: cases are read from `.jsonl`, `.csv`, `.json` and `.yaml`

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: case.jsonl}", "c.txt", "a"), @r#"
error: cannot read case.jsonl: there is no such file
 --> suite.yaml:6:12
  |
6 |   - {file: case.jsonl}
  |            ^^^^^^^^^^
  |
  = help: did you mean `cases.jsonl`?

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: '*.csv'}", "c.txt", "a"), @r#"
error: no file matches `*.csv`
 --> suite.yaml:6:12
  |
6 |   - {file: '*.csv'}
  |            ^^^^^^^
  |
  = help: patterns are read from the suite's folder

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{flie: c.jsonl}", "c.txt", "a"), @r#"
error: unknown key `flie` in an entry of `cases`
 --> suite.yaml:6:6
  |
6 |   - {flie: c.jsonl}
  |      ^^^^
  |
  = help: did you mean `file`?

1 error: nothing was run
"#);
    assert_snapshot!(told_of_cases("{file: cases.jsonl, id: id, cluster: langg, tags: [answer, topic]}", "c.txt", "a"), @r#"
error: no row has the field `langg`
 --> suite.yaml:6:42
  |
6 |   - {file: cases.jsonl, id: id, cluster: langg, tags: [answer, topic]}
  |                                          ^^^^^
  |
  = help: did you mean `lang`?

error: no row has the field `topic`
 --> suite.yaml:6:64
  |
6 |   - {file: cases.jsonl, id: id, cluster: langg, tags: [answer, topic]}
  |                                                                ^^^^^
  |
  = help: there is `answer`, `id`, `lang` and `question`

2 errors: nothing was run
"#);
}

#[test]
fn many_problems_of_one_file_are_counted() {
    let told = told_of_cases("{file: c.jsonl}", "c.jsonl", &"oops\n".repeat(50));
    assert_eq!(told.matches("does not parse").count(), 20);
    assert!(told.contains("and 30 more problems in this file"), "{told}");
}

const RECORDED: &str = "models:\n  - {provider: recorded, model: gpt, file: answers.jsonl}\n";

#[test]
fn recorded_answers() {
    let suite = suite_with("models", RECORDED);
    let answers = "{\"case\": \"a\", \"output\": \"2\"}\n{\"case\": \"a\", \"output\": \"3\"}\n\
                   {\"case\": \"b\", \"outptu\": \"4\"}\n{\"case\": \"b\", \"prompt\": \"aks\", \"output\": \"4\"}\n\
                   {\"case\": \"b\"}\noops\n{\"case\": \"b\", \"trial\": 0, \"output\": \"4\"}\n\
                   {\"case\": \"b\", \"output\": \"4\", \"usage\": {\"tokens\": 1}}\n{\"case\": \"b\", \"output\": \"\\u0000\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", answers)]), @r#"
error: the same case, prompt and trial as line 1
 --> answers.jsonl:2:10
  |
2 | {"case": "a", "output": "3"}
  |          ^^^
  |
  = help: keep one of the answers

error: unknown key `outptu` in a recorded answer
 --> answers.jsonl:3:15
  |
3 | {"case": "b", "outptu": "4"}
  |               ^^^^^^^^
  |
  = help: did you mean `output`?

error: no prompt of the suite has the label `aks`
 --> answers.jsonl:4:25
  |
4 | {"case": "b", "prompt": "aks", "output": "4"}
  |                         ^^^^^
  |
  = help: did you mean `ask`?

error: a recorded answer lacks `output`
 --> answers.jsonl:5:1
  |
5 | {"case": "b"}
  | ^^^^^^^^^^^^^
  |
  = help: `output` is a text

error: the row does not parse: expected value
 --> answers.jsonl:6:1
  |
6 | oops
  | ^
  |
  = help: a row is one JSON object on one line

error: `trial` is not a whole number from 1
 --> answers.jsonl:7:24
  |
7 | {"case": "b", "trial": 0, "output": "4"}
  |                        ^
  |
  = help: such as {"case": "c-1", "output": "billing", "trial": 1}

error: unknown key `tokens` in `usage`
 --> answers.jsonl:8:40
  |
8 | {"case": "b", "output": "4", "usage": {"tokens": 1}}
  |                                        ^^^^^^^^
  |
  = help: there is `input_tokens`, `output_tokens`, `prompt_tokens` and `completion_tokens`

error: `output` holds the character NUL
 --> answers.jsonl:9:25
  |
9 | {"case": "b", "output": "\u0000"}
  |                         ^^^^^^^^
  |
  = help: take it out: databases hold no text with a NUL

8 errors: nothing was run
"#);
    assert_snapshot!(told_of(&[("suite.yaml", &suite)]), @r#"
error: cannot read answers.jsonl: there is no such file
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: paths begin at the suite's folder

1 error: nothing was run
"#);
}

#[test]
fn recorded_answers_that_look_wrong() {
    let suite = suite_with("models", RECORDED);
    let answers = "{\"case\": \"a\", \"output\": \"2\", \"trial\": 2}\n{\"case\": \"z\", \"output\": \"3\"}\n{\"case\": 7, \"output\": \"\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", answers)]), @r#"
warning: answers.jsonl: 2 lines for cases that the suite does not have: `z`, `7`
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: they are not played back

warning: answers.jsonl: 1 line for trials beyond the suite's 1 trial
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: they are not played back; `repeats` says how many are

warning: 1 case has no answer in answers.jsonl
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: their jobs end as errored(no_recording)
"#);
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", "")]), @r#"
error: answers.jsonl holds no answer
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: a line is an answer: {"case": "c-1", "output": "billing"}

1 error: nothing was run
"#);
}

/// Further rounds of trials that a gate may add are played back too.
#[test]
fn recorded_answers_of_further_rounds_of_trials() {
    let trials = |count: u32| {
        let line = |trial| format!("{{\"case\": \"a\", \"output\": \"2\", \"trial\": {trial}}}\n");
        (1..=count).map(line).collect::<String>()
    };
    let check = |repeats: u32, max_repeats: &str, recorded: u32, expected: Option<&str>| {
        let gate = format!(
            "repeats: {repeats}\n{RECORDED}gate:\n  {max_repeats}\n  rules: [{{metric: pass_rate, max_drop: 0.9, tier: supporting}}]\n"
        );
        let told =
            told_of(&[("suite.yaml", &suite_with("models", &gate)), ("answers.jsonl", &trials(recorded))]);
        match expected {
            Some(part) => assert!(told.contains(part), "{told}"),
            None => assert!(!told.contains("beyond"), "{told}"),
        }
    };
    check(2, "max_repeats: 6", 6, None);
    check(2, "max_repeats: 6", 7, Some("1 line for trials beyond the suite's 6 trials"));
    check(2, "max_repeats: 6", 7, Some("`repeats` and the gate's `max_repeats` say how many are"));
    // Whole rounds only.
    check(2, "max_repeats: 7", 7, Some("1 line for trials beyond the suite's 6 trials"));
    check(2, "max_repeats: 1", 3, Some("1 line for trials beyond the suite's 2 trials"));
    check(2, "stop_early: true", 6, Some("4 lines for trials beyond the suite's 2 trials"));
}

#[test]
fn rows_are_read_in_every_format_alike() {
    let check = |file: &str, text: &str| {
        let suite =
            suite_with("cases", &format!("cases:\n  - {{file: {file}, id: id, cluster: c, tags: [t]}}\n"));
        let loaded = Folder::with(&[("suite.yaml", &suite), (file, text)]).load().unwrap();
        assert!(loaded.suite.dataset.clustered);
        loaded.suite.dataset.digest
    };
    let expected =
        check("c.jsonl", "{\"id\": \"1\", \"question\": \"a \\\"b\\\"\", \"c\": \"x\", \"t\": \"y\"}");
    assert_eq!(check("c.csv", "\u{feff}id,question,c,t\r\n1,\"a \"\"b\"\"\",x,y\r\n"), expected);
    assert_eq!(
        check(
            "c.json",
            "\u{feff}[{\"id\": \"1\", \"question\": \"a \\\"b\\\"\", \"c\": \"x\", \"t\": \"y\"}]"
        ),
        expected
    );
    assert_eq!(check("c.yaml", "- {id: '1', c: x, t: y, question: a \"b\"}\n"), expected);
    assert_ne!(check("c.csv", "id,question,c,t\n1,a,x,y\n"), expected);
}
