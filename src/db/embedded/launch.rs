//! Getting a server: attach to the one that runs, else take a turn and start its keeper.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tracing::debug;

use super::account::Account;
use super::address::Address;
use super::binaries;
use super::greeting;
use super::lease;
use super::location::Location;
use super::lock::{self, Mode};
use super::plan::Plan;
use super::probe::{self, Answer};
use super::record::Record;
use super::report::{Failure, Report};
use super::{EmbeddedError, Server};
use crate::ground::config;

/// Longest wait for a keeper's report: its own limits for leftovers, initdb and recovery, and some room.
const REPORT_LIMIT: Duration = Duration::from_secs(180);

/// Longest wait for another process that is starting the server.
const TURN_LIMIT: Duration = Duration::from_secs(200);

/// Longest wait for a keeper to stop the server.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may say "not now": it recovers from the crash of a backend.
const NOT_NOW_LIMIT: Duration = Duration::from_secs(60);

/// Pause between two questions to a recovering server, which has no way to call back.
const NOT_NOW_PAUSE: Duration = Duration::from_millis(20);

/// How long the server stays up unused, unless the caller says otherwise: a person types the next command.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// What kind of server is wanted. What concerns the server itself counts only if this call starts it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it lives; none: `HIGHWATER_PG_DIR`, else the user's own directory.
    pub directory: Option<PathBuf>,
    /// Whether it keeps its promises in a crash of the machine; `false` is for tests.
    pub durable: bool,
    /// How long it stays up without users.
    pub grace: Duration,
    /// A program that has the keeper's subcommand; none: the running one. Tests are not highwater themselves.
    pub keeper_program: Option<PathBuf>,
    /// Whether its data is removed when it stops.
    pub wipe_at_stop: bool,
}

/// The durable server of the user.
impl Default for Options {
    fn default() -> Options {
        Options {
            directory: None,
            durable: true,
            grace: DEFAULT_GRACE,
            keeper_program: None,
            wipe_at_stop: false,
        }
    }
}

/// Attaches to the server, and starts it first if it does not run. It has the database [`super::DATABASE`].
///
/// Processes that do this at once start one server: the others wait for it. Dropping the future is safe; a keeper
/// that was already started sees that no one uses its server.
///
/// # Errors
///
/// Any [`EmbeddedError`]; each carries its remedy.
pub async fn start(options: &Options) -> Result<Server, EmbeddedError> {
    let (location, account) = Location::prepare(options.directory.as_deref())?;
    let lease = lease::take(&location).await?;
    if lock::is_held(&location.keeper())?
        && probe::ask(&Address::of(&location)).await == Answer::Accepting
        && let Some(record) = greeting::hear(&location).await
    {
        return Ok(Server::new(location, record, lease));
    }
    let turn =
        lock::hold(&location.start(), Mode::Exclusive, "another process to start the server", TURN_LIMIT)
            .await?;
    let record = match attach(&location).await? {
        Some(record) => record,
        None => {
            launch(options, &location, account, &turn).await?;
            let gone = || EmbeddedError::NotStarted {
                reason: "it ended right after its start".to_owned(),
                log: location.log(),
                tail: location.log_tail(),
            };
            attach(&location).await?.ok_or_else(gone)?
        }
    };
    Ok(Server::new(location, record, lease))
}

/// Finds the running server; none if there is none, which is certain only while the caller holds the `start` lock.
async fn attach(location: &Location) -> Result<Option<Record>, EmbeddedError> {
    let begun = tokio::time::Instant::now();
    loop {
        if !lock::is_held(&location.keeper())? {
            return Ok(None);
        }
        let refused =
            |reason| Err(EmbeddedError::NotAccepting { directory: location.root().to_owned(), reason });
        match probe::ask(&Address::of(location)).await {
            Answer::Accepting => {
                if let Some(record) = greeting::hear(location).await {
                    return Ok(Some(record));
                }
                // It was killed, or has just begun to stop.
                last_keepers_end(location).await?;
            }
            Answer::NotNow(_) if begun.elapsed() < NOT_NOW_LIMIT => tokio::time::sleep(NOT_NOW_PAUSE).await,
            Answer::NotNow(reason) | Answer::Refused(reason) => return refused(reason),
            // A keeper past its start, without a server: it is about to end.
            Answer::NoOne => last_keepers_end(location).await?,
        }
    }
}

async fn last_keepers_end(location: &Location) -> Result<(), EmbeddedError> {
    lock::hold(&location.keeper(), Mode::Shared, "the last keeper to end", STOP_LIMIT).await.map(drop)
}

/// Starts a keeper and waits for its report. The keeper shares the caller's `turn`, so that the turn ends with the
/// start even if the caller is killed on the way.
async fn launch(
    options: &Options,
    location: &Location,
    account: Account,
    turn: &File,
) -> Result<(), EmbeddedError> {
    let binaries = binaries::find(&account, location.major(), &location.data())?;
    let plan = Plan {
        root: location.root().to_owned(),
        account,
        binaries: binaries.directory,
        version: binaries.version,
        durable: options.durable,
        grace_ms: u64::try_from(options.grace.as_millis()).unwrap_or(u64::MAX),
        wipe_at_stop: options.wipe_at_stop,
    };
    let program = match &options.keeper_program {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .map_err(|source| EmbeddedError::NoKeeper { program: PathBuf::from("/proc/self/exe"), source })?,
    };
    let no_keeper = |source| EmbeddedError::NoKeeper { program: program.clone(), source };
    let mut command = Command::new(&program);
    command.args(["postgres", "keep", "--plan"]).arg(plan.to_argument()).current_dir("/");
    command.stdin(turn.try_clone().map_err(no_keeper)?).stdout(Stdio::piped()).stderr(new_log(location)?);
    // It may hold the password of another server.
    command.env_remove("DATABASE_URL");
    for name in config::names("PG") {
        command.env_remove(name);
    }
    // SAFETY: runs between fork and exec, where only async-signal-safe calls are allowed: setsid is one.
    unsafe {
        // A session of its own: neither Ctrl-C nor the end of the terminal reaches the keeper and its server.
        command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?));
    }
    let mut keeper = command.spawn().map_err(no_keeper)?;
    debug!(pid = keeper.id(), "started the keeper of the embedded server");
    let mut line = String::new();
    if let Some(stdout) = keeper.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let read = tokio::time::timeout(REPORT_LIMIT, stdout.read_line(&mut line)).await;
        if let Ok(Err(source)) = read {
            return Err(no_keeper(source));
        }
    }
    // The runtime reaps the keeper when it ends.
    drop(keeper);
    let (log, tail) = (location.log(), location.log_tail());
    match serde_json::from_str(&line) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed(Failure::Prepare(reason))) => Err(EmbeddedError::NotPrepared { reason, log, tail }),
        Ok(Report::Failed(Failure::Start(reason))) => Err(EmbeddedError::NotStarted { reason, log, tail }),
        Err(_) => {
            let reason = format!("its keeper said nothing within {REPORT_LIMIT:?}, or was killed");
            Err(EmbeddedError::NotStarted { reason, log, tail })
        }
    }
}

/// Begins a new log and keeps the one before.
fn new_log(location: &Location) -> Result<File, EmbeddedError> {
    let path = location.log();
    // There is none at the first start, and one that cannot be moved is written on.
    let _ = std::fs::rename(&path, location.old_log());
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| EmbeddedError::File { action: "open", path, source })
}
