//! `highwater schedules`: when groups of hosts are backed up.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{table, when};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::{Session, connect};
use crate::ground::cron::Cron;
use crate::ground::exit::Exit;
use crate::ground::wire::config::{Catchup, Overlap};
use crate::job::JobError;
use crate::job::schedule::{self, Edit, Rules, Schedule};
use crate::job::slot;
use crate::rollup::install;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a schedule for groups of a host
    #[command(
        after_help = "A time that clocks skip fires once when the gap ends. One that they show twice fires once if its hour is fixed, \
and in both passes if the hour is * or a step.\n\nExample: highwater schedules add laptop --group home --cron '0 3 * * *' --catchup one"
    )]
    Add {
        /// Name or id of the host
        host: String,
        /// A group of the host; may be given more than once
        #[arg(long, required = true, value_name = "NAME")]
        group: Vec<String>,
        /// Five fields, or six with the second first; names, lists, steps, L, W, #; @daily; CRON_TZ=Zone before it
        #[arg(long, value_name = "EXPR")]
        cron: String,
        /// IANA zone in which it is read [default: the host's]
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
        /// What is done about slots that were missed
        #[arg(long, value_enum, default_value_t = CatchupWord::One)]
        catchup: CatchupWord,
        #[command(flatten)]
        rules: RuleFlags,
        /// Tenant of the host, where several have one of that name
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Schedules in use
    List {
        /// Only of this host
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Only of this tenant
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Everything about one schedule
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Change a schedule; slots that have come stay as they were promised
    Edit {
        #[command(flatten)]
        which: Which,
        /// The groups, all of them; may be given more than once
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        #[arg(long, value_name = "EXPR")]
        cron: Option<String>,
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
        #[arg(long, value_enum)]
        catchup: Option<CatchupWord>,
        /// Let it make slots again
        #[arg(long)]
        enable: bool,
        /// Make no more slots
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// A run may start as late as it likes
        #[arg(long, conflicts_with = "start_deadline")]
        no_start_deadline: bool,
        #[command(flatten)]
        rules: RuleFlags,
    },
    /// Remove a schedule; its history stays
    Remove {
        #[command(flatten)]
        which: Which,
    },
    /// The next times at which a schedule fires, in its zone
    Next {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        times: Times,
    },
    /// A cron expression in words, with its next times
    Explain {
        /// The expression, or the id of a schedule
        #[arg(value_name = "EXPR|ID")]
        expression: String,
        /// IANA zone in which it is read
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        tz: String,
        #[command(flatten)]
        times: Times,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Id of the schedule, as "schedules list" shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Only if it is of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Times {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// After this moment [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    after: Option<DateTime<Utc>>,
}

#[derive(Debug, clap::Args)]
struct RuleFlags {
    /// Slots that were missed by more than this are not made up for [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    catchup_window: Option<Duration>,
    /// A host that has just woken is left alone for so long [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    settle: Option<Duration>,
    /// Starts are spread over this span, always the same way for one schedule [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    jitter: Option<Duration>,
    /// When a slot comes while its group is still being backed up [default: skip]
    #[arg(long, value_enum)]
    overlap: Option<OverlapWord>,
    /// A run that could not start within this is given up [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    start_deadline: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CatchupWord {
    /// They stay missed
    None,
    /// The latest one runs and covers the others
    One,
    /// Each runs
    All,
}

impl From<CatchupWord> for Catchup {
    fn from(word: CatchupWord) -> Catchup {
        match word {
            CatchupWord::None => Catchup::None,
            CatchupWord::One => Catchup::One,
            CatchupWord::All => Catchup::All,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OverlapWord {
    /// The slot is skipped
    Skip,
    /// Its run waits for the one before it
    Queue,
}

impl From<OverlapWord> for Overlap {
    fn from(word: OverlapWord) -> Overlap {
        match word {
            OverlapWord::Skip => Overlap::Skip,
            OverlapWord::Queue => Overlap::Queue,
        }
    }
}

/// A week of missed slots is made up for.
const CATCHUP_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// A host that wakes is busy with itself for about this long.
const SETTLE: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say; an expression that cannot be read or never fires.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "schedules").await?;
    install::require_schema(&session).await?;
    let format = global.format;
    match args.action {
        Action::Add { host, group, cron, tz, catchup, rules, tenant } => {
            let host = schedule::host(&session, &host, tenant.as_deref()).await?;
            let rules = Rules {
                cron,
                tz,
                catchup: catchup.into(),
                catchup_window: rules.catchup_window.unwrap_or(CATCHUP_WINDOW),
                settle: rules.settle.unwrap_or(SETTLE),
                jitter: rules.jitter.unwrap_or_default(),
                overlap: rules.overlap.map_or(Overlap::Skip, Into::into),
                start_deadline: rules.start_deadline,
            };
            let id = schedule::add(&session, &host, &group, &rules).await?;
            match format {
                Format::Json => say!("{}", json!({"id": id})),
                Format::Text => {
                    let added = schedule::find(&session, &id.to_string(), None).await?;
                    say!("schedule {id}: {}", added.description);
                    say!("next: {}", local(&added, added.next_slot_at)?);
                }
            }
        }
        Action::List { host, tenant } => {
            if let Some(host) = &host {
                schedule::host(&session, host, tenant.as_deref()).await?;
            }
            let schedules = schedule::list(&session, host.as_deref(), tenant.as_deref()).await?;
            match format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "schedules": schedules}));
                }
                Format::Text => list(&schedules)?,
            }
        }
        Action::Show { which } => {
            let found = schedule::find(&session, &which.id, which.tenant.as_deref()).await?;
            match format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "schedule": found})),
                Format::Text => show(&found)?,
            }
        }
        Action::Edit { which, group, cron, tz, catchup, enable, disable, no_start_deadline, rules } => {
            let found = schedule::find(&session, &which.id, which.tenant.as_deref()).await?;
            let edit = Edit {
                cron,
                tz,
                enabled: (enable || disable).then_some(enable),
                catchup: catchup.map(Into::into),
                catchup_window: rules.catchup_window,
                settle: rules.settle,
                jitter: rules.jitter,
                overlap: rules.overlap.map(Into::into),
                start_deadline: if no_start_deadline { Some(None) } else { rules.start_deadline.map(Some) },
                groups: (!group.is_empty()).then_some(group),
            };
            let tx = session.begin().await?;
            let rev = schedule::edit(&tx, &found, &edit).await?;
            tx.commit().await?;
            told(format, &found, rev, "edited");
        }
        Action::Remove { which } => {
            let found = schedule::find(&session, &which.id, which.tenant.as_deref()).await?;
            let tx = session.begin().await?;
            schedule::remove(&tx, &found).await?;
            tx.commit().await?;
            told(format, &found, found.rev + 1, "removed");
        }
        Action::Next { which, times } => {
            let found = schedule::find(&session, &which.id, which.tenant.as_deref()).await?;
            let cron = Cron::parse(&found.cron, &found.tz).map_err(JobError::from)?;
            next(format, &session, &cron, &times).await?;
        }
        Action::Explain { expression, tz, times } => {
            let cron = match expression.parse::<uuid::Uuid>() {
                Ok(_) => {
                    let found = schedule::find(&session, &expression, None).await?;
                    Cron::parse(&found.cron, &found.tz).map_err(JobError::from)?
                }
                Err(_) => Cron::parse(&expression, &tz).map_err(JobError::from)?,
            };
            if format == Format::Text {
                say!("{}", cron.explain());
            }
            next(format, &session, &cron, &times).await?;
        }
    }
    Ok(Exit::Done)
}

fn told(format: Format, schedule: &Schedule, rev: i64, what: &str) {
    match format {
        Format::Json => say!("{}", json!({"id": schedule.id, "rev": rev})),
        Format::Text => say!("schedule {} {what}", schedule.id),
    }
}

async fn next(format: Format, session: &Session, cron: &Cron, times: &Times) -> anyhow::Result<()> {
    let after = match times.after {
        Some(after) => after,
        None => slot::clock(session).await?,
    };
    let fires: Vec<DateTime<Utc>> =
        std::iter::successors(cron.next_after(after), |&last| cron.next_after(last))
            .take(usize::from(times.count))
            .collect();
    match format {
        Format::Json => {
            let fires: Vec<_> = fires
                .iter()
                .map(|&at| {
                    let local = at.with_timezone(&cron.zone()).to_rfc3339_opts(SecondsFormat::Secs, false);
                    json!({"at": at, "local": local})
                })
                .collect();
            say!(
                "{}",
                json!({
                    "schema_version": SCHEMA_VERSION, "cron": cron.text(), "tz": cron.zone().name(),
                    "description": cron.explain(), "next": fires,
                })
            );
        }
        Format::Text => {
            for at in fires {
                say!("{}", at.with_timezone(&cron.zone()).format("%a %Y-%m-%d %H:%M:%S %Z"));
            }
        }
    }
    Ok(())
}

/// An instant as clocks in the schedule's zone show it.
fn local(schedule: &Schedule, at: Option<DateTime<Utc>>) -> anyhow::Result<String> {
    let cron = Cron::parse(&schedule.cron, &schedule.tz).context("the stored expression cannot be read")?;
    Ok(at.map_or("-".to_owned(), |at| {
        at.with_timezone(&cron.zone()).format("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }))
}

fn list(schedules: &[Schedule]) -> anyhow::Result<()> {
    if schedules.is_empty() {
        say!("no schedule; see \"highwater schedules add --help\"");
        return Ok(());
    }
    let mut table =
        table::plain(["ID", "TENANT", "HOST", "GROUPS", "CRON", "CATCH-UP", "NEXT", "LAST GOOD", "STATE"]);
    for one in schedules {
        table.add_row([
            one.id.to_string(),
            one.tenant.clone(),
            one.host.clone(),
            one.groups.join(","),
            one.cron.clone(),
            one.catchup.clone(),
            local(one, one.next_slot_at)?,
            local(one, one.last_success_slot)?,
            if one.enabled { "active" } else { "disabled" }.to_owned(),
        ]);
    }
    table::print(&table);
    Ok(())
}

fn show(one: &Schedule) -> anyhow::Result<()> {
    let span = |seconds: i64| {
        humantime::format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
            .to_string()
    };
    say!("schedule       {}", one.id);
    say!("host           {} of {}", one.host, one.tenant);
    say!("groups         {}", one.groups.join(", "));
    say!("cron           {}", one.cron);
    say!("               {}", one.description);
    say!("next           {}", local(one, one.next_slot_at)?);
    say!("last slot      {}", local(one, one.last_slot)?);
    say!("last good      {}", local(one, one.last_success_slot)?);
    say!("catch-up       {}, at most {} back", one.catchup, span(one.catchup_window_seconds));
    say!("settle         {}", span(one.settle_seconds));
    say!("jitter         {}, of which {:.0}s are its own", span(one.jitter_seconds), one.own_jitter_seconds);
    say!("overlap        {}", one.overlap);
    say!("start deadline {}", one.start_deadline_seconds.map_or("none".to_owned(), span));
    if one.consecutive_failures > 0 {
        say!(
            "failures       {} in a row, next try not before {}",
            one.consecutive_failures,
            local(one, one.backoff_until)?
        );
    }
    match (one.removed_at, one.enabled) {
        (Some(at), _) => say!("removed        {}", local(one, Some(at))?),
        (None, false) => say!("state          disabled"),
        (None, true) => {}
    }
    Ok(())
}
