//! The program as a user runs it.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::TestDb;
use super::database::PROGRAM;
use super::eventually::DEADLINE;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit code.
    ///
    /// # Panics
    ///
    /// When a signal ended the program.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("no exit code: {self:?}"))
    }

    /// Itself, if the exit code is 0.
    ///
    /// # Panics
    ///
    /// For any other end, with everything that was printed.
    pub fn success(self) -> Output {
        assert!(self.status.success(), "{self:#?}");
        self
    }
}

/// A run of the program that has not ended; dropping it kills it.
pub struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Read all along, so that a talkative program does not block on a full pipe.
    stderr: JoinHandle<()>,
    /// What of it has come.
    said: Arc<Mutex<Vec<u8>>>,
}

/// Runs the program on a test's database to its end.
pub async fn highwater(db: &TestDb, arguments: &[&str]) -> Output {
    run(command(arguments).env("DATABASE_URL", db.url())).await
}

/// Starts the program on a test's database.
pub fn spawn(db: &TestDb, arguments: &[&str]) -> Running {
    start(command(arguments).env("DATABASE_URL", db.url()))
}

/// The program without a database, and without what the environment of the tests would tell it.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null());
    for name in ["DATABASE_URL", "HIGHWATER_PG_DIR", "HIGHWATER_PG_BIN", "HIGHWATER_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub async fn run(command: &mut Command) -> Output {
    let output = command.kill_on_drop(true).output().await.expect("the program runs");
    Output {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// Starts a command.
pub fn start(command: &mut Command) -> Running {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program runs");
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut pipe = child.stderr.take().expect("stderr is piped");
    let said = Arc::<Mutex<Vec<u8>>>::default();
    let heard = Arc::clone(&said);
    let stderr = tokio::spawn(async move {
        let mut bytes = Vec::new();
        while pipe.read_buf(&mut bytes).await.expect("stderr can be read") > 0 {
            heard.lock().unwrap().append(&mut bytes);
        }
    });
    Running { child, stdout: BufReader::new(stdout).lines(), stderr, said }
}

impl Running {
    /// Process id.
    ///
    /// # Panics
    ///
    /// When the program has ended.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id().expect("the program runs")).expect("a process id")
    }

    /// The next line of stdout.
    ///
    /// # Panics
    ///
    /// When the program ends without one, with what it wrote to stderr.
    pub async fn line(&mut self) -> String {
        if let Some(line) = self.stdout.next_line().await.expect("stdout can be read") {
            return line;
        }
        (&mut self.stderr).await.expect("stderr is read to its end");
        panic!("the program ended without a line: {}", self.said());
    }

    /// What it has written to stderr so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Waits until it has written `words` to stderr, and returns the rest of their line.
    pub async fn tells(&self, words: &str) -> String {
        let told = || {
            let said = self.said();
            let (_, rest) = said.split_once(words)?;
            rest.split_once('\n').map(|(line, _)| line.to_owned())
        };
        let begun = Instant::now();
        loop {
            if let Some(rest) = told() {
                return rest;
            }
            assert!(begun.elapsed() < DEADLINE, "not told within {DEADLINE:?}: {words}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the program can be signalled");
    }

    /// Waits for the end.
    pub async fn ended(mut self) -> Output {
        let mut stdout = String::new();
        while let Some(line) = self.stdout.next_line().await.expect("stdout can be read") {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        (&mut self.stderr).await.expect("stderr is read to its end");
        let stderr = self.said();
        Output { status: self.child.wait().await.expect("the program can be waited for"), stdout, stderr }
    }
}
