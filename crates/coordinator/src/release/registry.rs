//! Prompts and versions, found by name, number or digest; what is not there is answered with what is near.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use assay_common::clock::Micros;
use assay_store::{Prompt, Release, ReleaseKind, Store, Version};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::channel;
use super::document::{
    HistoryDocument, LiveDocument, PromptDocument, ReleaseEntry, VerdictEntry, VersionDocument, VersionEntry,
};
use super::error::ReleaseError;
use super::rules::Named;
use crate::suite::hint::did_you_mean;

/// Digits of a digest that are enough to name a version by.
const MIN_PREFIX: usize = 6;
/// Verdicts that are shown with a version, and looked through for a promotion.
pub(super) const VERDICTS: u32 = 200;
/// Versions of a page.
const PAGE: u32 = 200;

/// Which version of a prompt: its number, or its digest or the beginning of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which(String);

impl FromStr for Which {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every prompt with what is live of it.
pub async fn prompts(store: &Store) -> Result<Vec<PromptDocument>, ReleaseError> {
    let mut live = store.live_everywhere(None).await?;
    live.retain(shown);
    let of =
        |prompt: &Prompt| live.iter().filter(|release| release.prompt == prompt.name).collect::<Vec<_>>();
    Ok(store.prompts().await?.into_iter().map(|prompt| PromptDocument::of(&prompt, &of(&prompt))).collect())
}

/// A version with its content, its verdicts, and where it is live; the newest where none is named.
pub async fn show(store: &Store, name: &str, which: Option<&Which>) -> Result<VersionDocument, ReleaseError> {
    let prompt = find(store, name).await?;
    let version = match which {
        Some(which) => find_version(store, &prompt, which).await?,
        None => find_version(store, &prompt, &Which(prompt.versions.to_string())).await?,
    };
    let body = body(store, &version).await?;
    let verdicts = store.verdicts_on(name, &version.digest, VERDICTS).await?;
    let live = store.live_everywhere(Some(name)).await?.into_iter();
    let live = live.filter(|release| release.digest == version.digest && shown(release));
    Ok(VersionDocument {
        entry: VersionEntry::of(&version),
        owner: prompt.owner,
        body,
        live_on: live.map(|release| release.channel).collect(),
        verdicts: verdicts.iter().map(VerdictEntry::of).collect(),
    })
}

/// The versions of a prompt, newest first, at most [`PAGE`].
pub async fn versions(
    store: &Store,
    name: &str,
    before: Option<i64>,
) -> Result<Vec<VersionEntry>, ReleaseError> {
    let prompt = find(store, name).await?;
    let versions = store.versions(&prompt.name, before, PAGE).await?;
    Ok(versions.iter().map(VersionEntry::of).collect())
}

/// What was released of a prompt, newest first; with `at`, what was live at that moment.
pub async fn history(
    store: &Store,
    name: &str,
    on: Option<&str>,
    at: Option<Micros>,
) -> Result<HistoryDocument, ReleaseError> {
    let prompt = find(store, name).await?;
    if let Some(on) = on {
        channel::known(store, on).await?;
    }
    let releases = match at {
        None => store.releases(&prompt.name, on).await?,
        Some(at) => {
            // Moments are shown to the millisecond: one that was copied from there means all of it.
            let at = Micros(at.0.div_euclid(1_000) * 1_000 + 999);
            let channels = match on {
                Some(on) => vec![on.to_owned()],
                None => store.channels().await?,
            };
            let mut live = Vec::new();
            for on in channels {
                live.extend(store.live(&prompt.name, &on, Some(at)).await?);
            }
            live
        }
    };
    let mut entries = Vec::with_capacity(releases.len());
    for release in &releases {
        let verdict = match release.verdict_run {
            Some(run) => store.verdict(run, &release.prompt, &release.digest, release.released_at).await?,
            None => None,
        };
        entries.push(ReleaseEntry::of(release, verdict.as_ref()));
    }
    Ok(HistoryDocument { prompt: prompt.name, releases: entries })
}

/// What is live of a prompt on a channel, with its content: what applications read.
pub async fn pull(store: &Store, on: &str, name: &str) -> Result<LiveDocument, ReleaseError> {
    channel::named(on)?;
    served(store, on, name).await
}

/// The same of any channel, a scratch one too.
pub(super) async fn served(store: &Store, on: &str, name: &str) -> Result<LiveDocument, ReleaseError> {
    let prompt = find(store, name).await?;
    let Some(release) = store.live(&prompt.name, on, None).await? else {
        channel::known(store, on).await?;
        return Err(nothing_live(&prompt.name, on));
    };
    let version = store.version_numbered(&prompt.name, release.number).await?;
    let version = version.ok_or_else(|| gone(&release))?;
    Ok(LiveDocument::of(&release, body(store, &version).await?))
}

/// Reads a moment in RFC 3339, or a day, which stands for its beginning in UTC.
pub fn moment(text: &str) -> Option<Micros> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse::<Timestamp>().ok().or_else(|| day().map(|day| day.timestamp()))?;
    Some(Micros(time.as_microsecond()))
}

/// What is live where nothing is.
pub(super) fn nothing_live(prompt: &str, on: &str) -> ReleaseError {
    ReleaseError::Unknown {
        what: format!("nothing of `{prompt}` is live on {on}"),
        hint: Some(format!("`assay prompt promote {prompt}@VERSION --channel {on}` puts a version there")),
    }
}

/// Whether people are shown it: rehearsals are on channels of their own.
fn shown(release: &Release) -> bool {
    release.kind != ReleaseKind::Rehearsal
}

async fn body(store: &Store, version: &Version) -> Result<assay_common::prompt::PromptBody, ReleaseError> {
    let body = store.body(&version.prompt, version.number).await?;
    body.ok_or_else(|| {
        ReleaseError::State(format!("the store lacks the content of {}@{}", version.prompt, version.number))
    })
}

fn gone(release: &Release) -> ReleaseError {
    ReleaseError::State(format!(
        "the store lacks {}@{}, which is live on {}",
        release.prompt, release.number, release.channel
    ))
}

/// A prompt by its name.
pub(crate) async fn find(store: &Store, name: &str) -> Result<Prompt, ReleaseError> {
    if let Some(prompt) = store.prompt(name).await? {
        return Ok(prompt);
    }
    let names: Vec<_> = store.prompts().await?.into_iter().map(|prompt| prompt.name).collect();
    let hint = match names.as_slice() {
        [] => Some("a prompt is known once a suite with it was run".to_owned()),
        names => did_you_mean(name, names.iter().map(String::as_str)),
    };
    Err(ReleaseError::Unknown { what: format!("there is no prompt `{name}`"), hint })
}

/// A version of a prompt by its number, its digest, or the beginning of that.
pub(super) async fn find_version(
    store: &Store,
    prompt: &Prompt,
    Which(which): &Which,
) -> Result<Version, ReleaseError> {
    let number = which.parse::<i64>().ok().filter(|_| which.len() < MIN_PREFIX);
    let found = match number {
        Some(number) => store.version_numbered(&prompt.name, number).await?,
        None => {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if !(MIN_PREFIX..=64).contains(&which.len()) || !which.bytes().all(hex) {
                return Err(ReleaseError::Input(format!(
                    "`{which}` is no version: give its number, or at least {MIN_PREFIX} hex digits of its digest"
                )));
            }
            let mut found = store.versions_with_prefix(&prompt.name, which).await?;
            if found.len() > 1 {
                return Err(ReleaseError::Input(format!(
                    "several versions of `{}` begin with {which}; give more digits",
                    prompt.name
                )));
            }
            // Numbers have as many digits as they like.
            match (found.pop(), which.parse()) {
                (None, Ok(number)) => store.version_numbered(&prompt.name, number).await?,
                (found, _) => found,
            }
        }
    };
    found.ok_or_else(|| ReleaseError::Unknown {
        what: format!("there is no version {which} of `{}`", prompt.name),
        hint: Some(match prompt.versions {
            1 => "there is version 1".to_owned(),
            newest => format!("there are versions 1 to {newest}"),
        }),
    })
}

/// A version of a prompt by its number or digest, or that which is live on a channel of this name.
pub(crate) async fn resolve(store: &Store, name: &str, text: &str) -> Result<Version, ReleaseError> {
    let prompt = find(store, name).await?;
    match find_version(store, &prompt, &Which(text.to_owned())).await {
        Err(ReleaseError::Input(no_version)) => {
            // What could be the beginning of a digest is more likely one than a channel.
            let is_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            live_version(store, name, text).await.map_err(|error| match error {
                ReleaseError::Unknown { .. } | ReleaseError::Input(_) if is_digits => {
                    ReleaseError::Input(no_version)
                }
                error => error,
            })
        }
        found => found,
    }
}

/// The version that is live on a channel.
async fn live_version(store: &Store, name: &str, on: &str) -> Result<Version, ReleaseError> {
    channel::named(on)?;
    let Some(release) = store.live(name, on, None).await? else {
        channel::known(store, on).await?;
        return Err(nothing_live(name, on));
    };
    let version = store.version_numbered(name, release.number).await?;
    version.ok_or_else(|| gone(&release))
}

/// How a version is named.
pub(super) fn named(version: &Version) -> Named {
    Named { prompt: version.prompt.clone(), number: version.number, digest: version.digest.clone() }
}

/// How what is live is named.
pub(super) fn named_live(release: &Release) -> Named {
    Named { prompt: release.prompt.clone(), number: release.number, digest: release.digest.clone() }
}
