//! A pause that somebody lifts, because he knows better than the provider said: the key is topped up, or the wait that it asked
//! for is wrong. Workers follow with their next renewal.

use assay_common::config::Config;
use serde_json::json;

use super::account_of;
use super::document::LimitsDocument;
use super::set::exists;
use super::standing::standing;
use crate::release::desk::reason_of;
use crate::release::{Desk, ReleaseError};

impl Desk<'_> {
    /// Lifts whatever holds the calls of an account back; returns how its limits, and those of its models, stand then.
    pub async fn resume_account(
        &mut self,
        config: &Config,
        account: &str,
        reason: &str,
    ) -> Result<LimitsDocument, ReleaseError> {
        let reason = reason_of(reason)?;
        if let Some((whole, _)) = account.split_once('/') {
            return Err(ReleaseError::State(format!(
                "a pause holds for the account and all its models: resume `{whole}`"
            )));
        }
        let known = standing(self.store, config, self.clock.now()).await?;
        exists(config, &known, account)?;
        let entry = self.entry("limit.resume", account.to_owned(), json!({"reason": reason}));
        if !self.store.resume_account(account.to_owned(), entry, self.clock.now()).await? {
            return Err(ReleaseError::State(format!(
                "nothing holds the calls of `{account}` back: no pause, no trouble, and no job that was told to wait"
            )));
        }
        self.limits_of(config, account).await
    }
}

/// The command that lifts what holds the calls of an account back, of which `name` is a model or the account itself.
pub fn resume_command(name: &str) -> String {
    format!("`assay limits resume {} --reason TEXT`", account_of(name))
}
