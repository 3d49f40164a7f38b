//! What is learned from a call's end: of its pool, of the account, and of what it had taken of their limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::limit::Dimension;
use assay_common::usage::Usage;
use assay_store::Store;
use tokio::time::Instant;

use super::super::breaker::Evidence;
use super::super::line::RATES;
use super::super::scope::{Scope, meter};
use super::super::tokens::{Accounting, Tokens};
use super::pass::Pass;
use super::permit::needs;
use super::{Gate, lock};
use crate::provider::meter::Meters;
use crate::provider::observation::Class;

impl Gate {
    /// Learns from a call's end, and tells the store when the account's or the pool's state has changed.
    pub(crate) async fn observe(&self, evidence: &Evidence<'_>, store: &Store, clock: &Clock) {
        self.learn(evidence, clock.now());
        self.tell_pause(store, clock).await;
        self.pool.teller.tell(|| self.pool.trouble(), store, clock).await;
    }

    /// Learns of a long pause that others have met, and tells the store of it: who calls nobody for its sake has no call's
    /// end to learn from.
    pub(crate) async fn hear_pause(&self, store: &Store, clock: &Clock) {
        if self.shares_pause(Instant::now()) {
            self.account.teller.changed();
            self.tell_pause(store, clock).await;
        }
    }

    fn shares_pause(&self, now: Instant) -> bool {
        let mut pause = lock(&self.account.pause);
        pause.shared(self.account.scope.closed_for(now), now);
        pause.has_changed(now)
    }

    async fn tell_pause(&self, store: &Store, clock: &Clock) {
        let paused = || lock(&self.account.pause).ailment(Instant::now(), clock.now());
        self.account.teller.tell(paused, store, clock).await;
    }

    /// Learns that the account's money for the day does not do for a call, and says when to ask again.
    pub(crate) fn wants_money(&self) -> Duration {
        let wait = lock(&self.account.money).wanting(Instant::now());
        self.account.scope.changed.notify_waiters();
        wait
    }

    /// Learns that the account's money for the day does for a call.
    pub(crate) fn has_paid(&self) {
        lock(&self.account.money).paid();
    }

    /// What a call had taken, and what the provider has counted of it; what it says of its limits.
    pub(crate) fn settle(&self, pass: Option<&Pass>, class: Class, usage: &Usage, meters: &Meters) {
        let meters = &self.understood(meters);
        if class == Class::RateLimited {
            let until = Instant::now() + lock(&self.account.pause).left(Instant::now());
            self.scopes().for_each(|scope| scope.refused(meters, until));
            self.account.hurry.notify_one();
        }
        if *meters != Meters::default() {
            for dimension in RATES {
                self.spoken_of(dimension).hear(dimension, meter(meters, dimension));
            }
        }
        let Some(Pass { size, taken, .. }) = pass else { return };
        let (reserved, produced) = match class {
            Class::Answered => {
                if self.scopes().any(|scope| !scope.line.is_open()) {
                    lock(&self.pool.estimator).learn(size.bytes, usage);
                }
                let counted = |accounting: Accounting, taken| accounting.counted(taken, usage);
                (counted(Accounting::Reserved, taken.reserved), counted(Accounting::Produced, taken.produced))
            }
            // Nothing was sent.
            Class::Unsent => (Tokens::default(), Tokens::default()),
            // Nobody says what was counted.
            _ => return,
        };
        let (taken, counted) = (needs(taken.reserved, taken.produced), needs(reserved, produced));
        self.scopes().for_each(|scope| scope.line.settle(taken, counted));
    }

    /// What a provider says of its limits, but for what sums up those of the sides where they are limited apart.
    pub(super) fn understood(&self, meters: &Meters) -> Meters {
        let sides = [Dimension::InputTokens, Dimension::OutputTokens];
        let limits_sides = |scope: &Arc<Scope>| sides.into_iter().any(|side| scope.is_limited(side));
        if self.scopes().any(limits_sides) { meters.apart() } else { *meters }
    }

    /// What limits the model, here or in the files of others, the provider speaks of that; else of the account.
    pub(super) fn spoken_of(&self, dimension: Dimension) -> &Arc<Scope> {
        self.scope.as_ref().filter(|own| own.is_limited(dimension)).unwrap_or(&self.account.scope)
    }

    /// Failures of the pool in a row.
    pub(crate) fn streak(&self) -> u32 {
        lock(&self.pool.breaker).streak()
    }

    /// Whether a call of this pool was answered at `since` or later.
    pub(crate) fn answered_since(&self, since: Micros) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        answered_at != 0 && answered_at >= since.0
    }

    pub(in crate::limit) fn learn(&self, evidence: &Evidence<'_>, wall: Micros) {
        let Evidence { class, sent, retry_after, .. } = *evidence;
        let now = Instant::now();
        let mut pause = lock(&self.account.pause);
        match class {
            Class::RateLimited => pause.met(sent, retry_after, now),
            Class::Answered | Class::Malformed | Class::Refused => pause.within(sent),
            _ => {}
        }
        let long_pause = pause.has_changed(now);
        drop(pause);
        if class == Class::Answered {
            self.answered_at.store(wall.0, Ordering::Relaxed);
        }
        lock(&self.pool.flight).observe(class, sent, now);
        // What grew, somebody may take.
        self.pool.landed.notify_one();
        let mut breaker = lock(&self.pool.breaker);
        let before = breaker.trouble().map(|trouble| trouble.kind);
        breaker.observe(evidence, now, wall);
        let other_trouble = breaker.trouble().map(|trouble| trouble.kind) != before;
        drop(breaker);
        let retries = lock(&self.pool.retries).has_changed(now);
        if long_pause {
            self.account.teller.changed();
        }
        if other_trouble || retries {
            self.pool.teller.changed();
        }
        if long_pause || other_trouble {
            self.account.scope.changed.notify_waiters();
        }
    }
}
