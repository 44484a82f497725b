//! The command line: global flags, subcommands, and how an error becomes a message and an exit code.

mod hide;

use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::agent::AgentError;
use crate::command;
use crate::command::say::tell;
use crate::db::target::Target;
use crate::db::{DbError, embedded};
use crate::demo::DemoError;
use crate::ground::exit::Exit;
use crate::ground::{config, logging, shutdown::Shutdown};
use crate::job::JobError;
use crate::migrate::MigrateError;
use crate::rollup::{RollupError, UsageError};
use crate::scheduler::SchedulerError;

/// Exact hourly rollups and upgrades that backfill themselves, inside the Postgres you already run.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// postgresql://user@host:5432/database, or postgresql://user@/database?host=/run/postgresql
    /// [default: $DATABASE_URL, else the PG* variables, else an embedded server]
    // The variable is read in db/target.rs, so that help never prints its value.
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub database_url: Option<String>,
    /// How long to go on asking a server that is not up yet: refused, starting, out of connections, no answer
    #[arg(long, global = true, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "5s",
          env = "HIGHWATER_CONNECT_WAIT", help_heading = "Everywhere")]
    pub connect_wait: Duration,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Everywhere")]
    pub format: Format,
    /// Log more to stderr: -v info, -vv debug [env: HIGHWATER_LOG]
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub verbose: u8,
}

impl Global {
    /// Picks the database as the flags and the environment say.
    ///
    /// # Errors
    ///
    /// As [`Target::choose`].
    pub async fn target(&self) -> Result<Target, DbError> {
        let handed_over = config::env(hide::HANDED_OVER);
        let target = Target::choose(self.database_url.as_deref().or(handed_over.as_deref())).await?;
        Ok(target.waiting(self.connect_wait))
    }
}

/// Output for people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences
    #[value(alias = "table")]
    Text,
    /// One JSON document; progress as one JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(command::demo::Args),
    /// Bring the schema, and an application's, up to date; look before doing so
    Migrate(command::migrate::Args),
    Backfill(command::backfill::Args),
    Rollup(command::rollup::Args),
    Prune(command::prune::Args),
    Status(command::status::Args),
    Worker(command::worker::Args),
    /// What ran, what waits, what was skipped and why: the ledger of the worker
    Plans(command::plans::Args),
    /// The worker's jobs: look, add, pause, run by hand
    Job(command::job::Args),
    /// When groups of hosts are backed up
    Schedules(command::schedules::Args),
    /// Every backup that was promised, and what became of it
    Slots(command::slots::Args),
    /// Hosts that may have missed a backup and are about to be looked at
    Catchups(command::catchups::Args),
    /// Machines that back themselves up: add, list, show, edit, remove, tokens
    Hosts(command::hosts::Args),
    /// What of a host is backed up together, where to, and how long it is kept
    Groups(command::groups::Args),
    /// Backup jobs: list, show, cancel, retry
    Jobs(command::jobs::Args),
    /// The archives that backups have left: list, show, pin, verify, reconcile
    Records(command::records::Args),
    /// Which archives would go, and by which rule
    Retention(command::retention::Args),
    /// What went wrong and is not over: list, take notice
    Alarms(command::alarms::Args),
    Health(command::health::Args),
    /// On a backup host: run backups and report them
    Agent(command::agent::Args),
    Doctor(command::doctor::Args),
    /// What a backup host has to tell, and what was refused; asks no server
    Outbox(command::outbox::Args),
    /// The embedded Postgres that is used when no database is named
    Postgres(command::postgres::Args),
}

/// Runs the program and says how it ended.
pub fn main() -> Exit {
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, but a closed pipe under them must not be a panic.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    if let Command::Postgres(args) = &cli.command
        && let Some(plan) = args.keeper_plan()
    {
        // Before any runtime: the keeper must do its work on this thread.
        return command::postgres::keep(plan);
    }
    if let Some(url) = &cli.global.database_url
        && Target::has_password(url)
    {
        let error = hide::restart_without(url);
        tell!("error: cannot take the password off the command line: {error}; use DATABASE_URL instead");
        return Exit::Unexpected;
    }
    let (verbosity, form) = match &cli.command {
        // A service tells its story unasked.
        Command::Worker(args) => (cli.global.verbose.saturating_add(1), args.log_format()),
        Command::Agent(args) => match args.log_format() {
            Some(form) => (cli.global.verbose.saturating_add(1), form),
            None => (cli.global.verbose, logging::Form::Text),
        },
        _ => (cli.global.verbose, logging::Form::Text),
    };
    logging::init(verbosity, form, matches!(cli.command, Command::Worker(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell!("error: cannot start the runtime: {error}");
            return Exit::Unexpected;
        }
    };
    let exit = match runtime.block_on(run(cli)) {
        Ok(exit) => exit,
        Err(error) => {
            tell!("error: {}", told_once(&error));
            exit_of(&error)
        }
    };
    logging::end();
    exit
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    let shutdown = Shutdown::from_signals()?;
    match command {
        Command::Demo(args) => command::demo::run(&global, args, &shutdown).await,
        Command::Migrate(args) => command::migrate::run(&global, args, &shutdown).await,
        Command::Backfill(args) => command::backfill::run(&global, args, &shutdown).await,
        Command::Rollup(args) => command::rollup::run(&global, args, &shutdown).await,
        Command::Prune(args) => command::prune::run(&global, args, &shutdown).await,
        Command::Status(args) => command::status::run(&global, args).await,
        Command::Worker(args) => command::worker::run(&global, args, &shutdown).await,
        Command::Plans(args) => command::plans::run(&global, args).await,
        Command::Job(args) => command::job::run(&global, args).await,
        Command::Agent(args) => command::agent::run(&global, args, &shutdown).await,
        Command::Doctor(args) => command::doctor::run(&global, args).await,
        Command::Outbox(args) => command::outbox::run(&global, args).await,
        Command::Schedules(args) => command::schedules::run(&global, args).await,
        Command::Slots(args) => command::slots::run(&global, args).await,
        Command::Catchups(args) => command::catchups::run(&global, args).await,
        Command::Hosts(args) => command::hosts::run(&global, args).await,
        Command::Groups(args) => command::groups::run(&global, args).await,
        Command::Jobs(args) => command::jobs::run(&global, args).await,
        Command::Records(args) => command::records::run(&global, args).await,
        Command::Retention(args) => command::retention::run(&global, args).await,
        Command::Alarms(args) => command::alarms::run(&global, args).await,
        Command::Health(args) => command::health::run(args).await,
        Command::Postgres(args) => command::postgres::run(&global, args, &shutdown).await,
    }
}

/// An error with its causes, none said twice: many already name theirs in their own words.
fn told_once(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// The exit code of an error: the first one in its chain that has a code of its own.
fn exit_of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| {
            if let Some(error) = cause.downcast_ref::<MigrateError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<DbError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<RollupError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<JobError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<SchedulerError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<DemoError>() {
                return Some(error.exit());
            }
            if let Some(error) = cause.downcast_ref::<AgentError>() {
                return Some(error.exit());
            }
            if cause.is::<UsageError>() {
                return Some(Exit::Usage);
            }
            cause.downcast_ref::<embedded::EmbeddedError>().map(|_| Exit::Unexpected)
        })
        .unwrap_or(Exit::Unexpected)
}
