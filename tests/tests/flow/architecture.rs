//! The house keeps its shape: which crate may know which, the one home of each outside library, and the one maker
//! of `Committed`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What each package may depend on among its own: cli → coordinator, worker → queue, store → common.
const MAY_KNOW: [(&str, &[&str]); 9] = [
    ("assay-common", &[]),
    ("assay-queue", &["assay-common"]),
    ("assay-store", &["assay-common"]),
    ("assay-worker", &["assay-common", "assay-queue", "assay-store"]),
    ("assay-coordinator", &["assay-common", "assay-queue", "assay-store"]),
    ("assay", &["assay-common", "assay-coordinator", "assay-queue", "assay-store", "assay-worker"]),
    ("fake-provider", &[]),
    ("assay-bench", &["assay-common", "assay-coordinator", "assay-store", "assay-worker", "fake-provider"]),
    (
        "assay-tests",
        &["assay-common", "assay-coordinator", "assay-queue", "assay-store", "assay-worker", "fake-provider"],
    ),
];

/// Libraries and the only packages that may name them.
const HOMES: [(&str, &[&str]); 7] = [
    ("lapin", &["assay-queue"]),
    ("sqlx", &["assay-store"]),
    ("governor", &["assay-worker"]),
    ("clap", &["assay", "assay-bench", "fake-provider"]),
    // The tests read back what is exported.
    ("opentelemetry", &["assay", "assay-tests"]),
    ("tracing-opentelemetry", &["assay"]),
    ("axum", &["assay", "assay-coordinator", "assay-tests", "fake-provider"]),
];

fn packages() -> Vec<Package> {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap().packages
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Dependencies that break the rules, each as `package → dependency`.
fn strays(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut strays = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            // The tests of any crate may talk to the fake provider.
            let in_tests =
                dependency.kind == DependencyKind::Development && dependency.name == "fake-provider";
            let may_know = if ours.contains(dependency.name.as_str()) {
                in_tests
                    || allowed(&MAY_KNOW, &package.name)
                        .is_some_and(|names| names.contains(&&*dependency.name))
            } else {
                allowed(&HOMES, &dependency.name)
                    .or_else(|| allowed(&HOMES, family(&dependency.name)))
                    .is_none_or(|homes| homes.contains(&package.name.as_str()))
            };
            if !may_know {
                strays.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    strays
}

fn allowed(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(listed, _)| *listed == name).map(|(_, names)| *names)
}

/// `sqlx-core` is of the house of `sqlx`, and `clap_complete` of that of `clap`.
fn family(dependency: &str) -> &str {
    dependency.split(['-', '_']).next().unwrap_or(dependency)
}

#[test]
fn dependencies_point_one_way_and_libraries_have_one_home() {
    assert_eq!(strays(&packages()), [""; 0]);
}

#[test]
fn every_package_is_in_the_table() {
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, MAY_KNOW.iter().map(|(name, _)| *name).collect());
}

/// The rules find what they are there for: the dependencies of one package break them in another.
#[test]
fn a_wrong_edge_and_a_second_home_are_found() {
    let moved = |from: &str, to: &str| {
        let mut packages = packages();
        let package = packages.iter_mut().find(|package| package.name.as_str() == from).unwrap();
        let stranger = package.clone();
        package.dependencies.clear();
        let place = packages.iter_mut().find(|package| package.name.as_str() == to).unwrap();
        place.dependencies = stranger.dependencies;
        strays(&packages)
    };
    let worker_in_coordinator = moved("assay-worker", "assay-coordinator");
    assert!(
        worker_in_coordinator.contains(&"assay-coordinator → governor".to_owned()),
        "{worker_in_coordinator:?}"
    );
    let cli_in_worker = moved("assay", "assay-worker");
    for stray in [
        "assay-worker → assay-coordinator",
        "assay-worker → clap",
        "assay-worker → opentelemetry_sdk",
        "assay-worker → tracing-opentelemetry",
    ] {
        assert!(cli_in_worker.contains(&stray.to_owned()), "{cli_in_worker:?}");
    }
    let store_in_common = moved("assay-store", "assay-common");
    for stray in ["assay-common → assay-common", "assay-common → sqlx"] {
        assert!(store_in_common.contains(&stray.to_owned()), "{store_in_common:?}");
    }
}

/// Only the store knows that something is committed. Tests may stand in for it.
#[test]
fn only_the_store_proves_a_commit() {
    let mut makers = BTreeSet::new();
    sources(&root().join("crates"), &mut |path, text| {
        if shipped(text).contains("after_commit") {
            makers.insert(path.strip_prefix(root()).unwrap().display().to_string());
        }
    });
    assert!(makers.remove("crates/common/src/committed.rs"), "it is made nowhere: {makers:?}");
    let (store, others): (Vec<_>, Vec<_>) =
        makers.into_iter().partition(|path| path.starts_with("crates/store/src/"));
    assert!(!store.is_empty(), "the store proves nothing");
    assert_eq!(others, [""; 0]);
}

/// A source without the unit tests at its end.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// Calls `visit` with every Rust file beneath `folder`, folders of integration tests left out, and its text.
fn sources(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, visit);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
