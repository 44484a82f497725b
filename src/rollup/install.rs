//! Putting a definition into the database: tables, functions, capture, ledger row, all in the caller's transaction.

use chrono::DateTime;

use super::definition::Definition;
use super::error::RollupError;
use super::live;
use super::name::RollupName;
use super::quote::{TableName, identifier};
use super::relation;
use super::render::{self, Keeper};
use super::shape::Shape;
use super::{renew, source, watched};
use crate::db::schema::{self, Fit};
use crate::db::{DbError, Executor, Session, Tx};

/// What [`install`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    New,
    /// The same definition, byte for byte, was there already.
    Already,
}

/// Installs a definition. Creating the triggers waits for transactions that are writing to the source and holds back
/// new ones until `tx` ends; from then on every change leaves a mark. History stays to be backfilled.
///
/// # Errors
///
/// [`RollupError::Exists`] for another definition of that name, [`RollupError::Misfit`] or [`RollupError::NoIndex`]
/// when definition and source do not go together, [`RollupError::NotInstalled`] without highwater's own schema.
pub async fn install(tx: &Tx<'_>, definition: &Definition) -> Result<Installed, RollupError> {
    // A schema that is only too old for other work is fine: highwater's own migrations install rollups on their way up.
    match require_schema(tx).await {
        Ok(()) | Err(RollupError::SchemaTooOld { .. }) => {}
        Err(error) => return Err(error),
    }
    let name = &definition.name;
    if let Some(row) = tx.query_opt(include_str!("../../sql/rollup/find.sql"), &[&name.as_str()]).await? {
        return if row.get::<_, String>("definition_sha256") == definition.sha256() {
            Ok(Installed::Already)
        } else {
            Err(RollupError::Exists { name: name.clone() })
        };
    }
    let path_before = set_search_path(tx, &path_of(definition)).await?;
    let shape = Shape::discover(tx, definition).await?;
    source::require_index(tx, name, &shape.source).await?;
    tx.batch(&render::tables(&shape)).await?;
    // Functions and views name no column that the query does not read: an application must stay free to change those.
    let used = live::used_columns(tx, &shape).await?;
    tx.batch(&render::functions(&render::live::narrow(&shape, &used))).await?;
    watched::prove(tx, &shape).await?;
    prove_comparable(tx, &shape).await?;
    live::install(tx, &shape).await?;
    tx.batch(&render::ledger::ledger(&shape)).await?;
    install_capture(tx, &shape.source.table, &shape.source.relations).await?;
    watched::remember(tx, &shape).await?;
    install_watches(tx, &shape).await?;
    relation::remember(tx, name).await?;
    renew::record(tx, &shape).await?;
    tx.batch(&render::ledger::complete_if_empty(&shape)).await?;
    set_search_path(tx, &path_before).await?;
    Ok(Installed::New)
}

/// Installs a definition in a transaction of its own. Lock time-outs are tried again, so that a long-running writer on
/// the source never has a queue of others behind it for longer than the time-out. Installed already, its capture and its
/// functions are written anew, which also covers partitions that came since.
///
/// # Errors
///
/// As [`install`].
pub async fn install_now(session: &mut Session, definition: &Definition) -> Result<Installed, RollupError> {
    install_tried(session, definition, None).await
}

/// As [`install_now`], for a rollup that is built to take the place of `replaced`; from the beginning the ledger says so.
///
/// # Errors
///
/// As [`install`].
pub(super) async fn install_beside(
    session: &mut Session,
    definition: &Definition,
    replaced: &RollupName,
) -> Result<Installed, RollupError> {
    install_tried(session, definition, Some(replaced)).await
}

async fn install_tried(
    session: &mut Session,
    definition: &Definition,
    replaced: Option<&RollupName>,
) -> Result<Installed, RollupError> {
    require_schema(&*session).await?;
    let mut attempt = 1;
    let mut afresh = false;
    loop {
        let tx = session.begin().await?;
        tx.batch(SETTINGS).await?;
        let result = match install(&tx, definition).await {
            Ok(Installed::Already) => renew_all(&tx, definition, afresh).await.map(|()| Installed::Already),
            other => other,
        };
        match result {
            Ok(installed) => {
                if let Some(replaced) = replaced {
                    let name = definition.name.as_str();
                    tx.query(include_str!("../../sql/rollup/set_replaces.sql"), &[&name, &replaced.as_str()])
                        .await?;
                }
                tx.commit().await?;
                return Ok(installed);
            }
            Err(RollupError::Db(DbError::LockTimeout(_))) if attempt < INSTALL_TRIES => {
                tx.rollback().await?;
                tokio::time::sleep(INSTALL_PAUSE).await;
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

/// Writes capture, functions and views anew. Where capture was missing or disabled nobody knows what has
/// changed meanwhile: then months that came without it become slices, and everything is marked.
async fn renew_all(tx: &Tx<'_>, definition: &Definition, afresh: bool) -> Result<(), RollupError> {
    set_search_path(tx, &path_of(definition)).await?;
    let source = source::Source::find(tx, definition).await?;
    let quoted = source.table.quoted();
    let row = tx.query_one(include_str!("../../sql/rollup/bare_relations.sql"), &[&quoted]).await?;
    let moved = relation::moved(tx, &definition.name).await?;
    let shapes = install_capture(tx, &source.table, &source.relations).await?;
    for shape in &shapes {
        install_watches(tx, shape).await?;
    }
    for shape in shapes.iter().filter(|shape| shape.definition.name == definition.name) {
        relation::mark(tx, &shape.definition.name, &moved).await?;
        relation::remember(tx, &shape.definition.name).await?;
    }
    if row.get::<_, i64>("bare") > 0 {
        for shape in shapes {
            tx.query(&render::call(&shape.definition.name, "census", ""), &[]).await?;
            tx.batch(&render::mark_everything(&shape)).await?;
        }
    }
    let shape = Shape::installed(tx, definition).await?;
    renew::write(tx, &shape, afresh).await?;
    renew::record(tx, &shape).await
}

/// Limits of a transaction that changes triggers: it waits for writers no longer than this in one try, and a client
/// that freezes in it does not hold writers up.
pub(super) const SETTINGS: &str =
    "SET LOCAL lock_timeout = '3s'; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// How often such a transaction is tried, and the pause that lets writers pass.
pub(super) const INSTALL_TRIES: u32 = 20;
pub(super) const INSTALL_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Builds the index that a drain over this definition's source wants, without blocking writers. Does nothing when
/// there is one.
///
/// # Errors
///
/// [`RollupError::Misfit`] when the source does not fit; what the server says about the index.
pub async fn create_index(session: &mut Session, definition: &Definition) -> Result<(), RollupError> {
    let tx = session.begin().await?;
    set_search_path(&tx, &path_of(definition)).await?;
    let source = source::Source::find(&tx, definition).await?;
    let wanted = source::require_index(&tx, &definition.name, &source).await;
    tx.rollback().await?;
    match wanted {
        Err(RollupError::NoIndex { .. }) => Ok(session.batch(&source::index_statement(&source)).await?),
        other => other,
    }
}

/// Writes the capture function of a source anew from the rollups that are over it, and its triggers on every relation.
/// Without a rollup left, both go. Returns those rollups.
pub(super) async fn install_capture(
    tx: &Tx<'_>,
    source: &TableName,
    relations: &[TableName],
) -> Result<Vec<Shape>, RollupError> {
    tx.query(include_str!("../../sql/rollup/lock_capture.sql"), &[&source.to_string()]).await?;
    let shapes = shapes_over(tx, source).await?;
    tx.batch(&capture_text(tx, source, relations, &shapes).await?).await?;
    Ok(shapes)
}

/// The statements that capture changes of a source for its rollups; without one, those that end it.
pub(super) async fn capture_text(
    tx: &Tx<'_>,
    source: &TableName,
    relations: &[TableName],
    shapes: &[Shape],
) -> Result<String, RollupError> {
    let function = render::capture_function(source);
    if shapes.is_empty() {
        // The triggers go with the function they call.
        return Ok(format!("DROP FUNCTION IF EXISTS {}() CASCADE", function.quoted()));
    }
    let mut rollups = Vec::with_capacity(shapes.len());
    for shape in shapes {
        rollups.push((shape.clone(), keeper(tx, shape).await?));
    }
    let mut text = render::capture(&function, &rollups);
    for relation in relations {
        text.push('\n');
        text.push_str(&render::triggers(&function, relation));
    }
    Ok(text)
}

/// The index that tells capture whether its columns are still what they were.
async fn keeper(tx: &Tx<'_>, shape: &Shape) -> Result<Option<Keeper>, RollupError> {
    let source = &shape.source;
    let tenant = source.tenant.as_ref().map(|tenant| tenant.name.clone());
    let statement = include_str!("../../sql/rollup/capture_index.sql");
    let found = tx.query_opt(statement, &[&source.table.quoted(), &source.time, &tenant]).await?;
    Ok(found.map(|row| Keeper {
        id: row.get("id"),
        columns: [row.get("first")].into_iter().chain(row.get::<_, Option<String>>("second")).collect(),
    }))
}

/// Capture on every table that a rollup watches.
pub(super) async fn install_watches(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    for watched in &shape.watched {
        watched::install_capture(tx, &watched.table).await?;
    }
    Ok(())
}

/// The shape of an installed definition, which names its tables on a search path of its own.
pub(super) async fn installed_shape(tx: &Tx<'_>, definition: &str) -> Result<Shape, RollupError> {
    let definition = Definition::parse(definition, "in highwater.rollup")?;
    let path_before = set_search_path(tx, &path_of(&definition)).await?;
    let shape = Shape::installed(tx, &definition).await?;
    set_search_path(tx, &path_before).await?;
    Ok(shape)
}

/// Every rollup over a source, by name.
///
/// # Errors
///
/// [`RollupError::Misfit`] when one of them does not fit its source any more.
pub(super) async fn shapes_over(tx: &Tx<'_>, source: &TableName) -> Result<Vec<Shape>, RollupError> {
    let rows =
        tx.query(include_str!("../../sql/rollup/definitions_over.sql"), &[&source.to_string()]).await?;
    let mut shapes = Vec::with_capacity(rows.len());
    for row in &rows {
        shapes.push(installed_shape(tx, row.get("definition")).await?);
    }
    Ok(shapes)
}

/// A rollup as the ledger knows it, whether its source is still there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub definition: String,
    /// Qualified, quoted where it must be, as are the next two.
    pub source: String,
    pub target: String,
    pub capture_function: String,
}

/// Finds a rollup in the ledger.
///
/// # Errors
///
/// [`RollupError::Unknown`], [`RollupError::NotInstalled`].
pub async fn entry(db: &impl Executor, name: &RollupName) -> Result<Entry, RollupError> {
    require_schema(db).await?;
    let Some(row) = db.query_opt(include_str!("../../sql/rollup/find.sql"), &[&name.as_str()]).await? else {
        let known = db.query(include_str!("../../sql/rollup/names.sql"), &[]).await?;
        let known = known.iter().map(|row| row.get("name")).collect();
        return Err(RollupError::Unknown { name: name.clone(), known });
    };
    Ok(Entry {
        definition: row.get("definition"),
        source: row.get("source"),
        target: row.get("target"),
        capture_function: row.get("capture_function"),
    })
}

/// Loads an installed rollup's shape.
///
/// # Errors
///
/// [`RollupError::Unknown`], [`RollupError::NotInstalled`], [`RollupError::Misfit`].
pub async fn load(session: &mut Session, name: &RollupName) -> Result<Shape, RollupError> {
    let tx = session.begin().await?;
    let definition = Definition::parse(&entry(&tx, name).await?.definition, "in highwater.rollup")?;
    set_search_path(&tx, &path_of(&definition)).await?;
    let shape = Shape::installed(&tx, &definition).await?;
    tx.rollback().await?;
    Ok(shape)
}

/// Checks that highwater's schema is one that this build works with.
///
/// # Errors
///
/// [`RollupError::NotInstalled`], [`RollupError::SchemaTooOld`], [`RollupError::SchemaTooNew`].
pub async fn require_schema(db: &impl Executor) -> Result<(), RollupError> {
    match schema::fit(db).await? {
        Fit::Fits => Ok(()),
        Fit::Missing => Err(RollupError::NotInstalled),
        Fit::TooOld { found } => Err(RollupError::SchemaTooOld { found }),
        Fit::TooNew { found } => Err(RollupError::SchemaTooNew { found }),
    }
}

/// Lets Postgres plan the comparison once, so that a measure without equality or a key that cannot be hashed is found
/// now and not by the first drain.
async fn prove_comparable(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    let explain = format!("EXPLAIN {}", render::verify(shape));
    let epoch: DateTime<chrono::Utc> = DateTime::UNIX_EPOCH;
    tx.query(&explain, &[&epoch, &epoch]).await.map_err(|error| RollupError::Misfit {
        name: shape.definition.name.clone(),
        reason: format!("rollup and source cannot be compared row by row: {error}"),
    })?;
    Ok(())
}

pub(super) fn path_of(definition: &Definition) -> String {
    let names: Vec<String> = definition.search_path.iter().map(|schema| identifier(schema)).collect();
    names.join(", ")
}

/// Sets the search path of the transaction; returns what it was.
pub(super) async fn set_search_path(tx: &Tx<'_>, path: &str) -> Result<String, RollupError> {
    let row = tx.query_one(include_str!("../../sql/rollup/set_search_path.sql"), &[&path]).await?;
    Ok(row.get("before"))
}
