//! Events: what somebody outside may want to know. What changes something appends its events in the same transaction, so
//! that none is told of what did not happen, and none is lost; [`crate::outbox`] brings them on their way.
//!
//! **Invariant:** an event's id is made of what it tells of: told twice, it is one.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::verdict::Decision;
use assay_common::visible::visible_line;
use serde_json::{Value, json};

use crate::account::AccountProblem;
use crate::channel::{Release, ReleaseKind};
use crate::incident::{Incident, NewIncident};
use crate::verdict::Verdict;

pub(crate) const SQL: &[&str] = &[APPEND];

/// Rules that a verdict's event names.
const RULES: usize = 10;
/// Hex digits of a digest that make an id.
const ID_DIGITS: usize = 32;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Made of what it tells of.
    pub id: String,
    /// What it is, such as `incident.opened`.
    pub kind: String,
    /// When it happened.
    pub at: Micros,
    /// What happened, for a person.
    pub summary: String,
    /// The same for a program: an object.
    pub data: Value,
}

impl Event {
    /// An event of this kind. `key` is what sets it apart from every other of its kind.
    pub fn new(kind: &str, key: &str, at: Micros, summary: String, data: Value) -> Self {
        let digest = Digest::of(format!("{kind}\0{key}").as_bytes());
        let id = format!("evt_{}", digest.as_str().get(..ID_DIGITS).unwrap_or_default());
        Self { id, kind: kind.to_owned(), at, summary, data }
    }
}

pub(crate) const APPEND: &str = "
    INSERT INTO events (id, kind, happened_at, summary, data, planned) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING";

/// Appends an [`Event`] in the transaction of what it tells of.
macro_rules! append_event {
    ($conn:ident, $event:expr) => {
        $crate::event::append_event!($conn, $event, false)
    };
    ($conn:ident, $event:expr, $planned:expr) => {{
        let event: &$crate::event::Event = $event;
        sqlx::query($crate::event::APPEND)
            .bind(&event.id)
            .bind(&event.kind)
            .bind(event.at.0)
            .bind($crate::row::plain(&event.summary))
            .bind($crate::row::to_json(&event.data)?)
            .bind($planned)
            .execute(&mut *$conn)
            .await?;
    }};
}

pub(crate) use append_event;

/// A gate has judged a version.
pub(crate) fn of_verdict(verdict: &Verdict, ended: Micros) -> Event {
    let Verdict { run, prompt, version: digest, suite, state, evidence, .. } = verdict;
    let named = match evidence.version {
        Some(number) => format!("{}@{number}", visible_line(prompt)),
        None => format!("{} ({})", visible_line(prompt), digest.short()),
    };
    let rules: Vec<_> = evidence
        .rules
        .iter()
        .filter(|rule| rule.outcome != Decision::Pass)
        .take(RULES)
        .map(|rule| json!({"name": rule.name, "model": rule.model_label, "outcome": rule.outcome.word(), "reason": rule.reason}))
        .collect();
    let data = json!({
        "prompt": prompt, "version": evidence.version, "digest": digest, "suite": suite, "run": run,
        "outcome": state.word(), "rules": rules,
    });
    let word = state.word();
    let key = format!("{run}\0{prompt}\0{digest}\0{}", ended.0);
    let summary = format!("the verdict of suite `{}` on {named} is {word}", visible_line(suite));
    Event::new(&format!("verdict.{word}"), &key, verdict.created_at, summary, data)
}

/// A version went live. Rehearsals are told to nobody.
pub(crate) fn of_release(release: &Release) -> Option<Event> {
    let Release { prompt, channel, seq, kind, number, .. } = release;
    let did = match kind {
        ReleaseKind::Promotion => "was promoted to",
        ReleaseKind::Override if release.verdict_run.is_some() => {
            "was put by override, though its verdict passed, on"
        }
        ReleaseKind::Override => "was put without a passing verdict on",
        ReleaseKind::Rollback => "was rolled back to on",
        ReleaseKind::Rehearsal => return None,
    };
    let why = release.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let data = json!({
        "prompt": prompt, "channel": channel, "release": seq, "version": number, "digest": release.digest,
        "by": release.released_by, "from": release.origin, "reason": release.reason,
        "run": release.verdict_run.map(|run| run.to_string()),
    });
    let summary = format!(
        "{}@{number} {did} {channel} by {}{why}",
        visible_line(prompt),
        visible_line(&release.released_by)
    );
    let kind = format!("release.{}", kind.word());
    // With its moment: another store counts its releases too, and may tell the same people.
    let key = format!("{prompt}\0{channel}\0{seq}\0{}", release.released_at.0);
    Some(Event::new(&kind, &key, release.released_at, summary, data))
}

/// Something happened to an incident. That the same was noticed again is told to nobody.
pub(crate) fn of_incident(
    incident: &Incident,
    at: Micros,
    actor: &str,
    action: &str,
    detail: &str,
) -> Option<Event> {
    if action == "noted" {
        return None;
    }
    let number = incident.number;
    let NewIncident { prompt, channel, version, digest, kind, summary, owner, .. } = &incident.opening;
    let data = json!({
        "incident": number, "prompt": prompt, "channel": channel, "version": version, "digest": digest,
        "kind": kind.word(), "what": summary, "owner": owner, "by": actor, "detail": detail,
    });
    let owned = owner.as_ref().map_or_else(String::new, |owner| format!(" (owner {})", visible_line(owner)));
    let why = if detail.is_empty() || detail == summary { String::new() } else { format!("; {detail}") };
    let said = format!(
        "incident {number}, {}@{version} on {channel}{owned}, was {action} by {}: {summary}{why}",
        visible_line(prompt),
        visible_line(actor)
    );
    let key = format!("{number}\0{}\0{actor}\0{detail}", at.0);
    Some(Event::new(&format!("incident.{action}"), &key, at, said, data))
}

/// A run is held up until somebody looks at it.
pub(crate) fn of_held_run(run: RunId, reason: &str, at: Micros) -> Event {
    let summary = format!("run {run} needs attention: {reason}");
    Event::new(
        "attention.run",
        &format!("{run}\0{}", at.0),
        at,
        summary,
        json!({"run": run, "reason": reason}),
    )
}

/// A provider account, a model or the broker needs attention.
pub(crate) fn of_account(account: &str, problem: &AccountProblem) -> Event {
    let AccountProblem { kind, detail, since } = problem;
    let data = json!({"account": account, "problem": kind, "detail": detail});
    let key = format!("{account}\0{kind}\0{}", since.0);
    // What is no account has a name that none can have: `/broker`.
    let what = account.strip_prefix('/').map_or_else(|| account.to_owned(), |what| format!("the {what}"));
    Event::new("attention.account", &key, *since, format!("{what} needs attention: {detail}"), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_two_stores_are_told_apart() {
        let release = |seconds: i64| Release {
            prompt: "support".into(),
            channel: "production".into(),
            seq: 1,
            kind: ReleaseKind::Promotion,
            number: 1,
            digest: Digest::of(b"text"),
            previous: None,
            released_at: Micros(seconds * 1_000_000),
            released_by: "ann".into(),
            origin: "here".into(),
            reason: None,
            verdict_run: None,
        };
        let id = |seconds| of_release(&release(seconds)).unwrap().id;
        assert_eq!(id(1), id(1), "told again it is the same");
        assert_ne!(id(1), id(2));
    }

    #[test]
    fn the_broker_is_no_account() {
        let problem = AccountProblem { kind: "broker".into(), detail: "it is away".into(), since: Micros(0) };
        let said = |name| of_account(name, &problem).summary;
        assert_eq!(said("/broker"), "the broker needs attention: it is away");
        assert_eq!(said("openai"), "openai needs attention: it is away");
    }
}
