//! `highwater plans`: the ledger.

use clap::Subcommand;
use serde_json::json;

use super::{spell, table};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::rollup::install;
use crate::scheduler::lease::RunId;
use crate::scheduler::ledger::{self, Plan};
use crate::scheduler::state::State;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Plans, newest first
    List {
        /// Only of this job
        #[arg(long, value_name = "NAME")]
        job: Option<String>,
        /// Only in this state: due, running, retrying, done, failed, poisoned or skipped
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(i32).range(1..=100_000))]
        limit: i32,
    },
    /// Everything about one plan
    Show {
        /// Its number, as "plans list" shows it
        #[arg(value_name = "RUN")]
        run: i64,
    },
}

fn state(word: &str) -> Result<State, String> {
    let words: Vec<&str> = State::ALL.into_iter().map(State::word).collect();
    State::read(word).map_err(|_| format!("expected one of {}", words.join(", ")))
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "plans").await?;
    install::require_schema(&session).await?;
    match args.action {
        Action::List { job, state, limit } => {
            let plans = ledger::plans(&session, job.as_deref(), state, limit).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "plans": plans})),
                Format::Text => list(&plans),
            }
        }
        Action::Show { run } => {
            let plan = ledger::plan(&session, RunId(run)).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "plan": plan})),
                Format::Text => show(&plan),
            }
        }
    }
    Ok(Exit::Done)
}

/// Prints plans as a table.
pub fn list(plans: &[Plan]) {
    if plans.is_empty() {
        say!("no such plan; is a worker running? \"highwater worker\" starts one");
        return;
    }
    let mut table = table::plain([
        "RUN",
        "JOB",
        "SCOPE",
        "PLAN TIME (UTC)",
        "NEXT",
        "LEFT",
        "LAST",
        "TOOK",
        "RESULT",
        "TRIES",
        "WHY",
    ]);
    for plan in plans {
        let why = plan.why.as_deref().or(plan.error.as_deref().filter(|_| plan.state != State::Done));
        table.add_row([
            plan.run_id.to_string(),
            plan.job.clone(),
            if plan.scope.is_empty() { "-".to_owned() } else { plan.scope.clone() },
            spell::at(plan.plan_time),
            spell::at_or_dash(plan.next_try_at),
            spell::left(plan.next_try_in_ms),
            spell::at_or_dash(plan.started_at),
            spell::took(plan.duration_ms),
            plan.state.to_string(),
            tries(plan),
            spell::brief(why),
        ]);
    }
    table::print(&table);
}

fn show(plan: &Plan) {
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("{name:<13}{value}");
        }
    };
    line("run", Some(plan.run_id.to_string()));
    line("job", Some(plan.job.clone()));
    line("scope", Some(plan.scope.clone()).filter(|scope| !scope.is_empty()));
    line("plan time", Some(spell::at(plan.plan_time)));
    line("state", Some(plan.state.to_string()));
    line("why", plan.why.clone());
    line("next try", plan.next_try_at.map(spell::at));
    line("tries", Some(tries(plan)));
    line("token", plan.token.map(|token| token.to_string()));
    line("worker", plan.worker.clone());
    line("lease until", plan.lease_until.map(spell::at));
    line("started", plan.started_at.map(spell::at));
    line("finished", plan.finished_at.map(spell::at));
    line("took", plan.duration_ms.map(|ms| spell::took(Some(ms))));
    line("result", plan.result.as_ref().map(ToString::to_string));
    line("error", plan.error.clone());
}

fn tries(plan: &Plan) -> String {
    match plan.crash_attempts {
        0 => plan.attempts.to_string(),
        crashes => format!("{} and {crashes} crashed", plan.attempts),
    }
}
