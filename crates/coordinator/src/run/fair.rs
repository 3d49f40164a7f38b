//! Deficit round robin: how the room in a pool's queue is shared between the runs that want it. Pure.
//!
//! Runs take turns. In its turn a run may send as many hints as its weight says; what the room cuts short it goes on
//! with first next time, and a run that wants nothing more loses the rest of its turn. So over any stretch in which two
//! runs both have something to send, what each got for a unit of its weight differs by two turns at most, and nobody
//! waits longer than one round.

use std::collections::VecDeque;

use assay_common::id::RunId;
use assay_common::suite::Priority;

/// Hints in one turn of a run.
pub(crate) fn weight(priority: Priority) -> u64 {
    match priority {
        Priority::Interactive => 10,
        Priority::Normal => 3,
        Priority::Sweep => 1,
    }
}

/// What a run wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The run.
    pub(crate) run: RunId,
    /// Hints in one of its turns.
    pub(crate) weight: u64,
    /// Hints it has to send.
    pub(crate) hints: u64,
}

/// The turns of the runs of one pool.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin(VecDeque<Turn>);

#[derive(Debug)]
struct Turn {
    run: RunId,
    /// What is left of a turn that the room cut short.
    left: u64,
}

impl RoundRobin {
    /// Shares `room`: which run sends how many hints, in the order in which they are sent. A run that wants nothing
    /// gives up its place.
    pub(crate) fn share(&mut self, demands: &[Demand], mut room: u64) -> Vec<(RunId, u64)> {
        let demand = |run| demands.iter().find(|demand| demand.run == run);
        self.0.retain(|turn| demand(turn.run).is_some_and(|demand| demand.hints > 0));
        for Demand { run, .. } in demands.iter().filter(|demand| demand.hints > 0) {
            if !self.0.iter().any(|turn| turn.run == *run) {
                self.0.push_back(Turn { run: *run, left: 0 });
            }
        }
        let mut wanted: Vec<_> = self.0.iter().filter_map(|turn| demand(turn.run).copied()).collect();
        let mut shares = Vec::new();
        while room > 0
            && let Some(mut turn) = self.0.pop_front()
        {
            let Some(demand) = wanted.iter_mut().find(|demand| demand.run == turn.run) else { continue };
            let turn_ends_at = if turn.left == 0 { demand.weight.max(1) } else { turn.left };
            let sent = turn_ends_at.min(demand.hints).min(room);
            room -= sent;
            demand.hints -= sent;
            push(&mut shares, turn.run, sent);
            turn.left = turn_ends_at - sent;
            if demand.hints == 0 {
                // Nothing more to send: the rest of the turn is lost, and with it the place.
                continue;
            }
            if turn.left == 0 { self.0.push_back(turn) } else { self.0.push_front(turn) }
        }
        shares
    }
}

/// A run alone takes all its turns in one.
fn push(shares: &mut Vec<(RunId, u64)>, run: RunId, sent: u64) {
    match shares.last_mut() {
        Some((last, hints)) if *last == run => *hints += sent,
        _ => shares.push((run, sent)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::run::window;

    fn run(n: u128) -> RunId {
        RunId::new(Uuid::from_u128(n))
    }

    fn demands(wanted: &[(u128, u64, u64)]) -> Vec<Demand> {
        wanted
            .iter()
            .map(|(n, weight, hints)| Demand { run: run(*n), weight: *weight, hints: *hints })
            .collect()
    }

    /// Shares one room after the other between runs (number, weight, hints).
    fn check(wanted: &[(u128, u64, u64)], rooms: &[u64], expected: &[&[(u128, u64)]]) {
        let mut turns = RoundRobin::default();
        for (room, expected) in rooms.iter().zip(expected) {
            let expected: Vec<_> = expected.iter().map(|(n, hints)| (run(*n), *hints)).collect();
            assert_eq!(turns.share(&demands(wanted), *room), expected);
        }
    }

    #[test]
    fn runs_take_turns_by_their_weights() {
        check(&[], &[5], &[&[]]);
        check(&[(1, 3, 7)], &[5, 5], &[&[(1, 5)], &[(1, 5)]]);
        check(&[(1, 3, 7)], &[100], &[&[(1, 7)]]);
        check(&[(1, 10, 50), (2, 1, 50)], &[22], &[&[(1, 10), (2, 1), (1, 10), (2, 1)]]);
        // What one does not want the other gets.
        check(&[(1, 10, 2), (2, 1, 9)], &[8], &[&[(1, 2), (2, 6)]]);
        check(&[(1, 10, 0), (2, 1, 9)], &[4], &[&[(2, 4)]]);
    }

    #[test]
    fn a_turn_that_the_room_cut_short_goes_on() {
        check(&[(1, 3, 90), (2, 1, 90)], &[2, 1, 1, 1], &[&[(1, 2)], &[(1, 1)], &[(2, 1)], &[(1, 1)]]);
    }

    #[test]
    fn every_priority_has_a_weight() {
        let weights = [Priority::Interactive, Priority::Normal, Priority::Sweep].map(weight);
        assert_eq!(weights, [10, 3, 1]);
    }

    /// Rounds of a tenth of a second in one pool whose workers take what is first in line, over a sweep and an urgent run that comes
    /// when a fifth of it is done. Returns how many jobs end from then on until the urgent run is over, and the window.
    fn overtaken(sweep: u64, urgent: u64, prefetch: usize, jobs_a_round: usize) -> (u64, u64) {
        let window = window::size(prefetch as u64, 10.0 * jobs_a_round as f64);
        let mut turns = RoundRobin::default();
        let (mut left, mut done) = ([sweep, 0], [0, 0]);
        let mut ended_before = None;
        // Hints that are out, in their order. Workers have the first of them in their hands.
        let mut line = VecDeque::new();
        loop {
            let wanted = [(1, weight(Priority::Sweep), left[0]), (2, weight(Priority::Interactive), left[1])];
            let waiting = line.len().saturating_sub(prefetch) as u64;
            for (who, hints) in turns.share(&demands(&wanted), window - waiting) {
                let who = usize::from(who == run(2));
                left[who] -= hints;
                line.extend((0..hints).map(|_| who));
            }
            for who in line.drain(..jobs_a_round.min(line.len())) {
                done[who] += 1;
                if done[1] == urgent {
                    return (done[0] + done[1] - ended_before.unwrap_or(0), window);
                }
            }
            if done[0] >= sweep / 5 && ended_before.is_none() {
                (ended_before, left[1]) = (Some(done[0]), urgent);
            }
        }
    }

    /// It waits for what is out when it comes (the window, and what workers have in their hands), for its own jobs, and for a job of the
    /// sweep in each of its turns.
    #[test]
    fn an_urgent_run_of_200_waits_for_the_window_alone_behind_a_sweep_of_50_000() {
        let check = |sweep: u64, prefetch: usize, jobs_a_round: usize, window: u64| {
            let (ended, held) = overtaken(sweep, 200, prefetch, jobs_a_round);
            assert_eq!(held, window);
            assert!(
                ended <= window + prefetch as u64 + 200 + 20,
                "{ended} jobs, with {window} in the window"
            );
        };
        check(50_000, 20, 1, 128);
        check(50_000, 128, 20, 1_128);
        check(50_000, 600, 100, 5_600);
        // However long it is.
        check(1_000_000, 128, 20, 1_128);
    }

    proptest! {
        /// Between runs that always want more, what each got for a unit of weight differs by less than two turns.
        #[test]
        fn nobody_is_far_from_his_share(
            weights in prop::collection::vec(1_u64..12, 2..6),
            rooms in prop::collection::vec(0_u64..40, 1..60),
        ) {
            let wanted: Vec<_> = (1..).zip(&weights).map(|(n, weight)| (n, *weight, 1_000_000)).collect();
            let mut turns = RoundRobin::default();
            let mut got: BTreeMap<RunId, u64> = BTreeMap::new();
            for room in &rooms {
                let shares = turns.share(&demands(&wanted), *room);
                prop_assert_eq!(shares.iter().map(|(_, hints)| hints).sum::<u64>(), *room);
                shares.into_iter().for_each(|(run, hints)| *got.entry(run).or_default() += hints);
            }
            let turns_of = |(n, weight, _): &(u128, u64, u64)| {
                got.get(&run(*n)).copied().unwrap_or(0) as f64 / *weight as f64
            };
            let shares: Vec<f64> = wanted.iter().map(turns_of).collect();
            let (least, most) = (shares.iter().copied().fold(f64::MAX, f64::min), shares.iter().copied().fold(0.0, f64::max));
            prop_assert!(most - least < 2.0, "{:?}", shares);
        }

        /// Nobody gets more than he wants, and room is left only when all have what they want.
        #[test]
        fn room_is_used_and_nothing_invented(
            wanted in prop::collection::vec((1_u64..12, 0_u64..50), 0..6),
            room in 0_u64..200,
        ) {
            let wanted: Vec<_> = (1..).zip(wanted).map(|(n, (weight, hints))| (n, weight, hints)).collect();
            let shares = RoundRobin::default().share(&demands(&wanted), room);
            let all: u64 = wanted.iter().map(|(_, _, hints)| hints).sum();
            prop_assert_eq!(shares.iter().map(|(_, hints)| hints).sum::<u64>(), room.min(all));
            for (n, _, hints) in wanted {
                let got: u64 = shares.iter().filter(|(who, _)| *who == run(n)).map(|(_, hints)| hints).sum();
                prop_assert!(got <= hints);
            }
        }
    }
}
