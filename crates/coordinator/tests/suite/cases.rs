//! Rows of datasets that are wrong, in every format, with the file and the line.

use insta::assert_snapshot;

use super::{Folder, suite_with, told_of, told_of_cases};

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
