//! `highwater rollup pause` and `resume`.

use serde_json::json;

use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::{RollupName, pause};

/// Pauses a rollup, or lets it go on.
///
/// # Errors
///
/// What connecting and the engine say.
pub async fn run(global: &Global, name: &RollupName, is_paused: bool) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, if is_paused { "rollup pause" } else { "rollup resume" }).await?;
    let paused_at = pause::set(&session, name, is_paused).await?;
    match (global.format, paused_at) {
        (Format::Json, _) => say!(
            "{}",
            json!({"schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "paused_at": paused_at})
        ),
        (Format::Text, Some(since)) => {
            say!("{name}: paused since {}; changes are kept", since.format("%Y-%m-%d %H:%M:%S UTC"));
        }
        (Format::Text, None) => say!("{name}: not paused; the worker catches up"),
    }
    Ok(Exit::Done)
}
