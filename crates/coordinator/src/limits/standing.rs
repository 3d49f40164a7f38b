//! How limits stand: what is written, what was set, what was learned, what is leased, and what is spent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use assay_common::clock::Micros;
use assay_common::config::{Config, Provider};
use assay_common::id::MemberId;
use assay_common::limit::Dimension;
use assay_common::money::NanoUsd;
use assay_store::ledger::ALL;
use assay_store::{Gathers, LimitRow, Member, SetCap, Spending, Store, StoreError};

use super::document::{Configured, LearnedLimit, Lease, LimitEntry, LimitsDocument, MoneyEntry, SetTo};
use crate::report::civil;

/// Every limit that `config` names, or of which the store knows something, and what today has cost.
pub async fn standing(store: &Store, config: &Config, now: Micros) -> Result<LimitsDocument, StoreError> {
    let members = store.members().await?.into_iter().map(|member| (member.id, member)).collect();
    let mut written = written(config);
    let mut limits = Vec::new();
    for row in store.limits(now).await? {
        let here = written.remove(&(row.scope.clone(), row.dimension));
        limits.push(entry(row, here, &members));
    }
    limits.extend(written.into_iter().map(unused));
    limits.sort_by(|one, other| (&one.scope, one.dimension).cmp(&(&other.scope, other.dimension)));
    hold_to_accounts(&mut limits);
    name_unserved(&mut limits);
    let (caps, mut set) = (caps(config), store.caps().await?);
    let mut days = store.spending(now).await?;
    let called: BTreeSet<_> = days.iter().map(|day| day.account.clone()).collect();
    let uncalled = caps.iter().filter(|(account, _)| !called.contains(*account));
    days.extend(uncalled.map(|(account, cap)| Spending {
        account: account.clone(),
        configured: [*cap; 2],
        set: set.remove(account),
        cost: NanoUsd(0),
        reserved: NanoUsd(0),
        short: None,
    }));
    days.sort_by(|one, other| one.account.cmp(&other.account));
    let money = days.iter().map(|day| spent(day, caps.get(&day.account).copied(), now)).collect();
    Ok(LimitsDocument { limits, money })
}

/// Says of each model whose limit is above that of its account that the account's is what counts.
fn hold_to_accounts(limits: &mut [LimitEntry]) {
    let of = |entry: &LimitEntry| Some(((entry.scope.clone(), entry.dimension), entry.limit?));
    let allowed: BTreeMap<_, _> = limits.iter().filter_map(of).collect();
    for entry in limits {
        let Some((account, _)) = entry.scope.split_once('/') else { continue };
        let of_account = allowed.get(&(account.to_owned(), entry.dimension));
        if let Some(most) = of_account.filter(|most| entry.limit.is_some_and(|own| own > **most)) {
            entry
                .why
                .push(format!("it is more than the {most} of its account `{account}`, which is what counts"));
        }
    }
}

/// Says of each model whose limits no worker uses why nothing is granted: where others of its account are used, or somebody has
/// set it. Where nobody works at all that goes without saying.
fn name_unserved(limits: &mut [LimitEntry]) {
    let is_served = |entry: &&LimitEntry| !entry.leases.is_empty();
    let served: BTreeSet<_> = limits.iter().filter(is_served).map(|entry| entry.scope.clone()).collect();
    for entry in limits.iter_mut().filter(|entry| !served.contains(&entry.scope)) {
        let Some((account, _)) = entry.scope.split_once('/') else { continue };
        if served.contains(account) || entry.set.is_some() {
            entry.why.push("no worker serves this model now".to_owned());
        }
    }
}

/// The limits that a file names, by scope and dimension.
fn written(config: &Config) -> BTreeMap<(String, Dimension), u64> {
    let mut written = BTreeMap::new();
    for (name, provider) in config.providers.iter().filter(|(_, provider)| provider.is_remote()) {
        let models = provider.models.iter().map(|(model, own)| (format!("{name}/{model}"), own.limits));
        for (scope, limits) in models.chain([(name.clone(), provider.limits)]) {
            for dimension in Dimension::ALL {
                if let Some(limit) = limits.of(dimension) {
                    written.insert((scope.clone(), dimension), limit);
                }
            }
        }
    }
    written
}

fn caps(config: &Config) -> BTreeMap<String, NanoUsd> {
    let remote = config.providers.iter().filter(|(_, provider)| provider.is_remote());
    remote.filter_map(|(name, provider)| Some((name.clone(), Provider::budget_per_day(provider)?))).collect()
}

/// A limit that nobody uses.
fn unused(((scope, dimension), limit): ((String, Dimension), u64)) -> LimitEntry {
    LimitEntry {
        scope,
        dimension,
        limit: Some(limit),
        configured: Some(Configured { least: limit, most: limit }),
        set: None,
        learned: None,
        cut_to: None,
        others: None,
        granted: Some(0.0),
        used: 0,
        senders: None,
        paused_until: None,
        why: Vec::new(),
        leases: Vec::new(),
    }
}

fn entry(row: LimitRow, here: Option<u64>, members: &HashMap<MemberId, Member>) -> LimitEntry {
    let LimitRow { scope, dimension, configured, set, learned, limit, cut, stranger, used, senders, .. } =
        row;
    let shown = |amount: u64| shown(dimension, amount);
    let leases: Vec<_> = row
        .leases
        .iter()
        .map(|lease| {
            let member = members.get(&lease.member);
            Lease {
                worker: lease.member.to_string(),
                host: member.map(|member| member.host.clone()),
                process: member.map(|member| member.pid),
                granted: shown(lease.amount),
                wanted: shown(lease.want),
            }
        })
        .collect();
    let mut why: Vec<_> = row.why.iter().map(ToString::to_string).collect();
    why.extend(row.gathers.map(|Gathers { tokens, wait, outgrows }| {
        if let Some(needs) = outgrows {
            return format!(
                "a request needs about {needs} {dimension}, more than a window has by what the provider says: it is tried when \
                 the provider has not said so for a minute, or once `assay limits clear` has forgotten it; those behind it \
                 wait too"
            );
        }
        let remedy = match dimension {
            Dimension::Tokens | Dimension::OutputTokens => ": set `max_tokens`, or lower it",
            _ => "",
        };
        format!(
            "a request waits for about {tokens} more tokens, {} s at what its worker may use; those behind it wait \
             too{remedy}",
            wait.as_secs()
        )
    }));
    if configured.is_some() && row.unnamed > 0 {
        let files = if row.unnamed == 1 {
            "the file of 1 worker"
        } else {
            &format!("the files of {} workers", row.unnamed)
        };
        why.push(format!("files disagree: {files} does not name it; all keep to it"));
    }
    if row.profiles.len() > 1 {
        let windows: Vec<_> = row.profiles.iter().map(ToString::to_string).collect();
        why.push(format!(
            "files disagree on how it is counted: {}; the more careful holds",
            windows.join(" and ")
        ));
    }
    let said = configured.into_iter().flat_map(|(least, most)| [least, most]).chain(here);
    let configured = said.clone().min().zip(said.max()).map(|(least, most)| Configured { least, most });
    if let Some(Configured { least, most }) =
        configured.filter(|configured| configured.least != configured.most)
    {
        let holds = if set.is_some() { "what was set holds" } else { "the least of those who use it holds" };
        why.push(format!("files disagree: {least} and {most}; {holds}"));
    }
    LimitEntry {
        scope,
        dimension,
        // Where nobody works the ledger knows of none, and the file here does.
        limit: limit.or(configured.map(|configured| configured.least)),
        configured,
        set: set.map(|set| SetTo { to: set.to as f64, by: set.by, at: civil(set.at), reason: set.why }),
        learned: learned.map(|learned| LearnedLimit { limit: learned.limit, at: civil(learned.at) }),
        cut_to: cut.and_then(shown),
        others: stranger.and_then(shown),
        granted: leases.iter().try_fold(0.0, |sum, lease| Some(sum + lease.granted?)),
        used,
        senders,
        paused_until: row.paused_until.map(civil),
        why,
        leases,
    }
}

/// An amount of the ledger as people write it: a minute, or at once; `None`: all there is.
fn shown(dimension: Dimension, amount: u64) -> Option<f64> {
    match amount {
        ALL => None,
        rate if dimension.is_rate() => Some((rate as f64 * 60.0 / 1e6 * 10.0).round() / 10.0),
        places => Some(places as f64),
    }
}

fn set_to(set: &SetCap) -> SetTo {
    SetTo { to: set.most.usd(), by: set.by.clone(), at: civil(set.at), reason: set.reason.clone() }
}

fn spent(day: &Spending, here: Option<NanoUsd>, now: Micros) -> MoneyEntry {
    let mut why: Vec<_> = day.problem().map(|problem| problem.detail).into_iter().collect();
    let [least, most] = day.configured;
    let configured = [here.map_or(least, |here| here.min(least)), here.map_or(most, |here| here.max(most))];
    if configured[0] != configured[1] {
        let [least, most] = configured.map(NanoUsd::usd);
        let holds = if day.set.is_some() { "what was set holds" } else { "each worker is held to its own" };
        why.push(format!("files disagree: ${least} and ${most}; {holds}"));
    }
    MoneyEntry {
        account: day.account.clone(),
        cap: day.cap().usd(),
        configured: configured.map(NanoUsd::usd),
        set: day.set.as_ref().map(set_to),
        spent: day.cost.usd(),
        reserved: day.reserved.usd(),
        ends_at: civil(now.next_day()),
        why,
    }
}
