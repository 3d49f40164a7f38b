//! Datasets that are wrong as a whole: ids, files, fields that no row has.

use insta::assert_snapshot;

use super::{suite_with, told_of, told_of_cases};

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
