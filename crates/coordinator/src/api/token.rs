//! What a token looks like, and what is kept of it.

use std::fmt::Write as _;

use assay_common::id::Digest;

/// Tells people and secret scanners what it is.
const PREFIX: &str = "assay_";

/// A new token: 256 bits that nobody can guess. It is shown once; [`hash`] of it is kept.
pub fn mint(random: [u8; 32]) -> String {
    let mut token = PREFIX.to_owned();
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// What is kept of a token. It holds too much chance to be guessed, so it needs no slow hash.
pub fn hash(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_is_and_holds_all_its_chance() {
        let token = mint(std::array::from_fn(|byte| u8::try_from(byte).unwrap()));
        assert_eq!(token, "assay_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        assert_ne!(hash(&token), hash(&mint([0; 32])));
    }
}
