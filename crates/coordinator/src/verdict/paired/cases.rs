//! What the cases of a dataset are known by, as numbers: so much is held of each while two runs are compared.

use std::collections::{BTreeMap, HashMap};

use assay_common::id::Digest;
use assay_store::CaseName;

/// The cases of a dataset, by their place in it.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// What tells one from every other one in another dataset; empty where places do.
    keys: Vec<u128>,
    /// A number for each cluster; 0 for a case that is alone. Empty where nobody asks for slices and clusters.
    clusters: Vec<u32>,
    /// The index of its tags among the `sets`.
    tags: Vec<u32>,
    /// Every set of tags that occurs, once.
    sets: Vec<BTreeMap<String, String>>,
    known_sets: HashMap<BTreeMap<String, String>, u32>,
    known_clusters: HashMap<String, u32>,
}

impl Cases {
    /// Adds the case at the next place, to be found by its id.
    pub fn push_id(&mut self, id: &str) {
        // Half of a SHA-256: ids that collide are not found by chance, and not made.
        let key = u128::from_str_radix(&Digest::of(id.as_bytes()).as_str()[..32], 16);
        self.keys.push(key.unwrap_or_default());
    }

    /// Adds the cluster and the tags of the case at the next place.
    pub fn push_groups(&mut self, case: CaseName) {
        let next = self.known_clusters.len() + 1;
        let cluster = case.cluster.map(|name| *self.known_clusters.entry(name).or_insert(number(next)));
        self.clusters.push(cluster.unwrap_or(0));
        let next = self.sets.len();
        let set = match self.known_sets.get(&case.tags) {
            Some(set) => *set,
            None => {
                self.sets.push(case.tags.clone());
                *self.known_sets.entry(case.tags).or_insert(number(next))
            }
        };
        self.tags.push(set);
    }

    /// What pairs the case at a place with that of another dataset: its id; with one of the same dataset: its place.
    pub(super) fn key(&self, position: u64) -> u128 {
        self.keys.get(place(position)).copied().unwrap_or(u128::from(position))
    }

    /// The number of its cluster; `None` where it is alone.
    pub(super) fn cluster(&self, position: u64) -> Option<u32> {
        self.clusters.get(place(position)).copied().filter(|cluster| *cluster > 0)
    }

    /// Its tags.
    pub(super) fn tags(&self, position: u64) -> Option<&BTreeMap<String, String>> {
        self.sets.get(*self.tags.get(place(position))? as usize)
    }
}

fn place(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_numbered_once() {
        let mut cases = Cases::default();
        let name = |position: u64, cluster: Option<&str>, language: &str| CaseName {
            position,
            id: format!("case {position}"),
            cluster: cluster.map(str::to_owned),
            tags: BTreeMap::from([("language".to_owned(), language.to_owned())]),
        };
        for case in [
            name(0, None, "de"),
            name(1, Some("a"), "en"),
            name(2, Some("b"), "de"),
            name(3, Some("a"), "de"),
        ] {
            cases.push_groups(case);
        }
        let clusters: Vec<_> = (0..5).map(|position| cases.cluster(position)).collect();
        assert_eq!(clusters, [None, Some(1), Some(2), Some(1), None]);
        assert_eq!((cases.sets.len(), &*cases.tags(2).unwrap()["language"], cases.tags(4)), (2, "de", None));
        assert_eq!(cases.key(7), 7, "a place without an id is its own key");
    }
}
