//! `highwater demo`: the whole story on a database of its own.

use std::path::PathBuf;

use anyhow::Context;

use super::teller::Teller;
use super::{status as status_command, table};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::target::Target;
use crate::db::{Session, connect};
use crate::demo::{application, database, events, numbers};
use crate::ground::digits::grouped;
use crate::ground::exit::Exit;
use crate::ground::shutdown::{self, Shutdown};
use crate::migrate::setup::Setup;
use crate::migrate::up::{self, Options};
use crate::migrate::{Pooler, Wait};
use crate::rollup::{RollupName, drain, status};

/// Play an upgrade that backfills itself, on a database of its own ("highwater_demo", made anew)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater demo
  highwater demo --events 2000000
  highwater demo --csv commits.csv.gz")]
pub struct Args {
    /// A real history: CSV, gzipped or not, with the columns occurred_at, recorded_at, repository, author, directory,
    /// extension, lines_added, lines_deleted
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    csv: Option<PathBuf>,
    /// How many events to make up
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    events: i64,
}

/// Last version of the example before its upgrade.
const BEFORE: i64 = 1;

/// Runs the command.
///
/// # Errors
///
/// What connecting, loading and migrating say.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let server = global.target().await?;
    let (target, _turn) = database::renew(&server, shutdown).await?;
    let folder = std::env::temp_dir().join(format!("highwater-demo-{}", std::process::id()));
    let migrations = application::write(&folder)?;
    let told = tell(&target, args, &migrations, shutdown).await;
    // The files are in the repository too; a folder that cannot be removed is no reason to fail.
    let _ = std::fs::remove_dir_all(&folder);
    told?;
    say!("\nThe database stays until the next demonstration. Try next:");
    let url =
        if server.embedded().is_some() { "" } else { "  (with --database-url, database highwater_demo)" };
    for command in [
        "highwater postgres psql -- -d highwater_demo   # look around: highwater.activity_hourly",
        "highwater rollup add --help                    # a rollup of your own table",
        "highwater migrate plan --dir YOUR_MIGRATIONS   # an upgrade of your own",
    ] {
        say!("  {command}");
    }
    if !url.is_empty() {
        say!("{url}");
    }
    Ok(Exit::Done)
}

async fn tell(
    target: &Target,
    args: Args,
    migrations: &std::path::Path,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    say!("== 1. An application with a history, and a daily table that a nightly job fills");
    let setup = Setup { dir: Some(migrations.to_owned()), ..Setup::new(target) };
    upgrade(&setup, Some(BEFORE), shutdown).await?;
    let mut session = connect::connect(target, "demo").await?;
    match &args.csv {
        Some(file) => events::load(&session, file).await?,
        None => events::generate(&session, args.events).await?,
    }
    events::refresh_daily(&session).await?;
    print_census(&session).await?;

    say!("\n== 2. The upgrade: this migration wants to drop the daily table\n");
    for line in application::CONTRACT.lines() {
        say!("    {line}");
    }
    say!(
        "\n== 3. highwater migrate up{}\n",
        if args.csv.is_some() { "" } else { ", while late events keep arriving" }
    );
    if args.csv.is_some() {
        // A real history is taken as it is.
        upgrade(&setup, None, shutdown).await?;
    } else {
        let late = upgrade_under_writes(&setup, shutdown).await?;
        say!(
            "{} late events arrived meanwhile; a drain counts those that came after the proof",
            grouped(late)
        );
    }

    say!("\n== 4. The numbers, read from the rollup alone (last 12 months of the data)\n");
    let name = RollupName::parse(application::ROLLUP).map_err(anyhow::Error::msg)?;
    drain::run(&mut session, &name, shutdown).await.context("drain")?;
    print_repositories(&session).await?;
    let totals = numbers::totals(&session).await?;
    say!(
        "\n{} events in the source, {} counted by {} rollup rows; the daily table is {}\n",
        grouped(totals.events),
        grouped(totals.counted),
        grouped(totals.rows),
        if totals.is_daily_gone { "gone" } else { "still there" },
    );
    say!("== 5. highwater status\n");
    let mut status = status::read(&mut session).await?;
    status.rollups.retain(|rollup| rollup.name == name.as_str());
    status_command::print(&status);
    Ok(())
}

async fn upgrade(setup: &Setup<'_>, to: Option<i64>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let options = Options { to, wait: Wait::No, pooler: Pooler::None };
    up::up(setup, options, shutdown, &Teller::new(Format::Text)).await?;
    Ok(())
}

/// Upgrades while an application goes on writing late events of old months; returns how many it wrote.
async fn upgrade_under_writes(setup: &Setup<'_>, shutdown: &Shutdown) -> anyhow::Result<i64> {
    let (finished, writing) = shutdown::channel();
    let writer = events::arrive_late(setup.target, &writing);
    let upgraded = async {
        let upgraded = upgrade(setup, None, shutdown).await;
        finished.raise();
        upgraded
    };
    let (late, upgraded) = tokio::join!(writer, upgraded);
    upgraded?;
    Ok(late?)
}

async fn print_census(session: &Session) -> anyhow::Result<()> {
    let census = numbers::census(session).await?;
    say!(
        "{} events of {} repositories in {} months, {} to {}; {} recorded more than a day late, {} without a directory",
        grouped(census.events),
        census.repositories,
        census.months,
        census.first_at.format("%Y-%m-%d"),
        census.last_at.format("%Y-%m-%d"),
        grouped(census.late),
        grouped(census.in_root),
    );
    Ok(())
}

async fn print_repositories(session: &Session) -> anyhow::Result<()> {
    let mut shown = table::plain([
        "REPOSITORY",
        "CHANGES",
        "LINES ADDED",
        "LINES DELETED",
        "AUTHORS",
        "BUSIEST HOUR (UTC)",
        "CHANGES",
    ]);
    for repository in numbers::repositories(session).await? {
        shown.add_row([
            repository.name,
            grouped(repository.changes),
            grouped(repository.lines_added),
            grouped(repository.lines_deleted),
            grouped(repository.authors),
            repository.busiest_hour.format("%Y-%m-%d %H:%M").to_string(),
            grouped(repository.busiest_changes),
        ]);
    }
    table::print(&shown);
    Ok(())
}
