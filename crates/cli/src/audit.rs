//! Rows of the audit for what the command line does to a store by itself.

use assay_common::clock::Clock;
use assay_common::id::AuditId;
use assay_store::AuditEntry;
use serde_json::Value;

use crate::chance::draw;
use crate::exit::Exit;

/// How the audit calls whoever has the store itself, before the name that the system gives him.
const ACTOR: &str = "command line";

/// A row of this moment.
pub(crate) fn entry(action: &str, subject: &str, detail: Value) -> Result<AuditEntry, Exit> {
    let at = Clock::system().now();
    let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &draw()?).into_uuid();
    Ok(AuditEntry {
        id: AuditId::new(id),
        at,
        actor: actor(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
    })
}

fn actor() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    match user.filter(|user| !user.is_empty()) {
        Some(user) => format!("{ACTOR} ({user})"),
        None => ACTOR.to_owned(),
    }
}
