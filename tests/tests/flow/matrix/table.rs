//! The table of docs/delivery.md names a test for every row, and every test that bears a row's number is the one it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use assay_tests::assay::repository;

/// The rows of the matrix.
fn rows() -> BTreeSet<u32> {
    (1..=29).chain(37..=40).collect()
}

#[test]
fn every_row_has_one_test_and_the_table_names_it() {
    let page = fs::read_to_string(repository().join("docs/delivery.md")).unwrap();
    let table = named(&page);
    assert_eq!(table.keys().copied().collect::<BTreeSet<_>>(), rows(), "rows of the table");
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for folder in ["tests/tests", "crates"] {
        collect(&repository().join(folder), &mut tests);
    }
    for (row, name) in &table {
        let found = tests.remove(row).unwrap_or_default();
        assert_eq!(found, [name.as_str()], "row {row}: its tests, and what the table names");
    }
    assert_eq!(tests, BTreeMap::new(), "tests of rows that the table lacks");
}

/// The test of each row of the table: `| 1 | fault | what holds | `row_01_…` |`.
fn named(page: &str) -> BTreeMap<u32, String> {
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
        let number: u32 = cells.first()?.trim().parse().ok()?;
        let last = cells.last()?.trim_end_matches(" |").trim();
        let name = last.split('`').find(|part| part.starts_with("row_"))?;
        Some((number, name.to_owned()))
    };
    page.lines().filter_map(row).collect()
}

/// Adds the names of all test functions beneath a folder that bear the number of a row.
fn collect(folder: &Path, tests: &mut BTreeMap<u32, Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some((number, name)) = test_of(line) {
                    tests.entry(number).or_default().push(name);
                }
            }
        }
    }
}

/// `row_14_database_killed` of `async fn row_14_database_killed() {`.
fn test_of(line: &str) -> Option<(u32, String)> {
    let line = line.trim_start();
    let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split('(').next()?;
    let number = name.strip_prefix("row_")?.split('_').next()?.parse().ok()?;
    Some((number, name.to_owned()))
}

#[test]
fn tables_and_tests_are_read() {
    let page = "| # | fault |\n|---|---|\n| 3 | a | b | `row_03_a` |\n| 14 | c | d | – |\n| x | y |\n";
    let expected = BTreeMap::from([(3, "row_03_a".to_owned())]);
    assert_eq!(named(page), expected);
    assert_eq!(test_of("async fn row_07_b() {"), Some((7, "row_07_b".to_owned())));
    assert_eq!(test_of("    fn row_18_c() {"), Some((18, "row_18_c".to_owned())));
    assert_eq!(test_of("fn row_of(line: &str) {"), None);
    assert_eq!(test_of("let row_02 = 1;"), None);
}
