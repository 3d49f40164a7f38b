//! The providers, with an append-only bill: the oracle for what was asked and paid.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_common::config::Config;
use assay_common::id::{Digest, RunId};
use assay_common::money::NanoUsd;
use assay_common::outcome::Outcome;
use assay_common::usage::Usage;
use assay_worker::{Server, WireFault, WireReply};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::line::{Line, Skies};
use crate::oracle::TWO_HEARTBEATS;

/// A job in one generation: run, ordinal, generation.
pub(crate) type Job = (RunId, u64, u32);

/// One call, as its provider knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: Job,
    /// The claim it was made under.
    pub(crate) attempt: u32,
    /// Who asked.
    pub(crate) line: Arc<Line>,
    /// When.
    pub(crate) at: Instant,
    /// Whether the store had answered it all that it asked in the time before, and soon.
    pub(crate) heard: bool,
    /// What it cost.
    pub(crate) cost: NanoUsd,
    /// Whether a reply said so.
    pub(crate) told: bool,
    /// Whether its end was seen by whoever asked.
    pub(crate) seen: bool,
    /// Whether it brought an answer.
    pub(crate) answered: bool,
}

/// All providers together.
#[derive(Debug)]
pub(crate) struct Providers {
    chance: Chance,
    skies: Arc<Skies>,
    config: Config,
    bill: Mutex<Vec<Entry>>,
    /// A prompt that says this kills whoever is answered.
    fatal: Option<String>,
    /// Statuses that all calls of an account are answered with, and until when.
    storms: Mutex<BTreeMap<String, (u16, Instant)>>,
}

/// The providers as one process reaches them.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) providers: Arc<Providers>,
    pub(crate) line: Arc<Line>,
}

/// What a call comes to.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answer,
    Status(u16),
    Unsent,
    /// Cut after so much as half of it: billed or not.
    Broken(bool),
    Garbage,
    Hang,
}

impl Providers {
    /// Nothing asked yet.
    pub(crate) fn new(seed: u64, skies: Arc<Skies>, config: Config, fatal: Option<String>) -> Self {
        let (bill, storms) = Default::default();
        Self { chance: Chance::new(seed, 3), skies, config, bill, fatal, storms }
    }

    /// Everything that was asked so far.
    pub(crate) fn bill(&self) -> Vec<Entry> {
        held(&self.bill).clone()
    }

    /// An account answers every call with `status` for so long.
    pub(crate) fn storm(&self, account: &str, status: u16, lasts: Duration) {
        held(&self.storms).insert(account.to_owned(), (status, Instant::now() + lasts));
    }

    /// Ends every storm.
    pub(crate) fn clear(&self) {
        held(&self.storms).clear();
    }

    fn fate(&self, model: &str) -> Fate {
        let account = if model == "large" { "alpha" } else { "beta" };
        let storm = held(&self.storms).get(account).copied().filter(|(_, until)| *until > Instant::now());
        if let Some((status, _)) = storm {
            return Fate::Status(status);
        }
        let weather = self.skies.weather().unwrap_or_default();
        if !self.chance.happens(weather.provider) {
            return Fate::Answer;
        }
        match self.chance.number(0..12) {
            0 => Fate::Unsent,
            1 => Fate::Broken(false),
            2 => Fate::Broken(true),
            3 => Fate::Garbage,
            4 => Fate::Hang,
            5 => Fate::Status(429),
            6 => Fate::Status(self.chance.one_of(&[400, 404, 413, 422])),
            7 if self.chance.happens(0.2) => Fate::Status(self.chance.one_of(&[401, 402, 403])),
            _ => Fate::Status(self.chance.one_of(&[408, 409, 425, 500, 502, 503, 529])),
        }
    }

    fn enter(&self, job: &str, line: &Arc<Line>) -> usize {
        let mut parts = job.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (run, ordinal, generation, attempt) = (part(), part(), part(), part());
        let entry = Entry {
            job: (run.parse().unwrap(), ordinal.parse().unwrap(), generation.parse().unwrap()),
            attempt: attempt.parse().unwrap(),
            line: Arc::clone(line),
            at: Instant::now(),
            heard: !line.was_held_up(TWO_HEARTBEATS),
            cost: NanoUsd(0),
            told: false,
            seen: false,
            answered: false,
        };
        let mut bill = held(&self.bill);
        bill.push(entry);
        bill.len() - 1
    }

    fn change(&self, entry: usize, change: impl FnOnce(&mut Entry)) {
        change(&mut held(&self.bill)[entry]);
    }

    async fn answer(&self, line: &Arc<Line>, job: String, body: Vec<u8>) -> Result<WireReply, WireFault> {
        let entry = self.enter(&job, line);
        // Whoever is frozen sends it when he wakes.
        line.come_to_point().await;
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let model = asked["model"].as_str().unwrap_or_default().to_owned();
        let prompt = asked["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        let fate = self.fate(&model);
        self.skies.note(&format!("{} asks for {job}: {fate:?}", line.name));
        let usage = usage(&prompt);
        let account = if model == "large" { "alpha" } else { "beta" };
        let price = self.config.price(&format!("{account}/{model}")).and_then(|price| price.cost(&usage));
        let cost = price.unwrap_or_default();
        sleep(self.chance.millis(50..1_500)).await;
        let reply = match fate {
            Fate::Hang => {
                self.change(entry, |entry| entry.cost = cost);
                pending().await
            }
            Fate::Unsent => Err(WireFault::Unsent("there is no connection".to_owned())),
            Fate::Broken(billed) => {
                self.change(entry, |entry| entry.cost = if billed { cost } else { NanoUsd(0) });
                Err(WireFault::Broken("it was reset".to_owned()))
            }
            Fate::Status(status) => Ok(self.refusal(status)),
            Fate::Garbage => {
                self.change(entry, |entry| entry.cost = cost);
                Ok(WireReply { status: 200, retry_after: None, body: b"{\"choices\": [{".to_vec() })
            }
            Fate::Answer => {
                self.change(entry, |entry| (entry.cost, entry.told) = (cost, true));
                Ok(WireReply { status: 200, retry_after: None, body: completion(&prompt, &model, &usage) })
            }
        };
        let kills = self.fatal.as_ref().is_some_and(|fatal| prompt.contains(fatal));
        if kills && self.skies.weather().is_some() && matches!(fate, Fate::Answer) {
            line.die();
        }
        // Whoever is frozen reads it when he wakes, whoever is dead never.
        line.come_to_point().await;
        let answered = matches!(fate, Fate::Answer);
        self.change(entry, |entry| (entry.seen, entry.answered) = (true, answered));
        reply
    }

    fn refusal(&self, status: u16) -> WireReply {
        let seconds = self.chance.number(1..4).to_string();
        let retry_after = (matches!(status, 429 | 503) && self.chance.happens(0.5)).then_some(seconds);
        let quota = status == 429 && self.chance.happens(0.1);
        let code = if quota { "insufficient_quota" } else { "trouble" };
        let body = json!({"error": {"message": "not now", "code": code}}).to_string().into_bytes();
        WireReply { status, retry_after, body }
    }
}

impl Server for Door {
    fn answer(
        &self,
        job: String,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<WireReply, WireFault>> + Send + '_>> {
        Box::pin(self.providers.answer(&self.line, job, body))
    }
}

/// What an answer to a prompt is scored as: every provider knows which numbers are lucky.
pub(crate) fn expected(prompt: &str, model: &str) -> Outcome {
    if says_yes(prompt, model) { Outcome::Passed } else { Outcome::Failed }
}

fn says_yes(prompt: &str, model: &str) -> bool {
    !Digest::of(format!("{model}: {prompt}").as_bytes()).as_str().starts_with(['0', '1', '2', '3'])
}

fn usage(prompt: &str) -> Usage {
    Usage { input_tokens: Some(prompt.len() as u64), output_tokens: Some(1 + prompt.len() as u64 % 7) }
}

fn completion(prompt: &str, model: &str, usage: &Usage) -> Vec<u8> {
    let text = if says_yes(prompt, model) { "yes" } else { "no" };
    json!({
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens},
    })
    .to_string()
    .into_bytes()
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
