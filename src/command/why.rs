//! Why the slots of a group ran or did not, for `jobs why` and `slots why`.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::when;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::Session;
use crate::ground::cron::Cron;
use crate::job::slot;
use crate::job::{schedule, why};

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// Which slots.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Name or id of the host
    #[arg(long, value_name = "HOST")]
    host: String,
    /// Name or id of the group
    #[arg(long, value_name = "NAME")]
    group: String,
    /// Slots at or before this moment [default: now]
    #[arg(long, value_name = "T", value_parser = when::parse)]
    at: Option<DateTime<Utc>>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Tenant of the host, where several have one of that name
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

/// Prints each slot with what decided about it.
///
/// # Errors
///
/// An unknown host or group, and what reading says.
pub async fn tell(global: &Global, session: &Session, which: &Which) -> anyhow::Result<()> {
    let host = schedule::host(session, &which.host, which.tenant.as_deref()).await?;
    let group = schedule::group(session, &host, &which.group).await?;
    let at = match which.at {
        Some(at) => at,
        None => slot::clock(session).await?,
    };
    let told = why::why(session, host.id, group, at, which.limit).await?;
    if global.format == Format::Json {
        say!("{}", json!({"schema_version": SCHEMA_VERSION, "host": host.name, "slots": told}));
        return Ok(());
    }
    if told.is_empty() {
        say!("no slot; \"highwater schedules list --host {}\" shows what is promised", host.name);
    }
    for one in &told {
        let slot = Cron::parse(&one.cron, &one.tz).map_or_else(
            |_| one.slot_at.to_rfc3339(),
            |cron| one.slot_at.with_timezone(&cron.zone()).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
        );
        say!("{slot}  {}  (schedule {}, {})", one.how, one.schedule, one.cron);
        for words in &one.because {
            say!("    {words}");
        }
    }
    Ok(())
}
