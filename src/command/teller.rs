//! Tells the events of a migration run: JSON lines on stdout, or sentences, what is done on stdout and what is awaited
//! on stderr.

use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::Serialize;

use super::meter::{Meter, Stand};
use crate::cli::Format;
use crate::command::say::tell;
use crate::ground::digits::grouped;
use crate::migrate::event::{Event, Observer, Progress};
use crate::migrate::scope::Scope;

/// Tells the events of one run.
pub struct Teller {
    format: Format,
    /// The work of a hook that is on show, with the word that its progress begins with.
    shown: Mutex<Option<(String, Meter)>>,
}

impl Teller {
    pub fn new(format: Format) -> Teller {
        Teller { format, shown: Mutex::default() }
    }

    fn tell(&self, event: &Event) -> std::io::Result<()> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::HookProgress { version, progress, .. } = event {
            show(&mut shown, *version, progress);
            return Ok(());
        }
        if let (Event::HookNote { version, note, .. }, Some((_, meter))) = (event, &*shown) {
            meter.say(&format!("V{version} {note}"));
            return Ok(());
        }
        *shown = None;
        tell(event)
    }
}

impl Observer for Teller {
    fn observe(&self, event: &Event) {
        // A reader that has gone away must not end the run.
        let _ = match self.format {
            Format::Json => print_json(event).map_err(std::io::Error::other),
            Format::Text => self.tell(event),
        };
    }
}

/// Moves the meter of a hook's work. Its note begins with what is done to which rollup, two words that name the piece of
/// work, and goes on with where it is.
fn show(shown: &mut Option<(String, Meter)>, version: i64, progress: &Progress) {
    let note = progress.note.as_deref().unwrap_or_default();
    let work_end = note.match_indices(' ').nth(1).map_or(note.len(), |(end, _)| end);
    let (work, place) = note.split_at(work_end);
    let stand = Stand {
        slices_done: progress.slices_done,
        slices: progress.slices_total.unwrap_or_default(),
        rows_done: progress.rows_done.unwrap_or_default(),
        rows: progress.rows_total.unwrap_or_default(),
        note: place.trim(),
    };
    match shown {
        Some((shown_work, meter)) if shown_work == work => meter.show(stand),
        _ => {
            let label = format!("V{version} {work}");
            *shown = Some((work.to_owned(), Meter::begin(&label, stand.slices, stand.rows)));
        }
    }
}

fn tell(event: &Event) -> std::io::Result<()> {
    let mut out = stdout();
    match event {
        Event::Waiting { holder } => {
            tell!("waiting for another run: {holder}");
            Ok(())
        }
        Event::HookNote { version, note, .. } => {
            tell!("V{version} {note}");
            Ok(())
        }
        Event::Locked { .. } | Event::HookProgress { .. } => Ok(()),
        Event::HookStarted { version, hook, rows_left, .. } => {
            let rows = rows_left
                .map(|rows| format!(", about {} rows left", grouped(rows as i64)))
                .unwrap_or_default();
            writeln!(out, "V{version} {hook}: begins{rows}")
        }
        Event::HookFinished { version, hook, duration_ms, .. } => {
            writeln!(out, "V{version} {hook}: done and verified in {duration_ms} ms")
        }
        Event::Retry { version, attempt, of, reason, .. } => {
            tell!("V{version}: attempt {attempt} of {of} failed, trying again: {reason}");
            Ok(())
        }
        Event::InvalidIndexDropped { version, index } => {
            writeln!(out, "V{version}: dropped the invalid index \"{index}\" that a failed build left")
        }
        Event::IndexKept { version, index } => {
            writeln!(out, "V{version}: index \"{index}\" is there already, valid and as defined")
        }
        Event::Applied { scope, version, name, duration_ms } => {
            writeln!(out, "{}V{version}__{name} applied in {duration_ms} ms", prefix(*scope))
        }
        Event::RollupRenewed { rollup } => {
            writeln!(out, "{rollup}: functions, views and capture are those of this build now")
        }
        Event::RollupLeft { rollup, reason } => {
            tell!("{rollup}: functions are left as they are: {reason}");
            Ok(())
        }
        Event::Finished { applied: 0, .. } => writeln!(out, "nothing to do: every migration is applied"),
        Event::Finished { applied, duration_ms } => writeln!(out, "{applied} applied in {duration_ms} ms"),
    }
}

/// Whose migration it is, before its version.
pub fn prefix(scope: Scope) -> &'static str {
    match scope {
        Scope::Own => "highwater ",
        Scope::App => "",
    }
}

/// Prints one JSON document as a line.
///
/// # Errors
///
/// When stdout cannot be written.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    writeln!(stdout().lock(), "{line}").context("cannot write to stdout")
}
