//! Counts the dataset of a run for the rules of its gate, where that takes reading it.

use assay_common::gate::Rule;
use assay_common::suite::Suite;
use assay_store::{Store, StoreError};

use crate::verdict::{Count, Extent, Extents, Sight};

/// How many cases are read at a time.
const PAGE: u32 = 10_000;

/// How much there is for each rule to look at.
pub(crate) async fn extents(store: &Store, suite: &Suite) -> Result<Extents, StoreError> {
    if let Some(extents) = Extents::uncounted(suite) {
        return Ok(extents);
    }
    counted(store, suite).await
}

/// What the rules of a suite on drops can be expected to see, of a dataset that is stored.
pub(crate) async fn sights(store: &Store, suite: &Suite) -> Result<Vec<Sight>, StoreError> {
    let Some(gate) = suite.gate.as_ref().filter(|_| suite.prompts.len() > 1) else { return Ok(Vec::new()) };
    let all = suite.dataset.cases;
    let clustered = suite.dataset.clustered;
    let whole = Extent { cases: all, units: all, largest: 1 };
    let takes_counting = |rule: &Rule| {
        (clustered || !rule.slice.is_empty()) && Sight::of(gate, rule, whole, all, clustered).is_some()
    };
    let counts = gate.rules.iter().any(takes_counting);
    let extents = if counts { counted(store, suite).await? } else { Extents::default() };
    let sight = |(index, rule): (usize, &Rule)| {
        let extent = if takes_counting(rule) { extents.of(index) } else { whole };
        Sight::of(gate, rule, extent, all, clustered).map(|(sight, _)| sight)
    };
    Ok(gate.rules.iter().enumerate().filter_map(sight).collect())
}

async fn counted(store: &Store, suite: &Suite) -> Result<Extents, StoreError> {
    let mut count = Count::new(suite);
    let mut after = None;
    loop {
        let page = store.tagged_units(suite.dataset.digest.clone(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count.finish()) };
        after = Some(last.position);
        page.into_iter().for_each(|case| count.add(case));
    }
}
