//! `highwater rollup explain`: the source's rows behind one number.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{table, when};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::counted;
use crate::ground::exit::Exit;
use crate::rollup::RollupName;
use crate::rollup::explain::{self, Explanation, Query};
use crate::rollup::status::SCHEMA_VERSION;

/// How NULL is written among the values, as COPY does.
const NULL: &str = "\\N";

/// List the source's rows behind one row of a rollup, beside what is stored, live and open
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater rollup explain orders_hourly 2026-03-15T12:00:00Z acme DE shoes
  highwater rollup explain orders_hourly 2026-03-15T12:00:00Z acme '\\N' shoes --limit 500 --format json")]
pub struct Args {
    name: RollupName,
    /// Start of the bucket: 2026-03-15T12:00:00Z, or a date or month for its first one, UTC
    #[arg(value_parser = when::parse)]
    bucket: DateTime<Utc>,
    /// Tenant, if the rollup has one, then the columns of its key, in order; \N stands for NULL, and "--" before one that begins with a dash
    #[arg(value_name = "TENANT KEY", allow_negative_numbers = true)]
    values: Vec<String>,
    /// Rows of the source to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Go on where another page ended
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and the engine say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup explain").await?;
    let query = Query {
        bucket: args.bucket,
        values: args.values.into_iter().map(|value| Some(value).filter(|value| value != NULL)).collect(),
        limit: args.limit,
        after: args.after,
    };
    let found = explain::run(&mut session, &args.name, &query).await?;
    if global.format == Format::Json {
        let mut document = serde_json::to_value(&found)?;
        document["schema_version"] = SCHEMA_VERSION.into();
        say!("{document}");
    } else {
        print(&found);
    }
    Ok(Exit::Done)
}

fn print(found: &Explanation) {
    let name = &found.rollup;
    print_rows(found);
    match &found.slice {
        None if found.is_counted => say!("month: not on the ledger, since it holds no rows"),
        None => say!("month: not on the ledger yet"),
        Some(slice) => {
            let field = |field: &str| slice.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
            say!(
                "month from {}: {}, filled {}, last drained {}",
                field("slice_start"),
                field("state"),
                field("finished_at"),
                field("drained_at")
            );
        }
    }
    let (marks, ranges) = (counted(found.marks, "mark"), counted(found.ranges, "range mark"));
    let oldest = found.oldest_mark_at.into_iter().chain(found.oldest_range_at).min();
    say!("open: {marks}, {ranges}, oldest {}", table::at(oldest));
    if found.has_waiting_key {
        say!("open: a changed key of a watched table, which waits for its expansion");
    }
    say!("watermark {}, last drain {}", table::at(found.watermark_at), table::at(found.drained_at));
    for note in &found.notes {
        say!("note: {note}");
    }
    print_events(found);
    if let Some(next) = &found.next {
        say!("{name}: more follow with --after '{next}'");
    }
}

/// The row in each of its forms, one below the other.
fn print_rows(found: &Explanation) {
    let rows = [
        ("stored", &found.stored),
        ("live", &found.live),
        ("source", &found.counted),
        ("baseline", &found.baseline),
    ];
    let Some(first) = rows.iter().find_map(|(_, row)| row.as_ref().and_then(Value::as_object)) else {
        say!("{}: no such row, stored or live", found.rollup);
        return;
    };
    let mut table = table::plain::<0>([]);
    let header = ["ROW".to_owned()].into_iter().chain(first.keys().map(|name| name.to_uppercase()));
    table.set_header(header);
    for (what, row) in rows {
        match row {
            Some(row) => {
                let cells = first.keys().map(|name| cell(row.get(name)));
                table.add_row([what.to_owned()].into_iter().chain(cells));
            }
            None if what != "baseline" => {
                let cells = first.keys().map(|_| "-".to_owned());
                table.add_row([what.to_owned()].into_iter().chain(cells));
            }
            None => {}
        }
    }
    table::print(&table);
}

fn print_events(found: &Explanation) {
    let columns: Vec<String> = match found.events.first().and_then(|first| first.event.as_object()) {
        Some(first) => first.keys().cloned().collect(),
        None => {
            say!("{}: no row of {} is counted here", found.rollup, found.source);
            return;
        }
    };
    say!("{} of {}:", counted(i64::try_from(found.events.len()).unwrap_or(i64::MAX), "row"), found.source);
    let mut table = table::plain::<0>([]);
    table.set_header(columns.iter().map(|name| name.to_uppercase()).chain(["ADDS".to_owned()]));
    for event in &found.events {
        let adds: Vec<String> = event
            .adds
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} {}", cell(Some(value))))
            .collect();
        table.add_row(columns.iter().map(|name| cell(event.event.get(name))).chain([adds.join(", ")]));
    }
    table::print(&table);
}

/// A value as a person writes it.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
