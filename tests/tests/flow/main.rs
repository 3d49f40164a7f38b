//! What users and operators do with the real binary, and what breaks meanwhile. One test program, because each would link
//! the whole workspace anew.
//!
//! - on a laptop: [`first_look`], [`gsm8k`] and [`taubench`] on real answers, [`bad_input`], [`provider_faults`], [`resume`],
//!   [`budget`], [`control`], [`ending`]
//! - the fleet: [`fleet_start`], [`fleet`], [`fleet_front`], [`queue_faults`], [`client`], [`trace`], [`deploy`]
//! - [`matrix`]: what breaks, and what holds all the same
//! - evidence and releases: [`compare`], [`early`], [`flaky`], [`releases`], [`action`]
//! - [`architecture`]: the house keeps its shape
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails where it stands")]

mod action;
mod architecture;
mod bad_input;
mod breaker;
mod budget;
mod client;
mod compare;
mod control;
mod deploy;
mod early;
mod ending;
mod first_look;
mod flaky;
mod fleet;
mod fleet_front;
mod fleet_start;
mod gsm8k;
mod limits;
mod matrix;
mod poison;
mod provider_faults;
mod queue_faults;
mod releases;
mod resume;
mod taubench;
mod trace;
