//! News of backfills and proofs, for people or for programs (NDJSON on stdout).

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::meter::{Meter, Stand};
use crate::cli::Format;
use crate::command::say::tell;
use crate::rollup::watch::{Listener, News, Work};

/// Shows news as the format and the terminal allow.
pub struct Progress {
    format: Format,
    running: Mutex<Option<Running>>,
}

struct Running {
    meter: Meter,
    slices: u64,
    slices_done: u64,
    rows: u64,
    rows_done: u64,
}

impl Progress {
    pub fn new(format: Format) -> Progress {
        Progress { format, running: Mutex::default() }
    }
}

impl Listener for Progress {
    fn hear(&self, news: News) {
        match self.format {
            Format::Json => print_json(&news),
            Format::Text => tell(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner), &news),
        }
    }
}

fn tell(running: &mut Option<Running>, news: &News) {
    let say = |running: &Option<Running>, sentence: String| match running {
        Some(running) => running.meter.say(&sentence),
        None => tell!("{sentence}"),
    };
    match news {
        News::Counting { .. } => {}
        News::Waiting { rollup, work, holder } => {
            say(running, format!("{rollup}: waiting for another {work}: {holder}"));
        }
        News::Note { rollup, note } => say(running, format!("{rollup}: {note}")),
        News::Began { rollup, work, slices, source_rows } => {
            let (slices, rows) = (*slices as u64, u64::try_from(*source_rows).unwrap_or_default());
            let meter = Meter::begin(&format!("{rollup} {}", name_of(*work)), slices, rows);
            *running = Some(Running { meter, slices, slices_done: 0, rows, rows_done: 0 });
        }
        News::Slice { month, source_rows, .. } => {
            let Some(running) = running else { return };
            running.slices_done += 1;
            running.rows_done += u64::try_from(*source_rows).unwrap_or_default();
            // A month that came up after the beginning adds to both.
            running.slices = running.slices.max(running.slices_done);
            running.rows = running.rows.max(running.rows_done);
            running.meter.show(Stand {
                slices_done: running.slices_done,
                slices: running.slices,
                rows_done: running.rows_done,
                rows: running.rows,
                note: &month.to_string(),
            });
        }
        News::Part { rollup, month, to, .. } => {
            say(running, format!("{rollup}: {month} is filled up to {}", to.format("%Y-%m-%d %H:%M UTC")));
        }
        News::Retry { rollup, month, reason } => {
            say(running, format!("{rollup}: {month} is tried again: {reason}"));
        }
        News::Throttled { rollup, reason, is_waiting } => {
            let what = if *is_waiting { "waiting" } else { "going slower" };
            say(running, format!("{rollup}: {what}: {reason}"));
        }
        News::Held { rollup, month } => {
            say(running, format!("{rollup}: {month} is being written by someone else; it comes last"));
        }
        News::Stopping { rollup } => {
            say(
                running,
                format!("{rollup}: finishing the months in hand; press Ctrl-C again to roll them back"),
            );
        }
        News::Ended { .. } => *running = None,
    }
}

fn name_of(work: Work) -> &'static str {
    match work {
        Work::Backfill => "backfill",
        Work::Verify => "verify",
    }
}

fn print_json(news: &News) {
    let line = match news {
        News::Counting { rollup } => json!({"event": "counting", "rollup": rollup.as_str()}),
        News::Waiting { rollup, work, holder } => {
            json!({"event": "waiting", "rollup": rollup.as_str(), "work": work.to_string(), "holder": holder})
        }
        News::Note { rollup, note } => {
            json!({"event": "note", "rollup": rollup.as_str(), "note": note})
        }
        News::Began { rollup, work, slices, source_rows } => json!({
            "event": "began", "rollup": rollup.as_str(), "work": name_of(*work), "slices": slices,
            "source_rows": source_rows,
        }),
        News::Slice { rollup, work, month, source_rows, rows, took } => json!({
            "event": "slice", "rollup": rollup.as_str(), "work": name_of(*work), "slice": month.to_string(),
            "source_rows": source_rows, "rows": rows, "duration_ms": took.as_millis() as u64,
        }),
        News::Part { rollup, month, to, rows, took } => json!({
            "event": "part", "rollup": rollup.as_str(), "slice": month.to_string(), "to": to, "rows": rows,
            "duration_ms": took.as_millis() as u64,
        }),
        News::Retry { rollup, month, reason } => json!({
            "event": "retry", "rollup": rollup.as_str(), "slice": month.to_string(), "reason": reason,
        }),
        News::Throttled { rollup, reason, is_waiting } => json!({
            "event": "throttled", "rollup": rollup.as_str(), "reason": reason.word(), "words": reason.to_string(),
            "waiting": is_waiting,
        }),
        News::Held { rollup, month } => {
            json!({"event": "held", "rollup": rollup.as_str(), "slice": month.to_string()})
        }
        News::Stopping { rollup } => json!({"event": "stopping", "rollup": rollup.as_str()}),
        News::Ended { rollup, work } => {
            json!({"event": "ended", "rollup": rollup.as_str(), "work": name_of(*work)})
        }
    };
    // A reader that went away must not end the work.
    let _ = writeln!(std::io::stdout(), "{line}");
}
