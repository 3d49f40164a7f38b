//! Before a run: whether a rule that is looked at again and again could pass on what its gate draws at most.

use assay_common::gate::{Bound, Estimand, Rule};
use assay_common::suite::Suite;
use assay_common::verdict::Decision;

use super::super::extent::Extent;
use super::super::measure::{Scale, is_binary};
use super::super::outlook::best_rate;
use super::{Looks, Question};

/// Whether a rule of the suite's gate could pass on what is drawn, if every case passed (failed, for `max`; changed no side,
/// for `max_drop`), or as many as let cases of a cluster tell more. `units` are the cases that it finds in each unit of the dataset that has any, `extent` is what they come to.
///
/// Of rules that are judged once it says `true`: nothing is known of them here.
pub fn could_pass(suite: &Suite, rule: &Rule, extent: Extent, units: impl Iterator<Item = u64>) -> bool {
    let grain = if is_binary(suite, &rule.metric) { 1.0 } else { 1.0 / Scale::of(suite).one() as f64 };
    let question = suite.gate.as_ref().and_then(|gate| Question::of(suite, gate, rule, extent, grain, 1));
    let Some(question) = question else { return true };
    // At its end a suite's own number is known.
    if rule.estimand == Estimand::Suite && question.horizon >= extent.units {
        return true;
    }
    let best = if matches!(rule.bound, Bound::Min(_)) { 1.0 } else { 0.0 };
    let drawn = usize::try_from(question.horizon).unwrap_or(usize::MAX);
    let mut looks = Looks::new(question, false);
    let by_looking = units.take(drawn).any(|cases| {
        (0..cases).for_each(|_| looks.add_case(Some(best)));
        looks.close_unit();
        looks.decision() == Some(Decision::Pass)
    });
    by_looking || question.last_look && at_the_end(suite, rule, &question)
}

/// Whether the one test for which half of the risk of error is kept could: where cases of a cluster are not alike, all of them may
/// tell as much as independent ones.
fn at_the_end(suite: &Suite, rule: &Rule, question: &Question) -> bool {
    let Extent { cases, units, .. } = question.extent;
    let drawn = cases.saturating_mul(question.horizon).div_ceil(units.max(1)).min(cases);
    let confidence = suite.gate.as_ref().map_or(1.0, |gate| gate.confidence.as_f64());
    let best = best_rate(drawn, f64::midpoint(confidence, 1.0));
    match rule.bound {
        Bound::Min(amount) => amount.as_f64() <= best,
        Bound::Max(amount) => 1.0 - amount.as_f64() <= best,
        Bound::MaxDrop(_) | Bound::MaxIncrease(_) => true,
    }
}
