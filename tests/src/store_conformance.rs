//! What the store promises, whichever database is behind it. Each function takes a place where no store is yet;
//! `tests/store.rs` runs them all on every database.
//!
//! In the order of a run: [`opening`], [`frozen`], [`runs`], [`claiming`], [`budgets`], [`capping`], [`settling`], [`giving_back`], [`ending`],
//! [`reading`], [`comparing`], [`renewing`]; [`asking`] is what the API needs, [`releasing`] what releases do, [`sweeping`] what schedules
//! do, [`reviewing`] what is told and looked back on; of a fleet:
//! [`leading`], [`leasing`]; [`fixture`] makes what they need.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

pub mod asking;
pub mod budgets;
pub mod capping;
pub mod claiming;
pub mod comparing;
pub mod ending;
pub mod fixture;
pub mod frozen;
pub mod giving_back;
pub mod leading;
pub mod leasing;
pub mod opening;
pub mod reading;
pub mod releasing;
pub mod renewing;
pub mod reviewing;
pub mod runs;
pub mod settling;
pub mod sweeping;
