//! `highwater postgres`: the embedded server.

use std::io::Write;
use std::os::unix::process::CommandExt;

use anyhow::{Context, bail};
use clap::Subcommand;

use crate::cli::{Format, Global};
use crate::command::say::tell;
use crate::db::embedded::plan::Plan;
use crate::db::embedded::status::{State, Status, status, stop};
use crate::db::embedded::{self, DATABASE, Options, keeper};
use crate::ground::exit::Exit;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::ground::{config, logging};

/// The embedded Postgres, which runs while someone uses it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Environment:\n  HIGHWATER_PG_DIR  directory of the server [default: ~/.local/share/highwater/pg; \
                  for root /var/lib/highwater/dev]\n  HIGHWATER_PG_BIN  directory of the programs \"postgres\" and \"initdb\""
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether it runs, where, and for how many; starts nothing
    Status,
    /// Prints its URL; fails if it does not run
    Url {
        /// Start it if need be and keep it up until Ctrl-C
        #[arg(long)]
        hold: bool,
    },
    /// Stops it, whoever uses it, and waits for its end
    Stop,
    /// Opens psql on it, and starts it if need be
    #[command(
        after_help = "Examples:\n  highwater postgres psql\n  highwater postgres psql -- -c 'SELECT version()'"
    )]
    Psql {
        /// Arguments for psql, after --
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Parent of the server; started by whoever needs it
    #[command(hide = true)]
    Keep {
        #[arg(long, value_parser = parse_plan)]
        plan: Plan,
    },
}

fn parse_plan(text: &str) -> Result<Plan, serde_json::Error> {
    serde_json::from_str(text)
}

impl Args {
    /// What the keeper is to do, if this is the keeper's command.
    pub fn keeper_plan(&self) -> Option<Plan> {
        match &self.command {
            Command::Keep { plan } => Some(plan.clone()),
            _ => None,
        }
    }
}

/// Runs the keeper on the calling thread, which must be the process's main one.
pub fn keep(plan: Plan) -> Exit {
    logging::init(1, logging::Form::Text, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(keeper::keep(plan))) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Unexpected,
        Err(error) => {
            tell!("error: cannot start the runtime: {error}");
            Exit::Unexpected
        }
    }
}

pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    match args.command {
        Command::Status => show(global.format, &status(None).await?),
        Command::Url { hold: false } => {
            let found = status(None).await?;
            if found.state != State::Running {
                bail!(
                    "the embedded server in {} does not run; \"highwater postgres url --hold\" starts it and keeps it up",
                    found.directory.display()
                );
            }
            print_url(global.format, &found.address.url(DATABASE))
        }
        Command::Url { hold: true } => {
            let server = embedded::start(&Options::default()).await?;
            print_url(global.format, &server.url(DATABASE))?;
            shutdown.at_least(Urgency::Soon).await;
            Ok(Exit::Done)
        }
        Command::Stop => {
            let found = stop(None).await?;
            say_stopped(global.format, &found)
        }
        Command::Psql { arguments } => psql(arguments).await,
        Command::Keep { .. } => bail!("the keeper cannot run here"),
    }
}

/// Turns this process into psql, which then holds the lease. So the terminal, its signals and the exit code are psql's.
async fn psql(arguments: Vec<String>) -> anyhow::Result<Exit> {
    let server = embedded::start(&Options::default()).await?;
    server.keep_lease_over_exec().context("cannot pass on the lease")?;
    let program = Some(server.program("psql")).filter(|program| program.exists()).unwrap_or("psql".into());
    let mut command = std::process::Command::new(&program);
    for name in config::names("PG") {
        command.env_remove(name);
    }
    command.envs(server.client_environment(DATABASE)).args(arguments);
    let error = command.exec();
    Err(error).with_context(|| {
        format!("cannot run {}; install it with apt-get install postgresql-client", program.display())
    })
}

fn show(format: Format, status: &Status) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(status)?)?;
        return Ok(Exit::Done);
    }
    let state = match status.state {
        State::Running => "running",
        State::Ending => "ending: its keeper was killed",
        State::Stopped => "stopped",
    };
    writeln!(out, "state      {state}")?;
    writeln!(out, "version    {}", status.version.as_deref().unwrap_or("none yet"))?;
    writeln!(out, "directory  {}", status.directory.display())?;
    writeln!(out, "log        {}", status.log.display())?;
    if let Some(pid) = status.postmaster_pid {
        writeln!(out, "pid        {pid}")?;
    }
    if status.state == State::Running {
        let users = status.lease_holders.map_or("unknown".to_owned(), |count| count.to_string());
        writeln!(out, "users      {users}")?;
    }
    Ok(Exit::Done)
}

fn print_url(format: Format, url: &str) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => writeln!(out, "{url}")?,
        Format::Json => writeln!(out, "{}", serde_json::json!({ "url": url }))?,
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn say_stopped(format: Format, found: &Status) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    let was_running = found.state != State::Stopped;
    match format {
        Format::Json => writeln!(out, "{}", serde_json::json!({ "stopped": was_running }))?,
        Format::Text if !was_running => writeln!(out, "it was not running")?,
        Format::Text => match found.lease_holders {
            Some(count) if count > 0 => writeln!(out, "stopped; {count} processes were using it")?,
            _ => writeln!(out, "stopped")?,
        },
    }
    Ok(Exit::Done)
}
