//! Jobs that start a program. It runs in a process group of its own, which ends with the run.
//!
//! A program is told which plan it runs for, so that it can make its own effects idempotent: it may run again after a
//! crash, which no lease can prevent outside the database.

use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::clip;
use super::handler::Context;
use super::outcome::Outcome;

/// Bytes at the end of a program's output that are kept.
const KEPT_BYTES: usize = 4_000;

/// Ends a process group when dropped.
struct Group {
    leader: Pid,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = killpg(self.leader, Signal::SIGKILL);
    }
}

/// Starts the program of a run and waits for its end.
pub async fn start(context: &Context, words: &[String]) -> Outcome {
    let Some((program, arguments)) = words.split_first() else {
        return Outcome::Failed("the job has no command".to_owned());
    };
    let claimed = &context.claimed;
    let child = Command::new(program)
        .args(arguments)
        .env("HIGHWATER_JOB", &claimed.job)
        .env("HIGHWATER_SCOPE", &claimed.scope)
        .env("HIGHWATER_PLAN_TIME", claimed.plan_time.to_rfc3339())
        .env("HIGHWATER_RUN", claimed.run.to_string())
        .env("HIGHWATER_TOKEN", claimed.token.to_string())
        .env("HIGHWATER_ATTEMPT", claimed.attempts.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("cannot start {program}: {error}")),
    };
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let _group = leader.map(|leader| Group { leader });
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, output, errors) = tokio::join!(child.wait(), tail(stdout), tail(stderr));
    match status {
        Ok(status) if status.success() => Outcome::Done(json!({"output": output, "errors": errors})),
        Ok(status) => Outcome::Failed(format!("{program} ended with {status}: {}", errors.trim())),
        Err(error) => Outcome::Failed(format!("cannot wait for {program}: {error}")),
    }
}

/// The end of what a pipe brings.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = [0_u8; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if kept.len() > 2 * KEPT_BYTES {
            kept.drain(..kept.len() - KEPT_BYTES);
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT_BYTES));
    clip::text(&String::from_utf8_lossy(&kept), KEPT_BYTES)
}
