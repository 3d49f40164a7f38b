//! Whether the verdicts on a version carry its promotion. Pure.
//!
//! Of each suite the newest verdict against what is live counts: one that failed refuses, one that passed and has not expired
//! suffices, one that is inconclusive does neither. Running a suite again until it passes by luck does not make an older
//! failure unseen by another suite, and a suite that passed once does not hide that it fails now.

use std::collections::BTreeSet;
use std::fmt;

use assay_common::clock::Micros;
use assay_common::gate::Tier;
use assay_common::id::{Digest, RunId};
use assay_common::verdict::Decision;
use assay_common::visible::visible_line;
use assay_store::Verdict;

use crate::report::civil;

/// A version as people name it, with its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The prompt.
    pub prompt: String,
    /// The version's number.
    pub number: i64,
    /// The version.
    pub digest: Digest,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", visible_line(&self.prompt), self.number)
    }
}

/// Why the verdicts on a version do not carry its promotion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{candidate} is not promoted: {why}")]
pub struct Refusal {
    /// The version.
    pub candidate: String,
    /// Why.
    pub why: Why,
}

/// Why the verdicts on a version do not carry its promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No run has judged it.
    Missing {
        /// What is live.
        live: Option<String>,
    },
    /// It was compared with something else than what is live.
    Foreign {
        /// The run of the newest verdict.
        run: RunId,
        /// What it was compared with there.
        baseline: Option<Digest>,
        /// What is live.
        live: String,
        /// How that came to be live, where it did so after the verdict.
        since: Option<String>,
    },
    /// Nothing is live, and its gates only compare.
    NothingAbsolute {
        /// The run of the newest verdict.
        run: RunId,
    },
    /// A gate says it does not hold.
    Failed {
        /// The run.
        run: RunId,
        /// The suite.
        suite: String,
        /// The rules that failed, each with its reason.
        rules: Vec<String>,
    },
    /// No gate says that it holds.
    Inconclusive {
        /// The run.
        run: RunId,
        /// The suite.
        suite: String,
        /// The rules that are inconclusive, each with its reason.
        rules: Vec<String>,
    },
    /// It held, and its run goes on again.
    Reopened {
        /// The run.
        run: RunId,
    },
    /// It held, too long ago.
    Expired {
        /// The run.
        run: RunId,
        /// When.
        at: Micros,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { live: Some(live) } => {
                write!(f, "no run has judged it; run its suite with {live}, which is live, as the baseline")
            }
            Self::Missing { live: None } => f.write_str(
                "no run has judged it; run its suite, with a gate that has a rule on it alone (`min`)",
            ),
            Self::Foreign { run, baseline, live, since } => {
                let since = since.as_ref().map_or_else(String::new, |told| format!(" since ({told})"));
                let baseline = baseline
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), |digest| format!("version {}", digest.short()));
                write!(
                    f,
                    "the verdict of run {run} compares it with {baseline}, but {live} is live{since}; run its suite with {live} as the baseline"
                )
            }
            Self::NothingAbsolute { run } => write!(
                f,
                "nothing is live there to compare with, and the gate of run {run} has no rule on the version alone; add one (`min`) and run the suite"
            ),
            Self::Failed { run, suite, rules } => told(f, "failed", *run, suite, rules),
            Self::Inconclusive { run, suite, rules } => told(f, "is inconclusive on", *run, suite, rules),
            Self::Reopened { run } => {
                write!(
                    f,
                    "run {run}, which it passed, was opened again: wait for its end, and for what it says then"
                )
            }
            Self::Expired { run, at } => {
                write!(f, "its verdict of run {run} expired at {}; run its suite again", civil(*at))
            }
        }
    }
}

fn told(f: &mut fmt::Formatter<'_>, word: &str, run: RunId, suite: &str, rules: &[String]) -> fmt::Result {
    write!(f, "suite `{}` {word} it in run {run}", visible_line(suite))?;
    rules.iter().try_for_each(|rule| write!(f, "\n  {}", visible_line(rule)))
}

/// The verdict that carries the promotion of `candidate` over `live`. `verdicts` are those on the candidate, newest first.
pub fn evidence<'v>(
    candidate: &Named,
    live: Option<&Named>,
    verdicts: &'v [Verdict],
    now: Micros,
) -> Result<&'v Verdict, Refusal> {
    let refused = |why| Refusal { candidate: candidate.to_string(), why };
    let Some(newest) = verdicts.first() else {
        return Err(refused(Why::Missing { live: live.map(ToString::to_string) }));
    };
    let fits = |verdict: &&Verdict| match live {
        Some(live) => verdict.baseline.as_ref() == Some(&live.digest),
        None => verdict.absolute,
    };
    let mut suites = BTreeSet::new();
    let counting: Vec<_> =
        verdicts.iter().filter(fits).filter(|verdict| suites.insert(&verdict.suite)).collect();
    let of = |state| counting.iter().copied().filter(move |verdict: &&Verdict| verdict.state == state);
    if let Some(failed) = of(Decision::Fail).next() {
        return Err(refused(Why::Failed {
            run: failed.run,
            suite: failed.suite.clone(),
            rules: rules_that(failed, Decision::Fail),
        }));
    }
    if let Some(passed) = of(Decision::Pass).find(|verdict| now < verdict.expires_at && !verdict.reopened) {
        return Ok(passed);
    }
    Err(refused(if let Some(open) = of(Decision::Pass).find(|verdict| verdict.reopened) {
        Why::Reopened { run: open.run }
    } else if let Some(expired) = of(Decision::Pass).next() {
        Why::Expired { run: expired.run, at: expired.expires_at }
    } else if let Some(open) = of(Decision::Inconclusive).next() {
        Why::Inconclusive {
            run: open.run,
            suite: open.suite.clone(),
            rules: rules_that(open, Decision::Inconclusive),
        }
    } else if let Some(live) = live {
        Why::Foreign {
            run: newest.run,
            baseline: newest.baseline.clone(),
            live: live.to_string(),
            since: None,
        }
    } else {
        Why::NothingAbsolute { run: newest.run }
    }))
}

/// The rules of a verdict that came to `decision` and count, each with its reason.
fn rules_that(verdict: &Verdict, decision: Decision) -> Vec<String> {
    let rules = verdict.evidence.rules.iter();
    rules
        .filter(|rule| rule.outcome == decision && rule.tier != Tier::Advisory)
        .map(|rule| format!("{} on {}: {}", rule.name, rule.model_label, rule.reason))
        .chain(verdict.evidence.lack().filter(|_| decision == Decision::Inconclusive).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use assay_common::verdict::{RuleVerdict, VersionVerdict};
    use uuid::Uuid;

    use super::*;

    fn named(number: i64) -> Named {
        Named { prompt: "p".into(), number, digest: Digest::of(format!("p{number}").as_bytes()) }
    }

    /// A verdict on p@2 by run `run` of a suite: against p@`against`, or with a rule on the version alone.
    fn verdict(run: u128, suite: &str, state: Decision, against: Option<i64>) -> Verdict {
        let rule = RuleVerdict {
            name: "german".into(),
            metric: "pass_rate".into(),
            model: "echo/e".into(),
            slice: None,
            tier: Tier::Critical,
            outcome: state,
            observed: None,
            threshold: 0.0,
            interval: None,
            n: 9,
            reason: "so it is".into(),
            model_label: "echo/e".into(),
            needed: None,
            detectable: None,
        };
        let advisory = RuleVerdict { name: "hint".into(), tier: Tier::Advisory, ..rule.clone() };
        Verdict {
            run: RunId::new(Uuid::from_u128(run)),
            prompt: "p".into(),
            version: named(2).digest,
            baseline: against.map(|number| named(number).digest),
            suite: suite.into(),
            revision: Digest::of(b"r"),
            gate: Digest::of(b"g"),
            judge: Digest::of(b"j"),
            absolute: against.is_none(),
            state,
            evidence: VersionVerdict {
                prompt: "p".into(),
                label: "l".into(),
                version: Some(2),
                outcome: state,
                rules: vec![rule, advisory],
            },
            created_at: Micros(0),
            expires_at: Micros(100),
            reopened: false,
        }
    }

    /// What comes of verdicts, newest first, on p@2 over p@1 or over nothing at a moment.
    fn check(live: Option<i64>, verdicts: &[Verdict], now: i64, expected: Result<u128, &str>) {
        let live = live.map(named);
        let found = evidence(&named(2), live.as_ref(), verdicts, Micros(now));
        match (found, expected) {
            (Ok(verdict), Ok(run)) => assert_eq!(verdict.run, RunId::new(Uuid::from_u128(run))),
            (Err(refusal), Err(part)) => {
                let told = refusal.to_string();
                assert!(told.starts_with("p@2 is not promoted: ") && told.contains(part), "{told}");
            }
            (found, expected) => unreachable!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_passing_unexpired_verdict_against_what_is_live_carries_a_promotion() {
        use Decision::{Fail, Inconclusive, Pass};
        let passed = verdict(1, "s", Pass, Some(1));
        check(Some(1), &[], 0, Err("no run has judged it; run its suite with p@1, which is live"));
        check(None, &[], 0, Err("no run has judged it"));
        check(Some(1), std::slice::from_ref(&passed), 99, Ok(1));
        check(Some(1), std::slice::from_ref(&passed), 100, Err("expired at 1970-01-01T00:00:00.000Z"));
        check(Some(3), std::slice::from_ref(&passed), 0, Err("but p@3 is live"));
        check(Some(1), &[Verdict { reopened: true, ..passed.clone() }], 0, Err("was opened again"));
        check(Some(1), &[verdict(1, "s", Pass, None)], 0, Err("compares it with nothing, but p@1 is live"));
        check(None, &[verdict(1, "s", Pass, None)], 0, Ok(1));
        check(None, std::slice::from_ref(&passed), 0, Err("has no rule on the version alone"));
        let failed = verdict(2, "s", Fail, Some(1));
        check(Some(1), std::slice::from_ref(&failed), 0, Err("german on echo/e: so it is"));
        check(Some(1), &[verdict(2, "s", Inconclusive, Some(1))], 0, Err("`s` is inconclusive on it"));
        // The newest of a suite counts.
        check(Some(1), &[failed.clone(), passed.clone()], 0, Err("`s` failed it"));
        check(Some(1), &[passed.clone(), failed.clone()], 0, Ok(1));
        check(Some(1), &[verdict(3, "s", Inconclusive, Some(1)), passed.clone()], 0, Err("inconclusive"));
        // Each suite has its say.
        check(Some(1), &[passed.clone(), verdict(2, "t", Fail, Some(1))], 0, Err("`t` failed it"));
        check(Some(1), &[verdict(3, "t", Inconclusive, Some(1)), passed.clone()], 0, Ok(1));
        // A failure against something else says nothing of what is live now.
        check(Some(1), &[verdict(2, "t", Fail, Some(9)), passed], 0, Ok(1));
        let told = evidence(&named(2), Some(&named(1)), &[failed], Micros(0)).unwrap_err().to_string();
        assert!(!told.contains("hint"), "an advisory rule refuses nothing: {told}");
    }
}
