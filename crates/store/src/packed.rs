//! Outcomes of many jobs, their numbers alone, and names of many cases, packed into one text a page: for whoever reads all of a
//! large run, handing a row over costs more than reading it. What is made of them stands in reports and comparisons.

use std::collections::BTreeMap;

use assay_common::id::{Digest, RunId};
use assay_common::money::NanoUsd;
use assay_common::outcome::Outcome;
use assay_common::score::Millionths;
use assay_common::usage::Usage;

use crate::error::StoreError;
use crate::open::Store;
use crate::outcome::OutcomeRow;
use crate::pools::reading;
use crate::row::{before, json, usage, whole};

pub(crate) const SQL: &[&str] = &[OUTCOMES, MARKS, CASE_NAMES, UNITS];

/// How a terminal job ended, in numbers: what there is of an [`OutcomeRow`] without a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its place in the run's product.
    pub ordinal: u64,
    /// Its case's place in the dataset.
    pub position: u64,
    /// Index of its variant.
    pub variant: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The weighted score; `None` for an error or a cancelled job.
    pub score: Option<Millionths>,
    /// What the call that was scored cost; `None` where nobody knows.
    pub cost: Option<NanoUsd>,
    /// How long that call took, in microseconds.
    pub latency_us: Option<i64>,
    /// The provider's count of tokens for that call.
    pub usage: Usage,
}

impl OutcomeRow {
    /// Its numbers.
    pub fn mark(&self) -> Mark {
        let Self { ordinal, position, variant, outcome, score, cost, latency_us, usage, .. } = *self;
        Mark { ordinal, position, variant, outcome, score, cost, latency_us, usage }
    }
}

// None of the numbers is ever below 0, so −1 is one that is not there, and no word holds a space. The lengths in bytes of the
// texts, which may hold anything, stand before them.
const OUTCOMES: &str = "
    SELECT STRING_AGG(packed.line, '') FROM (
        SELECT CONCAT_WS(' ', jobs.ordinal, jobs.generation, jobs.variant, jobs.trial, jobs.position, jobs.outcome,
            COALESCE(results.error_kind, '-'), COALESCE(results.score, -1), COALESCE(results.cost_nano, -1),
            COALESCE(results.latency_us, -1), COALESCE(results.input_tokens, -1),
            COALESCE(results.output_tokens, -1), OCTET_LENGTH(cases.case_id),
            COALESCE(OCTET_LENGTH(cases.cluster), -1), OCTET_LENGTH(cases.tags),
            COALESCE(OCTET_LENGTH(results.scores), -1),
            cases.case_id || COALESCE(cases.cluster, '') || cases.tags || COALESCE(results.scores, '')) AS line
        FROM jobs
        JOIN cases ON cases.position = jobs.position AND cases.dataset = (
            SELECT suite_revisions.dataset FROM runs
            JOIN suite_revisions ON suite_revisions.revision = runs.revision WHERE runs.id = $1)
        LEFT JOIN results ON results.run_id = jobs.run_id AND results.ordinal = jobs.ordinal
            AND results.generation = jobs.generation
        WHERE jobs.run_id = $1 AND jobs.ordinal > $2 AND jobs.state = 'terminal'
        ORDER BY jobs.ordinal LIMIT $3
    ) AS packed";

impl Store {
    /// A page of terminal jobs by ordinal, without what is bulky. Empty only when there are no more.
    pub async fn outcomes(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<OutcomeRow>, StoreError> {
        let packed = self.packed_page(OUTCOMES, run.to_string(), after, limit).await?;
        let mut rows = each(&packed, outcome)?;
        // They come in this order from both databases, and no standard says so.
        rows.sort_unstable_by_key(|row| row.ordinal);
        Ok(rows)
    }
}

fn outcome(rest: &mut Rest<'_>) -> Result<OutcomeRow, StoreError> {
    let line = rest.0;
    let [ordinal, generation, variant] = [rest.number()?, rest.number()?, rest.number()?];
    let [trial, position] = [rest.number()?, rest.number()?];
    let (word, kind) = (rest.word()?, rest.word()?);
    let outcome = Outcome::from_words(word, Some(kind)).ok_or_else(|| unreadable(line))?;
    let [score, cost, latency_us] = [rest.known()?, rest.known()?, rest.known()?];
    let [input, output] = [rest.known()?, rest.known()?];
    let lengths = [rest.number()?, rest.number()?, rest.number()?, rest.number()?];
    let [case_id, cluster] = [rest.text(lengths[0])?, rest.text(lengths[1])?];
    let [tags, scores] = [rest.text(lengths[2])?, rest.text(lengths[3])?];
    Ok(OutcomeRow {
        ordinal: whole(ordinal, "jobs.ordinal")?,
        generation: whole(generation, "jobs.generation")?,
        variant: whole(variant, "jobs.variant")?,
        trial: whole(trial, "jobs.trial")?,
        position: whole(position, "jobs.position")?,
        case_id: case_id.to_owned(),
        cluster: (lengths[1] >= 0).then(|| cluster.to_owned()),
        tags: tags_of(tags)?,
        outcome,
        score: score.map(Millionths),
        scores: if lengths[3] < 0 { Vec::new() } else { json(scores, "results.scores")? },
        usage: usage(input, output)?,
        cost: cost.map(NanoUsd),
        latency_us,
    })
}

fn tags_of(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    match text {
        // Most datasets have none.
        "{}" => Ok(BTreeMap::new()),
        tags => json(tags, "cases.tags"),
    }
}

// As above; no word holds a comma either.
const MARKS: &str = "
    SELECT STRING_AGG(packed.mark, ',') FROM (
        SELECT CONCAT_WS(' ', jobs.ordinal, jobs.position, jobs.variant, jobs.outcome,
            COALESCE(results.error_kind, '-'), COALESCE(results.score, -1), COALESCE(results.cost_nano, -1),
            COALESCE(results.latency_us, -1), COALESCE(results.input_tokens, -1),
            COALESCE(results.output_tokens, -1)) AS mark
        FROM jobs
        LEFT JOIN results ON results.run_id = jobs.run_id AND results.ordinal = jobs.ordinal
            AND results.generation = jobs.generation
        WHERE jobs.run_id = $1 AND jobs.ordinal > $2 AND jobs.state = 'terminal'
        ORDER BY jobs.ordinal LIMIT $3
    ) AS packed";

impl Store {
    /// A page of terminal jobs by ordinal, in numbers. Empty only when there are no more.
    pub async fn marks(&self, run: RunId, after: Option<u64>, limit: u32) -> Result<Vec<Mark>, StoreError> {
        let packed = self.packed_page(MARKS, run.to_string(), after, limit).await?;
        let lines = packed.split(',').filter(|line| !line.is_empty());
        let mut marks = lines.map(mark).collect::<Result<Vec<_>, _>>()?;
        // They come in this order from both databases, and no standard says so.
        marks.sort_unstable_by_key(|mark| mark.ordinal);
        Ok(marks)
    }
}

fn mark(line: &str) -> Result<Mark, StoreError> {
    let mut rest = Rest(line);
    let [ordinal, position, variant] = [rest.number()?, rest.number()?, rest.number()?];
    let (word, kind) = (rest.word()?, rest.word()?);
    let outcome = Outcome::from_words(word, Some(kind)).ok_or_else(|| unreadable(line))?;
    let [score, cost, latency_us] = [rest.known()?, rest.known()?, rest.known()?];
    let [input, output] = [rest.known()?, rest.known()?];
    Ok(Mark {
        ordinal: whole(ordinal, "jobs.ordinal")?,
        position: whole(position, "jobs.position")?,
        variant: whole(variant, "jobs.variant")?,
        outcome,
        score: score.map(Millionths),
        cost: cost.map(NanoUsd),
        latency_us,
        usage: usage(input, output)?,
    })
}

/// What a case is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseName {
    /// Its place in the dataset.
    pub position: u64,
    /// Its id.
    pub id: String,
    /// Its cluster.
    pub cluster: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

// The lengths in bytes of its texts, which may hold anything, stand before them.
const CASE_NAMES: &str = "
    SELECT STRING_AGG(packed.name, '') FROM (
        SELECT CONCAT_WS(' ', position, OCTET_LENGTH(case_id), COALESCE(OCTET_LENGTH(cluster), -1),
            OCTET_LENGTH(tags), case_id || COALESCE(cluster, '') || tags) AS name
        FROM cases WHERE dataset = $1 AND position > $2 ORDER BY position LIMIT $3
    ) AS packed";

impl Store {
    /// A page of a dataset's cases by position, without their variables. Empty only when there are no more.
    pub async fn case_names(
        &self,
        dataset: Digest,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<CaseName>, StoreError> {
        let packed = self.packed_page(CASE_NAMES, dataset.to_string(), after, limit).await?;
        let mut names = each(&packed, case_name)?;
        names.sort_unstable_by_key(|name| name.position);
        Ok(names)
    }
}

fn case_name(rest: &mut Rest<'_>) -> Result<CaseName, StoreError> {
    let position = whole(rest.number()?, "cases.position")?;
    let lengths = [rest.number()?, rest.number()?, rest.number()?];
    let [id, cluster, tags] = [rest.text(lengths[0])?, rest.text(lengths[1])?, rest.text(lengths[2])?];
    let cluster = (lengths[1] >= 0).then(|| cluster.to_owned());
    Ok(CaseName { position, id: id.to_owned(), cluster, tags: tags_of(tags)? })
}

// A unit may be called anything: its length in bytes stands before it.
const UNITS: &str = "
    SELECT STRING_AGG(packed.unit, '') FROM (
        SELECT CONCAT_WS(' ', position, OCTET_LENGTH(COALESCE(cluster, case_id)), COALESCE(cluster, case_id)) AS unit
        FROM cases WHERE dataset = $1 AND position > $2 ORDER BY position LIMIT $3
    ) AS packed";

impl Store {
    /// The units of a dataset's cases from position `first` on, at most `limit`: the cluster of each case, else its own id.
    pub async fn units(&self, dataset: Digest, first: u64, limit: u32) -> Result<Vec<String>, StoreError> {
        let packed = self.packed_page(UNITS, dataset.to_string(), first.checked_sub(1), limit).await?;
        let mut units = each(&packed, unit)?;
        // As above.
        units.sort_unstable_by_key(|(position, _)| *position);
        Ok(units.into_iter().map(|(_, unit)| unit).collect())
    }
}

fn unit(rest: &mut Rest<'_>) -> Result<(i64, String), StoreError> {
    let [position, bytes] = [rest.number()?, rest.number()?];
    Ok((position, rest.text(bytes)?.to_owned()))
}

impl Store {
    /// A page of what belongs to `owner`, a run or a dataset, packed by a statement that binds it, the key before the first of
    /// the page, and how many are wanted. Empty where there are none.
    async fn packed_page(
        &self,
        statement: &'static str,
        owner: String,
        after: Option<u64>,
        limit: u32,
    ) -> Result<String, StoreError> {
        let packed: Option<String> = reading!(self, |conn| {
            let query = sqlx::query_scalar(statement).bind(&owner).bind(before(after));
            Ok(query.bind(i64::from(limit)).fetch_one(&mut *conn).await?)
        })?;
        Ok(packed.unwrap_or_default())
    }
}

/// Everything that stands in a packed text, one after the other.
fn each<T>(packed: &str, one: impl Fn(&mut Rest<'_>) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    let (mut rest, mut found) = (Rest(packed), Vec::new());
    while !rest.0.is_empty() {
        found.push(one(&mut rest)?);
    }
    Ok(found)
}

/// What is left of a packed text.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    /// Up to the next space.
    fn word(&mut self) -> Result<&'t str, StoreError> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if word.is_empty() { Err(unreadable(rest)) } else { Ok(word) }
    }

    fn number(&mut self) -> Result<i64, StoreError> {
        let word = self.word()?;
        word.parse().map_err(|_| unreadable(word))
    }

    /// A number where there is one.
    fn known(&mut self) -> Result<Option<i64>, StoreError> {
        self.number().map(|number| (number >= 0).then_some(number))
    }

    /// So many bytes; none where the number is below 0.
    fn text(&mut self, bytes: i64) -> Result<&'t str, StoreError> {
        let bytes = usize::try_from(bytes).unwrap_or(0);
        let (text, rest) = self.0.split_at_checked(bytes).ok_or_else(|| unreadable(self.0))?;
        self.0 = rest;
        Ok(text)
    }
}

fn unreadable(text: &str) -> StoreError {
    StoreError::Unreadable(format!("a packed row holds `{}`", text.chars().take(40).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use assay_common::outcome::ErrorKind;

    use super::*;

    #[test]
    fn a_mark_is_read_or_refused() {
        let check = |line: &str, expected: Option<(u64, Outcome, Option<i64>, Option<u64>)>| {
            let found = mark(line).ok();
            let found =
                found.map(|mark| (mark.ordinal, mark.outcome, mark.latency_us, mark.usage.output_tokens));
            assert_eq!(found, expected, "{line}");
        };
        check("7 3 1 passed - 1000000 12 900 4 5", Some((7, Outcome::Passed, Some(900), Some(5))));
        check("7 3 1 cancelled - -1 -1 -1 -1 -1", Some((7, Outcome::Cancelled, None, None)));
        let refused = Outcome::Errored(ErrorKind::Refused);
        check("0 0 0 errored refused -1 0 0 -1 -1", Some((0, refused, Some(0), None)));
        for broken in ["", "7 3 1 passed - 1 2 3 4", "7 3 1 odd - 1 2 3 4 5", "-7 3 1 passed - 1 2 3 4 5"] {
            check(broken, None);
        }
    }

    #[test]
    fn texts_of_outcomes_may_hold_anything() {
        let packed = "7 1 0 2 3 errored refused -1 5 900 4 -1 4 3 2 -1 a,b c d{}8 0 1 1 0 passed - 1000000 -1 -1 -1 -1 1 -1 9 2 \
                      x{\"t\":\" \"}[]";
        let mut rest = Rest(packed);
        let [first, second] = [outcome(&mut rest).unwrap(), outcome(&mut rest).unwrap()];
        assert_eq!((first.ordinal, first.generation, first.trial, first.position), (7, 1, 2, 3));
        assert_eq!((first.case_id.as_str(), first.cluster.as_deref()), ("a,b ", Some("c d")));
        assert_eq!((first.outcome, first.score), (Outcome::Errored(ErrorKind::Refused), None));
        assert_eq!((first.cost, first.latency_us), (Some(NanoUsd(5)), Some(900)));
        assert_eq!((first.usage.input_tokens, first.usage.output_tokens), (Some(4), None));
        assert_eq!((second.case_id.as_str(), second.cluster, &*second.tags["t"]), ("x", None, " "));
        assert_eq!((second.outcome, second.score), (Outcome::Passed, Some(Millionths(1_000_000))));
        assert!(
            rest.0.is_empty() && outcome(&mut Rest("7 1 0 2 3 passed - 1 5 9 4 1 9 -1 2 -1 x{}")).is_err()
        );
    }

    #[test]
    fn texts_of_cases_may_hold_anything() {
        let packed = "0 7 -1 2 a,b 1é{}1 1 3 9 cx y{\"t\":\" \"}";
        let mut rest = Rest(packed);
        let [first, second] = [case_name(&mut rest).unwrap(), case_name(&mut rest).unwrap()];
        assert_eq!((first.id.as_str(), first.cluster, first.tags.len()), ("a,b 1é", None, 0));
        assert_eq!(
            (second.id.as_str(), second.cluster.as_deref(), &*second.tags["t"]),
            ("c", Some("x y"), " ")
        );
        assert!(rest.0.is_empty() && case_name(&mut Rest("0 9 -1 2 short")).is_err());
    }
}
