//! The tokens of a request: how many it is expected to take of an account's tokens a minute, and what becomes of the difference
//! when the provider counted another number. Pure.
//!
//! ```text
//! prompt ── estimate ──► Tokens ── charge ──► what the limiter is asked for ── call ── learn ──► the next estimate
//!                                    ▲                                                 │
//!                                    └──── Balance: credit or debt ◄──── settle ───────┘
//! ```

use assay_common::config::assumed_answer;
use assay_common::usage::Usage;

/// Before anything is learned a token is 16/5 = 3.2 bytes: fewer than in English prose, so that the first calls are no surprise.
const BYTES_OF_FIVE: u64 = 16;
/// What the first guess weighs, in tokens: one prompt of usual length outweighs it.
const PRIOR_TOKENS: u64 = 100;
/// A reply outweighs what was learned before it as one to this.
const MEMORY: u64 = 64;
/// Answers whose length is remembered.
const REMEMBERED: usize = 128;
/// Answers before their length says something.
const TELLING: usize = 8;
/// More tokens than bytes, for what a provider puts around messages.
const FRAME_TOKENS: u64 = 1_024;

/// When a provider counts the tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounting {
    /// When it admits the request: `max_tokens`, whatever comes of it. Those who limit both sides together do.
    Reserved,
    /// As they are produced. Those who limit the sides apart do.
    Produced,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Of what is asked.
    pub(crate) input: u64,
    /// Of the answer.
    pub(crate) output: u64,
}

/// What is learned of a model's tokens.
#[derive(Debug)]
pub(crate) struct Estimator {
    /// Tokens that the provider counted of prompts, fading.
    counted: u64,
    /// Tokens that were guessed of the same prompts, fading alike.
    guessed: u64,
    /// Tokens of the last answers; a ring once it is full.
    answers: Vec<u64>,
    /// Where the ring goes on.
    next: usize,
    /// What nine of ten of them stay within; `None` before they say something.
    usual: Option<u64>,
}

/// What calls took more or less than they asked the limiter for, in one dimension of one account.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// Taken and not used.
    credit: u64,
    /// Used and not taken. One of the two is 0.
    debt: u64,
}

/// How far a [`Balance`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The most credit that is kept. It is spent at once when it is spent: as much as may burst.
    pub(crate) credit: u64,
    /// The most debt that is kept: what a window allows. After a window the provider has forgotten too, and an absurd count
    /// must not stop the account for good.
    pub(crate) debt: u64,
}

impl Tokens {
    /// Both sides.
    pub(crate) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Estimator {
    /// Nothing learned.
    pub(crate) fn new() -> Self {
        Self { counted: PRIOR_TOKENS, guessed: PRIOR_TOKENS, answers: Vec::new(), next: 0, usual: None }
    }

    /// What a request is expected to be counted as: its prompt has so many bytes, and its answer may have `max_tokens`. `window`:
    /// what one allows of what its answer counts for, where that is limited.
    pub(crate) fn estimate(
        &self,
        bytes: u64,
        max_tokens: Option<u32>,
        accounting: Accounting,
        window: Option<u64>,
    ) -> Tokens {
        let input = u128::from(guess(bytes)) * u128::from(self.counted) / u128::from(self.guessed.max(1));
        let input = u64::try_from(input).unwrap_or(u64::MAX).max(1);
        let (said, assumed) = (max_tokens.map(u64::from), assumed(input, accounting, window));
        let output = match accounting {
            Accounting::Reserved => said.unwrap_or(assumed),
            // Hardly any answer is as long as it may be: what is too little is paid by the next calls.
            Accounting::Produced => self.usual.unwrap_or(assumed).min(said.unwrap_or(u64::MAX)),
        };
        Tokens { input, output }
    }

    /// Learns from an answer to a prompt of so many bytes.
    pub(crate) fn learn(&mut self, bytes: u64, usage: &Usage) {
        if let Some(input) = usage.input_tokens {
            // No token is shorter than a byte: a count beyond is none.
            let input = input.min(bytes.saturating_add(FRAME_TOKENS));
            self.counted = faded(self.counted).saturating_add(input).max(1);
            self.guessed = faded(self.guessed).saturating_add(guess(bytes));
        }
        if let Some(output) = usage.output_tokens {
            self.remember(output);
        }
    }

    fn remember(&mut self, output: u64) {
        if self.answers.len() < REMEMBERED {
            self.answers.push(output);
        } else {
            self.answers[self.next] = output;
            self.next = (self.next + 1) % REMEMBERED;
        }
        if self.answers.len() >= TELLING {
            let mut sorted = self.answers.clone();
            let ninth = (sorted.len() * 9).div_ceil(10) - 1;
            self.usual = Some(*sorted.select_nth_unstable(ninth).1);
        }
    }
}

impl Accounting {
    /// What the provider has counted of an answered request that took `taken` of the limiter.
    pub(crate) fn counted(self, taken: Tokens, usage: &Usage) -> Tokens {
        let (input, output) =
            (usage.input_tokens.unwrap_or(taken.input), usage.output_tokens.unwrap_or(taken.output));
        match self {
            // It gives nothing back, and what was too little it had counted as it is.
            Self::Reserved => Tokens { input: input.max(taken.input), output: output.max(taken.output) },
            Self::Produced => Tokens { input, output },
        }
    }
}

impl Balance {
    /// What the limiter must be asked for before a call of so many tokens: less by the credit, which is spent, or more by the
    /// debt, which is paid. Who gets none of it, or not all, [settles](Balance::settle) what he got as taken and not used.
    pub(crate) fn charge(&mut self, tokens: u64) -> u64 {
        let spent = self.credit.min(tokens);
        self.credit -= spent;
        (tokens - spent).saturating_add(std::mem::take(&mut self.debt))
    }

    /// A call that took so many tokens was counted as so many.
    pub(crate) fn settle(&mut self, taken: u64, counted: u64, bounds: Bounds) {
        let (plus, minus) = (self.credit.saturating_add(taken), self.debt.saturating_add(counted));
        self.credit = plus.saturating_sub(minus).min(bounds.credit);
        self.debt = minus.saturating_sub(plus).min(bounds.debt);
    }
}

/// What an answer is taken for that may be of any length: never more than a window has room for beside its prompt, or no wait
/// would do.
fn assumed(prompt: u64, accounting: Accounting, window: Option<u64>) -> u64 {
    let assumed = assumed_answer(window);
    match (accounting, window) {
        (Accounting::Reserved, Some(window)) => assumed.min(window.saturating_sub(prompt)),
        _ => assumed,
    }
}

fn guess(bytes: u64) -> u64 {
    (bytes.saturating_mul(5)).div_ceil(BYTES_OF_FIVE)
}

/// What is left of a sum when a reply is added to it.
fn faded(sum: u64) -> u64 {
    sum - sum / MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: Some(input), output_tokens: Some(output) }
    }

    #[test]
    fn a_prompt_is_guessed_and_then_known() {
        let mut estimator = Estimator::new();
        let input = |estimator: &Estimator, bytes| {
            estimator.estimate(bytes, Some(1), Accounting::Reserved, None).input
        };
        assert_eq!((input(&estimator, 0), input(&estimator, 320), input(&estimator, 321)), (1, 100, 101));
        // A provider to whom a token is four bytes.
        for bytes in (400..4_000).step_by(36) {
            estimator.learn(bytes, &usage(bytes / 4, 0));
        }
        for bytes in [40, 400, 40_000] {
            let (found, exact) = (input(&estimator, bytes), bytes / 4);
            assert!(found.abs_diff(exact) <= exact / 50 + 1, "{found} of {exact}");
        }
    }

    #[test]
    fn what_was_learned_fades_and_lies_are_bounded() {
        let mut estimator = Estimator::new();
        let input =
            |estimator: &Estimator| estimator.estimate(320, Some(1), Accounting::Reserved, None).input;
        (0..500).for_each(|_| estimator.learn(320, &usage(50, 0)));
        assert_eq!(input(&estimator), 50);
        (0..500).for_each(|_| estimator.learn(320, &usage(200, 0)));
        assert!(input(&estimator).abs_diff(200) <= 2);
        (0..500).for_each(|_| estimator.learn(320, &usage(u64::MAX, 0)));
        assert!(input(&estimator) <= 320 + FRAME_TOKENS);
        (0..500).for_each(|_| estimator.learn(320, &usage(0, 0)));
        assert!(input(&estimator) >= 1);
        (0..500).for_each(|_| estimator.learn(320, &Usage::default()));
        assert_eq!(estimator.usual, Some(0), "silence teaches nothing");
    }

    #[test]
    fn an_answer_is_its_limit_or_as_long_as_nine_of_ten() {
        let mut estimator = Estimator::new();
        let check = |estimator: &Estimator, max_tokens, accounting, expected| {
            assert_eq!(estimator.estimate(1, max_tokens, accounting, None).output, expected);
        };
        let assumed = assumed_answer(None);
        check(&estimator, Some(200), Accounting::Produced, 200);
        check(&estimator, None, Accounting::Produced, assumed);
        (1..=7).for_each(|n| estimator.learn(1, &usage(1, n)));
        check(&estimator, Some(200), Accounting::Produced, 200);
        (8..=100).for_each(|n| estimator.learn(1, &usage(1, n)));
        check(&estimator, Some(200), Accounting::Produced, 90);
        check(&estimator, Some(50), Accounting::Produced, 50);
        check(&estimator, Some(200), Accounting::Reserved, 200);
        check(&estimator, None, Accounting::Reserved, assumed);
        (0..128).for_each(|_| estimator.learn(1, &usage(1, 9_000)));
        check(&estimator, None, Accounting::Produced, 9_000);
    }

    #[test]
    fn an_answer_of_any_length_is_taken_for_what_windows_have_room_for() {
        let mut estimator = Estimator::new();
        let check = |estimator: &Estimator, prompt: u64, window, expected: [u64; 2]| {
            let estimate =
                |accounting| estimator.estimate(prompt * 16 / 5, None, accounting, Some(window)).output;
            assert_eq!(
                [Accounting::Reserved, Accounting::Produced].map(estimate),
                expected,
                "{prompt} {window}"
            );
        };
        check(&estimator, 100, 2_000_000, [4_096; 2]);
        check(&estimator, 100, 40_000, [4_000; 2]);
        check(&estimator, 100, 4_097, [409; 2]);
        check(&estimator, 5, 10, [1; 2]);
        check(&estimator, 950, 1_000, [50, 100]);
        check(&estimator, 2_000, 1_000, [0, 100]);
        let told = |max_tokens| {
            let estimate =
                |accounting| estimator.estimate(1, Some(max_tokens), accounting, Some(8_000)).output;
            [Accounting::Reserved, Accounting::Produced].map(estimate)
        };
        assert_eq!(told(300), [300, 300]);
        assert_eq!(told(1_000), [1_000, 800], "what is said takes no longer than what is not");
        assert_eq!(told(16_000), [16_000, 800]);
        (0..8).for_each(|_| estimator.learn(320, &usage(100, 300)));
        check(&estimator, 100, 1_000, [100, 300]);
        let said = |accounting| estimator.estimate(320, Some(900), accounting, Some(1_000)).output;
        assert_eq!([Accounting::Reserved, Accounting::Produced].map(said), [900, 300], "what is said holds");
    }

    #[test]
    fn who_counts_at_admission_gives_nothing_back() {
        let taken = Tokens { input: 100, output: 50 };
        let check = |accounting: Accounting, usage: Usage, input, output| {
            let counted = accounting.counted(taken, &usage);
            assert_eq!((counted, counted.total()), (Tokens { input, output }, input + output));
        };
        check(Accounting::Produced, usage(80, 10), 80, 10);
        check(Accounting::Produced, usage(120, 70), 120, 70);
        check(Accounting::Reserved, usage(80, 10), 100, 50);
        check(Accounting::Reserved, usage(120, 70), 120, 70);
        check(Accounting::Produced, Usage::default(), 100, 50);
        check(Accounting::Reserved, Usage::default(), 100, 50);
    }

    #[test]
    fn credit_is_spent_first_and_debt_is_paid_by_the_next() {
        let bounds = Bounds { credit: 300, debt: 1_000 };
        let mut balance = Balance::default();
        assert_eq!(balance.charge(100), 100);
        balance.settle(100, 60, bounds);
        assert_eq!((balance.charge(30), balance.charge(30), balance.charge(30)), (0, 20, 30));
        balance.settle(30, 80, bounds);
        assert_eq!((balance.charge(10), balance.charge(10)), (60, 10));
        balance.settle(10, 50, bounds);
        balance.settle(100, 80, bounds);
        assert_eq!(balance.charge(1), 21, "credit pays debt");
        balance.settle(u64::MAX, 0, bounds);
        assert_eq!((balance.charge(500), balance.charge(500)), (200, 500), "no more credit than may burst");
        balance.settle(0, u64::MAX, bounds);
        assert_eq!((balance.charge(1), balance.charge(1)), (1_001, 1), "no more debt than a window");
    }
}
