//! Every suite that a newcomer is shown loads without a warning.

use std::path::Path;

use assay_coordinator::suite::load;

use super::config;

#[test]
fn every_example_loads() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut loaded = 0;
    for folder in std::fs::read_dir(examples).unwrap() {
        let path = folder.unwrap().path().join("suite.yaml");
        if path.exists() {
            let suite = load(&path, &config()).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(suite.warnings, [], "{}", path.display());
            assert!(suite.suite.dataset.cases > 0);
            loaded += 1;
        }
    }
    assert!(loaded > 0, "there is no example");
}
