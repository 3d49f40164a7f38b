//! "Did you mean": the nearest of the names that would have been right.

/// The candidate nearest to `written`, if one is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within(allowed_slips(written), written, candidates)
}

/// How many letters of a name may be wrong in a slip.
pub(super) fn allowed_slips(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

/// The candidate nearest to `written`, if at most `allowed` letters are wrong.
pub(super) fn nearest_within<'a>(
    allowed: usize,
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let check = |written: &str, expected: Option<&str>| {
            assert_eq!(nearest(written, ["contains", "equals", "is-json", "number"]), expected, "{written}");
        };
        check("contain", Some("contains"));
        check("Equals", Some("equals"));
        check("is_json", Some("is-json"));
        check("llm-rubric", None);
        check("", None);
    }
}
