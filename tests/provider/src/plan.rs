//! A script made ready, and the decision about each call. A decision depends on the script, the prompt and the
//! counts of earlier calls, never on time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::expression;
use crate::script::{Answer, Latency, Reaction, Script, When};

/// A script with everything computed that can be computed before the first call.
pub(crate) struct Plan {
    pub(crate) script: Script,
    rules: Vec<Ready>,
    /// How often each prompt was asked, by hash; kept only for scripts that ask.
    asked: Option<Mutex<HashMap<u64, u32>>>,
}

struct Ready {
    /// Calls it struck so far.
    struck: AtomicU64,
    /// The body of a reply that takes long to make.
    body: Bytes,
}

/// What becomes of one call.
#[derive(Clone, Copy)]
pub(crate) struct Decision<'p> {
    /// `None`: a good answer.
    pub(crate) reaction: Option<&'p Reaction>,
    /// The prepared body of a bomb.
    pub(crate) body: &'p Bytes,
    /// How long it takes.
    pub(crate) delay: Duration,
}

static NO_BODY: Bytes = Bytes::new();

impl Plan {
    pub(crate) fn new(script: Script) -> Self {
        let rules = script
            .rules
            .iter()
            .map(|rule| Ready { struck: AtomicU64::new(0), body: prepared_body(&rule.then) })
            .collect();
        let counts = script.rules.iter().any(|rule| rule.when.share.is_some() || rule.when.first.is_some());
        Self { script, rules, asked: counts.then(Mutex::default) }
    }

    /// Decides about the call with this number (from 1) and last message.
    pub(crate) fn decide(&self, number: u64, prompt: &str) -> Decision<'_> {
        let earlier = self.asked.as_ref().map_or(0, |asked| count(asked, prompt));
        let struck = self.script.rules.iter().zip(&self.rules).find(|(rule, ready)| {
            self.holds(&rule.when, number, prompt, earlier)
                && rule.when.times.is_none_or(|times| ready.struck.fetch_add(1, Ordering::Relaxed) < times)
        });
        let (reaction, body) =
            struck.map_or((None, &NO_BODY), |(rule, ready)| (Some(&rule.then), &ready.body));
        let extra = if let Some(Reaction::SlowMs(ms)) = reaction { *ms } else { 0 };
        let usual = match self.script.latency {
            Latency::FixedMs(ms) => ms,
            Latency::UniformMs(low, high) => {
                low + self.chance(&number) % (high.saturating_sub(low).saturating_add(1))
            }
        };
        Decision { reaction, body, delay: Duration::from_millis(usual.saturating_add(extra)) }
    }

    fn holds(&self, when: &When, number: u64, prompt: &str, earlier: u32) -> bool {
        when.call.is_none_or(|call| call == number)
            && when.first.is_none_or(|first| earlier < first)
            && when.prompt.as_deref().is_none_or(|text| prompt.contains(text))
            && when.share.is_none_or(|share| {
                let drawn = (self.chance(&(prompt, earlier)) >> 11) as f64 / (1_u64 << 53) as f64;
                drawn < share
            })
    }

    /// Evenly spread bits that depend on the seed and `of` alone.
    fn chance(&self, of: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.script.seed, of).hash(&mut hasher);
        hasher.finish()
    }

    /// What a good answer to `prompt` says.
    pub(crate) fn answer(&self, prompt: &str) -> String {
        match &self.script.answer {
            Answer::Echo => prompt.to_owned(),
            Answer::Fixed(text) => text.clone(),
            Answer::Map { entries, otherwise } => entries
                .iter()
                .find(|(text, _)| prompt.contains(text))
                .map_or(otherwise, |(_, answer)| answer)
                .clone(),
            Answer::Expression => {
                expression::answer(prompt).map_or_else(|| "?".to_owned(), |value| value.to_string())
            }
        }
    }
}

/// How often `prompt` was asked before now.
fn count(asked: &Mutex<HashMap<u64, u32>>, prompt: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let times = asked.entry(hasher.finish()).or_default();
    let earlier = *times;
    *times += 1;
    earlier
}

fn prepared_body(reaction: &Reaction) -> Bytes {
    let answer_of = |bytes: usize| {
        let filler = "x".repeat(bytes);
        format!(r#"{{"choices":[{{"message":{{"role":"assistant","content":"{filler}"}}}}]}}"#)
    };
    match reaction {
        Reaction::Huge(bytes) => answer_of(*bytes).into(),
        Reaction::GzipBomb(bytes) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Writing to a Vec cannot fail.
            let zipped = encoder.write_all(answer_of(*bytes).as_bytes()).and_then(|()| encoder.finish());
            zipped.unwrap_or_default().into()
        }
        _ => NO_BODY.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the calls, of ten with these prompts in turn, that the condition holds for.
    fn check(when: When, prompts: &[&str], expected: &[u64]) {
        let plan = Plan::new(Script::default().rule(when, Reaction::Hang));
        let struck: Vec<u64> = (1..=10)
            .zip(prompts.iter().cycle())
            .filter(|(number, prompt)| plan.decide(*number, prompt).reaction.is_some())
            .map(|(number, _)| number)
            .collect();
        assert_eq!(struck, expected);
    }

    #[test]
    fn conditions_choose_calls() {
        check(When::always(), &["a"], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        check(When::call(3), &["a"], &[3]);
        check(When::prompt("b"), &["a", "abc"], &[2, 4, 6, 8, 10]);
        check(When::always().first(2), &["a", "b"], &[1, 2, 3, 4]);
        check(When::prompt("b").times(2), &["a", "b"], &[2, 4]);
        check(When::prompt("b").first(1), &["a", "b"], &[2]);
        check(When::share(0.0), &["a"], &[]);
        check(When::share(1.0), &["a"], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn a_share_is_met_and_repeats_in_any_order() {
        let struck = |seed: u64, reverse: bool| {
            let script = Script { seed, ..Script::default().rule(When::share(0.2), Reaction::Hang) };
            let plan = Plan::new(script);
            let mut order: Vec<u64> = (1..=5_000).collect();
            if reverse {
                order.reverse();
            }
            let mut hit: Vec<u64> =
                order.into_iter().filter(|n| plan.decide(1, &n.to_string()).reaction.is_some()).collect();
            hit.sort_unstable();
            hit
        };
        let hit = struck(1, false);
        assert!((900..1_100).contains(&hit.len()), "{}", hit.len());
        assert_eq!(hit, struck(1, true));
        assert_ne!(hit, struck(2, false));
    }

    #[test]
    fn uniform_latency_stays_in_its_bounds() {
        let plan = Plan::new(Script { latency: Latency::UniformMs(10, 12), ..Script::default() });
        let mut seen: Vec<u128> = (1..100).map(|n| plan.decide(n, "a").delay.as_millis()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [10, 11, 12]);
    }
}
