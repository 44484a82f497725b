//! The postmaster as a child: how it is started, when it is ready, how it is stopped.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, getpid, getppid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tracing::warn;

use super::location::{Location, PORT};
use super::plan::Plan;
use super::report::Failure;
use crate::ground::config;

/// Longest wait for the postmaster to accept connections; recovery after a crash is the slow case.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Longest wait for a fast shutdown, whose checkpoint is the slow part.
const FAST_LIMIT: Duration = Duration::from_secs(30);

/// Longest wait for an immediate shutdown; Postgres itself kills what is left after five seconds.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(8);

/// Connections that the server allows: a few pools, and test programs that run side by side.
const MAX_CONNECTIONS: u32 = 200;

/// What a server that may lose everything need not do. Autovacuum would now and then hold the template of a
/// `CREATE DATABASE`.
const THROW_AWAY_SETTINGS: [&str; 4] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"];

/// The keeper's child.
#[derive(Debug)]
pub struct Postmaster {
    child: Child,
    pid: Pid,
}

/// A command that runs one of the server's programs as the server's user, with an environment of its own, in the
/// cluster's lock, and with its output in the log.
///
/// The process gets `at_death` when the calling thread ends, so the caller must be the keeper's main thread.
///
/// # Errors
///
/// [`Failure::Prepare`] when the lock cannot be copied.
pub fn command(plan: &Plan, program: &str, cluster: &File, at_death: Signal) -> Result<Command, Failure> {
    let failed = |error: std::io::Error| Failure::Prepare(format!("cannot copy a file descriptor: {error}"));
    // Every process of the cluster inherits the lock's file, as its standard input: it is always at its end.
    let lock = cluster.try_clone().map_err(failed)?;
    let log = std::io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut command = Command::new(plan.binaries.join(program));
    command.current_dir("/").stdin(lock).stdout(Stdio::from(log)).stderr(Stdio::inherit());
    // Neither PG* nor anything else of the user's (DATABASE_URL has a password) belongs into the server.
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin");
    if let Some(libraries) = config::env("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    if plan.account.dropped {
        // Supplementary groups are dropped with it.
        command.uid(plan.account.uid).gid(plan.account.gid);
    }
    let keeper = getpid();
    // SAFETY: runs between fork and exec, where only async-signal-safe calls are allowed: prctl, getppid and signal
    // are, and nothing here allocates. It runs after the change of user, which would undo the prctl.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(at_death)?;
            if getppid() != keeper {
                return Err(std::io::Error::from_raw_os_error(nix::errno::Errno::ESRCH as i32));
            }
            // A program that was started in the background of a script ignores SIGINT, and its children would too.
            for ignored in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
                signal(ignored, SigHandler::SigDfl)?;
            }
            Ok(())
        });
    }
    Ok(command)
}

impl Postmaster {
    /// Starts the postmaster and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// [`Failure::Start`] when it ends, or is not ready in time (it is stopped then).
    pub async fn start(plan: &Plan, location: &Location, cluster: &File) -> Result<Postmaster, Failure> {
        clear_stale_pid_file(location);
        let watch =
            PidFileWatch::new(location).map_err(|error| Failure::file("watch", &location.data(), &error))?;
        let mut command = command(plan, "postgres", cluster, Signal::SIGINT)?;
        command.arg("-D").arg(location.data());
        for setting in settings(plan, location) {
            command.arg("-c").arg(setting);
        }
        let child = command.spawn().map_err(|error| Failure::Start(format!("cannot run it: {error}")))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let Some(pid) = pid else { return Err(Failure::Start("it ended at once".to_owned())) };
        let mut postmaster = Postmaster { child, pid };
        let reason = tokio::select! {
            ended = postmaster.child.wait() => match ended {
                Ok(status) => format!("it ended with {status}"),
                Err(error) => format!("its end could not be seen: {error}"),
            },
            ready = tokio::time::timeout(START_LIMIT, watch.until_ready(pid)) => match ready {
                Ok(Ok(())) => return Ok(postmaster),
                Ok(Err(error)) => format!("its state could not be seen: {error}"),
                Err(_) => format!("it was not ready after {START_LIMIT:?}"),
            },
        };
        postmaster.stop().await;
        Err(Failure::Start(reason))
    }

    /// Resolves when the postmaster has ended by itself.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops the server: first as one should, and by force if that takes too long.
    pub async fn stop(&mut self) {
        let steps = [(Signal::SIGINT, FAST_LIMIT), (Signal::SIGQUIT, IMMEDIATE_LIMIT)];
        for (signal, limit) in steps {
            // While the child is not waited for, its process id is not given to another.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            if let Err(error) = kill(self.pid, signal) {
                warn!(%error, "cannot send {signal} to the postmaster");
            }
            if tokio::time::timeout(limit, self.child.wait()).await.is_ok() {
                return;
            }
            warn!("the postmaster did not end within {limit:?} of {signal}");
        }
        if let Err(error) = self.child.kill().await {
            warn!(%error, "cannot kill the postmaster");
        }
    }
}

fn settings(plan: &Plan, location: &Location) -> Vec<String> {
    let socket = location.socket().display().to_string().replace('"', "\"\"");
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        // A list, in which quotes protect commas and blanks.
        format!("unix_socket_directories=\"{socket}\""),
        format!("port={PORT}"),
        format!("max_connections={MAX_CONNECTIONS}"),
        "cluster_name=highwater".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "log_destination=stderr".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    if !plan.durable {
        settings.extend(THROW_AWAY_SETTINGS.map(str::to_owned));
    }
    settings
}

/// Removes a `postmaster.pid` whose process is not a Postgres of ours any more.
///
/// The caller holds the `cluster` lock, so the file is stale unless someone started the cluster by hand. Postgres sees
/// for itself when the process is gone, but not when its id was given to another program, which after the restart of
/// a container is the rule.
fn clear_stale_pid_file(location: &Location) {
    let Some(pid) = location.postmaster_pid() else { return };
    // A postmaster works in its data directory.
    let works_in = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    if works_in.is_none_or(|directory| directory != location.data())
        && let Err(error) = std::fs::remove_file(pid_file(location))
    {
        warn!(%error, "cannot remove a stale postmaster.pid");
    }
}

fn pid_file(location: &Location) -> PathBuf {
    location.data().join("postmaster.pid")
}

/// Waits for the postmaster to write its state into its pid file.
struct PidFileWatch {
    inotify: Inotify,
    readable: AsyncFd<OwnedFd>,
    path: PathBuf,
}

impl PidFileWatch {
    /// Watches from now on, so it must exist before the postmaster does.
    fn new(location: &Location) -> std::io::Result<PidFileWatch> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(
            &location.data(),
            AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO,
        )?;
        let copy = inotify.as_fd().try_clone_to_owned()?;
        // SAFETY: an OwnedFd owns a valid descriptor and nothing replaces or closes it before the AsyncFd is dropped.
        let readable = unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) }?;
        Ok(PidFileWatch { inotify, readable, path: pid_file(location) })
    }

    async fn until_ready(&self, pid: Pid) -> std::io::Result<()> {
        while !says_ready(&self.path, pid) {
            let mut guard = self.readable.readable().await?;
            match self.inotify.read_events() {
                Ok(_) => {}
                Err(nix::errno::Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The eighth line of `postmaster.pid` is the state, the first the process: see miscadmin.h, LOCK_FILE_LINE_PM_STATUS.
fn says_ready(path: &Path, pid: Pid) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |number: usize| text.lines().nth(number - 1).map(str::trim);
    line(1) == Some(pid.to_string().as_str()) && line(8) == Some("ready")
}
