//! The results of a run folded once more, for what its gate would say of a part of them.

use assay_common::suite::Suite;
use assay_common::verdict::Verdict;
use assay_store::{OutcomeRow, Run, RunState, Store, StoreError};

use crate::verdict::{Aggregation, Extents, Quantiles, judge};

/// Results read at a time.
const PAGE: u32 = 2_000;

/// A run, and what is known of it once it was read.
#[derive(Clone, Copy)]
pub(crate) struct Again<'r> {
    pub(crate) store: &'r Store,
    pub(crate) suite: &'r Suite,
    pub(crate) run: &'r Run,
    pub(crate) extents: &'r Extents,
    pub(crate) quantiles: &'r Quantiles,
    pub(crate) versions: &'r [Option<i64>],
}

impl Again<'_> {
    /// What the gate says of the jobs below `jobs` by themselves, as of a run that ended with them.
    pub(crate) async fn until(self, jobs: u64) -> Result<Option<Verdict>, StoreError> {
        let mut aggregation = Aggregation::counted(self.suite, self.extents);
        self.each(jobs, |row| aggregation.push(row)).await?;
        let aggregate = aggregation.finish(self.quantiles, self.versions, jobs);
        Ok(judge(self.suite, &aggregate, true, self.versions))
    }

    /// What the gate says without the jobs that `is_out` says.
    pub(crate) async fn without(
        self,
        is_out: impl Fn(&OutcomeRow) -> bool,
    ) -> Result<Option<Verdict>, StoreError> {
        let Self { suite, run, .. } = self;
        let mut aggregation = Aggregation::counted(suite, self.extents);
        let mut left_out = vec![0; suite.product().variants as usize];
        let fold = |row: &OutcomeRow| {
            if is_out(row) {
                aggregation.leave_out(row);
                left_out[row.variant as usize] += 1;
            } else {
                aggregation.push(row);
            }
        };
        self.each(u64::MAX, fold).await?;
        let mut aggregate = aggregation.finish(self.quantiles, self.versions, run.planned);
        aggregate.stopped_early = run.stopped_early;
        for (variant, left_out) in aggregate.variants.iter_mut().zip(left_out) {
            // They were planned for a verdict with them.
            variant.jobs -= left_out;
        }
        Ok(judge(suite, &aggregate, run.state == RunState::Completed, self.versions))
    }

    async fn each(self, end: u64, mut fold: impl FnMut(&OutcomeRow)) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.store.outcomes(self.run.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.ordinal);
            page.iter().filter(|row| row.ordinal < end).for_each(&mut fold);
            if last.ordinal >= end {
                return Ok(());
            }
        }
    }
}
