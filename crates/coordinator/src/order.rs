//! The committed order of a run: its units sorted by HMAC-SHA256(seed, unit), cases of a unit by their position.
//!
//! The seed is drawn after everything judged is frozen, so nobody can arrange which cases come first, and any
//! prefix of the order is a random sample of the units. All variants and trials of a unit stand together.

use assay_common::id::Digest;
use assay_store::{Store, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many units are read from the store at a time.
const PAGE: u32 = 16_384;

/// The positions of a dataset's cases in committed order: 16 bytes a case while a run expands.
#[derive(Debug)]
pub struct Order(Vec<Ranked>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    /// The first 64 bits of the unit's HMAC. Two units share them once in 2⁶⁴/n² datasets, and are then ordered by
    /// position.
    hash: u64,
    position: u64,
}

impl Order {
    /// Reads the units of `dataset` and orders them under `seed`.
    pub async fn load(store: &Store, dataset: &Digest, seed: &[u8; 32]) -> Result<Self, StoreError> {
        let ranker = Ranker::new(seed);
        let mut ranked = Vec::new();
        loop {
            let first = ranked.len() as u64;
            let page = store.units(dataset.clone(), first, PAGE).await?;
            ranked.extend((first..).zip(&page).map(|(position, unit)| ranker.rank(unit, position)));
            if page.len() < PAGE as usize {
                break;
            }
        }
        ranked.sort_unstable();
        Ok(Self(ranked))
    }

    /// The case at `rank` of the order, by its position in the dataset.
    pub fn position(&self, rank: u64) -> Option<u64> {
        let rank = usize::try_from(rank).ok()?;
        self.0.get(rank).map(|ranked| ranked.position)
    }
}

/// The indices of `units` in committed order under `seed`; units that are alike stay in the order given.
pub fn committed(seed: &[u8], units: &[&str]) -> Vec<usize> {
    let ranker = Ranker::new(seed);
    let mut indices: Vec<usize> = (0..units.len()).collect();
    indices.sort_by_cached_key(|index| ranker.rank(units[*index], *index as u64));
    indices
}

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
