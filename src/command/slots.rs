//! `highwater slots`: every backup that was promised, and what became of it.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde_json::json;

use super::{table, when, why};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::cron::Cron;
use crate::ground::exit::Exit;
use crate::job::schedule;
use crate::job::slot::{self, Cursor, Page, Slot};
use crate::rollup::{UsageError, install};

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Slots of a host, newest first: ran, covered, missed or skipped, and why
    List {
        /// Name or id
        #[arg(long, value_name = "HOST")]
        host: String,
        /// From this moment, inclusive
        #[arg(long, value_name = "T", value_parser = when::parse)]
        since: DateTime<Utc>,
        /// Up to this moment, exclusive [default: now]
        #[arg(long, value_name = "T", value_parser = when::parse)]
        until: Option<DateTime<Utc>>,
        /// Only these: ran, covered, missed or skipped
        #[arg(long, value_name = "WORD", value_parser = ["ran", "covered", "missed", "skipped"])]
        how: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// The next page: "next" of the page before
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// Tenant of the host, where several have one of that name
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Why the latest slots of a group ran or did not
    Why(why::Which),
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "slots").await?;
    install::require_schema(&session).await?;
    let (host, since, until, how, limit, after, tenant) = match args.action {
        Action::Why(which) => {
            why::tell(global, &session, &which).await?;
            return Ok(Exit::Done);
        }
        Action::List { host, since, until, how, limit, after, tenant } => {
            (host, since, until, how, limit, after, tenant)
        }
    };
    let host = schedule::host(&session, &host, tenant.as_deref()).await?;
    let page = Page {
        host: host.id,
        from: since,
        to: match until {
            Some(until) => until,
            None => slot::clock(&session).await?,
        },
        after: after.as_deref().map(read_cursor).transpose()?,
        how,
        limit,
    };
    let slots = slot::list(&session, &page).await?;
    let next = slots.last().filter(|_| slots.len() == limit as usize).map(cursor);
    match global.format {
        Format::Json => {
            say!(
                "{}",
                json!({"schema_version": SCHEMA_VERSION, "host": host.name, "slots": slots, "next": next})
            );
        }
        Format::Text => {
            list(&slots);
            if let Some(next) = next {
                say!("there are more: --after {next}");
            }
        }
    }
    Ok(Exit::Done)
}

/// Where the next page begins, as one word.
fn cursor(last: &Slot) -> String {
    format!(
        "{}/{}/{}",
        last.slot_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        last.schedule,
        last.source_group
    )
}

fn read_cursor(text: &str) -> anyhow::Result<Cursor> {
    let mut parts = text.split('/');
    let read = || {
        let cursor = Cursor {
            slot_at: parts.next()?.parse().ok()?,
            schedule: parts.next()?.parse().ok()?,
            source_group: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    };
    let mut read = read;
    Ok(read()
        .ok_or_else(|| UsageError(format!("\"{text}\" is no cursor; take the one of the page before")))?)
}

fn list(slots: &[Slot]) {
    if slots.is_empty() {
        say!(
            "no slot; \"highwater schedules list\" shows what is promised, and slots are written by \"highwater worker\""
        );
        return;
    }
    let mut table = table::plain(["SLOT", "GROUP", "FATE", "JOB", "WHY", "SCHEDULE"]);
    for one in slots {
        let at = Cron::parse(&one.cron, &one.tz).map_or_else(
            |_| one.slot_at.to_rfc3339(),
            |cron| one.slot_at.with_timezone(&cron.zone()).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
        );
        table.add_row([
            at,
            one.group.clone(),
            one.fate.word().to_owned(),
            one.job_state.clone().unwrap_or_default(),
            one.why.clone().unwrap_or_default(),
            one.schedule.to_string(),
        ]);
    }
    table::print(&table);
}
