//! The committed order of a run: its units sorted by HMAC-SHA256(seed, unit), cases of a unit by their position.
//!
//! The seed is drawn after everything judged is frozen, so nobody can arrange which cases come first, and any
//! prefix of the order is a random sample of the units. All variants and trials of a unit stand together.
//!
//! A large dataset is read once for each window of its order, in the same memory however many cases it has.

use assay_common::suite::DatasetRef;
use assay_store::{Store, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many units are read from the store at a time.
const PAGE: u32 = 16_384;
/// How many cases are held in order: 4 MiB of them.
const HELD: u64 = 1 << 18;
/// Hashes are counted by so many of their first bits, for finding where a window begins and ends.
const COUNTED_BITS: u32 = 16;

/// The positions of a dataset's cases in committed order, a window of them at a time.
#[derive(Debug)]
pub struct Order {
    dataset: DatasetRef,
    ranker: Ranker,
    /// Cases held in order, if a cluster is not larger.
    held: u64,
    /// Cases by the first bits of their hash, once a dataset of more than one window was read.
    counts: Option<Vec<u64>>,
    window: Window,
}

/// Neighbours in the order.
#[derive(Debug, Default)]
struct Window {
    /// The rank of the first of them.
    first: u64,
    ranked: Vec<Ranked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    /// The first 64 bits of the unit's HMAC. Two units share them once in 2⁶⁴/n² datasets, and are then ordered by
    /// position.
    hash: u64,
    position: u64,
}

impl Order {
    /// The order of `dataset` under `seed`; nothing is read yet.
    pub fn new(dataset: DatasetRef, seed: &[u8; 32]) -> Self {
        let (counts, window) = Default::default();
        Self { dataset, ranker: Ranker::new(seed), held: HELD, counts, window }
    }

    /// Reads the window that holds `rank`, where it is not at hand. A rank that no case has is held by none.
    pub async fn reach(&mut self, store: &Store, rank: u64) -> Result<(), StoreError> {
        if rank >= self.dataset.cases || self.position(rank).is_some() {
            return Ok(());
        }
        if self.dataset.cases > self.held && self.counts.is_none() {
            let mut counts = vec![0; 1 << COUNTED_BITS];
            self.each(store, |ranked| counts[ranked.bucket()] += 1).await?;
            self.counts = Some(counts);
        }
        let (buckets, first, cases) = match &self.counts {
            Some(counts) => window(counts, self.held, rank),
            None => (0..1 << COUNTED_BITS, 0, self.dataset.cases),
        };
        // The one before makes room first.
        self.window = Window::default();
        let mut ranked = Vec::with_capacity(usize::try_from(cases).unwrap_or(0));
        self.each(store, |case| ranked.extend(buckets.contains(&case.bucket()).then_some(case))).await?;
        ranked.sort_unstable();
        self.window = Window { first, ranked };
        Ok(())
    }

    /// The case at `rank` of the order, by its position in the dataset; `None` where that is not at hand.
    pub fn position(&self, rank: u64) -> Option<u64> {
        let place = usize::try_from(rank.checked_sub(self.window.first)?).ok()?;
        self.window.ranked.get(place).map(|ranked| ranked.position)
    }

    /// Calls `on_case` for every case of the dataset, by position.
    async fn each(&self, store: &Store, mut on_case: impl FnMut(Ranked)) -> Result<(), StoreError> {
        let mut first = 0;
        loop {
            let page = store.units(self.dataset.digest.clone(), first, PAGE).await?;
            (first..).zip(&page).for_each(|(position, unit)| on_case(self.ranker.rank(unit, position)));
            first += page.len() as u64;
            if page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }
}

/// The window around a rank: its buckets, the rank of its first case, and how many cases it has. Windows are as many whole
/// buckets as `held` cases fill, but one at least, whose units may be a large cluster.
fn window(counts: &[u64], held: u64, rank: u64) -> (std::ops::Range<usize>, u64, u64) {
    let (mut start, mut first, mut cases) = (0, 0, 0);
    for (bucket, count) in counts.iter().enumerate() {
        if bucket > start && cases + count > held {
            if rank < first + cases {
                return (start..bucket, first, cases);
            }
            (start, first, cases) = (bucket, first + cases, 0);
        }
        cases += count;
    }
    (start..counts.len(), first, cases)
}

impl Ranked {
    fn bucket(&self) -> usize {
        usize::try_from(self.hash >> (u64::BITS - COUNTED_BITS)).unwrap_or(0)
    }
}

/// The indices of `units` in committed order under `seed`; units that are alike stay in the order given.
pub fn committed(seed: &[u8], units: &[&str]) -> Vec<usize> {
    let ranker = Ranker::new(seed);
    let mut indices: Vec<usize> = (0..units.len()).collect();
    indices.sort_by_cached_key(|index| ranker.rank(units[*index], *index as u64));
    indices
}

#[derive(Debug)]
struct Ranker(Hmac<Sha256>);

impl Ranker {
    fn new(seed: &[u8]) -> Self {
        Self(Hmac::new_from_slice(seed).expect("HMAC takes a key of any length"))
    }

    fn rank(&self, unit: &str, position: u64) -> Ranked {
        let mut mac = self.0.clone();
        mac.update(unit.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let hash = bytes.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        Ranked { hash, position }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assay_common::case::{Case, Vars};
    use assay_common::clock::Micros;
    use assay_common::id::Digest;
    use assay_store::{Schema, StoreUrl};

    use super::*;

    fn check(seed: &[u8], units: &[&str], expected: &[&str]) {
        let order: Vec<_> = committed(seed, units).into_iter().map(|index| units[index]).collect();
        assert_eq!(order, expected);
    }

    /// Expected orders were computed with Python's hmac and hashlib.
    #[test]
    fn orders_units_by_hmac_of_the_seed() {
        check(&[0xaa; 32], &["ü", "é", "日本", "z"], &["日本", "ü", "é", "z"]);
        let twelve = [
            "case-0", "case-1", "case-2", "case-3", "case-4", "case-5", "case-6", "case-7", "case-8",
            "case-9", "case-10", "case-11",
        ];
        let ordered = [
            "case-11", "case-3", "case-5", "case-2", "case-6", "case-9", "case-0", "case-7", "case-1",
            "case-4", "case-10", "case-8",
        ];
        check(&[0xff; 16], &twelve, &ordered);
    }

    #[test]
    fn windows_follow_each_other() {
        let counts = [2, 0, 3, 9, 1, 1, 0, 4];
        let check = |ranks: std::ops::Range<u64>, expected: (std::ops::Range<usize>, u64, u64)| {
            ranks.for_each(|rank| assert_eq!(window(&counts, 5, rank), expected, "{rank}"));
        };
        check(0..5, (0..3, 0, 5));
        // A cluster that is larger than a window is one.
        check(5..14, (3..4, 5, 9));
        check(14..16, (4..7, 14, 2));
        check(16..20, (7..8, 16, 4));
    }

    /// In windows as in one piece, whichever rank is asked for first.
    #[tokio::test]
    async fn a_large_order_is_read_in_windows() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("assay.db"));
        let store = Store::open(&url, Schema::Migrate).await.unwrap();
        let cluster = |n: u32| n.is_multiple_of(5).then(|| format!("cluster-{}", n % 3));
        let case = |n: u32| {
            let (tags, vars) = (BTreeMap::new(), Vars::default());
            Case { id: format!("case-{n}"), cluster: cluster(n), tags, vars }
        };
        let cases: Vec<_> = (0..200).map(case).collect();
        let units: Vec<_> =
            cases.iter().map(|case| case.cluster.as_ref().unwrap_or(&case.id).as_str()).collect();
        let expected: Vec<_> = committed(&[7; 32], &units).into_iter().map(|index| index as u64).collect();
        let dataset = DatasetRef { digest: Digest::of(b"some"), cases: 200, clustered: true };
        store.put_cases(dataset.digest.clone(), 0, cases.clone()).await.unwrap();
        store.seal_dataset(dataset.clone(), Micros(1)).await.unwrap();
        for held in [1, 20, 199, 200] {
            let mut order = Order { held, ..Order::new(dataset.clone(), &[7; 32]) };
            for (rank, position) in [(150, expected[150]), (3, expected[3])]
                .into_iter()
                .chain((0..).zip(expected.iter().copied()))
            {
                order.reach(&store, rank).await.unwrap();
                assert_eq!(order.position(rank), Some(position), "{rank} by {held}");
            }
            order.reach(&store, 200).await.unwrap();
            assert_eq!(order.position(200), None);
        }
    }

    #[test]
    fn a_cluster_stays_together() {
        check(&[1; 32], &["a", "b", "a", "b"], &{
            let ranker = Ranker::new(&[1; 32]);
            if ranker.rank("a", 0).hash < ranker.rank("b", 0).hash {
                ["a", "a", "b", "b"]
            } else {
                ["b", "b", "a", "a"]
            }
        });
    }
}
