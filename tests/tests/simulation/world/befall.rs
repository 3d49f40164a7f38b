//! What befalls a world, as its plan says.

use std::time::Duration;

use assay_common::id::{MemberId, RunId};
use assay_common::job::Hint;
use assay_coordinator::steer::{Action, SteerError, steer};
use assay_queue::QueueError;
use assay_store::Candidacy;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{START, World, again};
use crate::plan::Event;
use crate::process::Ground;

impl World {
    pub(super) async fn befall(&self, event: Event) {
        let Ground { skies, queue, providers, store, .. } = &*self.ground;
        skies.note(&format!("{event:?}"));
        let line = |process: usize| self.places[process].life().line;
        match event {
            Event::Crash(process) => line(process).die(),
            Event::Freeze(process, lasts) => line(process).freeze(lasts),
            Event::CutOff(process, lasts) => line(process).cut_off(lasts),
            Event::Terminate(process) => self.places[process].terminate(),
            Event::Jump(process, by) => self.places[process].clock.jump(by),
            Event::Outage(lasts) => skies.outage(lasts),
            Event::Purge => {
                for pool in self.pools() {
                    queue.purge(&pool).await.unwrap();
                }
            }
            Event::Lose(hints) => self.lose(hints).await.unwrap(),
            Event::Double(hints) => self.double(hints).await.unwrap(),
            Event::EndSession => {
                if let Ok(mut candidacy) = Candidacy::open(store).await {
                    let _ = candidacy.depose().await;
                }
            }
            Event::Storm(account, status, lasts) => providers.storm(account, status, lasts),
            Event::Pause(run) => self.steer(run, Action::Pause).await,
            Event::Resume(run) => self.steer(run, Action::Resume).await,
            Event::Retry(run) => {
                let run = self.runs[run].0;
                again(async || self.people.redrive(run, None, self.entry("run.retry")).await).await;
            }
            Event::Cancel(run) => {
                self.steer(run, Action::Cancel).await;
                let run = self.runs[run].0;
                self.cancelled.lock().unwrap().entry(run).or_insert_with(Instant::now);
            }
        }
    }

    /// Takes hints that a broker loses.
    async fn lose(&self, hints: u32) -> Result<(), QueueError> {
        let nobody = MemberId::new(Uuid::from_u128(9));
        let committed = self.ground.store.settle(nobody, Vec::new(), START).await.unwrap();
        for pool in self.pools() {
            let mut thief = self.ground.queue.subscribe(&pool, hints).await?;
            for _ in 0..hints {
                if let Ok(delivery) = timeout(Duration::ZERO, thief.next()).await {
                    delivery?.ack(committed).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends hints for jobs that are done, held, not expanded or unknown.
    async fn double(&self, hints: u64) -> Result<(), QueueError> {
        let unknown = RunId::new(Uuid::from_u128(77));
        for pool in self.pools() {
            let runs = self.runs.iter().map(|(run, _)| *run).chain([unknown]);
            let hint = |run| (0..hints).map(move |_| run);
            let hints: Vec<_> =
                runs.flat_map(hint).map(|run| Hint { run, ordinal: self.chance.number(0..60) }).collect();
            self.crowd.lock().unwrap().doubled += hints.len() as u64;
            self.ground.queue.publish(&pool, &hints).await?;
        }
        Ok(())
    }

    pub(super) async fn steer(&self, run: usize, action: Action) {
        let run = self.runs[run].0;
        let answer = again(async || {
            let entry = self.entry(action.word());
            match steer(&self.people, run, action, "the plan", entry).await {
                Err(SteerError::Store(error)) => Err(error),
                steered => Ok(steered),
            }
        });
        if let Err(error @ SteerError::NoRun(_)) = answer.await {
            self.ground.tell([format!("I22: {error}")]);
        }
    }
}
