//! "Did you mean": the nearest of the names that would have been right.

/// The candidate nearest to `written`, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within(allowed_slips(written), written, candidates)
}

/// How many letters of a name may be wrong in a slip.
pub fn allowed_slips(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

/// The candidate nearest to `written`, if at most `allowed` letters are wrong.
pub fn nearest_within<'a>(
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
