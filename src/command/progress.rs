//! News of long work, for people (a bar on a terminal, else a line every ten seconds) or for programs (NDJSON).

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::Format;
use crate::rollup::RollupName;
use crate::rollup::watch::{Listener, News, Work};

/// Off a terminal, a line at least this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows news as the format and the terminal allow.
pub struct Progress {
    shown: Mutex<Shown>,
}

struct Shown {
    form: Form,
    work: Option<Running>,
}

enum Form {
    Bar,
    Lines,
    Json,
}

struct Running {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    slices: usize,
    slices_done: usize,
    rows: i64,
    rows_done: i64,
}

impl Progress {
    /// Progress of text goes to stderr, so that stdout holds results alone; NDJSON goes to stdout.
    pub fn new(format: Format) -> Progress {
        let form = match format {
            Format::Json => Form::Json,
            Format::Text if std::io::stderr().is_terminal() => Form::Bar,
            Format::Text => Form::Lines,
        };
        Progress { shown: Mutex::new(Shown { form, work: None }) }
    }
}

impl Listener for Progress {
    fn hear(&self, news: News) {
        let mut shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Form::Json = shown.form {
            print_json(&news);
        } else {
            shown.tell(&news);
        }
    }
}

impl Shown {
    fn tell(&mut self, news: &News) {
        match news {
            News::Counting { .. } => {}
            News::Waiting { rollup, holder } => {
                self.say(&format!("{rollup}: waiting for another backfill: {holder}"));
            }
            News::Began { rollup, work, slices, source_rows } => {
                self.begin(rollup, *work, *slices, *source_rows)
            }
            News::Slice { rollup, work, month, source_rows, .. } => {
                self.advance(&format!("{rollup} {}", name_of(*work)), &month.to_string(), *source_rows);
            }
            News::Retry { rollup, month, reason } => {
                self.say(&format!("{rollup}: {month} is tried again: {reason}"))
            }
            News::Held { rollup, month } => {
                self.say(&format!("{rollup}: {month} is being written by someone else; it comes last"));
            }
            News::Stopping { rollup } => {
                self.say(&format!(
                    "{rollup}: finishing the slices in hand; press Ctrl-C again to roll them back"
                ));
            }
            News::Ended { .. } => {
                if let Some(Running { bar: Some(bar), .. }) = self.work.take() {
                    bar.finish();
                }
            }
        }
    }

    fn begin(&mut self, rollup: &RollupName, work: Work, slices: usize, rows: i64) {
        let now = Instant::now();
        let label = format!("{rollup} {}", name_of(work));
        let bar = match self.form {
            Form::Bar => Some(bar(&label, rows)),
            Form::Lines | Form::Json => {
                self.say(&format!("{label}: {slices} months, about {} rows", grouped(rows)));
                None
            }
        };
        self.work =
            Some(Running { bar, began: now, last_line: now, slices, slices_done: 0, rows, rows_done: 0 });
    }

    fn advance(&mut self, label: &str, month: &str, rows: i64) {
        let Some(work) = &mut self.work else { return };
        work.slices_done += 1;
        work.rows_done += rows;
        // A slice that came up after the beginning, for a new month of the source.
        work.slices = work.slices.max(work.slices_done);
        let elapsed = work.began.elapsed().as_secs_f64().max(0.001);
        let per_second = work.rows_done as f64 / elapsed;
        if let Some(bar) = &work.bar {
            bar.set_message(format!("{}/{} {month}", work.slices_done, work.slices));
            bar.set_position(u64::try_from(work.rows_done).unwrap_or_default());
        } else if work.last_line.elapsed() >= LINE_EVERY || work.slices_done == work.slices {
            work.last_line = Instant::now();
            let left = (work.rows - work.rows_done).max(0) as f64;
            let eta = humantime::format_duration(Duration::from_secs((left / per_second.max(1.0)) as u64));
            eprintln!(
                "{label}: {}/{} months, {month}, {} rows, {} rows/s, eta {eta}",
                work.slices_done,
                work.slices,
                grouped(work.rows_done),
                grouped(per_second as i64),
            );
        }
    }

    fn say(&self, sentence: &str) {
        match &self.work {
            Some(Running { bar: Some(bar), .. }) => bar.println(sentence),
            Some(_) | None => eprintln!("{sentence}"),
        }
    }
}

fn bar(label: &str, rows: i64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} [{bar:28}] {msg:14} {human_pos} of {human_len} rows  {per_sec}  eta {eta}",
    )
    .expect("the template is a constant that the tests show")
    .progress_chars("#>-");
    let bar = ProgressBar::new(u64::try_from(rows).unwrap_or_default()).with_style(style);
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
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
        News::Waiting { rollup, holder } => {
            json!({"event": "waiting", "rollup": rollup.as_str(), "holder": holder})
        }
        News::Began { rollup, work, slices, source_rows } => json!({
            "event": "began", "rollup": rollup.as_str(), "work": name_of(*work), "slices": slices,
            "source_rows": source_rows,
        }),
        News::Slice { rollup, work, month, source_rows, rows, took } => json!({
            "event": "slice", "rollup": rollup.as_str(), "work": name_of(*work), "slice": month.to_string(),
            "source_rows": source_rows, "rows": rows, "duration_ms": took.as_millis() as u64,
        }),
        News::Retry { rollup, month, reason } => json!({
            "event": "retry", "rollup": rollup.as_str(), "slice": month.to_string(), "reason": reason,
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

/// A count with its thousands set apart: 1,234,567.
pub fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }
}
