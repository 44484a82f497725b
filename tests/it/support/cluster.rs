//! A Postgres of a test's own that can be stopped, started and promoted, and a standby of it. Unlike the shared server it
//! listens on TCP and keeps its promises through a crash.

use std::path::PathBuf;
use std::process::Command;

use highwater::db::target::Target;
use highwater::ground::config;
use nix::unistd::{Uid, User, chown};

use super::database::reachable_directory;

/// A data directory with a server, stopped when this is dropped.
pub struct Cluster {
    directory: tempfile::TempDir,
    bin: PathBuf,
    pub port: u16,
}

impl Cluster {
    /// Starts a new primary.
    pub fn primary() -> Cluster {
        let cluster = Cluster::prepared();
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-N"]);
        cluster.start();
        cluster
    }

    /// Starts a standby that follows this server.
    pub fn standby(&self) -> Cluster {
        let standby = Cluster::prepared();
        let (port, data) = (self.port.to_string(), standby.data());
        standby.run(
            "pg_basebackup",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "postgres",
                "-D",
                &data,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
            ],
        );
        standby.start();
        standby
    }

    fn prepared() -> Cluster {
        let directory = reachable_directory();
        if Uid::effective().is_root() {
            let postgres = User::from_name("postgres").unwrap().expect("a user for the server");
            chown(directory.path(), Some(postgres.uid), Some(postgres.gid)).unwrap();
        }
        // Free a moment ago; nobody else asks for ports so fast.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Cluster { directory, bin: binaries(), port }
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    pub fn start(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB -c max_connections=60",
            self.port
        );
        let log = self.directory.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-t", "60", "-l", &log, "-o", &options, "start"]);
    }

    /// As a power failure would end it.
    pub fn stop_immediately(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", "immediate", "stop"]);
    }

    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-t", "60", "promote"]);
    }

    /// Its database, named by host and port alone.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres@{}/postgres", self.address())
    }

    pub fn target(&self) -> Target {
        Target::from_url(&self.url(), "the test's server").unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if Uid::effective().is_root() {
            // Servers refuse to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        // A server inherits the pipes of who starts it, which then never end.
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{} {arguments:?}: {status}", program.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.stop_immediately()));
    }
}

/// Where the server's programs are: the highest version that is installed.
fn binaries() -> PathBuf {
    if let Some(bin) = config::env_path("HIGHWATER_PG_BIN") {
        return bin;
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("Postgres is installed")
        .map(|version| version.unwrap().path().join("bin"))
        .filter(|bin| bin.join("pg_basebackup").exists())
        .collect();
    found.sort_unstable();
    found.pop().expect("Postgres is installed")
}
