//! What a call takes of the limits: places in flight, then its part of each rate, looked at again just before it is made.

use std::time::Duration;

use assay_common::job::JobKey;
use assay_common::limit::Dimension;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::super::line::{Needs, RATES, Ticket};
use super::super::scope::{Scope, meter};
use super::super::stand::stand;
use super::super::tokens::{Accounting, Tokens};
use super::pass::{Pass, Size, Slots, Taken, TooLarge, Whose};
use super::pool::Place;
use super::{Gate, lock};
use crate::provider::meter::Meters;

/// How old a permit may be when its call is made; an older one is taken anew. The ledger allows for so much between a permit
/// and its arrival.
const FRESH: Duration = Duration::from_millis(100);

/// A request that the provider refuses so often, saying each time that a window is smaller, is larger than a window.
const REFUSALS: u32 = 3;
/// Jobs whose refusals are remembered at most.
const MOST_REFUSED: usize = 1_000;

impl Gate {
    /// Whether a window of every limit has room for a request of this size, by what somebody here has written down: no wait
    /// would make more. One that is larger than the provider says that a window is waits until that is doubted.
    pub(super) fn fits(&self, size: Size) -> Result<(), TooLarge> {
        let needs = at_once(size, self.estimate(size));
        for scope in self.scopes() {
            for (dimension, needed) in needs {
                if let Some((most, is_set)) = scope.firmly(dimension).filter(|(most, _)| needed > *most) {
                    let whose = if is_set { Whose::Operator } else { Whose::File };
                    return Err(TooLarge { scope: scope.name().to_owned(), dimension, needed, most, whose });
                }
            }
        }
        Ok(())
    }

    /// Why the request of a job that the provider has just refused is refused however long anybody waits: by what it says with the
    /// refusal a window has no room for it, and it has said so before. How large a request is, is a guess, and a refusal may be for
    /// something else.
    pub(crate) fn never_fits(&self, job: JobKey, size: Size, meters: &Meters) -> Option<TooLarge> {
        let too_large = self.is_beyond(size, meters)?;
        let mut refused = lock(&self.refused);
        if refused.len() >= MOST_REFUSED {
            refused.clear();
        }
        let times = refused.entry(job).or_default();
        *times += 1;
        (*times >= REFUSALS).then_some(too_large)
    }

    /// Whether a request is beyond what the provider says that a window is, and nothing else is used up.
    fn is_beyond(&self, size: Size, meters: &Meters) -> Option<TooLarge> {
        let meters = self.understood(meters);
        if RATES.into_iter().any(|dimension| meter(&meters, dimension).remaining == Some(0)) {
            return None;
        }
        at_once(size, self.guess(size)).into_iter().find_map(|(dimension, needed)| {
            let scope = self.spoken_of(dimension);
            let most = scope.window(meter(&meters, dimension).limit?);
            let scope = scope.name().to_owned();
            (needed > most).then_some(TooLarge { scope, dimension, needed, most, whose: Whose::Provider })
        })
    }

    /// Waits until a limit has become so low that no window has room for a request of this size: who stands in line for it would
    /// stand there for ever, and everybody behind him. `changed` was registered before it was found to fit.
    pub(super) async fn outgrown(&self, size: Size, changed: Notified<'_>) -> TooLarge {
        changed.await;
        loop {
            let changed = self.account.scope.changed.notified();
            if let Err(too_large) = self.fits(size) {
                return too_large;
            }
            changed.await;
        }
    }

    /// Waits for places in flight.
    pub(super) async fn slots(&self) -> Slots {
        Slots {
            _flight: self.place().await,
            _model: match &self.scope {
                Some(model) => Some(model.places.take().await),
                None => None,
            },
            _account: self.account.scope.places.take().await,
        }
    }

    /// Waits for one of the calls in flight that the pool bears.
    async fn place(&self) -> Place {
        loop {
            let most = self.in_flight();
            tokio::select! {
                biased;
                place = self.pool.place(most) => return place,
                () = self.resizes(most) => {}
            }
        }
    }

    /// Waits for what a call of this size takes of each rate. The model's line stands while that of the account is passed:
    /// what was gathered for the model is that of one call.
    pub(super) async fn permit(&self, size: Size) -> Taken {
        let (reserved, produced) = self.estimate(size);
        let needs = needs(reserved, produced);
        let model = match &self.scope {
            Some(model) => self.pass(model, needs).await,
            None => None,
        };
        let account = self.pass(&self.account.scope, needs).await;
        [model, account].into_iter().flatten().for_each(Ticket::done);
        Taken { reserved, produced, at: Instant::now() }
    }

    async fn pass(&self, scope: &Scope, needs: Needs) -> Option<Ticket> {
        if scope.line.is_open() {
            scope.line.go_by();
            return None;
        }
        Some(stand(&scope.line, needs, scope.began, &self.account.hurry).await)
    }

    /// What a request is expected to be counted as: where both sides are counted together, and apart.
    fn estimate(&self, size: Size) -> (Tokens, Tokens) {
        if self.scopes().all(|scope| scope.line.is_open()) {
            return Default::default();
        }
        self.guess(size)
    }

    /// The same where nothing is limited yet.
    fn guess(&self, size: Size) -> (Tokens, Tokens) {
        let window = |dimension| self.scopes().filter_map(|scope| scope.in_window(dimension)).min();
        let [both, answers] = [Dimension::Tokens, Dimension::OutputTokens].map(window);
        let estimator = lock(&self.pool.estimator);
        let estimate =
            |accounting, window| estimator.estimate(size.bytes, size.max_tokens, accounting, window);
        (estimate(Accounting::Reserved, both), estimate(Accounting::Produced, answers))
    }

    /// Looks at the last moment before a call: a permit that is old, or whose lease is over, is taken anew, unless limits have
    /// become too low for it meanwhile.
    pub(crate) async fn refresh(&self, pass: &mut Pass) -> Result<(), TooLarge> {
        while !self.is_fresh(pass) {
            let taken = async {
                self.leased().await;
                self.permit(pass.size).await
            };
            let changed = self.account.scope.changed.notified();
            self.fits(pass.size)?;
            pass.taken = tokio::select! {
                biased;
                too_large = self.outgrown(pass.size, changed) => return Err(too_large),
                taken = taken => taken,
            };
        }
        Ok(())
    }

    fn is_fresh(&self, pass: &Pass) -> bool {
        self.scopes().all(|scope| {
            let is_recent = scope.line.is_open() || pass.taken.at.elapsed() <= FRESH;
            is_recent && scope.holds()
        })
    }

    /// Waits until no lease of places is over.
    async fn leased(&self) {
        loop {
            let changed = self.account.scope.changed.notified();
            if self.scopes().all(|scope| scope.places.holds(scope.began.elapsed())) {
                return;
            }
            self.account.hurry.notify_one();
            changed.await;
        }
    }
}

/// What a window must have room for. Where nothing is said of the answer, it is the provider's to say how much it may be.
fn at_once(size: Size, (reserved, produced): (Tokens, Tokens)) -> [(Dimension, u64); 2] {
    let answer = size.max_tokens.map_or(0, u64::from);
    [(Dimension::Tokens, reserved.input.saturating_add(answer)), (Dimension::InputTokens, produced.input)]
}

/// What is taken of each rate of a line.
pub(super) fn needs(reserved: Tokens, produced: Tokens) -> Needs {
    [reserved.total(), produced.input, produced.output, 1]
}
