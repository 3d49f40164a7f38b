//! Whether a content may be deployed: it is live on the channel, or a passing verdict against what is live would carry it there.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::visible::visible_line;
use assay_store::Store;

use super::channel;
use super::document::VerifyDocument;
use super::error::ReleaseError;
use super::registry::{VERDICTS, find, named_live};
use super::rules::{Named, evidence};
use crate::judge::catch_up;
use crate::report::civil;

/// Looks for `digest` among all prompts, or among the versions of one. On a channel that nothing was ever released to nothing
/// can be compared with: only who says that it is new (`new_channel`) is answered from a verdict on the version alone.
pub async fn verify(
    store: &Store,
    digest: &Digest,
    on: &str,
    prompt: Option<&str>,
    new_channel: bool,
    now: Micros,
) -> Result<VerifyDocument, ReleaseError> {
    channel::named(on)?;
    let is_new = !store.channels().await?.iter().any(|known| known == on);
    let told = format!("nothing is live on {on} yet (it is new)");
    if is_new && !new_channel {
        let near = channel::misspelt(store, on).await?;
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        return Err(ReleaseError::Unknown {
            what: told,
            hint: Some(format!(
                "{near}`--new-channel` asks whether a verdict would carry it there all the same"
            )),
        });
    }
    let mut prompts = store.prompts_with(digest).await?;
    if let Some(prompt) = prompt {
        find(store, prompt).await?;
        prompts.retain(|name| name == prompt);
    }
    let answer = |verified, reason| {
        Ok(VerifyDocument { digest: digest.clone(), channel: on.to_owned(), verified, reason })
    };
    if prompts.is_empty() {
        let whose =
            prompt.map_or_else(|| "any prompt".to_owned(), |prompt| format!("`{}`", visible_line(prompt)));
        return answer(false, format!("{} is no version of {whose}; run its suite first", digest.short()));
    }
    catch_up(store, now).await?;
    let mut refusals = Vec::new();
    for name in prompts {
        let live = store.live(&name, on, None).await?;
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
                let passed = format!("{candidate} passed in run {}, which holds until {until}", verdict.run);
                return answer(true, if is_new { format!("{told}; {passed}") } else { passed });
            }
            Err(refusal) => refusals.push(format!("{candidate}: {}", refusal.why)),
        }
    }
    answer(false, refusals.join("\n"))
}
