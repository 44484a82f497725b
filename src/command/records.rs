//! `highwater records`: the archives that backups have left.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::ground::wire::id::RecordId;
use crate::job::cursor::Cursor;
use crate::job::record::{self, Filter, Finding, Record};
use crate::job::state::RecordState;
use crate::job::{group, host};
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
    /// Records, newest first
    List {
        /// Of this host, by name or id
        #[arg(long, required_unless_present = "tenant")]
        host: Option<String>,
        /// Only of this group of the host, by name or id
        #[arg(long, requires = "host")]
        group: Option<String>,
        /// Of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only in this state: underway, failed, complete, pruning, pruned, missing or corrupt
        #[arg(long, value_parser = state)]
        state: Option<RecordState>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(i32).range(1..=10_000))]
        limit: i32,
        /// Go on after the page that ended with this
        #[arg(long, value_parser = cursor)]
        cursor: Option<Cursor>,
    },
    /// Everything about one record
    Show(Which),
    /// Keep a record whatever the rules of retention say
    Pin(Which),
    /// Let the rules decide over a pinned record again
    Unpin(Which),
    /// Ask a record's host to verify it, or write down what a verification found
    Verify {
        #[command(flatten)]
        which: Which,
        /// What was found
        #[arg(long, value_enum)]
        found: Option<FindingFlag>,
        /// In words
        #[arg(long, default_value = "by hand", requires = "found")]
        words: String,
    },
    /// Hold a host's records in one repository against the repository's own list of archives: what is not there becomes missing,
    /// what is there again complete, what nobody knows is named
    Reconcile {
        /// The host, by name or id
        host: String,
        /// The repository, by URL or id
        #[arg(long)]
        repository: String,
        /// File with the ids of all its archives, one a line; - is the standard input
        #[arg(long, value_name = "FILE")]
        present: PathBuf,
        /// The host's tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its id, as "records list" shows it
    record: RecordId,
    /// Only if it is of this tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FindingFlag {
    /// It is there and whole
    Good,
    /// It is not there
    Missing,
    /// Something else is there
    Corrupt,
}

fn state(word: &str) -> Result<RecordState, String> {
    let words: Vec<&str> = RecordState::ALL.iter().map(|state| state.word()).collect();
    RecordState::read(word).ok_or_else(|| format!("expected one of {}", words.join(", ")))
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
    let session = connect::connect(&target, "records").await?;
    install::require_schema(&session).await?;
    let told = |id: RecordId, done: &str| match global.format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": id, "done": done})),
        Format::Text => say!("{id}: {done}"),
    };
    match args.action {
        Action::List { host, group, tenant, state, limit, cursor } => {
            let host = match host {
                Some(host) => Some(host::find(&session, &host, tenant.as_deref()).await?),
                None => None,
            };
            let group = match (&host, group) {
                (Some(host), Some(group)) => Some(group::find(&session, host, &group).await?.id),
                _ => None,
            };
            let filter = Filter { host: host.map(|host| host.id), group, tenant, state, after: cursor };
            let page = record::list(&session, &filter, limit).await?;
            match global.format {
                Format::Json => say!(
                    "{}",
                    json!({"schema_version": SCHEMA_VERSION, "records": page.rows, "next_cursor": page.next_cursor})
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
            let record = record::show(&session, which.record, which.tenant.as_deref()).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "record": record})),
                Format::Text => show(&record)?,
            }
        }
        Action::Pin(which) => {
            record::pin(&session, which.record, which.tenant.as_deref(), true).await?;
            told(which.record, "pinned");
        }
        Action::Unpin(which) => {
            record::pin(&session, which.record, which.tenant.as_deref(), false).await?;
            told(which.record, "unpinned");
        }
        Action::Verify { which, found: None, .. } => {
            record::request_verify(&session, which.record, which.tenant.as_deref()).await?;
            told(which.record, "its host is asked to verify it");
        }
        Action::Verify { which, found: Some(found), words } => {
            let finding = match found {
                FindingFlag::Good => Finding::Good,
                FindingFlag::Missing => Finding::Missing,
                FindingFlag::Corrupt => Finding::Corrupt,
            };
            let tenant = which.tenant.as_deref();
            let state = record::verified(&session, which.record, tenant, finding, &words).await?;
            told(which.record, state.word());
        }
        Action::Reconcile { host, repository, present, tenant } => {
            let host = host::find(&session, &host, tenant.as_deref()).await?;
            let ids = read_ids(&present)?;
            let found = record::reconcile(&session, &host, &repository, &ids).await?;
            match global.format {
                Format::Json => {
                    say!(
                        "{}",
                        json!({"schema_version": SCHEMA_VERSION, "host": host.id, "reconciled": found})
                    );
                }
                Format::Text => {
                    for (what, ids) in
                        [("missing", &found.missing), ("found", &found.found), ("unknown", &found.unknown)]
                    {
                        for id in ids {
                            say!("{id} {what}");
                        }
                    }
                    say!("{} agree", found.agreeing);
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// Reads ids, one a line; empty lines are passed over.
fn read_ids(path: &PathBuf) -> anyhow::Result<Vec<RecordId>> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read the list of archives from the standard input")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    text.lines()
        .zip(1..)
        .map(|(line, number)| (line.trim(), number))
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| {
            line.parse().map_err(|_| {
                crate::job::JobError::Invalid(format!(
                    "{}, line {number}: \"{line}\" is no id",
                    path.display()
                ))
                .into()
            })
        })
        .collect()
}

fn list(records: &[Record]) {
    if records.is_empty() {
        say!("no such record");
        return;
    }
    let mut table = table::plain([
        "RECORD",
        "HOST",
        "GROUP",
        "OF (UTC)",
        "STATE",
        "SIZE",
        "ADDED",
        "PINNED",
        "VERIFIED",
        "REPOSITORY",
    ]);
    for record in records {
        table.add_row([
            record.id.to_string(),
            record.host.clone(),
            record.group.clone().unwrap_or_else(|| "-".to_owned()),
            table::at(Some(record.kept_at)),
            record.state.to_string(),
            record.bytes_total.map_or("-".to_owned(), table::bytes),
            record.bytes_added.map_or("-".to_owned(), table::bytes),
            if record.pinned { "yes" } else { "-" }.to_owned(),
            table::at(record.verified_at),
            record.repository.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table::print(&table);
}

/// Every field that has a value, by its name in the JSON document.
fn show(record: &Record) -> anyhow::Result<()> {
    if let Value::Object(fields) = serde_json::to_value(record)? {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match value {
                Value::String(text) => say!("{name:<20}{text}"),
                other => say!("{name:<20}{other}"),
            }
        }
    }
    Ok(())
}
