//! Counts the dataset of a run for the rules of its gate, where that takes reading it.

use assay_common::suite::Suite;
use assay_store::{Store, StoreError};

use crate::verdict::{Count, Extents};

/// How many cases are read at a time.
const PAGE: u32 = 10_000;

/// How much there is for each rule to look at.
pub(crate) async fn extents(store: &Store, suite: &Suite) -> Result<Extents, StoreError> {
    if let Some(extents) = Extents::uncounted(suite) {
        return Ok(extents);
    }
    let mut count = Count::new(suite);
    let mut after = None;
    loop {
        let page = store.tagged_units(suite.dataset.digest.clone(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count.finish()) };
        after = Some(last.position);
        page.into_iter().for_each(|case| count.add(case));
    }
}
