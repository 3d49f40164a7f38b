//! Names in messages: what was meant, what there is, how many.

use assay_common::nearest::nearest;

/// The hint for a name that is not among `candidates`: the nearest, else all of them while they are few.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<_> = candidates.into_iter().collect();
    match nearest(written, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if candidates.is_empty() || candidates.len() > 24 => None,
        None => Some(format!("there is {}", quoted_list(&candidates, "and"))),
    }
}

/// `a`, `b` and `c`.
pub(super) fn quoted_list(names: &[&str], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [init @ .., end] => {
            let init: Vec<_> = init.iter().map(|name| format!("`{name}`")).collect();
            format!("{} {last} `{end}`", init.join(", "))
        }
    }
}

/// `1 case`, `2 cases`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
