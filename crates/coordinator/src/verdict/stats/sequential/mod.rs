//! Looking at a run while results come in, as often as one likes, without being fooled by chance.
//!
//! Imagine a gambler who bets against "the candidate is worse by the margin or more". If that is true no bet gains in the
//! mean, so the chance that 1 ever becomes 20 is at most 1/20, whenever one looks (Ville 1939). His wealth is the evidence.
//!
//! - [`Grid`]: twenty gamblers, each with a fixed share of his wealth
//! - [`Wealth`]: half of it on the grid, half on a bet that aims at the last case
//! - [`Population`]: is the *expected* difference no worse than the margin? Two gamblers, one for each verdict
//! - [`Finite`]: is *this suite's own* number, once it is complete? Decided with certainty at its last case
//! - [`Futility`]: will the rest of the suite change anything?
//! - [`Sequence`], [`mean_bounds`], [`finite_bounds`]: what is not refuted, as bounds
//! - [`average`]: evidence of several runs on the same cases
//!
//! Units come in the committed order, and only its completed prefix counts: the order in which results arrive depends on
//! them, and believing it would find regressions in slow workers.

mod bounds;
mod finite;
mod futility;
mod grid;
mod population;
mod wealth;

pub use bounds::{Sequence, finite_bounds, mean_bounds};
pub use finite::Finite;
pub use futility::Futility;
pub use grid::{Grid, average, paired_wealth};
pub use population::{Demand, Population, Stage, Stop};
pub use wealth::{Mixture, Wealth};
