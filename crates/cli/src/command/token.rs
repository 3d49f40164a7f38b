//! `assay token`: who may use a coordinator's API. It writes to the store, and shows a token once.

use std::io::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::anyhow;
use assay_common::clock::Clock;
use assay_common::visible::is_one_line;
use assay_coordinator::api::token::{hash, mint};
use assay_coordinator::report::civil;
use assay_store::{Schema, Scope, Store, Token};
use serde_json::{Value, json};

use crate::args::TokenCommand;
use crate::audit::entry;
use crate::chance::draw;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// How long a token may hold, where it does not hold for ever: less is a slip, and so is more.
const HOLDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 86_400);
/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Makes, lists or revokes.
pub(crate) async fn call(settings: &Settings, command: TokenCommand) -> Result<Exit, Exit> {
    match command {
        TokenCommand::Create { name, scopes, expires } => {
            create(settings, name, scopes, expires.map(|span| span.0)).await
        }
        TokenCommand::List => list(settings).await,
        TokenCommand::Revoke { name } => revoke(settings, name).await,
    }
}

async fn create(
    settings: &Settings,
    name: String,
    scopes: Vec<Scope>,
    expires: Option<Duration>,
) -> Result<Exit, Exit> {
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || !is_one_line(&name) {
        return Err(Exit::Input(anyhow!("a token's name is one line of 1 to {MAX_NAME_CHARS} characters")));
    }
    if expires.is_some_and(|expires| !HOLDS.contains(&expires)) {
        return Err(Exit::Input(anyhow!(
            "--expires: a token holds from a second to ten years (3650d), or for ever without the flag"
        )));
    }
    let store = Store::open(&settings.store, Schema::Migrate).await?;
    let now = Clock::system().now();
    let secret = mint(draw()?);
    let token = Token {
        name: name.clone(),
        hash: hash(&secret),
        scopes: scopes.into_iter().collect(),
        created_at: now,
        expires_at: expires.map(|expires| now.plus(expires)),
        revoked_at: None,
    };
    let detail = json!({"scopes": token.scopes, "expires_at": token.expires_at.map(civil)});
    let entry = entry("token.create", &name, detail)?;
    if !store.create_token(token, entry).await? {
        return Err(Exit::Input(anyhow!(
            "a token called `{name}` was made before, and a name is never given again; choose another"
        )));
    }
    writeln!(std::io::stdout(), "{secret}")?;
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "this is the token `{name}`; it is shown this once and kept nowhere");
    Ok(Exit::Done)
}

async fn list(settings: &Settings) -> Result<Exit, Exit> {
    let store = Store::open(&settings.store, Schema::Require).await?;
    let tokens = store.tokens().await?;
    let mut out = anstream::stdout().lock();
    if settings.json {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|token| {
                json!({
                    "name": token.name,
                    "scopes": token.scopes,
                    "created_at": civil(token.created_at),
                    "expires_at": token.expires_at.map(civil),
                    "revoked_at": token.revoked_at.map(civil),
                })
            })
            .collect();
        writeln!(out, "{:#}", Value::Array(tokens))?;
    } else {
        write!(out, "{}", render::tokens(&tokens))?;
    }
    Ok(Exit::Done)
}

async fn revoke(settings: &Settings, name: String) -> Result<Exit, Exit> {
    let store = Store::open(&settings.store, Schema::Require).await?;
    let entry = entry("token.revoke", &name, json!({}))?;
    if !store.revoke_token(name.clone(), entry).await? {
        return Err(Exit::Input(anyhow!(
            "no token called `{name}` holds; `assay token list` shows them all"
        )));
    }
    let _ = writeln!(std::io::stderr(), "the token `{name}` is refused from now on");
    Ok(Exit::Done)
}
