//! A program that the agent starts: in a process group of its own, which is told to end and then ended; its words kept
//! up to a bound.

use std::fs::File;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use super::graph::{Cancel, Why};
use crate::ground::wire::text::{LOG_TAIL_BYTES, clean, tail};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// After a program has ended, what it left behind may still hold its pipes; its words are not waited for any longer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The end of what it printed.
    pub tail: String,
    /// Why it was stopped; none when it ended by itself.
    pub stopped: Option<Why>,
}

impl Ended {
    pub fn is_success(&self) -> bool {
        self.code == Some(0) && self.stopped.is_none()
    }

    /// Whether it died because nobody read its output any more; a shell says so by a code.
    pub fn is_broken_pipe(&self) -> bool {
        const SIGPIPE: i32 = 13;
        self.signal == Some(SIGPIPE) || self.code == Some(128 + SIGPIPE)
    }

    /// In words: `exit code 1`.
    pub fn how(&self) -> String {
        match (self.stopped, self.code) {
            (Some(Why::Cancelled), _) => "was cancelled".to_owned(),
            (Some(Why::TimedOut), _) => "took too long and was stopped".to_owned(),
            (Some(Why::Lost), _) => "was stopped because the lease is lost".to_owned(),
            (Some(Why::Ending), _) => "was stopped because the agent ends".to_owned(),
            (None, Some(code)) => format!("ended with exit code {code}"),
            (None, None) => "was ended by a signal".to_owned(),
        }
    }
}

/// A line for the shell.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    command
}

/// Runs a program; both its outputs go into the tail.
///
/// # Errors
///
/// When it cannot be started.
pub async fn run(command: &mut Command, cancel: &Cancel) -> io::Result<Ended> {
    let mut child = start(command)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    finish(child, cancel, last_of(stdout), last_of(stderr)).await
}

/// Runs a program whose standard output is read line by line.
///
/// # Errors
///
/// When it cannot be started.
pub async fn lines(command: &mut Command, cancel: &Cancel, mut take: impl FnMut(&str)) -> io::Result<Ended> {
    let mut child = start(command)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        if let Some(stdout) = stdout {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                take(&line);
            }
        }
        String::new()
    };
    finish(child, cancel, reading, last_of(stderr)).await
}

/// Runs a program whose standard output is a stream for `sink`, which runs on a thread of its own.
///
/// # Errors
///
/// When it cannot be started.
pub async fn stream<T: Send + 'static>(
    command: &mut Command,
    cancel: &Cancel,
    sink: impl FnOnce(File) -> T + Send + 'static,
) -> io::Result<(Ended, T)> {
    let mut child = start(command)?;
    let stderr = child.stderr.take();
    let pipe = child.stdout.take().ok_or_else(|| io::Error::other("it has no standard output"))?;
    let pipe = File::from(pipe.into_owned_fd()?);
    let sinking = spawn_blocking(move || sink(pipe));
    let ended = finish(child, cancel, async { String::new() }, last_of(stderr)).await?;
    let sunk = sinking.await.map_err(|_| io::Error::other("the reader of its output failed"))?;
    Ok((ended, sunk))
}

fn start(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
}

/// The group of a program; ended when this is dropped before the program's own end.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // Gone already is as good.
            let _ = killpg(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

async fn finish(
    mut child: Child,
    cancel: &Cancel,
    stdout: impl Future<Output = String>,
    stderr: impl Future<Output = String>,
) -> io::Result<Ended> {
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut group = Group { leader };
    let words = async { tokio::join!(stdout, stderr) };
    tokio::pin!(words);
    let mut said = None;
    let mut stopped = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            both = &mut words, if said.is_none() => said = Some(both),
            why = cancel.requested(), if stopped.is_none() => {
                stopped = Some(why);
                group.signal(Signal::SIGTERM);
            }
            () = tokio::time::sleep(GRACE), if stopped.is_some() => {
                group.signal(Signal::SIGKILL);
            }
        }
    };
    if stopped.is_some() {
        // Whatever ignored the SIGTERM goes with its leader.
        group.signal(Signal::SIGKILL);
    }
    // It ended: what it started on purpose may live on.
    group.leader = None;
    let (stdout, stderr) = match said {
        Some(both) => both,
        None => tokio::time::timeout(LAST_WORDS, words).await.unwrap_or_default(),
    };
    let both = if stdout.is_empty() { stderr } else { stdout + &stderr };
    use std::os::unix::process::ExitStatusExt;
    Ok(Ended {
        code: status.code(),
        signal: status.signal(),
        tail: tail(&clean(&both), LOG_TAIL_BYTES).to_owned(),
        stopped,
    })
}

/// The end of what a pipe brings; all of it is read, so that nobody blocks on a full pipe.
async fn last_of(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = [0_u8; 8192];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if kept.len() > 2 * LOG_TAIL_BYTES {
            kept.drain(..kept.len() - LOG_TAIL_BYTES);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_talkative_program_is_kept_to_its_last_words() {
        let (_keep, cancel) = Cancel::channel();
        let ended =
            run(&mut shell("yes x | head -c 1000000; echo the end >&2; exit 3"), &cancel).await.unwrap();
        assert_eq!((ended.code, ended.stopped), (Some(3), None));
        assert!(ended.tail.ends_with("the end\n") && ended.tail.len() <= LOG_TAIL_BYTES);
    }

    #[tokio::test]
    async fn a_stopped_program_takes_its_children_with_it() {
        let (sender, cancel) = Cancel::channel();
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        // A child in the background, and a leader that waits for it.
        let line = format!("sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait", pids.display());
        let mut command = shell(&line);
        let running = run(&mut command, &cancel);
        let stop = async {
            while !pids.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sender.send_replace(Some(Why::TimedOut));
        };
        let (ended, ()) = tokio::join!(running, stop);
        assert_eq!(ended.unwrap().stopped, Some(Why::TimedOut));
        let child: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        // It may still be a zombie of whoever adopted it.
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_does_not_hold_it_up() {
        let (_keep, cancel) = Cancel::channel();
        let begun = std::time::Instant::now();
        let ended = run(&mut shell("sleep 20 & echo done"), &cancel).await.unwrap();
        assert!(ended.is_success() && begun.elapsed() < Duration::from_secs(15));
    }
}
