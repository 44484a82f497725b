//! `highwater rollup drop`: a rollup goes, its source stays.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use serde_json::json;

use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::{RollupName, UsageError, drop, install};

/// Asks on the terminal; `None` when a signal came instead of an answer.
async fn ask(question: &str, shutdown: &Shutdown) -> Option<String> {
    let mut stderr = std::io::stderr();
    // A terminal that cannot be written to will not be read from either.
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let (answered, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which the process does not wait for: a read from a terminal cannot be cancelled.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = answered.send(read.map(|_| line).unwrap_or_default());
    });
    tokio::select! {
        line = answer => Some(line.unwrap_or_default()),
        () = shutdown.at_least(Urgency::Soon) => None,
    }
}

/// Runs the command; without `yes` a person is asked.
///
/// # Errors
///
/// What connecting and the engine say.
pub async fn run(global: &Global, name: &RollupName, yes: bool, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup drop").await?;
    let entry = install::entry(&session, name).await?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!(UsageError(format!(
                "this removes table {} and all its rows; add --yes to do so",
                entry.target
            )));
        }
        match ask(&format!("remove table {} and all its rows? [y/N] ", entry.target), shutdown).await {
            None => return Ok(Exit::Interrupted),
            Some(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => {}
            Some(_) => {
                say!("{name}: left as it is");
                return Ok(Exit::Done);
            }
        }
    }
    drop::run(&mut session, name).await?;
    match global.format {
        Format::Json => {
            say!("{}", json!({"schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "dropped": true}));
        }
        Format::Text => say!("{name}: removed; {} stays as it was", entry.source),
    }
    Ok(Exit::Done)
}
