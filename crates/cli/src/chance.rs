//! Randomness of the system, for what nobody may guess.

use anyhow::Context as _;
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::exit::Exit;

/// Random bytes.
pub(crate) fn draw<const N: usize>() -> Result<[u8; N], Exit> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).context("cannot draw random numbers").map_err(Exit::Unfinished)?;
    Ok(bytes)
}
