//! Alter: brings an installed rollup to another definition while its readers and writers go on.
//!
//! What counts other rows is built beside the old one, as a rollup of its own over the same source: backfilled, drained,
//! proven row by row, and then put in the place of the old one (`swap`). Until that moment everything reads as before;
//! killed at any point, the same command goes on from what is there.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::definition::Definition;
use super::diff::{self, Change, Comparison};
use super::error::RollupError;
use super::install::{self, path_of, set_search_path};
use super::ledger::Range;
use super::lock::{Exclusive, WorkLock};
use super::name::{MAX_LENGTH, RollupName};
use super::shape::{MAX_TARGET_LENGTH, Shape};
use super::swap::{self, Swapped};
use super::watch::{Listener, News, Open};
use super::{backfill, dependents, drain, drop, render, renew, verify};
use crate::db::target::Target;
use crate::db::{DbError, Executor, Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};

/// What the successor is called until it takes its place.
const SUFFIX: &str = "__next";

/// Pause between two tries to swap, and between two looks at who may still read the past.
const PAUSE: Duration = Duration::from_millis(300);

/// How an alter runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that fill and compare months; at least 1.
    pub parallel: usize,
    /// How long to wait for another alter of the same rollup; `None` waits as long as it takes.
    pub wait: Option<Duration>,
}

/// How an alter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The very definition was installed already.
    Already,
    /// The tables stay, and are described otherwise.
    InPlace,
    /// A successor has taken the place.
    Swapped,
    /// A signal came; the same command goes on from here.
    Interrupted,
}

/// What an alter did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub comparison: Comparison,
    pub end: End,
    /// Rows of the successor that were compared with the source.
    pub rows: i64,
}

/// Brings a rollup to a definition.
///
/// # Errors
///
/// [`RollupError::Unknown`] when none of that name is installed, [`RollupError::Misfit`] when the definition does not fit
/// the database or something of others is in the way, [`RollupError::Busy`], [`RollupError::Unproven`].
pub async fn run(
    target: &Target,
    subcommand: &str,
    file: &Definition,
    options: &Options,
    listener: &dyn Listener,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let name = &file.name;
    let mut session = connect::connect(target, subcommand).await?;
    install::require_schema(&session).await?;
    let _lock =
        WorkLock::take(target, subcommand, Exclusive::Alter, name, options.wait, listener, shutdown).await?;
    let comparison = diff::compare(&mut session, file).await?;
    let mut report = Report { comparison, end: End::Already, rows: 0 };
    let next = next_name(name);
    match report.comparison.change {
        Change::None => forget(&mut session, name, &next).await?,
        Change::Text | Change::InPlace => {
            in_place(&mut session, file).await?;
            forget(&mut session, name, &next).await?;
            report.end = End::InPlace;
        }
        Change::Rebuild => {
            let work = Rebuild { target, subcommand, file, next, options, listener, shutdown };
            match work.run(&mut session).await? {
                Some(rows) => {
                    report.rows = rows;
                    report.end = End::Swapped;
                }
                None => report.end = End::Interrupted,
            }
        }
    }
    Ok(report)
}

/// `NAME__next`, or for a long name its beginning and a hash of it.
fn next_name(name: &RollupName) -> RollupName {
    let text = shortened(name.as_str(), MAX_LENGTH);
    RollupName::parse(&text).expect("a name's beginning with letters and underscores after it is a name")
}

/// `text` with [`SUFFIX`], in at most `limit` bytes.
fn shortened(text: &str, limit: usize) -> String {
    if text.len() + SUFFIX.len() <= limit {
        return format!("{text}{SUFFIX}");
    }
    let digest: String =
        Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut end = limit - SUFFIX.len() - digest.len() - 1;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{digest}{SUFFIX}", &text[..end])
}

/// The file's definition under the successor's name and over a table of its own.
fn next_definition(file: &Definition, next: &RollupName) -> Result<Definition, RollupError> {
    let wrong = |reason: String| RollupError::Definition { origin: file.name.to_string(), reason };
    let mut table = file.text.parse::<toml::Table>().map_err(|error| wrong(error.to_string()))?;
    let target = super::shape::target(file);
    let target = format!("{}.{}", target.schema, shortened(&target.table, MAX_TARGET_LENGTH));
    table.insert("name".to_owned(), toml::Value::String(next.to_string()));
    table.insert("target".to_owned(), toml::Value::String(target));
    let text = toml::to_string(&table).map_err(|error| wrong(error.to_string()))?;
    Definition::parse(&text, "of the successor")
}

/// Drops what an earlier alter to something else has left.
async fn forget(session: &mut Session, name: &RollupName, next: &RollupName) -> Result<(), RollupError> {
    match built(session, name, next).await? {
        Some(_) => drop::run(session, next).await,
        None => Ok(()),
    }
}

/// The hash of the definition by which a successor was begun, if there is one.
async fn built(
    session: &Session,
    name: &RollupName,
    next: &RollupName,
) -> Result<Option<String>, RollupError> {
    let row = session.query_opt(include_str!("../../sql/rollup/replaces.sql"), &[&next.as_str()]).await?;
    match row {
        None => Ok(None),
        Some(row) if row.get::<_, Option<&str>>("replaces") == Some(name.as_str()) => {
            Ok(Some(row.get("definition_sha256")))
        }
        Some(_) => Err(RollupError::Exists { name: next.clone() }),
    }
}

/// Indexes, tolerances and combinations: what is rendered changes, and the rows stay.
async fn in_place(session: &mut Session, file: &Definition) -> Result<(), RollupError> {
    let mut attempt = 1;
    let mut afresh = false;
    loop {
        let tx = session.begin().await?;
        let done = async {
            tx.batch(install::SETTINGS).await?;
            set_search_path(&tx, &path_of(file)).await?;
            tx.query(include_str!("../../sql/rollup/lock_rollups.sql"), &[&[file.name.to_string()].to_vec()])
                .await?;
            let shape = Shape::installed(&tx, file).await?;
            indexes(&tx, &shape).await?;
            tx.batch(&render::ledger::redefine(file)).await?;
            renew::write(&tx, &shape, afresh).await?;
            renew::record(&tx, &shape).await
        };
        match done.await {
            Ok(()) => return Ok(tx.commit().await?),
            Err(RollupError::Db(DbError::LockTimeout(_) | DbError::Retry(_)))
                if attempt < install::INSTALL_TRIES =>
            {
                tx.rollback().await?;
                tokio::time::sleep(install::INSTALL_PAUSE).await;
                attempt += 1;
            }
            Err(RollupError::Db(error)) if !afresh && renew::is_other_result(&error) => {
                tx.rollback().await?;
                afresh = true;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes the read indexes those of the definition.
async fn indexes(db: &impl Executor, shape: &Shape) -> Result<(), RollupError> {
    let prefix = format!("{}_read_", shape.target.table);
    let statement = include_str!("../../sql/rollup/read_indexes.sql");
    for row in db.query(statement, &[&shape.target.quoted(), &prefix]).await? {
        db.batch(&format!("DROP INDEX {}", row.get::<_, String>("name"))).await?;
    }
    Ok(db.batch(&render::read_indexes(shape)).await?)
}

struct Rebuild<'a> {
    target: &'a Target,
    subcommand: &'a str,
    file: &'a Definition,
    next: RollupName,
    options: &'a Options,
    listener: &'a dyn Listener,
    shutdown: &'a Shutdown,
}

impl Rebuild<'_> {
    /// The rows that were proven; `None` after a signal.
    async fn run(&self, session: &mut Session) -> Result<Option<i64>, RollupError> {
        self.begin(session).await?;
        loop {
            let Some(rows) = self.build(session).await? else { return Ok(None) };
            let row = session.query_one(include_str!("../../sql/rollup/snapshot_horizon.sql"), &[]).await?;
            let horizon: String = row.get("horizon");
            if !self.wait_for_readers_of_the_past(session, &horizon).await? {
                return Ok(None);
            }
            match self.swap(session).await? {
                Some(true) => return Ok(Some(rows)),
                Some(false) => {}
                None => return Ok(None),
            }
        }
    }

    /// Installs the successor, unless a run before this one has.
    async fn begin(&self, session: &mut Session) -> Result<(), RollupError> {
        let name = &self.file.name;
        let statement = include_str!("../../sql/rollup/unfillable.sql");
        let sealed: i64 = session.query_one(statement, &[&name.as_str()]).await?.get("months");
        if sealed > 0 {
            return Err(RollupError::Misfit {
                name: name.clone(),
                reason: format!(
                    "{sealed} months are sealed: their events are gone, and nothing else can be computed of them"
                ),
            });
        }
        let installed = install::load(session, name).await?;
        dependents::check(&*session, &installed).await?;
        let definition = next_definition(self.file, &self.next)?;
        match built(session, name, &self.next).await? {
            Some(sha256) if sha256 == definition.sha256() => {
                self.note(format!("going on with {}, which an earlier run has begun", self.next));
                return Ok(());
            }
            Some(_) => {
                self.note(format!("dropping {}, which was begun by another definition", self.next));
                drop::run(session, &self.next).await?;
            }
            None => {}
        }
        install::install_beside(session, &definition, name).await?;
        Ok(())
    }

    /// Fills, drains and proves; `None` after a signal.
    async fn build(&self, session: &mut Session) -> Result<Option<i64>, RollupError> {
        let (next, shutdown) = (&self.next, self.shutdown);
        loop {
            let options =
                backfill::Options { parallel: self.options.parallel, ..backfill::Options::default() };
            let filled =
                backfill::run(self.target, self.subcommand, next, &options, self.listener, &Open, shutdown)
                    .await?;
            if filled.end != backfill::End::Complete || !drain::run(session, next, shutdown).await?.is_whole {
                return Ok(None);
            }
            let options = verify::Options {
                range: Range::default(),
                sample: None,
                parallel: self.options.parallel,
                repair: false,
            };
            let proof =
                verify::run(self.target, self.subcommand, next, &options, self.listener, &Open, shutdown)
                    .await?;
            if proof.interrupted {
                return Ok(None);
            }
            if proof.drifted > 0 {
                return Err(RollupError::Unproven {
                    name: self.file.name.clone(),
                    next: next.clone(),
                    rows: proof.drifted,
                    example: proof.examples.first().map(ToString::to_string).unwrap_or_default(),
                });
            }
            // A month that the proof has found is filled, then proven.
            if proof.pending == 0 {
                return Ok(Some(proof.rows));
            }
        }
    }

    /// Waits until nobody has a snapshot from before the months were filled: in it they would be empty.
    async fn wait_for_readers_of_the_past(
        &self,
        session: &mut Session,
        horizon: &str,
    ) -> Result<bool, RollupError> {
        let statement = include_str!("../../sql/rollup/older_snapshots.sql");
        let mut told = String::new();
        while let Some(row) = session.query(statement, &[&horizon]).await?.first() {
            let holder: String = row.get("holder");
            if holder != told {
                self.note(format!(
                    "waiting for a transaction that began before the months were filled: {holder}"
                ));
                told = holder;
            }
            if !self.pause().await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the successor has taken the place; `Some(false)`: there is more to build; `None`: a signal came.
    async fn swap(&self, session: &mut Session) -> Result<Option<bool>, RollupError> {
        let mut told = String::new();
        loop {
            // The fewer marks are left, the shorter writers are held back.
            if !drain::run(session, &self.next, self.shutdown).await?.is_whole {
                return Ok(None);
            }
            match swap::attempt(session, self.file, &self.next).await? {
                Swapped::Done => return Ok(Some(true)),
                Swapped::NotReady => return Ok(Some(false)),
                Swapped::Held { reason } => {
                    if reason != told {
                        self.note(format!("the tables are in use; trying again: {reason}"));
                        told = reason;
                    }
                }
            }
            if !self.pause().await {
                return Ok(None);
            }
        }
    }

    /// `false` when a signal came instead.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => !self.shutdown.is_requested(),
            () = self.shutdown.at_least(Urgency::Soon) => false,
        }
    }

    fn note(&self, note: String) {
        self.listener.hear(News::Note { rollup: self.file.name.clone(), note });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_of_any_name_has_a_name() {
        let next = |text: &str| next_name(&RollupName::parse(text).unwrap()).to_string();
        assert_eq!(next("orders_hourly"), "orders_hourly__next");
        let (one, other) = (format!("{}1", "x".repeat(39)), format!("{}2", "x".repeat(39)));
        assert!(next(&one).len() == MAX_LENGTH && next(&one) != next(&other), "{}", next(&one));
    }

    #[test]
    fn a_successor_is_the_file_under_another_name() {
        let text = include_str!("../../sql/rollups/usage_hourly.toml");
        let file = Definition::parse(text, "x").unwrap();
        let next = next_definition(&file, &next_name(&file.name)).unwrap();
        assert_eq!(next.name.as_str(), "usage_hourly__next");
        assert_eq!(next.target.as_deref(), Some("highwater.usage_hourly__next"));
        assert_eq!((next.query, next.key, next.grain), (file.query, file.key, file.grain));
    }
}
