//! Judging an output: each scorer of a suite grades it, and the grades become one finding.
//!
//! One file holds the kinds of one family: what its `value` is read into, once where it is the same for every case,
//! and how an output is graded against it. Adding a scorer is a file, a variant of [`Kind`] and two arms.

mod contains;
mod equals;
mod extract;
mod is_json;
mod number;
mod regex;
mod starts_with;
mod total;
mod value;

use assay_common::case::Vars;
use assay_common::decimal::read_decimal;
use assay_common::outcome::ErrorKind;
use assay_common::pattern::Pattern;
use assay_common::schema::Schema;
use assay_common::score::{Millionths, NamedScore, Score};
use assay_common::scorer::{Check, Scorer};
use assay_common::template::{TemplateError, Templates};
use rust_decimal::Decimal;
use serde_json::Value;

use contains::{Case, Quantity, Texts};
use equals::Expected;
use extract::Extraction;
use value::Wanted;

/// The scorers of a suite, compiled once: no template, pattern or constant schema is read again for a case.
#[derive(Debug)]
pub struct Scoring {
    templates: Templates,
    scorers: Vec<Compiled>,
    threshold: Option<Millionths>,
}

/// What the scorers of a suite find in one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether every scorer with a weight is satisfied, or the suite's threshold is reached.
    pub passed: bool,
    /// The weighted mean of the values, rounded half up to a millionth.
    pub score: Millionths,
    /// Each scorer's finding, in the order of the suite.
    pub scores: Vec<NamedScore>,
}

/// A scorer that no suite can hold; `at` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("score[{at}] ({type_name}): {reason}")]
pub struct CompileError {
    /// Its place in the suite's `score:`.
    pub at: usize,
    /// Its type, `not-` included.
    pub type_name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why an output could not be judged: an error, never a wrong answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An expectation could not be rendered for this case.
    #[error("the value of `{scorer}` cannot be rendered: {error}")]
    Template {
        /// The scorer's type.
        scorer: String,
        /// What is wrong.
        error: TemplateError,
    },
    /// The scorer could not judge.
    #[error("`{scorer}` cannot judge: {reason}")]
    Scorer {
        /// The scorer's type.
        scorer: String,
        /// Why.
        reason: String,
    },
}

impl Fault {
    /// How a job with this fault ends.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Template { .. } => ErrorKind::Template,
            Self::Scorer { .. } => ErrorKind::Scorer,
        }
    }
}

/// What one scorer finds: a fact that reads the same whether it is wanted or, under `not-`, unwanted.
#[derive(Debug, PartialEq, Eq)]
struct Grade {
    pass: bool,
    reason: String,
}

/// Why there is no grade, before it is known which scorer was asked.
#[derive(Debug)]
enum Hindrance {
    Template(TemplateError),
    Scorer(String),
}

#[derive(Debug)]
struct Compiled {
    kind: Kind,
    extraction: Option<Extraction>,
    negated: bool,
    weight: Millionths,
    metric: Option<String>,
    type_name: String,
}

#[derive(Debug)]
enum Kind {
    Equals(Wanted<Expected>),
    Contains(Wanted<Texts>, Quantity, Case),
    Regex(Wanted<Pattern>),
    StartsWith(Wanted<String>),
    Number(Wanted<Decimal>, Decimal),
    IsJson(Option<Wanted<Schema>>),
}

/// Judges `output` for a case with these variables. Pure: the same arguments give the same finding.
pub fn score_output(scoring: &Scoring, output: &str, vars: &Vars) -> Result<Judged, Fault> {
    let scores = scoring
        .scorers
        .iter()
        .map(|scorer| {
            let score = scorer.score(output, vars, &scoring.templates).map_err(|hindrance| {
                let scorer = scorer.type_name.clone();
                match hindrance {
                    Hindrance::Template(error) => Fault::Template { scorer, error },
                    Hindrance::Scorer(reason) => Fault::Scorer { scorer, reason },
                }
            })?;
            Ok(NamedScore {
                scorer: scorer.type_name.clone(),
                metric: scorer.metric.clone(),
                weight: scorer.weight,
                score,
            })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    Ok(total::total(scores, scoring.threshold))
}

impl Scoring {
    /// Compiles the scorers of a suite with its `threshold`.
    pub fn compile(scorers: &[Scorer], threshold: Option<Millionths>) -> Result<Self, CompileError> {
        let mut templates = Templates::default();
        let compiled = scorers
            .iter()
            .enumerate()
            .map(|(at, scorer)| {
                Compiled::of(scorer, &mut templates).map_err(|reason| CompileError {
                    at,
                    type_name: scorer.type_name(),
                    reason,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { templates, scorers: compiled, threshold })
    }
}

impl Compiled {
    fn of(scorer: &Scorer, templates: &mut Templates) -> Result<Self, String> {
        Ok(Self {
            kind: Kind::of(&scorer.check, templates)?,
            extraction: scorer.extract.as_ref().map(Extraction::compile).transpose()?,
            negated: scorer.negated,
            weight: scorer.weight,
            metric: scorer.metric.clone(),
            type_name: scorer.type_name(),
        })
    }

    fn score(&self, output: &str, vars: &Vars, templates: &Templates) -> Result<Score, Hindrance> {
        let part = match &self.extraction {
            None => output.into(),
            Some(extraction) => match extraction.apply(output).map_err(Hindrance::Scorer)? {
                Ok(part) => part,
                // Nothing was graded, so `not-` has nothing to invert.
                Err(reason) => return Ok(Score::binary(false, reason)),
            },
        };
        let grade = self.kind.grade(&part, vars, templates)?;
        Ok(Score::binary(grade.pass != self.negated, grade.reason))
    }
}

impl Kind {
    fn of(check: &Check, templates: &mut Templates) -> Result<Self, String> {
        use Case::{Either, Same};
        use Quantity::{All, Any, One};
        let mut texts = |value: &Value, quantity: Quantity, case: Case| {
            let read = if quantity == One { Texts::read_one } else { Texts::read_list };
            Ok(Self::Contains(Wanted::compile(value, templates, read)?, quantity, case))
        };
        match check {
            Check::Equals { value } => Ok(Self::Equals(Wanted::compile(value, templates, equals::read)?)),
            Check::Contains { value } => texts(value, One, Same),
            Check::Icontains { value } => texts(value, One, Either),
            Check::ContainsAny { value } => texts(value, Any, Same),
            Check::IcontainsAny { value } => texts(value, Any, Either),
            Check::ContainsAll { value } => texts(value, All, Same),
            Check::IcontainsAll { value } => texts(value, All, Either),
            Check::Regex { value } => {
                Ok(Self::Regex(Wanted::compile(&Value::from(value.as_str()), templates, regex::read)?))
            }
            Check::StartsWith { value } => {
                Ok(Self::StartsWith(Wanted::compile(value, templates, value::read_text)?))
            }
            Check::Number { value, tolerance } => {
                let tolerance = read_decimal(tolerance)
                    .ok_or_else(|| format!("the tolerance `{tolerance}` is no number"))?;
                Ok(Self::Number(Wanted::compile(value, templates, number::read)?, tolerance))
            }
            Check::IsJson { value } => {
                let schema = value.as_ref().map(|value| Wanted::compile(value, templates, is_json::read));
                Ok(Self::IsJson(schema.transpose()?))
            }
        }
    }

    fn grade(&self, output: &str, vars: &Vars, templates: &Templates) -> Result<Grade, Hindrance> {
        match self {
            Self::Equals(wanted) => {
                wanted.with(templates, vars, |expected| Ok(equals::grade(expected, output)))
            }
            Self::Contains(wanted, quantity, case) => {
                wanted.with(templates, vars, |texts| Ok(contains::grade(texts, *quantity, *case, output)))
            }
            Self::Regex(wanted) => wanted.with(templates, vars, |pattern| regex::grade(pattern, output)),
            Self::StartsWith(wanted) => {
                wanted.with(templates, vars, |prefix| Ok(starts_with::grade(prefix, output)))
            }
            Self::Number(wanted, tolerance) => {
                wanted.with(templates, vars, |number| Ok(number::grade(number, *tolerance, output)))
            }
            Self::IsJson(None) => Ok(is_json::grade(None, output)),
            Self::IsJson(Some(wanted)) => {
                wanted.with(templates, vars, |schema| Ok(is_json::grade(Some(schema), output)))
            }
        }
    }
}

/// The longest quotation of a text inside a reason, in bytes.
const MAX_QUOTED_BYTES: usize = 100;

/// `text` as a reason shows it: in quotes, cut on a character's boundary.
fn quoted(text: &str) -> String {
    if text.len() <= MAX_QUOTED_BYTES {
        return format!("{text:?}");
    }
    let end = (0..=MAX_QUOTED_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{:?}…", &text[..end])
}

#[cfg(test)]
mod tests;
