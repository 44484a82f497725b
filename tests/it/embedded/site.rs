//! A directory for one test's embedded server, and what runs there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::db::embedded::{self, EmbeddedError, Options, Server};
use highwater::db::target::{EMBEDDED_DATABASE, Target};
use highwater::db::{Session, connect};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::support::database::{PROGRAM, reachable_directory, stop};
use crate::support::eventually::eventually;
use crate::support::program;

/// A grace period that a test can wait for.
const GRACE: Duration = Duration::from_millis(300);

/// Where one server lives; it is stopped when this is dropped.
pub struct Site {
    top: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Site {
        Site { top: reachable_directory() }
    }

    /// The server's directory, which the server itself makes.
    pub fn directory(&self) -> PathBuf {
        self.top.path().join("pg")
    }

    /// Room for other things, removed with the site.
    pub fn top(&self) -> &Path {
        self.top.path()
    }

    pub fn options(&self) -> Options {
        Options {
            directory: Some(self.directory()),
            durable: true,
            grace: GRACE,
            keeper_program: Some(PathBuf::from(PROGRAM)),
            wipe_at_stop: false,
        }
    }

    pub async fn start(&self) -> Result<Server, EmbeddedError> {
        embedded::start(&self.options()).await
    }

    /// `highwater postgres ARGUMENTS` on this site.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command(&["postgres"]);
        command.args(arguments).env("HIGHWATER_PG_DIR", self.directory());
        command
    }

    /// A process that holds the lease, and has the server.
    pub async fn holder(&self) -> program::Running {
        let mut holder = program::start(&mut self.command(&["url", "--hold"]));
        assert!(holder.line().await.starts_with("postgresql://"));
        holder
    }

    /// `highwater postgres status --format json`.
    pub async fn status(&self) -> serde_json::Value {
        let output = program::run(&mut self.command(&["status", "--format", "json"])).await.success();
        serde_json::from_str(&output.stdout).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory().join("log")).unwrap_or_default()
    }

    /// Living processes that were started for this site, or work in it.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let directory = self.directory();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let works_there = std::fs::read_link(entry.path().join("cwd"))
                .is_ok_and(|directory_of_process| directory_of_process.starts_with(&directory));
            // A zombie has neither a command line nor a directory.
            if works_there || command.contains(directory.to_str().unwrap()) {
                found.push((pid, command));
            }
        }
        found
    }

    /// Waits until no process of this site is left.
    pub async fn deserted(&self) {
        eventually("no process left", || self.processes().is_empty().then_some(())).await;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        stop(&self.directory());
    }
}

pub async fn session(server: &Server) -> Session {
    let target = Target::from_url(&server.url(EMBEDDED_DATABASE), "the embedded server").unwrap();
    connect::connect(&target, "test").await.unwrap()
}

pub fn send(signal: Signal, pid: i32) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
