//! Ranges: what a team takes for acceptable in a signal, how it stands, and the event when it leaves its range or comes back.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::{Event, Range, Signal, Store, StoreError, Subject};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::facts::Facts;
use super::signals::{Owners, Signals, signals};
use crate::release::desk::reason_of;
use crate::release::registry::find;
use crate::release::{Desk, ReleaseError};
use crate::report::civil;
use crate::suite::hint::did_you_mean;

/// Over how long a signal is measured where nobody says.
pub const WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The shortest and the longest time it may be measured over.
const WINDOWS: [Duration; 2] = [Duration::from_secs(60 * 60), Duration::from_secs(366 * 24 * 60 * 60)];

/// A range, and how its signal stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeEntry {
    /// The signal.
    pub signal: Signal,
    /// Whose: `of` is `all`, `owner` or `prompt`, with its `name`.
    #[serde(flatten)]
    pub subject: Subject,
    /// The least that is acceptable.
    pub low: Option<f64>,
    /// The most that is acceptable.
    pub high: Option<f64>,
    /// Over how many days the signal is measured.
    pub days: f64,
    /// Who set it.
    pub set_by: String,
    /// Since when it holds.
    pub set_at: String,
    /// The signal; null where it cannot be measured.
    pub value: Option<f64>,
    /// Whether it is outside; null where it cannot be measured.
    pub outside: Option<bool>,
}

/// The ranges that held at a moment, with their signals up to then.
pub async fn standing(store: &Store, at: Micros) -> Result<Vec<RangeEntry>, StoreError> {
    let measured = measured(store, at).await?;
    Ok(measured.into_iter().map(|(range, signals)| entry(&range, &signals)).collect())
}

/// Looks at every range, and tells of those whose signal has left it, or come back, since somebody looked.
pub async fn watch(store: &Store, now: Micros) -> Result<(), StoreError> {
    for (range, signals) in measured(store, now).await? {
        let Some(outside) = outside(&range, &signals) else { continue };
        if range.outside == Some(outside) {
            continue;
        }
        let is_news = outside || range.outside == Some(true);
        let event = is_news.then(|| event(&entry(&range, &signals), outside, now));
        store.mark_range(&range, outside, event).await?;
    }
    Ok(())
}

async fn measured(store: &Store, at: Micros) -> Result<Vec<(Range, Signals)>, StoreError> {
    let ranges = store.ranges(at).await?;
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let owners = Owners::read(store, at).await?;
    let mut windows: HashMap<i64, Facts> = HashMap::new();
    let mut measured = Vec::new();
    for range in ranges {
        let facts = match windows.entry(range.window_us) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let from = Micros(at.0 - range.window_us);
                unknown.insert(Facts::read(store, from, Micros(at.0 + 1)).await?)
            }
        };
        let signals = signals(facts, &owners, &range.subject);
        measured.push((range, signals));
    }
    Ok(measured)
}

fn outside(range: &Range, signals: &Signals) -> Option<bool> {
    let value = signals.value(range.signal)?;
    Some(range.low.is_some_and(|low| value < low) || range.high.is_some_and(|high| value > high))
}

fn entry(range: &Range, signals: &Signals) -> RangeEntry {
    RangeEntry {
        signal: range.signal,
        subject: range.subject.clone(),
        low: range.low,
        high: range.high,
        days: range.window_us as f64 / 86_400e6,
        set_by: range.set_by.clone(),
        set_at: civil(range.set_at),
        value: signals.value(range.signal),
        outside: outside(range, signals),
    }
}

/// Whose a range is, for people.
pub fn named(subject: &Subject) -> String {
    match subject {
        Subject::All => "all prompts".to_owned(),
        Subject::Owner(name) => format!("the prompts of {name}"),
        Subject::Prompt(name) => format!("the prompt {name}"),
    }
}

/// What is acceptable, for people: `at most 0.2`.
pub fn bounds(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => "anything".to_owned(),
    }
}

fn event(entry: &RangeEntry, outside: bool, now: Micros) -> Event {
    let (kind, did) = if outside { ("range.left", "left") } else { ("range.returned", "is back in") };
    let value = entry.value.unwrap_or_default();
    let (whose, days) = (named(&entry.subject), entry.days);
    let summary = format!(
        "{} of {whose} {did} its range: {value:.3} over {days} days, acceptable is {}",
        entry.signal.word(),
        bounds(entry.low, entry.high)
    );
    let key = format!("{}\0{whose}\0{}\0{}", entry.signal.word(), entry.set_at, now.0);
    Event::new(kind, &key, now, summary, json!(entry))
}

impl Desk<'_> {
    /// Sets the range of a signal, in place of the one before.
    pub async fn set_range(
        &mut self,
        signal: Signal,
        subject: Subject,
        [low, high]: [Option<f64>; 2],
        window: Duration,
        reason: Option<&str>,
    ) -> Result<RangeEntry, ReleaseError> {
        let wrong = |what: &str| Err(ReleaseError::Input(what.to_owned()));
        let most = if signal == Signal::PassRate { 1.0 } else { f64::MAX };
        if [low, high].into_iter().flatten().any(|bound| !(0.0..=most).contains(&bound)) {
            return wrong("a bound is 0 or more, and of a pass rate at most 1");
        }
        match (low, high) {
            (None, None) => return wrong("a range has a least value, a greatest, or both"),
            (Some(low), Some(high)) if low > high => return wrong("the least value is above the greatest"),
            _ => {}
        }
        if !(WINDOWS[0]..=WINDOWS[1]).contains(&window) {
            return wrong("a signal is measured over 1h to 366d");
        }
        known(self.store, &subject).await?;
        let detail = json!({"signal": signal, "subject": subject, "low": low, "high": high, "window_s": window.as_secs(), "reason": said(reason)?});
        let entry = self.entry("range.set", signal.word().to_owned(), detail);
        let range = Range {
            signal,
            subject: subject.clone(),
            set_at: entry.at,
            set_by: entry.actor.clone(),
            low,
            high,
            window_us: i64::try_from(window.as_micros()).unwrap_or(i64::MAX),
            outside: None,
        };
        let at = entry.at;
        self.store.set_range(range, entry).await?;
        let standing = standing(self.store, at).await?.into_iter();
        let mut of = standing.filter(|entry| (entry.signal, &entry.subject) == (signal, &subject));
        of.next().ok_or_else(|| ReleaseError::Raced("somebody else set or removed it; look at it".to_owned()))
    }

    /// Ends a range.
    pub async fn remove_range(
        &mut self,
        signal: Signal,
        subject: Subject,
        reason: Option<&str>,
    ) -> Result<(), ReleaseError> {
        let detail = json!({"signal": signal, "subject": subject, "reason": said(reason)?});
        let entry = self.entry("range.remove", signal.word().to_owned(), detail);
        if self.store.remove_range(signal, subject.clone(), entry).await? {
            return Ok(());
        }
        Err(ReleaseError::Unknown {
            what: format!("no range is set for {} of {}", signal.word(), named(&subject)),
            hint: Some("`assay range list` shows those there are".to_owned()),
        })
    }
}

/// A reason, where one is given.
fn said(reason: Option<&str>) -> Result<Option<String>, ReleaseError> {
    reason.map(reason_of).transpose()
}

/// A prompt, or the owner of one.
async fn known(store: &Store, subject: &Subject) -> Result<(), ReleaseError> {
    match subject {
        Subject::All => Ok(()),
        Subject::Prompt(name) => find(store, name).await.map(|_| ()),
        Subject::Owner(name) => {
            let prompts = store.prompts().await?;
            let owners: BTreeMap<_, ()> =
                prompts.into_iter().filter_map(|prompt| Some((prompt.owner?, ()))).collect();
            if owners.contains_key(name) {
                return Ok(());
            }
            let hint = did_you_mean(name, owners.keys().map(String::as_str));
            Err(ReleaseError::Unknown { what: format!("nobody called `{name}` owns a prompt"), hint })
        }
    }
}
