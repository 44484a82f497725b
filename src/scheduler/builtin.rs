//! The jobs that come with the schema: they keep every rollup current, filled and watched, and the ledger small.

pub mod age;
pub mod backfill;
pub mod backups;
pub mod drain;
mod fence;
pub mod notify;
pub mod prune;
pub mod reports;
pub mod verify;
pub mod watch;

use super::handler::Context;
use super::outcome::Outcome;
use crate::rollup::RollupName;

/// Does the work of a built-in job.
pub async fn handle(context: Context) -> Outcome {
    match context.claimed.job.as_str() {
        "drain" => drain::run(&context).await,
        "backfill" => backfill::run(&context).await,
        "verify" => verify::run(&context).await,
        "backups" => backups::run(&context).await,
        "reports" => reports::run(&context).await,
        "notify" => notify::run(&context).await,
        "watch" => watch::run(&context).await,
        "age" => age::run(&context).await,
        "prune" => prune::run(&context).await,
        other => Outcome::Failed(format!("this build has no job \"{other}\"; use a newer highwater")),
    }
}

/// The rollup that a run's scope names.
fn rollup(context: &Context) -> Result<RollupName, Outcome> {
    RollupName::parse(&context.claimed.scope).map_err(Outcome::Failed)
}
