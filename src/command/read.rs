//! `highwater rollup read`: a rollup in a viewer's own hours, days, weeks and months.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::json;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::rollup::RollupName;
use crate::rollup::read::{self, Edge, Query, Step};
use crate::rollup::status::SCHEMA_VERSION;

/// Read a rollup in hours, days, weeks or months of a time zone
///
/// Exact at any moment: what is not drained yet is computed from the source.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater rollup read orders_hourly --from 2026-03 --to 2026-04 --tz Asia/Kathmandu --step day --by product")]
pub struct Args {
    name: RollupName,
    /// Start, inclusive: 2026-03, 2026-03-15 or 2026-03-15T12:00 in the zone, or 2026-03-15T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = edge)]
    from: Edge,
    /// End, exclusive
    #[arg(long, value_name = "WHEN", value_parser = edge)]
    to: Edge,
    /// IANA name of the zone, such as Asia/Kolkata
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// hour, day, week (from Monday) or month
    #[arg(long, value_parser = step, default_value = "day")]
    step: Step,
    /// Columns to group by
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    by: Vec<String>,
    /// Measures to show [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    measure: Vec<String>,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
}

fn step(text: &str) -> Result<Step, String> {
    match text {
        "hour" => Ok(Step::Hour),
        "day" => Ok(Step::Day),
        "week" => Ok(Step::Week),
        "month" => Ok(Step::Month),
        _ => Err("expected hour, day, week or month".to_owned()),
    }
}

fn edge(text: &str) -> Result<Edge, String> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(Edge::Instant(instant.with_timezone(&Utc)));
    }
    let time = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    if let Some(time) = time {
        return Ok(Edge::Local(time));
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d"))
        .map(|date| Edge::Local(date.and_time(NaiveTime::MIN)))
        .map_err(|_| {
            "expected a month (2026-03), a date (2026-03-15), a local time (2026-03-15T12:00) or an instant \
             (2026-03-15T12:00:00Z)"
                .to_owned()
        })
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup read").await?;
    let query = Query {
        from: args.from,
        to: args.to,
        zone: args.tz,
        step: args.step,
        by: args.by,
        measures: args.measure,
        tenant: args.tenant,
    };
    let read = read::read(&mut session, &args.name, &query).await?;
    match global.format {
        Format::Json => {
            let head = json!({
                "schema_version": SCHEMA_VERSION, "rollup": args.name.as_str(), "tz": query.zone, "step": query.step.unit(),
            });
            // The rows are JSON as the database wrote it, so that no digit of a number is lost.
            let head = head.to_string();
            say!("{},\"rows\":[{}]}}", head.trim_end_matches('}'), read.documents.join(","));
        }
        Format::Text if read.rows.is_empty() => say!("{}: nothing in this range", args.name),
        Format::Text => {
            let mut table = table::plain::<0>([]);
            table.set_header(read.columns.iter().map(|name| name.to_uppercase()));
            for row in &read.rows {
                table.add_row(row.iter().map(|cell| cell.as_deref().unwrap_or("-")));
            }
            table::print(&table);
        }
    }
    Ok(Exit::Done)
}
