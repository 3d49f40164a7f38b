//! A channel by itself: what is live there of the prompt that both sides are about.

use std::collections::BTreeSet;

use assay_store::{ReleaseKind, Store, StoreError};

use super::CompareError;
use super::side::{Asked, Named, What};
use crate::release::channel;

/// Both sides without channels that stand alone. Such a channel means the one prompt that is live there and on the other side:
/// the one it names, those of its run, or those that are live on it as well.
pub(super) async fn named(store: &Store, asked: [Asked; 2]) -> Result<[Asked<Named>; 2], CompareError> {
    let [before, after] = asked;
    let of_after = prompts_of(store, &after.what).await?;
    let of_before = prompts_of(store, &before.what).await?;
    Ok([one(store, before, of_after).await?, one(store, after, of_before).await?])
}

/// The names of the prompts that a side is about; a channel that is not there is an error.
async fn prompts_of(store: &Store, what: &What) -> Result<BTreeSet<String>, CompareError> {
    Ok(match what {
        What::Named(Named::Version { prompt, .. }) => BTreeSet::from([prompt.clone()]),
        What::Named(Named::Run(id)) => {
            let run = store.run(*id).await?;
            let suite = match run {
                Some(run) => store.suite(run.revision).await?,
                None => None,
            };
            suite.into_iter().flat_map(|suite| suite.prompts).map(|prompt| prompt.name).collect()
        }
        What::Channel(channel) => {
            if let Err(unknown) = channel::known(store, channel).await {
                return Err(CompareError::Unknown(format!(
                    "`{channel}` is neither the id of a run nor NAME@VERSION, and {unknown}"
                )));
            }
            live_on(store, channel).await?
        }
    })
}

async fn live_on(store: &Store, channel: &str) -> Result<BTreeSet<String>, StoreError> {
    let live = store.live_everywhere(None).await?.into_iter();
    let there = live.filter(|release| release.channel == channel && release.kind != ReleaseKind::Rehearsal);
    Ok(there.map(|release| release.prompt).collect())
}

async fn one(
    store: &Store,
    Asked { what, only }: Asked,
    others: BTreeSet<String>,
) -> Result<Asked<Named>, CompareError> {
    let channel = match what {
        What::Named(what) => return Ok(Asked { what, only }),
        What::Channel(channel) => channel,
    };
    let live = live_on(store, &channel).await?;
    let mut meant = live.intersection(&others);
    match (meant.next(), meant.next()) {
        (Some(prompt), None) => {
            Ok(Asked { what: Named::Version { prompt: prompt.clone(), version: channel }, only })
        }
        (Some(first), Some(_)) => {
            let names = listed(live.intersection(&others));
            Err(CompareError::Unknown(format!(
                "several prompts are live on {channel}: {names}; name one, as in {first}@{channel}"
            )))
        }
        (None, _) => {
            let (there, sought) = (listed(&live), listed(&others));
            Err(CompareError::Unknown(format!(
                "nothing of the other side ({sought}) is live on {channel}; there is {there}"
            )))
        }
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
