//! How far long work has come: a bar on a terminal, else a line every ten seconds. Both go to stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::command::say::tell;
use crate::ground::digits::grouped;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Off a terminal, a line at least this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One piece of work on show. Dropped, its bar goes away.
pub struct Meter {
    label: String,
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
}

/// Where the work stands.
#[derive(Debug, Clone, Copy)]
pub struct Stand<'a> {
    pub slices_done: u64,
    pub slices: u64,
    pub rows_done: u64,
    pub rows: u64,
    /// A word on where it is, such as the month that was filled last.
    pub note: &'a str,
}

impl Meter {
    /// Begins to show work of about this many rows.
    pub fn begin(label: &str, slices: u64, rows: u64) -> Meter {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| bar(label, rows));
        if bar.is_none() {
            tell!("{label}: {slices} months, about {} rows", grouped(rows as i64));
        }
        Meter { label: label.to_owned(), bar, began: now, last_line: now }
    }

    /// Shows how far the work has come; off a terminal not every call prints.
    pub fn show(&mut self, stand: Stand<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}/{} {}", stand.slices_done, stand.slices, stand.note));
            // Sizes are estimates: what is done is all there is, whatever was expected.
            bar.set_position(if stand.slices_done == stand.slices { stand.rows } else { stand.rows_done });
        } else if self.last_line.elapsed() >= LINE_EVERY || stand.slices_done == stand.slices {
            self.last_line = Instant::now();
            let per_second = stand.rows_done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
            let left = stand.rows.saturating_sub(stand.rows_done) as f64;
            let eta = humantime::format_duration(Duration::from_secs((left / per_second.max(1.0)) as u64));
            tell!(
                "{}: {}/{} months, {}, {} rows, {} rows/s, eta {eta}",
                self.label,
                stand.slices_done,
                stand.slices,
                stand.note,
                grouped(stand.rows_done as i64),
                grouped(per_second as i64),
            );
        }
    }

    /// Says a sentence without tearing the bar.
    pub fn say(&self, sentence: &str) {
        match &self.bar {
            Some(bar) => bar.println(sentence),
            None => tell!("{sentence}"),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn bar(label: &str, rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} [{bar:24}] {msg} · {human_pos} of {human_len} rows · {rate} rows/s · eta {eta}",
    )
    .expect("the template is a constant that the tests show")
    .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Writing into a string cannot fail.
        let _ = out.write_str(&grouped(state.per_sec() as i64));
    })
    .progress_chars("#>-");
    let bar = ProgressBar::new(rows).with_style(style);
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
