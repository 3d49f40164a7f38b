//! Which variant of one side is held against which of the other.

use super::CompareError;
use super::side::Side;

/// The pairs, as indices among the variants of each side, and the names of variants without a fellow.
pub(super) struct Arms {
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) unpaired: Vec<String>,
}

/// A prompt meets the one with its label, and a model the one of its name; where both sides have only one, those two meet.
pub(super) fn pair([before, after]: &[Side; 2]) -> Result<Arms, CompareError> {
    let (old, new) = (names(before), names(after));
    let only = |side: &[[String; 2]], part: usize| side.iter().all(|name| name[part] == side[0][part]);
    let sole = [0, 1].map(|part| only(&old, part) && only(&new, part));
    let fellows = |a: &[String; 2], b: &[String; 2]| (0..2).all(|part| sole[part] || a[part] == b[part]);
    let mut arms = Arms { pairs: Vec::new(), unpaired: Vec::new() };
    let mut met = vec![false; new.len()];
    for (index, name) in old.iter().enumerate() {
        match new.iter().position(|other| fellows(name, other)) {
            Some(other) => {
                met[other] = true;
                arms.pairs.push((index, other));
            }
            None => arms.unpaired.push(shown(name, &before.asked)),
        }
    }
    let alone = new.iter().zip(met).filter(|(_, met)| !met);
    arms.unpaired.extend(alone.map(|(name, _)| shown(name, &after.asked)));
    let is_itself =
        |(a, b): &(usize, usize)| before.run.id == after.run.id && before.variants[*a] == after.variants[*b];
    if arms.pairs.iter().all(is_itself) {
        return Err(CompareError::NoPair(nothing(&arms, before, after)));
    }
    Ok(arms)
}

/// The labels of each variant's prompt and model.
fn names(side: &Side) -> Vec<[String; 2]> {
    let name = |index: &u32| {
        let variant = side.suite.variant(*index);
        [side.suite.prompts[variant.prompt].label.clone(), side.suite.model_label(variant.model)]
    };
    side.variants.iter().map(name).collect()
}

fn shown([prompt, model]: &[String; 2], asked: &str) -> String {
    format!("{prompt} on {model} (of {asked})")
}

fn nothing(arms: &Arms, before: &Side, after: &Side) -> String {
    if arms.pairs.is_empty() {
        let mut variants = arms.unpaired.clone();
        variants.sort_unstable();
        return format!(
            "no prompt and model of one side is there on the other; name one of each, as in {}:LABEL {}:LABEL. There are {}",
            before.asked,
            after.asked,
            variants.join(", ")
        );
    }
    format!(
        "both sides are the same; name two prompts or models of the run, as in {}:LABEL {}:LABEL",
        before.run.id, after.run.id
    )
}
