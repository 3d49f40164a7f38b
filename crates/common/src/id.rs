//! Names of things: content digests for what is frozen, time-sorted ids for what happens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// SHA-256 of some content, 64 lower-case hex digits. Equal content has an equal digest everywhere.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of `content` as it stands.
    pub fn of(content: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(content);
        digester.finish()
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits: enough for a person, never for an identity.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotADigest(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// Text that should have been a digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest; digests are 64 lower-case hex digits")]
pub struct NotADigest(String);

/// A digest of content that arrives in pieces.
#[derive(Default, Clone)]
pub struct Digester(Sha256);

impl Digester {
    /// Adds the next piece. Pieces run together: frame them if their boundaries matter.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Adds a piece framed by its length, so that ("ab", "c") differs from ("a", "bc").
    pub fn update_framed(&mut self, piece: &[u8]) {
        self.0.update((piece.len() as u64).to_be_bytes());
        self.0.update(piece);
    }

    /// The digest of everything so far.
    pub fn finish(self) -> Digest {
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize() {
            use fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Digest(hex)
    }
}

/// A UUID under a name of its own, so that one kind of id is never taken for another.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an id made by the caller, who owns the clock and the randomness.
            pub fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// Its bits.
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Uuid::parse_str(text).map(Self).map_err(|_| NotAnId(text.to_owned()))
            }
        }
    };
}

id! {
    /// One execution of one suite revision. A version 7 UUID: later runs sort after earlier ones.
    RunId
}

id! {
    /// One process that can hold claims. A version 7 UUID, drawn at start and never reused.
    MemberId
}

id! {
    /// One row of the audit. A version 7 UUID: later rows sort after earlier ones.
    AuditId
}

/// Text that should have been an id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an id; ids look like 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")]
pub struct NotAnId(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_sha256_in_hex() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.short(), "ba7816bf8f01");
        assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        assert!(digest.short().parse::<Digest>().is_err());
        assert!(digest.as_str().to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn framed_pieces_keep_their_boundaries() {
        let digest = |pieces: [&str; 2]| {
            let mut digester = Digester::default();
            pieces.iter().for_each(|piece| digester.update_framed(piece.as_bytes()));
            digester.finish()
        };
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
