//! What `highwater migrate` says to people.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::Duration;

use crate::migrate::event::Event;
use crate::migrate::plan::{Plan, Planned, Verdict};
use crate::migrate::scope::Scope;
use crate::migrate::status::{Status, VersionState};

/// One event as a sentence: what is done goes to stdout, what is awaited to stderr.
pub(super) fn tell(event: &Event) -> std::io::Result<()> {
    let (mut out, mut err) = (stdout(), stderr());
    match event {
        Event::Waiting { holder } => writeln!(err, "waiting for another run: {holder}"),
        Event::Locked { .. } => Ok(()),
        Event::HookStarted { version, hook, rows_left, .. } => {
            let rows = rows_left.map(|rows| format!(", {rows} rows left")).unwrap_or_default();
            writeln!(out, "V{version} {hook}: begins{rows}")
        }
        Event::HookProgress { version, hook, progress, .. } => {
            let total = progress.slices_total.map(|total| format!("/{total}")).unwrap_or_default();
            let eta = progress
                .eta_ms
                .map(|eta| format!(", {} to go", humantime::format_duration(Duration::from_secs(eta / 1000))))
                .unwrap_or_default();
            let note = progress.note.as_ref().map(|note| format!(" {note}")).unwrap_or_default();
            let line = format!("V{version} {hook}: {}{total} slices{note}{eta}", progress.slices_done);
            // On a terminal one line is written over and over; elsewhere each is a line.
            if err.is_terminal() { write!(err, "\r\x1b[K{line}") } else { writeln!(err, "{line}") }
        }
        Event::HookFinished { version, hook, duration_ms, .. } => {
            if err.is_terminal() {
                write!(err, "\r\x1b[K")?;
            }
            writeln!(out, "V{version} {hook}: done and verified in {duration_ms} ms")
        }
        Event::Retry { version, attempt, of, reason, .. } => {
            writeln!(err, "V{version}: attempt {attempt} of {of} failed, trying again: {reason}")
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
        Event::Finished { applied: 0, .. } => writeln!(out, "nothing to do: every migration is applied"),
        Event::Finished { applied, duration_ms } => writeln!(out, "{applied} applied in {duration_ms} ms"),
    }
}

fn prefix(scope: Scope) -> &'static str {
    match scope {
        Scope::Own => "highwater ",
        Scope::App => "",
    }
}

/// A plan, one block a version.
pub(super) fn print_plan(out: &mut dyn Write, plan: &Plan) -> std::io::Result<()> {
    let at: Vec<String> = plan
        .applied
        .iter()
        .map(|(scope, newest)| {
            let newest =
                newest.map_or_else(|| "nothing applied".to_owned(), |newest| format!("at V{newest}"));
            let name = if *scope == Scope::Own { "highwater" } else { "application" };
            format!("{name} {newest}")
        })
        .collect();
    writeln!(out, "{}: {}, {} pending", plan.database, at.join(", "), plan.pending.len())?;
    for drift in &plan.drift {
        writeln!(out, "would stop: {drift}")?;
    }
    plan.pending.iter().try_for_each(|planned| print_planned(out, planned))
}

fn print_planned(out: &mut dyn Write, planned: &Planned) -> std::io::Result<()> {
    let how = match planned.lock_timeout_ms {
        None => "outside a transaction".to_owned(),
        Some(0) => "waits for locks without limit".to_owned(),
        Some(timeout) => format!("lock timeout {timeout} ms, {} retries", planned.lock_retries),
    };
    writeln!(out, "{}V{}__{}  ({how})", prefix(planned.scope), planned.version, planned.name)?;
    for hook in &planned.hooks {
        let estimate = &hook.estimate;
        let known = [
            estimate.slices_left.map(|left| format!("{left} slices left")),
            estimate.rows_left.map(|rows| format!("{rows} rows left")),
            estimate.eta.map(|eta| {
                format!("about {}", humantime::format_duration(Duration::from_secs(eta.as_secs())))
            }),
            hook.fault.clone(),
        ];
        let known: Vec<String> = known.into_iter().flatten().collect();
        writeln!(out, "  hook   {}  {}", hook.name, known.join(", "))?;
    }
    for guard in &planned.guards {
        let verdict = match guard.verdict {
            Verdict::Pass => "would pass now",
            Verdict::Refuse => "would refuse now",
            Verdict::Unknown => "cannot be asked yet",
        };
        let reason = guard.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        writeln!(out, "  guard  {}  {verdict}{reason}", guard.name)?;
    }
    // What touches nothing that is there holds up no one; it is counted, not listed.
    let (listed, free): (Vec<_>, Vec<_>) =
        planned.statements.iter().partition(|statement| statement.size_bytes.is_some() || !statement.known);
    for statement in listed {
        let lock = statement.lock.map_or("locks unknown", |lock| lock.as_str());
        let size = statement.size_bytes.map(|size| format!(", {} MiB", size / (1 << 20))).unwrap_or_default();
        let rows = statement.row_estimate.map(|rows| format!(", about {rows} rows")).unwrap_or_default();
        writeln!(out, "  {:>5}  {}  {lock}{size}{rows}", statement.line, statement.headline)?;
    }
    if !free.is_empty() {
        writeln!(out, "         {} statements that lock no relation that is there", free.len())?;
    }
    Ok(())
}

/// A status, one line a version.
pub(super) fn print_status(out: &mut dyn Write, status: &Status) -> std::io::Result<()> {
    writeln!(out, "{}", status.database)?;
    for version in &status.versions {
        let state = match &version.state {
            VersionState::Pending => "pending".to_owned(),
            VersionState::Begun { at } => format!("cut off, begun {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
            VersionState::Applied { on, duration_ms } => {
                let took = duration_ms.map(|took| format!(" in {took} ms")).unwrap_or_default();
                format!("applied {}{took}", on.format("%Y-%m-%d %H:%M:%S UTC"))
            }
        };
        writeln!(out, "{}V{}__{}  {state}", prefix(version.scope), version.version, version.name)?;
    }
    status.drift.iter().try_for_each(|drift| writeln!(out, "differs: {drift}"))
}
