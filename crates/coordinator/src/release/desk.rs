//! The desk: whoever changes what is live does it here. It reads what is there, asks the rules, and adds one row.

use assay_common::clock::{Clock, Micros};
use assay_common::id::{AuditId, RunId};
use assay_common::visible::visible_line;
use assay_store::{
    AuditEntry, IncidentKind, Move, Moved, NewIncident, Prompt, Release, ReleaseKind, Store, Verdict, Version,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::channel;
use super::document::{RehearsalDocument, ReleaseEntry};
use super::error::ReleaseError;
use super::registry::{VERDICTS, Which, find, find_version, named, named_live, nothing_live, served};
use super::rules::{Why, evidence};
use crate::judge::catch_up;
use crate::report::civil;

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 1_000;

/// Somebody at work on a store.
pub struct Desk<'s> {
    pub(crate) store: &'s Store,
    pub(crate) clock: Clock,
    /// Who.
    pub by: String,
    /// From where.
    pub origin: String,
    pub(crate) rng: StdRng,
}

/// A promotion that is asked for.
#[derive(Clone, Debug)]
pub struct Promote {
    /// The prompt.
    pub prompt: String,
    /// The version.
    pub version: Which,
    /// The channel.
    pub channel: String,
    /// Why. An override needs it.
    pub reason: Option<String>,
    /// Without a passing verdict.
    pub overriding: bool,
    /// Makes the channel though its name is near that of another.
    pub new_channel: bool,
}

impl<'s> Desk<'s> {
    /// A desk of `by`, who asks from `origin`. `seed` is what ids are drawn from.
    pub fn new(store: &'s Store, clock: Clock, by: String, origin: String, seed: [u8; 32]) -> Self {
        Self { store, clock, by, origin, rng: StdRng::from_seed(seed) }
    }

    /// Puts a version on a channel: on a passing, unexpired verdict against what is live there, or by an override, which
    /// opens an incident.
    pub async fn promote(&mut self, asked: Promote) -> Result<ReleaseEntry, ReleaseError> {
        let prompt = find(self.store, &asked.prompt).await?;
        let version = find_version(self.store, &prompt, &asked.version).await?;
        channel::writable(self.store, &asked.channel, asked.new_channel).await?;
        let why = match asked.reason {
            Some(reason) => Some(reason_of(&reason)?),
            None if asked.overriding => {
                return Err(ReleaseError::Input("an override says why: give a reason".to_owned()));
            }
            None => None,
        };
        let live = self.store.live(&prompt.name, &asked.channel, None).await?;
        if let Some(live) = live.as_ref().filter(|live| live.digest == version.digest) {
            return Err(ReleaseError::State(format!(
                "{} is live on {} already: {}",
                named(&version),
                asked.channel,
                told(live)
            )));
        }
        let verdict = match self.verdict(&version, live.as_ref()).await {
            Ok(verdict) => Some(verdict),
            Err(ReleaseError::Refused(_)) if asked.overriding => None,
            Err(error) => return Err(error),
        };
        let mut release = self.next(&asked.channel, &version, live.as_ref());
        release.kind = if asked.overriding { ReleaseKind::Override } else { ReleaseKind::Promotion };
        release.previous = live.as_ref().map(|live| live.seq);
        release.reason = why;
        release.verdict_run = verdict.as_ref().map(|verdict| verdict.run);
        let incident = asked.overriding.then(|| self.overridden(&prompt, &release));
        let incidents = self.put(release.clone(), incident, None).await?;
        Ok(ReleaseEntry { incidents, ..ReleaseEntry::of(&release, verdict.as_ref()) })
    }

    /// Puts the version that was live before on a channel, at once. Needs no verdict. `from` is the version that it is to take
    /// off: it may be left out, but not where a rollback has just been made, which two who want the same would both do.
    pub async fn rollback(
        &mut self,
        prompt: &str,
        on: &str,
        from: Option<&Which>,
        reason: &str,
    ) -> Result<ReleaseEntry, ReleaseError> {
        let why = reason_of(reason)?;
        channel::named(on)?;
        let prompt = find(self.store, prompt).await?;
        let Some(live) = self.store.live(&prompt.name, on, None).await? else {
            channel::known(self.store, on).await?;
            return Err(nothing_live(&prompt.name, on));
        };
        self.is_meant(&prompt, &live, from).await?;
        let before = self.before(&live).await?;
        let mut release = self.back(&live, &before, ReleaseKind::Rollback);
        release.reason = Some(why);
        let incidents = self.put(release.clone(), None, Some(&live)).await?;
        Ok(ReleaseEntry { incidents, ..ReleaseEntry::of(&release, None) })
    }

    /// Rolls back what is live on a channel on a scratch channel, and says how long it took until the older content was served.
    pub async fn rehearse(&mut self, prompt: &str, on: &str) -> Result<RehearsalDocument, ReleaseError> {
        channel::named(on)?;
        let prompt = find(self.store, prompt).await?;
        let Some(live) = self.store.live(&prompt.name, on, None).await? else {
            channel::known(self.store, on).await?;
            return Err(nothing_live(&prompt.name, on));
        };
        let before = self.before(&live).await?;
        let scratch = channel::scratch(on);
        for stage in [&before, &live] {
            let below = self.store.live(&prompt.name, &scratch, None).await?;
            let below = below.unwrap_or(Release { channel: scratch.clone(), seq: 0, ..stage.clone() });
            let staged = Release { channel: scratch.clone(), previous: Some(below.seq), ..stage.clone() };
            self.put(self.back(&below, &staged, ReleaseKind::Rehearsal), None, None).await?;
        }
        let began = Instant::now();
        let staged = self.store.live(&prompt.name, &scratch, None).await?;
        let staged = staged.ok_or_else(|| nothing_live(&prompt.name, &scratch))?;
        let below = self.before(&staged).await?;
        self.put(self.back(&staged, &below, ReleaseKind::Rehearsal), None, None).await?;
        let served = served(self.store, &scratch, &prompt.name).await?;
        let seconds = began.elapsed().as_secs_f64();
        if served.digest != before.digest {
            return Err(ReleaseError::Raced("somebody else rehearses the same; try again".to_owned()));
        }
        let (from, to) = (live.number, before.number);
        Ok(RehearsalDocument { prompt: prompt.name, channel: on.to_owned(), scratch, from, to, seconds })
    }

    /// The verdict that carries the promotion of a version over what is live.
    async fn verdict(&self, version: &Version, live: Option<&Release>) -> Result<Verdict, ReleaseError> {
        // A run may have ended a moment ago.
        catch_up(self.store, self.clock.now()).await?;
        let verdicts = self.store.verdicts_on(&version.prompt, &version.digest, VERDICTS).await?;
        let on = live.map(named_live);
        let found = evidence(&named(version), on.as_ref(), &verdicts, self.clock.now());
        let verdict = found.map_err(|mut refusal| {
            if let (Why::Foreign { run, since, .. }, Some(live)) = (&mut refusal.why, live) {
                let judged = verdicts.iter().find(|verdict| verdict.run == *run);
                let is_newer = judged.is_some_and(|verdict| verdict.created_at <= live.released_at);
                *since = is_newer.then(|| told(live));
            }
            refusal
        })?;
        Ok(verdict.clone())
    }

    /// Whether `live` is what a rollback is to take off.
    async fn is_meant(
        &self,
        prompt: &Prompt,
        live: &Release,
        from: Option<&Which>,
    ) -> Result<(), ReleaseError> {
        let (version, on) = (named_live(live), &live.channel);
        let since = format!("{version} is live there, {}", told(live));
        match from {
            Some(which) => {
                let meant = find_version(self.store, prompt, which).await?;
                if meant.digest == live.digest {
                    return Ok(());
                }
                let meant = named(&meant);
                Err(ReleaseError::Raced(format!("{meant} is not live on {on}: {since}. Nothing was changed")))
            }
            // Without anything before it, that is the answer.
            None if live.kind == ReleaseKind::Rollback && live.previous.is_some() => {
                Err(ReleaseError::Raced(format!(
                    "{on} was rolled back already: {since}. Nothing was changed; if {version} has to go too, say `--from {}`",
                    live.number
                )))
            }
            None => Ok(()),
        }
    }

    /// What a rollback from `live` returns to: what was live before it, and is not what this rollback or those just before it
    /// take off.
    async fn before(&self, live: &Release) -> Result<Release, ReleaseError> {
        let nth = |seq| self.store.nth_release(&live.prompt, &live.channel, seq);
        let mut off = vec![live.digest.clone()];
        let mut last = live.clone();
        while last.kind == ReleaseKind::Rollback
            && let Some(before) = nth(last.seq - 1).await?
        {
            off.push(before.digest.clone());
            last = before;
        }
        let mut earlier = live.previous;
        while let Some(seq) = earlier
            && let Some(release) = nth(seq).await?
        {
            if !off.contains(&release.digest) {
                return Ok(release);
            }
            earlier = release.previous;
        }
        Err(ReleaseError::State(format!(
            "nothing to roll back to: no version that was not taken off itself was live on {} before {} ({})",
            live.channel,
            named_live(live),
            told(live)
        )))
    }

    /// The release of `version` after `live`, but for how and why.
    fn next(&self, on: &str, version: &Version, live: Option<&Release>) -> Release {
        Release {
            prompt: version.prompt.clone(),
            channel: on.to_owned(),
            seq: live.map_or(0, |live| live.seq) + 1,
            kind: ReleaseKind::Promotion,
            number: version.number,
            digest: version.digest.clone(),
            previous: None,
            released_at: self.moment(live),
            released_by: self.by.clone(),
            origin: self.origin.clone(),
            reason: None,
            verdict_run: None,
        }
    }

    /// The release of `before` again, after `live`: from there the next rollback goes further back.
    fn back(&self, live: &Release, before: &Release, kind: ReleaseKind) -> Release {
        Release {
            seq: live.seq + 1,
            kind,
            previous: before.previous,
            released_at: self.moment(Some(live)),
            released_by: self.by.clone(),
            origin: self.origin.clone(),
            reason: None,
            verdict_run: None,
            ..before.clone()
        }
    }

    /// Now, but never before what is live: history is in the order of its moments, whatever clocks say.
    fn moment(&self, live: Option<&Release>) -> Micros {
        live.map_or(self.clock.now(), |live| self.clock.now().max(live.released_at))
    }

    fn overridden(&self, prompt: &Prompt, release: &Release) -> NewIncident {
        let reason = release.reason.as_deref().unwrap_or_default();
        let summary = match release.verdict_run {
            Some(run) => format!("released by override, though its verdict of run {run} passed: {reason}"),
            None => format!("released without a passing verdict: {reason}"),
        };
        NewIncident {
            prompt: release.prompt.clone(),
            channel: release.channel.clone(),
            version: release.number,
            digest: release.digest.clone(),
            kind: IncidentKind::Override,
            summary,
            owner: prompt.owner.clone(),
            began_at: release.released_at,
            opened_at: release.released_at,
            opened_by: self.by.clone(),
        }
    }

    /// Adds the row, unless somebody else has; returns the incident it opened, or those it recovers from.
    async fn put(
        &mut self,
        release: Release,
        incident: Option<NewIncident>,
        recovers: Option<&Release>,
    ) -> Result<Vec<i64>, ReleaseError> {
        let what = named_live(&release);
        let (on, kind) = (release.channel.clone(), release.kind.word());
        let detail = json!({
            "channel": on,
            "release": release.seq,
            "version": release.number,
            "digest": release.digest,
            "reason": release.reason,
            "verdict_run": release.verdict_run.as_ref().map(RunId::to_string),
        });
        let entry = self.entry(&format!("release.{kind}"), release.prompt.clone(), detail);
        let recovers = recovers.map(|live| live.digest.clone());
        match self.store.release_version(Move { release, incident, recovers, entry }).await? {
            Moved::Live(incidents) => {
                let by = &self.by;
                tracing::info!(prompt.version = %what, channel = %on, kind, actor = %by, "{what} is live on {on}: {kind} by {by}");
                Ok(incidents)
            }
            Moved::Raced(winner) => Err(ReleaseError::Raced(format!(
                "somebody else was first: {} is live on {on} now, {}. Nothing was changed; look at it, and ask again if you still want to",
                named_live(&winner),
                told(&winner)
            ))),
        }
    }

    /// A row of the audit, of this moment.
    pub(crate) fn entry(&mut self, action: &str, subject: String, mut detail: Value) -> AuditEntry {
        let at = self.clock.now();
        let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &self.rng.random()).into_uuid();
        detail["from"] = Value::String(self.origin.clone());
        AuditEntry {
            id: AuditId::new(id),
            at,
            actor: self.by.clone(),
            action: action.to_owned(),
            subject,
            detail,
        }
    }
}

/// How a release came about, in words.
fn told(release: &Release) -> String {
    let why = release.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let told =
        format!("{} by {} at {}{why}", release.kind.word(), release.released_by, civil(release.released_at));
    visible_line(&told).into_owned()
}

/// A reason that says something.
pub(crate) fn reason_of(text: &str) -> Result<String, ReleaseError> {
    line_of(text, "a reason says why")
}

/// A text that says something; `wanted` is what it is for.
pub(crate) fn line_of(text: &str, wanted: &str) -> Result<String, ReleaseError> {
    let text = text.trim();
    if (1..=MAX_REASON_CHARS).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(ReleaseError::Input(format!("{wanted}, in 1 to {MAX_REASON_CHARS} characters")))
}
