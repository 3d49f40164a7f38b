//! The cases of both sides meet and are folded into differences: over all cases, by slice, in money, and which flipped.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::measure::Value;
use super::super::stats::Ratio;
use super::super::stats::multiplicity::benjamini_hochberg;
use super::cases::Cases;
use super::difference::Sums;
use super::shape::{CostRatio, FlippedCase, Paired, SliceDifference, Terms};
use super::side::{ClosedCase, Trials};

/// A tag with more values than this is no slice but a name.
const MAX_VALUES: usize = 50;

/// The pairs of arms, as the cases of both sides come.
#[derive(Debug)]
pub struct Pairing {
    terms: Terms,
    pairs: Vec<Pair>,
    /// What the cases of the side before and of the side after are known by.
    cases: [Cases; 2],
    /// Cases of the side before that have not met theirs.
    held: HashMap<u128, Vec<Trials>>,
    cluster: Option<u32>,
}

/// Two arms, by their index among the variants of each side, and what they came to so far.
#[derive(Debug)]
struct Pair {
    arms: (usize, usize),
    all: Sums,
    slices: BTreeMap<(String, String), Sums>,
    /// Tags with too many values.
    names: BTreeSet<String>,
    cost: Ratio,
    improved: u64,
    regressed: u64,
    unpaired: u64,
    better: Vec<FlippedCase>,
    worse: Vec<FlippedCase>,
}

impl Pairing {
    /// Before the first case. `arms` are indices among the variants of each side.
    pub fn new(arms: impl IntoIterator<Item = (usize, usize)>, terms: Terms, cases: [Cases; 2]) -> Self {
        let pairs = arms.into_iter().map(Pair::new).collect();
        Self { terms, pairs, cases, held: HashMap::new(), cluster: None }
    }

    /// A case of the side before.
    pub fn before(&mut self, case: ClosedCase) {
        self.held.insert(self.cases[0].key(case.position), case.trials);
    }

    /// A case of the side after, when that of the side before has come. Cases of a cluster come together.
    pub fn after(&mut self, case: &ClosedCase) {
        let cases = &self.cases[1];
        let (cluster, key) = (cases.cluster(case.position), cases.key(case.position));
        if cluster.is_none() || cluster != self.cluster {
            self.close_cluster();
            self.cluster = cluster;
        }
        let held = self.held.remove(&key).unwrap_or_default();
        let tags = self.cases[1].tags(case.position);
        for pair in &mut self.pairs {
            let before = held.get(pair.arms.0).copied().unwrap_or(Trials::ABSENT);
            pair.add(case.position, tags, [before, case.trials[pair.arms.1]], self.terms.flips);
        }
    }

    /// What every pair came to, after the last case of both sides.
    pub fn finish(mut self) -> Vec<Paired> {
        self.close_cluster();
        let (terms, left) = (self.terms, self.held.len() as u64);
        self.pairs.into_iter().map(|pair| pair.finish(terms, left)).collect()
    }

    fn close_cluster(&mut self) {
        for pair in &mut self.pairs {
            pair.all.differences.close_cluster();
            pair.slices.values_mut().for_each(|sums| sums.differences.close_cluster());
            pair.cost.close_cluster();
        }
    }
}

impl Pair {
    fn new(arms: (usize, usize)) -> Self {
        Self {
            arms,
            all: Sums::new(),
            slices: BTreeMap::new(),
            names: BTreeSet::new(),
            cost: Ratio::default(),
            improved: 0,
            regressed: 0,
            unpaired: 0,
            better: Vec::new(),
            worse: Vec::new(),
        }
    }

    fn add(
        &mut self,
        position: u64,
        tags: Option<&BTreeMap<String, String>>,
        [before, after]: [Trials; 2],
        flips: usize,
    ) {
        let (Value::Scored(old), Value::Scored(new)) = (before.value, after.value) else {
            self.unpaired += 1;
            return;
        };
        self.all.add(old, new);
        for (tag, value) in tags.into_iter().flatten() {
            if let Some(sums) = self.slice(tag, value) {
                sums.add(old, new);
            }
        }
        if let (Some(old), Some(new)) = (before.cost, after.cost) {
            self.cost.push(old, new);
        }
        let (count, first) = match new.cmp(&old) {
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => (&mut self.improved, &mut self.better),
            std::cmp::Ordering::Less => (&mut self.regressed, &mut self.worse),
        };
        *count += 1;
        let place = first.partition_point(|flip| flip.position < position);
        if place < flips {
            first.truncate(flips - 1);
            // The arm with the higher value has a trial that passed, the other one has a trial that failed.
            let (higher, lower) = (0, 1);
            let examples = if new > old { [lower, higher] } else { [higher, lower] };
            let ordinals = [before.examples[examples[0]], after.examples[examples[1]]];
            first.insert(place, FlippedCase { position, values: [old / 1_000, new / 1_000], ordinals });
        }
    }

    /// The sums of a slice; `None` where the tag has too many values.
    fn slice(&mut self, tag: &str, value: &str) -> Option<&mut Sums> {
        if self.names.contains(tag) {
            return None;
        }
        let key = (tag.to_owned(), value.to_owned());
        if !self.slices.contains_key(&key) {
            let values = self.slices.range((tag.to_owned(), String::new())..);
            if values.take_while(|((known, _), _)| known == tag).count() == MAX_VALUES {
                self.slices.retain(|(known, _), _| known != tag);
                self.names.insert(tag.to_owned());
                return None;
            }
        }
        Some(self.slices.entry(key).or_insert_with(Sums::new))
    }

    fn finish(self, terms: Terms, left: u64) -> Paired {
        let mut slices: Vec<_> = self
            .slices
            .into_iter()
            .map(|((tag, value), sums)| {
                let difference = sums.difference(terms);
                SliceDifference { tag, value, difference, q: None }
            })
            .collect();
        let tested: Vec<f64> = slices.iter().filter_map(|slice| slice.difference.p).collect();
        let mut corrected = benjamini_hochberg(&tested).into_iter();
        for slice in slices.iter_mut().filter(|slice| slice.difference.p.is_some()) {
            slice.q = corrected.next();
        }
        let cost = self.cost.value().map(|ratio| CostRatio {
            cases: self.cost.n(),
            ratio,
            interval: self.cost.interval(terms.confidence),
        });
        Paired {
            difference: self.all.difference(terms),
            slices,
            tags_left_out: self.names.into_iter().collect(),
            cost,
            improved: self.improved,
            regressed: self.regressed,
            unpaired: self.unpaired + left,
            better: self.better,
            worse: self.worse,
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_store::CaseName;

    use super::super::difference::ONE;
    use super::super::shape::{Difference, Test};
    use super::*;

    const TERMS: Terms = Terms { confidence: 0.95, binary: true, clustered: false, flips: 2 };

    fn case(position: u64, value: Value) -> ClosedCase {
        let trials = Trials { value, cost: Some(10), examples: [Some(position), Some(position + 100)] };
        ClosedCase { position, trials: vec![trials] }
    }

    /// A hundred cases, in clusters of so many where that is more than one.
    fn cases(in_cluster: u64) -> Cases {
        let mut cases = Cases::default();
        for position in 0..100 {
            let half = if position < 50 { "first" } else { "second" };
            let tags = [("half", half.to_owned()), ("id", position.to_string())];
            cases.push_groups(CaseName {
                position,
                id: format!("case-{position}"),
                cluster: (in_cluster > 1).then(|| (position / in_cluster).to_string()),
                tags: tags.map(|(tag, value)| (tag.to_owned(), value)).into(),
            });
        }
        cases
    }

    fn pairing(terms: Terms, in_cluster: u64) -> Pairing {
        Pairing::new([(0, 0)], terms, [Cases::default(), cases(in_cluster)])
    }

    /// Folds (before, after) of each case; the side after comes in the opposite order.
    fn folded(terms: Terms, values: &[(bool, bool)]) -> Paired {
        let value = |yes: bool| Value::Scored(if yes { ONE } else { 0 });
        let mut pairing = pairing(terms, 1);
        for (position, (before, _)) in (0..).zip(values) {
            pairing.before(case(position, value(*before)));
        }
        for (position, (_, after)) in values.iter().enumerate().rev() {
            pairing.after(&case(position as u64, value(*after)));
        }
        pairing.finish().remove(0)
    }

    fn table(both: usize, lost: usize, gained: usize, neither: usize) -> Vec<(bool, bool)> {
        let cells =
            [(both, (true, true)), (lost, (true, false)), (gained, (false, true)), (neither, (false, false))];
        cells.into_iter().flat_map(|(times, cell)| std::iter::repeat_n(cell, times)).collect()
    }

    /// The published example: 7 lost and 1 gained of 21 (Fagerland, Lydersen & Laake).
    #[test]
    fn a_published_table_comes_out_as_published() {
        let paired = folded(TERMS, &table(1, 7, 1, 12));
        let Difference { cases, difference, interval, p, p_exact, .. } = paired.difference;
        assert_eq!((cases, paired.improved, paired.regressed), (21, 1, 7));
        assert!((difference.unwrap() + 6.0 / 21.0).abs() < 1e-12);
        let [low, high] = interval.unwrap();
        assert!((low + 0.517).abs() < 5e-4 && (high + 0.026).abs() < 5e-4, "{low} {high}");
        assert!((p.unwrap() - 0.0391).abs() < 5e-5 && (p_exact.unwrap() - 0.0703).abs() < 5e-5);
    }

    #[test]
    fn the_first_flips_are_named_whatever_the_order() {
        let paired = folded(TERMS, &table(1, 4, 1, 0));
        let named: Vec<_> = paired.worse.iter().map(|flip| (flip.position, flip.ordinals)).collect();
        // Passed before, failed after.
        assert_eq!(named, [(1, [Some(1), Some(101)]), (2, [Some(2), Some(102)])]);
        assert_eq!(paired.better[0].ordinals, [Some(105), Some(5)]);
        assert_eq!(paired.cost, Some(CostRatio { cases: 6, ratio: 1.0, interval: Some([1.0, 1.0]) }));
    }

    #[test]
    fn a_tag_that_names_cases_is_no_slice() {
        let paired = folded(TERMS, &table(40, 20, 20, 20));
        let slices: Vec<_> = paired
            .slices
            .iter()
            .map(|slice| (&*slice.value, slice.difference.cases, slice.q.is_some()))
            .collect();
        assert_eq!(slices, [("first", 50, true), ("second", 50, true)]);
        assert_eq!(paired.tags_left_out, ["id"]);
    }

    #[test]
    fn a_case_without_its_fellow_is_counted_and_left_out() {
        // Other datasets: the second has the cases of the first at places that are one further.
        let mut sides = [Cases::default(), Cases::default()];
        for place in 0..9 {
            sides[0].push_id(&format!("case {}", place + 1));
            sides[1].push_id(&format!("case {place}"));
        }
        let mut pairing = Pairing::new([(0, 0)], TERMS, sides);
        let pass = Value::Scored(ONE);
        pairing.before(case(0, pass));
        pairing.before(case(1, pass));
        pairing.before(case(2, Value::Errored));
        for position in [2, 3, 4] {
            pairing.after(&case(position, pass));
        }
        let paired = pairing.finish().remove(0);
        assert_eq!((paired.difference.cases, paired.unpaired), (1, 3));
    }

    /// Values that are the same within clusters tell as much as there are clusters.
    #[test]
    fn clusters_are_the_unit() {
        let values = |terms: Terms| {
            let mut pairing = pairing(terms, 5);
            let lost = |position: u64| (position / 5).is_multiple_of(3);
            for position in 0..60 {
                pairing.before(case(position, Value::Scored(ONE)));
            }
            for position in 0..60 {
                let value = Value::Scored(if lost(position) { 0 } else { ONE });
                pairing.after(&case(position, value));
            }
            pairing.finish().remove(0).difference
        };
        let by_cluster = values(Terms { clustered: true, ..TERMS });
        let by_case = values(TERMS);
        assert_eq!((by_cluster.test, by_case.test), (Test::StudentT, Test::Mcnemar));
        assert_eq!(by_cluster.difference, by_case.difference);
        assert!(by_cluster.p.unwrap() > 1_000.0 * by_case.p.unwrap());
        let width = |difference: &Difference| difference.interval.map(|[low, high]| high - low).unwrap();
        assert!(width(&by_cluster) > 2.0 * width(&by_case));
    }

    #[test]
    fn no_difference_is_no_finding() {
        let none = folded(Terms { binary: false, ..TERMS }, &table(9, 0, 0, 9)).difference;
        assert_eq!((none.difference, none.interval, none.p), (Some(0.0), None, Some(1.0)));
        let all = folded(Terms { binary: false, ..TERMS }, &table(0, 9, 0, 0)).difference;
        assert_eq!((all.difference, all.interval, all.p), (Some(-1.0), None, None));
        let empty = folded(TERMS, &[]).difference;
        assert_eq!((empty.cases, empty.before, empty.difference, empty.interval), (0, None, None, None));
    }
}
