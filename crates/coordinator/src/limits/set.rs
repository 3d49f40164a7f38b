//! A limit that somebody sets for all who use it, or takes back: checked against what there is, written down with who, when,
//! from where and why. Workers follow with their next renewal.

use std::collections::BTreeSet;

use assay_common::config::{Config, MOST_PER_MINUTE, MOST_USD_PER_DAY, Provider, key_of};
use assay_common::limit::Dimension;
use assay_common::money::NanoUsd;
use serde_json::json;

use super::account_of;
use super::document::{LimitEntry, LimitsDocument};
use super::kind::{Kind, MONEY};
use super::standing::standing;
use crate::release::desk::reason_of;
use crate::release::{Desk, ReleaseError};
use crate::suite::hint::did_you_mean;

/// Limits that are named where none was found, at most.
const NAMED: usize = 6;

impl Desk<'_> {
    /// Sets a limit of an account or of one model of it; returns how the limits of that scope stand then.
    pub async fn set_limit(
        &mut self,
        config: &Config,
        scope: &str,
        kind: Kind,
        to: f64,
        reason: &str,
    ) -> Result<LimitsDocument, ReleaseError> {
        let reason = reason_of(reason)?;
        let known = standing(self.store, config, self.clock.now()).await?;
        exists(config, &known, scope)?;
        can_be_set(&known, scope, kind)?;
        let detail = json!({"dimension": kind, "to": to, "reason": reason});
        let entry = self.entry("limit.set", scope.to_owned(), detail);
        let scope_name = scope.to_owned();
        match kind {
            Kind::Of(dimension) => {
                let to = whole(to, dimension)?;
                fits(config, scope, dimension, to)?;
                let to = Some(to);
                self.store.set_limit(scope_name, dimension, to, reason, entry).await?
            }
            Kind::Money => self.store.set_cap(scope_name, Some(dollars(to)?), reason, entry).await?,
        };
        self.limits_of(config, scope).await
    }

    /// Goes back to what files say, and forgets what was learned: of one limit of a scope, or of all of them. Returns how the
    /// limits of that scope stand then.
    pub async fn clear_limit(
        &mut self,
        config: &Config,
        scope: &str,
        kind: Option<Kind>,
        reason: &str,
    ) -> Result<LimitsDocument, ReleaseError> {
        let reason = reason_of(reason)?;
        let known = standing(self.store, config, self.clock.now()).await?;
        exists(config, &known, scope)?;
        let kinds: Vec<_> = kind.map_or_else(|| Kind::all().collect(), |kind| vec![kind]);
        let mut changed = false;
        for kind in kinds {
            let entry =
                self.entry("limit.clear", scope.to_owned(), json!({"dimension": kind, "reason": reason}));
            let (scope, reason) = (scope.to_owned(), reason.clone());
            changed |= match kind {
                Kind::Of(dimension) => self.store.set_limit(scope, dimension, None, reason, entry).await?,
                Kind::Money => self.store.set_cap(scope, None, reason, entry).await?,
            };
        }
        if !changed {
            return Err(ReleaseError::State(nothing_to_clear(&known, scope, kind)));
        }
        self.limits_of(config, scope).await
    }

    /// How the limits of a scope stand, and of an account those of its models.
    pub(super) async fn limits_of(
        &self,
        config: &Config,
        scope: &str,
    ) -> Result<LimitsDocument, ReleaseError> {
        let mut document = standing(self.store, config, self.clock.now()).await?;
        let is_of =
            |of: &str| of.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        document.limits.retain(|limit| is_of(&limit.scope));
        document.money.retain(|money| money.account == scope);
        Ok(document)
    }
}

/// What was looked for in vain, and where there is something.
fn nothing_to_clear(known: &LimitsDocument, scope: &str, kind: Option<Kind>) -> String {
    let looked_for = kind.map_or_else(
        || Kind::all().map(|kind| kind.to_string()).collect::<Vec<_>>().join(", "),
        |kind| kind.to_string(),
    );
    let is_clearable = |limit: &&LimitEntry| {
        limit.set.is_some() || limit.learned.is_some() || limit.cut_to.is_some() || limit.others.is_some()
    };
    let limits = known.limits.iter().filter(is_clearable);
    let limits = limits.map(|limit| format!("{} of `{}`", limit.dimension, limit.scope));
    let money = known.money.iter().filter(|money| money.set.is_some());
    let money = money.map(|money| format!("{MONEY} of `{}`", money.account));
    let mut there: Vec<_> = limits.chain(money).collect();
    // What is nearest to what was meant comes first.
    let account = account_of(scope);
    there.sort_by_key(|what| !what.contains(&format!("`{account}")));
    there.truncate(NAMED);
    let there = if there.is_empty() {
        "nothing else is either".to_owned()
    } else {
        format!("set or learned: {}", there.join(", "))
    };
    format!(
        "nothing is set of `{scope}`, and nothing was learned (looked for: {looked_for}), so what files say holds; {there}"
    )
}

/// An account, or a model with limits of its own: of assay.toml, or one that workers use.
pub(super) fn exists(config: &Config, known: &LimitsDocument, scope: &str) -> Result<(), ReleaseError> {
    let mut scopes: BTreeSet<String> = known.limits.iter().map(|limit| limit.scope.clone()).collect();
    scopes.extend(known.money.iter().map(|money| money.account.clone()));
    let is_remote = |name: &&str| config.provider(name).as_ref().is_some_and(Provider::is_remote);
    scopes.extend(config.provider_names().into_iter().filter(is_remote).map(str::to_owned));
    if scopes.contains(scope) {
        return Ok(());
    }
    let hint = did_you_mean(scope, scopes.iter().map(String::as_str));
    let what = match scope.split_once('/') {
        Some(("", _)) => format!("`{scope}` names no account: write ACCOUNT or ACCOUNT/MODEL"),
        Some((account, "")) => {
            format!("`{scope}` names no model: write `{account}` for the account, or `{account}/MODEL`")
        }
        _ if config.provider(scope).is_some() => {
            format!("calls of `{scope}` leave no process: there is nothing to limit")
        }
        Some((account, model)) if scopes.contains(account) => format!(
            "`{scope}` has no limits of its own; where the provider limits that model, write \
             [providers.{account}.models.\"{model}\".limits] in assay.toml"
        ),
        _ => format!("there is no account and no limited model `{scope}`"),
    };
    Err(ReleaseError::Unknown { what, hint })
}

/// Requests are always leased, anything else where a file names it: elsewhere setting it would change nothing.
fn can_be_set(known: &LimitsDocument, scope: &str, kind: Kind) -> Result<(), ReleaseError> {
    let account = account_of(scope);
    match kind {
        Kind::Of(Dimension::Requests) => Ok(()),
        Kind::Of(dimension) => {
            let mut of_it = known
                .limits
                .iter()
                .filter(|limit| (limit.scope.as_str(), limit.dimension) == (scope, dimension));
            if of_it.any(|limit| limit.configured.is_some() || !limit.leases.is_empty()) {
                return Ok(());
            }
            let table = match scope.strip_prefix(account).and_then(|rest| rest.strip_prefix('/')) {
                Some(model) => format!("[providers.{account}.models.\"{model}\".limits]"),
                None => format!("[providers.{account}.limits]"),
            };
            Err(ReleaseError::State(format!(
                "no assay.toml limits {dimension} of `{scope}`, so the workers do not share them; write {} under {table} \
                 first",
                key_of(dimension)
            )))
        }
        Kind::Money if account != scope => {
            Err(ReleaseError::State(format!("a day's money belongs to the account: set it for `{account}`")))
        }
        Kind::Money if !known.money.iter().any(|money| money.account == scope) => {
            Err(ReleaseError::State(format!(
                "no assay.toml has a cap for `{scope}`, so nobody counts what its calls cost; write {MONEY} under \
                 [providers.{scope}] first"
            )))
        }
        Kind::Money => Ok(()),
    }
}

/// A limit that leaves not one request or token in a window lets nothing through, ever.
fn fits(config: &Config, scope: &str, dimension: Dimension, to: u64) -> Result<(), ReleaseError> {
    let (account, model) =
        scope.split_once('/').map_or((scope, None), |(account, model)| (account, Some(model)));
    let provider = config.provider(account);
    let limits = provider.as_ref().and_then(|provider| match model {
        Some(model) => provider.models.get(model).map(|own| &own.limits),
        None => Some(&provider.limits),
    });
    let nothing_fits = limits.and_then(|limits| limits.nothing_fits(dimension, to));
    nothing_fits.map_or(Ok(()), |why| Err(ReleaseError::Input(why)))
}

fn whole(to: f64, dimension: Dimension) -> Result<u64, ReleaseError> {
    let fits = to.fract() == 0.0 && (1.0..=f64::from(MOST_PER_MINUTE)).contains(&to);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the condition checks the range"
    )]
    fits.then_some(to as u64).ok_or_else(|| {
        let key = key_of(dimension);
        ReleaseError::Input(format!("{key} is a whole number from 1 to {MOST_PER_MINUTE}, not {to}"))
    })
}

fn dollars(to: f64) -> Result<NanoUsd, ReleaseError> {
    let cap = NanoUsd::from_usd(to).filter(|cap| cap.0 > 0 && to <= MOST_USD_PER_DAY);
    cap.ok_or_else(|| {
        ReleaseError::Input(format!(
            "{MONEY} is US dollars, more than 0 and at most {MOST_USD_PER_DAY}, not {to}"
        ))
    })
}
