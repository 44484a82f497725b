//! Where the benchmark runs: a server, a freshly migrated database, the program.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use highwater::db::embedded::status::stop;
use highwater::db::embedded::{self, Options, Server};
use highwater::db::target::Target;
use highwater::db::{Executor, Session, connect};
use highwater::ground::config;

/// Names a server to use instead of an own one.
const URL_VARIABLE: &str = "HIGHWATER_BENCH_URL";

/// The program under test, built by cargo with the benchmark.
const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater");

pub struct Place {
    pub url: String,
    pub target: Target,
    /// Keeps an own server up.
    _server: Option<Server>,
}

/// What a run of the program took.
pub struct Run {
    pub took: Duration,
    /// Largest resident set that was seen, in bytes; see [`Place::run`].
    pub peak_bytes: u64,
}

impl Place {
    pub async fn open() -> anyhow::Result<Place> {
        let (url, server) = match config::env(URL_VARIABLE) {
            Some(url) => (url, None),
            None => {
                let server = own_server().await?;
                (server.url(embedded::DATABASE), Some(server))
            }
        };
        let target = Target::from_url(&url, URL_VARIABLE)?;
        let place = Place { url, target, _server: server };
        let session = place.session().await?;
        session
            .batch("DROP SCHEMA IF EXISTS bench CASCADE; DROP SCHEMA IF EXISTS highwater CASCADE; CREATE SCHEMA bench")
            .await?;
        place.run(&["migrate", "up"]).await?;
        Ok(place)
    }

    pub async fn session(&self) -> anyhow::Result<Session> {
        Ok(connect::connect(&self.target, "bench").await?)
    }

    /// Starts the program.
    pub fn spawn(&self, arguments: &[&str]) -> anyhow::Result<Going> {
        let child = tokio::process::Command::new(PROGRAM)
            .env("DATABASE_URL", &self.url)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {PROGRAM}"))?;
        Ok(Going(child))
    }

    /// Runs the program to its end, and watches its memory every few milliseconds: `VmHWM` only rises, so that the
    /// last look before the end misses next to nothing.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Run> {
        let began = std::time::Instant::now();
        let mut child = tokio::process::Command::new(PROGRAM)
            .env("DATABASE_URL", &self.url)
            .args(["--format", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {PROGRAM}"))?;
        let pid = child.id().context("the program ended before it was looked at")?;
        let mut peak_bytes = 0;
        let status: ExitStatus = loop {
            match tokio::time::timeout(LOOK_INTERVAL, child.wait()).await {
                Ok(status) => break status?,
                Err(_) => peak_bytes = peak(pid).unwrap_or(peak_bytes),
            }
        };
        let took = began.elapsed();
        ensure!(status.success(), "highwater {} ended with {status}", arguments.join(" "));
        Ok(Run { took, peak_bytes })
    }
}

/// A run of the program that goes on until it is told to end.
pub struct Going(tokio::process::Child);

impl Going {
    /// Ends it as an operator would, and waits for it.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.0.id().context("the program ended before it was told to")?;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.cast_signed()),
            nix::sys::signal::Signal::SIGTERM,
        )?;
        self.0.wait().await?;
        Ok(())
    }
}

/// How often the program's memory is read: far shorter than a slice, too rare to be noticed on its core.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// `VmHWM` of a process in bytes; none once it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// A durable server for this run only. It is started twice, for settings that take a restart.
async fn own_server() -> anyhow::Result<Server> {
    let directory = std::env::temp_dir().join(format!("highwater-bench-{}", std::process::id()));
    let mut options = Options {
        directory: Some(directory.clone()),
        durable: true,
        keeper_program: Some(PROGRAM.into()),
        ..Options::default()
    };
    let server = embedded::start(&options).await?;
    let target = Target::from_url(&server.url(embedded::DATABASE), "the embedded server")?;
    let session = connect::connect(&target, "bench").await?;
    // ALTER SYSTEM refuses a transaction, and several statements in one message are one.
    for setting in include_str!("sql/settings.sql").split(';') {
        session.batch(setting).await?;
    }
    drop(session);
    drop(server);
    stop(Some(&directory)).await?;
    options.wipe_at_stop = true;
    Ok(embedded::start(&options).await?)
}
