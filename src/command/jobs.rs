//! `highwater jobs`: what was, is and will be backed up.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{table, when, why};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::ground::wire::id::JobId;
use crate::job::backup::{self, Cancelled, Filter, Job, Whole};
use crate::job::cursor::Cursor;
use crate::job::host;
use crate::job::state::JobState;
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
    /// Jobs, newest first
    List {
        /// Only in this state: queued, dispatched, running, lost, succeeded, warned, failed, cancelled, timed_out,
        /// interrupted, skipped or missed
        #[arg(long, value_parser = state)]
        state: Option<JobState>,
        /// Only of this host, by name or id
        #[arg(long)]
        host: Option<String>,
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only those first heard of since then: 2026-11, 2026-11-22 or an instant
        #[arg(long, value_name = "TIME", value_parser = when::parse)]
        since: Option<DateTime<Utc>>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(i32).range(1..=10_000))]
        limit: i32,
        /// Go on after the page that ended with this
        #[arg(long, value_parser = cursor)]
        cursor: Option<Cursor>,
    },
    /// One job with its steps and its timeline
    Show(Which),
    /// Why the latest slots of a group ran or did not
    Why(why::Which),
    /// Ask that a job end; one that no host has yet ends at once
    Cancel(Which),
    /// Make the next attempt of a job that ended without a backup
    Retry(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its id, as "jobs list" shows it
    job: JobId,
    /// Only if it is of this tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
}

fn state(word: &str) -> Result<JobState, String> {
    let words: Vec<&str> = JobState::ALL.iter().map(|state| state.word()).collect();
    JobState::read(word).ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

fn cursor(text: &str) -> Result<Cursor, String> {
    text.parse().map_err(|error: crate::job::JobError| error.to_string())
}

/// Runs the command.
///
/// # Errors
///
/// What connecting, reading and writing say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "jobs").await?;
    install::require_schema(&session).await?;
    let told = |document: Value, words: String| match global.format {
        Format::Json => say!("{document}"),
        Format::Text => say!("{words}"),
    };
    match args.action {
        Action::List { state, host, tenant, since, limit, cursor } => {
            let host = match host {
                Some(host) => Some(host::find(&session, &host, tenant.as_deref()).await?.id),
                None => None,
            };
            let filter = Filter { state, host, tenant, since, after: cursor };
            let page = backup::list(&session, &filter, limit).await?;
            match global.format {
                Format::Json => say!(
                    "{}",
                    json!({"schema_version": SCHEMA_VERSION, "jobs": page.rows, "next_cursor": page.next_cursor})
                ),
                Format::Text => {
                    list(&page.rows);
                    if let Some(next) = page.next_cursor {
                        say!("more: --cursor {next}");
                    }
                }
            }
        }
        Action::Show(which) => {
            let whole = backup::show(&session, which.job, which.tenant.as_deref()).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "job": whole})),
                Format::Text => show(&whole),
            }
        }
        Action::Why(which) => why::tell(global, &session, &which).await?,
        Action::Cancel(which) => {
            let became = backup::cancel(&session, which.job, which.tenant.as_deref()).await?;
            let words = match became {
                Cancelled::Ended => "cancelled",
                Cancelled::Requested => "its host will be told with its next report",
                Cancelled::WasOver => "has ended already; nothing is changed",
            };
            let document = json!({"schema_version": SCHEMA_VERSION, "id": which.job, "became": became});
            told(document, format!("{}: {words}", which.job));
        }
        Action::Retry(which) => {
            let fresh = backup::retry(&mut session, which.job, which.tenant.as_deref()).await?;
            let document = json!({"schema_version": SCHEMA_VERSION, "id": fresh, "retry_of": which.job});
            told(document, format!("{fresh} is queued, the next attempt of {}", which.job));
        }
    }
    Ok(Exit::Done)
}

fn list(jobs: &[Job]) {
    if jobs.is_empty() {
        say!("no such job");
        return;
    }
    let mut table = table::plain([
        "JOB",
        "TENANT",
        "HOST",
        "GROUP",
        "SLOT (UTC)",
        "TRY",
        "STATE",
        "TOOK",
        "ADDED",
        "WHY",
    ]);
    for job in jobs {
        let why = job.error.as_deref().or(job.error_class.as_deref());
        table.add_row([
            job.id.to_string(),
            job.tenant.clone(),
            job.host.clone(),
            job.group.clone().unwrap_or_else(|| "-".to_owned()),
            table::at(job.slot_at),
            job.attempt.to_string(),
            shown_state(job),
            took(job),
            job.bytes_added.map_or("-".to_owned(), table::bytes),
            why.map_or("-".to_owned(), |words| {
                words.lines().next().unwrap_or_default().chars().take(60).collect()
            }),
        ]);
    }
    table::print(&table);
}

fn shown_state(job: &Job) -> String {
    match (job.is_inferred, job.has_conflict) {
        (_, true) => format!("{} (conflict)", job.state),
        (true, false) => format!("{} (inferred)", job.state),
        (false, false) => job.state.to_string(),
    }
}

fn took(job: &Job) -> String {
    let span =
        job.started_at.zip(job.finished_at).map(|(started, finished)| (finished - started).num_seconds());
    span.map_or("-".to_owned(), |seconds| table::span(seconds.max(0)))
}

fn show(whole: &Whole) {
    let job = &whole.job;
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("{name:<13}{value}");
        }
    };
    let at = |instant: Option<DateTime<Utc>>| instant.map(|instant| table::at(Some(instant)));
    line("job", Some(job.id.to_string()));
    line("host", Some(format!("{} of {}", job.host, job.tenant)));
    line("group", job.group.clone());
    line("repository", job.repository.clone());
    line("state", Some(shown_state(job)));
    line("why", job.error.clone().or_else(|| job.error_class.clone()));
    line("reason", job.reason.clone());
    line("slot", at(job.slot_at));
    line("attempt", Some(job.attempt.to_string()));
    line("retry of", job.retry_of.map(|id| id.to_string()));
    line("queued", at(job.queued_at));
    line("started", at(job.started_at));
    line("finished", at(job.finished_at));
    line("took", Some(took(job)).filter(|took| took != "-"));
    line("lease until", at(job.lease_until));
    line("cancel asked", at(job.cancel_requested_at));
    line("bytes", job.bytes_total.map(table::bytes));
    line("added", job.bytes_added.map(table::bytes));
    line("files", job.files.map(|files| files.to_string()));
    line("progress", job.progress_bytes.map(table::bytes));
    if !whole.steps.is_empty() {
        say!("");
        let mut table = table::plain(["STEP", "STATE", "EXIT", "STARTED (UTC)", "FINISHED", "WHY"]);
        for step in &whole.steps {
            table.add_row([
                step.name.clone(),
                step.state.to_string(),
                step.exit_code.map_or("-".to_owned(), |code| code.to_string()),
                table::at(step.started_at),
                table::at(step.finished_at),
                step.reason.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        table::print(&table);
    }
    if !whole.timeline.is_empty() {
        say!("");
        let mut table = table::plain(["AT (UTC)", "EPOCH", "SEQ", "REPORT", "ARRIVED", "NOTE"]);
        for report in &whole.timeline {
            let note = match (report.is_conflict, report.is_clamped) {
                (true, _) => "conflict",
                (false, true) => "clock ahead",
                (false, false) => "-",
            };
            let payload = &report.payload;
            let what = ["step", "state"].iter().filter_map(|field| payload.get(field)?.as_str());
            let words: Vec<&str> = std::iter::once(report.kind.as_str()).chain(what).collect();
            table.add_row([
                table::at(Some(report.event_at)),
                report.epoch.to_string(),
                report.seq.to_string(),
                words.join(" "),
                table::at(Some(report.received_at)),
                note.to_owned(),
            ]);
        }
        table::print(&table);
    }
}
