//! `highwater job`: what the worker runs.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{spell, table};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::{Session, connect};
use crate::ground::exit::Exit;
use crate::rollup::install;
use crate::scheduler::job::{self, Draft, Kind, When};
use crate::scheduler::ledger::{self, Job};
use crate::scheduler::planner::CatchUp;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(Box<Add>),
    /// All jobs, the built-in ones too: what runs next, what ran last, and why anything is as it is
    List,
    /// Everything about one job, and its last plans
    Show {
        name: String,
    },
    /// Record plan times as skipped until the job is resumed; a run in hand goes on
    Pause {
        name: String,
    },
    /// Let a paused job go on with its next plan time
    Resume {
        name: String,
    },
    /// Make a plan for this very moment
    RunNow {
        name: String,
        /// Only in this scope: the name of a rollup
        #[arg(long)]
        scope: Option<String>,
    },
    /// Remove a job with its ledger; runs in hand lose their lease
    Drop {
        name: String,
    },
}

/// Add a job that calls an SQL function or starts a program
///
/// Plan times lie a cadence apart, counted from Monday, 2001-01-01 00:00 UTC (--every 1d is midnight UTC, --every 1w
/// Monday), or come as a cron expression fires in a time zone. Where clocks are moved: what they skip fires at the end of
/// the gap; what they show twice fires once if the hour is fixed, both times if it is * or has a step.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater job add refresh --every 5m --function app.refresh
  highwater job add invoices --every 1d --delay 2h --catch-up every --function app.invoice_day
  highwater job add nightly --cron '30 2 * * *' --tz Europe/Berlin --function app.nightly
  highwater job add report --every 1h --allow-overlap -- /usr/local/bin/report --mail ops@example.org

A function takes nothing or the plan time (timestamptz). It runs in one transaction with the end of its plan, so its
effects happen exactly once. A program runs on workers started with --allow-commands; it finds its plan in HIGHWATER_JOB,
HIGHWATER_PLAN_TIME, HIGHWATER_RUN, HIGHWATER_TOKEN and HIGHWATER_ATTEMPT, and may run again after a crash.")]
struct Add {
    name: String,
    /// Distance of plan times, at least 1s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, required_unless_present = "cron", conflicts_with = "cron")]
    every: Option<Duration>,
    /// Cron expression: minute hour day-of-month month day-of-week, optionally with the second first, or @daily and such
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// IANA time zone of --cron [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron", conflicts_with = "every")]
    tz: Option<String>,
    /// Function to call, qualified: app.refresh
    #[arg(long, value_name = "FUNCTION", required_unless_present = "command", conflicts_with = "command")]
    function: Option<String>,
    /// Program and arguments to start, after --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// A plan is due this long after its time
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "0s")]
    delay: Duration,
    /// What to do about plan times that were missed
    #[arg(long, value_enum, default_value_t = CatchUpFlag::Latest)]
    catch_up: CatchUpFlag,
    /// Plan times missed by more than this are not made up for
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1d")]
    catch_up_window: Duration,
    /// With --catch-up every: at most this many plans wait at once
    #[arg(long, value_name = "N", default_value_t = 100)]
    catch_up_cap: i32,
    /// Let plans run beside each other
    #[arg(long)]
    allow_overlap: bool,
    /// A run that takes longer is cancelled and has failed
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1h")]
    timeout: Duration,
    /// Pause before the second attempt; doubles each time, up to 1h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1m")]
    backoff: Duration,
    /// A plan that failed this often has failed for good
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_attempts: i32,
    /// A plan whose worker vanished this often is poisoned; 1: never run again what may have run
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_crashes: i32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CatchUpFlag {
    /// Run the newest, which covers the others
    Latest,
    /// Run all, oldest first
    Every,
}

impl Add {
    fn draft(self) -> Draft {
        let kind = match self.function {
            Some(function) => Kind::Sql { function },
            None => Kind::Command { words: self.command },
        };
        let when = match self.cron {
            Some(expression) => When::Cron { expression, zone: self.tz.unwrap_or_else(|| "UTC".to_owned()) },
            None => When::Every(self.every.unwrap_or_default()),
        };
        Draft {
            name: self.name,
            kind,
            when,
            schedule_delay: self.delay,
            catch_up: match self.catch_up {
                CatchUpFlag::Latest => CatchUp::Latest,
                CatchUpFlag::Every => CatchUp::Every,
            },
            catch_up_window: self.catch_up_window,
            catch_up_cap: self.catch_up_cap,
            allows_overlap: self.allow_overlap,
            timeout: self.timeout,
            backoff: self.backoff,
            max_attempts: self.max_attempts,
            max_crashes: self.max_crashes,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// What connecting, checking and writing say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "job").await?;
    install::require_schema(&session).await?;
    let told = |name: &str, done: &str| match global.format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "job": name, "done": done})),
        Format::Text => say!("{name}: {done}"),
    };
    match args.action {
        Action::Add(add) => {
            let draft = add.draft();
            job::add(&session, &draft).await?;
            told(&draft.name, "added");
        }
        Action::List => {
            let jobs = ledger::jobs(&session, None).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "jobs": jobs})),
                Format::Text => list(&jobs),
            }
        }
        Action::Show { name } => show(global.format, &session, &name).await?,
        Action::Pause { name } => {
            job::pause(&session, &name, true).await?;
            told(&name, "paused");
        }
        Action::Resume { name } => {
            job::pause(&session, &name, false).await?;
            told(&name, "resumed");
        }
        Action::RunNow { name, scope } => {
            for (run, scope, plan_time) in job::run_now(&session, &name, scope.as_deref()).await? {
                match global.format {
                    Format::Json => say!(
                        "{}",
                        json!({"schema_version": SCHEMA_VERSION, "job": name, "scope": scope, "run_id": run, "plan_time": plan_time})
                    ),
                    Format::Text => say!("{name}: run {run} is due; \"highwater plans show {run}\""),
                }
            }
        }
        Action::Drop { name } => {
            let lost = job::drop(&session, &name).await?;
            told(
                &name,
                &if lost == 0 { "dropped".to_owned() } else { format!("dropped, {lost} runs cancelled") },
            );
        }
    }
    Ok(Exit::Done)
}

async fn show(format: Format, session: &Session, name: &str) -> anyhow::Result<()> {
    let jobs = ledger::jobs(session, Some(name)).await?;
    let plans = ledger::plans(session, Some(name), None, 10).await?;
    match format {
        Format::Json => {
            say!("{}", json!({"schema_version": SCHEMA_VERSION, "job": jobs.first(), "plans": plans}));
        }
        Format::Text => {
            for job in &jobs {
                tell_of(job);
            }
            super::plans::list(&plans);
        }
    }
    Ok(())
}

fn list(jobs: &[Job]) {
    let mut table = table::plain([
        "JOB",
        "KIND",
        "SCHEDULE",
        "NEXT (UTC)",
        "LEFT",
        "LAST",
        "TOOK",
        "RESULT",
        "WAITING",
        "FAILED",
        "WHY",
    ]);
    for job in jobs {
        table.add_row([
            job.name.clone(),
            job.kind.word().to_owned(),
            schedule(job),
            spell::at_or_dash(job.next_run_at),
            spell::left(job.next_run_in_ms),
            spell::at_or_dash(job.last_started_at),
            spell::took(job.last_took_ms),
            job.last_state.map_or("-".to_owned(), |state| state.to_string()),
            job.waiting.to_string(),
            job.failed.to_string(),
            spell::brief(job.why.as_deref()),
        ]);
    }
    table::print(&table);
}

/// The schedule as it was written, which is shorter than in words.
fn schedule(job: &Job) -> String {
    match (&job.cron, &job.tz) {
        (Some(cron), Some(tz)) => format!("{cron} {tz}"),
        _ => job.schedule.clone(),
    }
}

fn tell_of(job: &Job) {
    let line = |name: &str, value: String| say!("{name:<13}{value}");
    line("job", job.name.clone());
    line("kind", job.kind.word().to_owned());
    match &job.kind {
        Kind::Sql { function } => line("function", function.clone()),
        Kind::Command { words } => line("command", words.join(" ")),
        Kind::Builtin | Kind::Code => {}
    }
    if let Some(application) = &job.application {
        let since = spell::at_or_dash(job.registered_at);
        line("application", format!("{application}, last started {since}"));
    }
    line("schedule", job.schedule.clone());
    match (job.scopes.as_str(), &job.scope_list) {
        ("list", Some(list)) => line("scopes", list.join(", ")),
        ("rollup", _) => line("scopes", "each rollup".to_owned()),
        _ => {}
    }
    for (number, next) in job.next_plan_times.iter().enumerate() {
        line(if number == 0 { "next (UTC)" } else { "" }, spell::at(*next));
    }
    line("delay", spell::took(Some(job.schedule_delay_ms)));
    let window = spell::took(Some(job.catch_up_window_ms));
    let cap = if job.catch_up == "every" {
        format!(", at most {} at once", job.catch_up_cap)
    } else {
        String::new()
    };
    line("catch-up", format!("{} within {window}{cap}", job.catch_up));
    line("overlap", job.overlap.clone());
    line("timeout", spell::took(Some(job.timeout_ms)));
    let (attempts, crashes) = (job.max_attempts, job.max_crashes);
    line(
        "attempts",
        format!("{attempts}, {} apart at first; {crashes} crashes", spell::took(Some(job.backoff_ms))),
    );
    if let Some(why) = &job.why {
        line("why", why.clone());
    }
}
