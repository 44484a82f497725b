//! Processor time of processes on this machine, in seconds: work that no neighbour can add to, though it can slow it.

use anyhow::Context;
use highwater::db::{Executor, Session};

/// The kernel counts in hundredths of a second (`USER_HZ`) wherever Postgres runs on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

const NANOSECONDS: f64 = 1e9;

/// Of a process with all its threads: `utime` and `stime`, see proc(5).
pub fn process(pid: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before the last bracket may hold blanks; utime is field 14, and 3 is the first one after it.
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("a process without a name")?.1.split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<f64> {
        Ok(fields.get(field - 3).context("too few fields")?.parse()?)
    };
    Ok((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Of one session's server process.
pub async fn backend(session: &Session) -> anyhow::Result<f64> {
    let row = session.query_one(include_str!("../rollup/sql/backend.sql"), &[]).await?;
    Ok(row.get::<_, i64>("nanoseconds") as f64 / NANOSECONDS)
}

/// Of all server processes of the worker that live now, by name of their connections.
pub async fn worker_backends(session: &Session) -> anyhow::Result<f64> {
    let row = session.query_one(include_str!("sql/worker_backends.sql"), &[]).await?;
    Ok(row.get::<_, f64>("nanoseconds") / NANOSECONDS)
}

/// Largest resident set of a process so far, in MiB.
pub fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
