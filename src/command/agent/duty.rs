//! `highwater agent run`: on duty until it is told to end.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use sd_notify::NotifyState;
use tracing::warn;

use crate::agent::duty::{self, Options};
use crate::ground::exit::Exit;
use crate::ground::logging::Form;
use crate::ground::shutdown::{Shutdown, Urgency};

/// Run backups when they are due and report them
///
/// Schedules come from the server and go on without it. SIGTERM lets backups in hand end; a second one, or the end of
/// --drain-timeout, interrupts them. Either way they are recorded and reported.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 ended when asked; 2 settings that cannot work; 5 another agent uses the directory."
)]
pub struct Args {
    /// The agent's directory
    #[arg(long, value_name = "DIR", default_value = "agent")]
    dir: PathBuf,
    /// How long backups in hand may take to end after SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "10m")]
    drain_timeout: Duration,
    /// How the log is written to stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    /// One JSON object a line
    Json,
}

impl Args {
    pub fn log_format(&self) -> Form {
        match self.log_format {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// When the directory is taken or the settings cannot work.
pub async fn run(args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let supervisor = tokio::spawn(supervise(shutdown.clone()));
    let options = Options { drain_timeout: args.drain_timeout };
    let ended = duty::run(&args.dir, options, shutdown, || tell(NotifyState::Ready)).await;
    supervisor.abort();
    ended?;
    Ok(Exit::Done)
}

fn tell(state: NotifyState) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(error = %error, "the service manager cannot be told");
    }
}

/// Feeds the service manager's watchdog while the runtime turns, also while runs in hand end.
async fn supervise(shutdown: Shutdown) {
    let stopping = async {
        shutdown.at_least(Urgency::Soon).await;
        tell(NotifyState::Stopping);
        std::future::pending::<()>().await;
    };
    let feeding = async {
        let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
        loop {
            tell(NotifyState::Watchdog);
            tokio::time::sleep(period / 3).await;
        }
    };
    tokio::join!(stopping, feeding);
}
