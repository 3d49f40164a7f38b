//! How channels are named, and which are there.

use assay_common::nearest::nearest;
use assay_store::Store;

use super::error::ReleaseError;
use crate::suite::hint::did_you_mean;

/// Channels that people expect before anything was released.
pub(crate) const USUAL: [&str; 2] = ["production", "staging"];
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The scratch channel on which a rollback of `channel` is rehearsed. Nobody can name one like it.
pub(super) fn scratch(channel: &str) -> String {
    format!("rehearsal~{channel}")
}

/// A channel that something was released to.
pub(crate) async fn known(store: &Store, name: &str) -> Result<(), ReleaseError> {
    let channels = store.channels().await?;
    if channels.iter().any(|channel| channel == name) {
        return Ok(());
    }
    let hint = match channels.as_slice() {
        [] => Some("the first promotion makes a channel".to_owned()),
        channels => did_you_mean(name, channels.iter().map(String::as_str)),
    };
    Err(ReleaseError::Unknown { what: format!("nothing was released to a channel `{name}`"), hint })
}

/// A name that a channel can have; that of a scratch channel is none.
pub(crate) fn named(name: &str) -> Result<(), ReleaseError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = name.bytes().all(|byte| letter(byte) || matches!(byte, b'.' | b'_' | b'-'));
    if !fits || !name.bytes().next().is_some_and(letter) || name.len() > MAX_NAME_BYTES {
        return Err(ReleaseError::Input(format!(
            "`{name}` is no name of a channel: 1 to {MAX_NAME_BYTES} of a–z, 0–9, `.`, `_` and `-`, beginning with a letter or digit"
        )));
    }
    Ok(())
}

/// A channel to release to: one that is there, or a new one whose name is no slip of the finger.
pub(super) async fn writable(store: &Store, name: &str, new: bool) -> Result<(), ReleaseError> {
    named(name)?;
    match misspelt(store, name).await? {
        Some(near) if !new => Err(ReleaseError::Unknown {
            what: format!("there is no channel `{name}`"),
            hint: Some(format!("did you mean `{near}`? `--new-channel` makes `{name}`")),
        }),
        _ => Ok(()),
    }
}

/// A channel that `name` seems to be a slip of the finger for: it is no channel yet, and near to one.
pub(super) async fn misspelt(store: &Store, name: &str) -> Result<Option<String>, ReleaseError> {
    let channels = store.channels().await?;
    let known = channels.iter().map(String::as_str).chain(USUAL);
    if known.clone().any(|channel| channel == name) {
        return Ok(None);
    }
    Ok(nearest(name, known).map(str::to_owned))
}
