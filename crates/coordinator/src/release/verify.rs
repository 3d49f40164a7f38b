//! Whether a content may be deployed: it is live on the channel, or a passing verdict against what is live would carry it there.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_store::Store;

use super::channel;
use super::document::VerifyDocument;
use super::error::ReleaseError;
use super::registry::{VERDICTS, find, named_live};
use super::rules::{Named, evidence};
use crate::judge::catch_up;
use crate::report::civil;

/// Looks for `digest` among all prompts, or among the versions of one.
pub async fn verify(
    store: &Store,
    digest: &Digest,
    on: &str,
    prompt: Option<&str>,
    now: Micros,
) -> Result<VerifyDocument, ReleaseError> {
    let mut prompts = store.prompts_with(digest).await?;
    if let Some(prompt) = prompt {
        find(store, prompt).await?;
        prompts.retain(|name| name == prompt);
    }
    let answer = |verified, reason| {
        Ok(VerifyDocument { digest: digest.clone(), channel: on.to_owned(), verified, reason })
    };
    if prompts.is_empty() {
        let whose = prompt.map_or_else(|| "any prompt".to_owned(), |prompt| format!("`{prompt}`"));
        return answer(false, format!("{} is no version of {whose}; run its suite first", digest.short()));
    }
    catch_up(store, now).await?;
    let mut refusals = Vec::new();
    for name in prompts {
        let live = store.live(&name, on, None).await?;
        if live.is_none()
            && let Some(near) = channel::misspelt(store, on).await?
        {
            // An empty channel asks for less: a slip of the finger must not.
            return Err(ReleaseError::Unknown {
                what: format!("there is no channel `{on}`"),
                hint: Some(format!("did you mean `{near}`?")),
            });
        }
        if let Some(live) = live.as_ref().filter(|live| live.digest == *digest) {
            let since = civil(live.released_at);
            return answer(true, format!("{} is live on {on} since {since}", named_live(live)));
        }
        let Some(version) = store.versions_with_prefix(&name, digest.as_str()).await?.pop() else { continue };
        let candidate = Named { prompt: name.clone(), number: version.number, digest: digest.clone() };
        let verdicts = store.verdicts_on(&name, digest, VERDICTS).await?;
        match evidence(&candidate, live.as_ref().map(named_live).as_ref(), &verdicts, now) {
            Ok(verdict) => {
                let until = civil(verdict.expires_at);
                return answer(
                    true,
                    format!("{candidate} passed in run {}, which holds until {until}", verdict.run),
                );
            }
            Err(refusal) => refusals.push(format!("{candidate}: {}", refusal.why)),
        }
    }
    answer(false, refusals.join("\n"))
}
