//! Which of several rules may be said to have failed: a version that just satisfies each of ten rules would else fail one of
//! them by chance in a third of all runs.

use assay_common::gate::{Estimand, Tier};
use assay_common::verdict::Decision;

use super::{Examined, Finding, Terms, once, words};

/// Takes back the failures that chance explains, of one version's rules on all its models: the chance to fail it wrongly by any
/// of them stays what the gate's confidence allows.
///
/// Holm 1979: of m tests those that fail at α/m are named, then with k named those that fail at α/(m − k), and so on. Rules
/// on a complete run's own numbers are no tests, and advisory ones fail nothing. Rules that were looked at again and again
/// have been held to α/m all along.
pub(super) fn doubt(rules: &mut [Examined<'_>]) {
    let is_test = |examined: &Examined<'_>| {
        examined.rule.tier != Tier::Advisory
            && (examined.evidence.looks.is_some() || examined.rule.estimand == Estimand::Population)
    };
    let family = rules.iter().filter(|examined| is_test(examined)).count();
    let mut open: Vec<usize> = (0..rules.len())
        .filter(|index| {
            let examined = &rules[*index];
            is_test(examined)
                && examined.evidence.looks.is_none()
                && examined.finding.decision == Decision::Fail
        })
        .collect();
    let mut named = 0;
    while !open.is_empty() {
        let left = (family - named) as f64;
        let before = open.len();
        open.retain(|index| stricter(&rules[*index], left).decision != Decision::Fail);
        if open.len() == before {
            break;
        }
        named += before - open.len();
    }
    for index in open {
        let strict = stricter(&rules[index], (family - named) as f64);
        let Examined { finding, terms, .. } = &mut rules[index];
        finding.decision = Decision::Inconclusive;
        finding.reason +=
            &format!("; by chance one of {family} rules may do so: this is not enough to fail it");
        finding.needed = strict.needed;
        finding.reason += &words::needed(strict.needed, terms.unit());
    }
}

/// What a rule comes to with `parts` times less risk of error.
fn stricter(examined: &Examined<'_>, parts: f64) -> Finding {
    let confidence = 1.0 - (1.0 - examined.terms.confidence) / parts;
    let terms = Terms { confidence, ..examined.terms };
    once(examined.rule, examined.evidence, terms)
}
