//! What tests of migrations share: folders of files, and the program run on them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use highwater::db::Executor;

use crate::support;

/// Longest wait for a row or a line that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A test's database, with the questions that tests of migrations ask it.
pub struct TestDb(support::TestDb);

impl std::ops::Deref for TestDb {
    type Target = support::TestDb;

    fn deref(&self) -> &support::TestDb {
        &self.0
    }
}

impl TestDb {
    pub async fn empty() -> TestDb {
        TestDb(support::TestDb::empty().await)
    }

    /// Runs statements on a connection of their own.
    pub async fn run(&self, statements: &str) {
        self.session().await.batch(statements).await.unwrap();
    }

    /// The first column of every row, as text.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let query = format!("SELECT t::text FROM ({query}) AS q(t)");
        let rows = self.session().await.query(&query, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
    }

    /// Waits until a query returns a row.
    pub async fn wait_for(&self, query: &str) {
        let session = self.session().await;
        let found = async {
            while session.query(query, &[]).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never came true: {query}"));
    }

    /// Versions that the application's history records.
    pub async fn versions(&self) -> Vec<String> {
        self.texts("SELECT version FROM public.refinery_schema_history ORDER BY version").await
    }
}

/// A folder of migrations.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder { folder: tempfile::tempdir().unwrap() };
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn to_path(&self) -> PathBuf {
        self.path().to_owned()
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn command(url: &str, args: &[&str], folder: Option<&Folder>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.arg("--database-url").arg(url).arg("migrate").args(args);
    if let Some(folder) = folder {
        command.arg("--dir").arg(folder.path());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `highwater migrate` against a URL.
pub async fn migrate_at(url: &str, args: &[&str], folder: Option<&Folder>) -> Ended {
    let mut command = command(url, args, folder);
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

/// Runs `highwater migrate` against a test's database.
pub async fn migrate(db: &TestDb, args: &[&str], folder: &Folder) -> Ended {
    migrate_at(&db.url(), args, Some(folder)).await
}

/// Starts `highwater migrate` and leaves it running.
pub fn start(db: &TestDb, args: &[&str], folder: &Folder) -> Child {
    command(&db.url(), args, Some(folder)).spawn().unwrap()
}

/// Waits for the end of what [`start`] started; one that hangs is killed and fails the test.
pub async fn ended(mut child: Child) -> Ended {
    let exited = async {
        while child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, exited).await.is_err() {
        child.kill().unwrap();
        panic!("hangs: {:?}", Ended::from(child.wait_with_output().unwrap()));
    }
    child.wait_with_output().unwrap().into()
}

/// Sends a signal to what [`start`] started.
pub fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}
