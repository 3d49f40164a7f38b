//! `assay prompt`: what is live where, and how it gets there.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, anyhow};
use assay_common::clock::Micros;
use assay_common::prompt::PromptBody;
use assay_common::visible::{visible, visible_line};
use assay_coordinator::release::Promote;
use assay_coordinator::release::registry::moment;
use assay_coordinator::suite::read_prompt;
use serde::Serialize;

use crate::args::{PromptCommand, Version};
use crate::exit::Exit;
use crate::releases::Releases;
use crate::render::{self, warn};
use crate::settings::Settings;

/// Does it, and prints what came of it.
pub(crate) async fn call(settings: &Settings, command: PromptCommand) -> Result<Exit, Exit> {
    let releases = async || Releases::open(settings).await;
    match command {
        PromptCommand::List => {
            put(settings, &releases().await?.prompts().await?, |found| render::prompts(found))
        }
        PromptCommand::Show { named: Version { prompt, which } } => {
            put(settings, &releases().await?.show(&prompt, which.as_ref()).await?, render::version)
        }
        PromptCommand::Diff { name, from, to } => {
            let (from, to) = (
                releases().await?.show(&name, Some(&from)).await?,
                releases().await?.show(&name, Some(&to)).await?,
            );
            put(settings, &[&from, &to], |_| render::diff(&from, &to))
        }
        PromptCommand::History { name, all: true, .. } => {
            put(settings, &releases().await?.versions(&name).await?, |found| render::versions(found))
        }
        PromptCommand::History { name, channel, at, .. } => {
            let at = at.map(|at| parse(&at)).transpose()?;
            put(settings, &releases().await?.history(&name, channel.as_deref(), at).await?, render::history)
        }
        PromptCommand::Promote {
            named: Version { prompt, which },
            channel,
            overriding,
            reason,
            new_channel,
        } => {
            let Some(version) = which else {
                return Err(Exit::Input(anyhow!(
                    "which version of `{0}`? say {0}@NUMBER or {0}@DIGEST",
                    visible_line(&prompt)
                )));
            };
            let asked = Promote { prompt, version, channel, reason, overriding, new_channel };
            put(settings, &releases().await?.promote(asked).await?, render::release)
        }
        PromptCommand::Rollback { name, channel, from, reason } => {
            let back = releases().await?.rollback(&name, &channel, from.as_ref(), &reason).await?;
            put(settings, &back, render::release)
        }
        PromptCommand::Rehearse { name, channel } => {
            let rehearsed = releases().await?.rehearse(&name, &channel).await?;
            put(settings, &rehearsed, |rehearsed| {
                let name = visible_line(&name);
                format!(
                    "{name}@{} was rolled back to {name}@{} on {} in {:.3} s; {channel} was not touched\n",
                    rehearsed.from, rehearsed.to, rehearsed.scratch, rehearsed.seconds
                )
            })
        }
        PromptCommand::Pull { name, channel, output } => {
            let live = releases().await?.pull(&name, &channel).await?;
            let content = content(&live.body)?;
            match output {
                Some(path) => std::fs::write(&path, content)
                    .with_context(|| format!("cannot write {}", path.display()))
                    .map_err(Exit::Input)?,
                None if settings.json || std::io::stdout().is_terminal() => {
                    return put(settings, &live, |_| visible(&content).into_owned());
                }
                // Byte for byte: its digest is what is live.
                None => std::io::stdout().write_all(content.as_bytes())?,
            }
            Ok(Exit::Done)
        }
        PromptCommand::Verify { file, channel, prompt, new_channel } => {
            let about = std::fs::metadata(&file)
                .with_context(|| format!("cannot read {}", file.display()))
                .map_err(Exit::Input)?;
            if about.is_dir() {
                let folder = file.display();
                return Err(Exit::Input(anyhow!("{folder} is a folder: name the file of a prompt in it")));
            }
            let digest = read_prompt(&file).map_err(Exit::input)?.digest();
            let releases = releases().await?;
            let verified = releases.verify(&digest, &channel, prompt.as_deref(), new_channel).await?;
            let said = format!("{}: {}", file.display(), verified.reason);
            if settings.json || verified.verified {
                put(settings, &verified, |_| format!("{}\n", visible(&said)))?;
            } else {
                warn(&[format!("not verified: {said}")]);
            }
            Ok(if verified.verified { Exit::Done } else { Exit::Failed })
        }
    }
}

/// A moment on the command line.
pub(crate) fn parse(at: &str) -> Result<Micros, Exit> {
    moment(at).ok_or_else(|| {
        Exit::Input(anyhow!("--at `{at}` is no moment, such as 2026-03-01 or 2026-03-01T09:00:00Z"))
    })
}

/// A content as its file: the text, or the messages as JSON. What is pulled has the digest of what was frozen.
fn content(body: &PromptBody) -> Result<String, Exit> {
    Ok(match body {
        PromptBody::Text(text) => format!("{text}\n"),
        PromptBody::Chat(messages) => {
            let mut messages = messages.clone();
            // One newline at the end of a message is dropped when it is read.
            messages
                .iter_mut()
                .filter(|message| message.content.ends_with('\n'))
                .for_each(|message| message.content.push('\n'));
            format!("{}\n", serde_json::to_string_pretty(&messages).map_err(std::io::Error::from)?)
        }
    })
}

/// Prints a document as JSON, or as `text` has it.
pub(crate) fn put<T: Serialize + ?Sized>(
    settings: &Settings,
    document: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<Exit, Exit> {
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&document)?)?;
    } else {
        write!(out, "{}", text(document))?;
    }
    Ok(Exit::Done)
}
