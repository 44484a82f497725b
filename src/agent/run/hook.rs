//! Hooks: lines for the shell around access and backup.

use super::super::graph::{Cancel, End, Outcome};
use super::super::process::{self, Ended};
use super::task::Task;

/// A pre-hook that ends with this says: nothing to do now; no error (sysexits' EX_TEMPFAIL).
const NOTHING_TO_DO: i32 = 75;

/// Runs a hook. `state` is how the backup went, for hooks that follow it.
pub async fn run(task: &Task, name: &str, line: &str, state: Option<&str>, cancel: &Cancel) -> Outcome {
    let mut command = process::shell(line);
    command.envs(task.environment()).env("HIGHWATER_HOOK", name);
    if let Some(state) = state {
        command.env("HIGHWATER_STATE", state);
    }
    match process::run(&mut command, cancel).await {
        Ok(ended) => outcome(name, &ended),
        Err(error) => End::Failed(format!("{name} cannot be started: {error}")).into(),
    }
}

fn outcome(name: &str, ended: &Ended) -> Outcome {
    let end = if ended.is_success() {
        End::Succeeded
    } else if name.starts_with("pre-") && ended.stopped.is_none() && ended.code == Some(NOTHING_TO_DO) {
        End::Skipped(format!("{name} says that there is nothing to do"))
    } else {
        End::Failed(format!("{name} {}", ended.how()))
    };
    let log_tail = (!ended.tail.is_empty()).then(|| ended.tail.clone());
    Outcome { end, exit_code: ended.code, log_tail, bytes_added: None }
}
