//! What `highwater migrate` says to people.

use std::io::Write;
use std::time::Duration;

use crate::command::teller::prefix;
use crate::migrate::plan::{Plan, Planned, Verdict};
use crate::migrate::scope::Scope;
use crate::migrate::status::{Status, VersionState};

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
