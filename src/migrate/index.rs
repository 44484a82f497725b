//! `CREATE INDEX CONCURRENTLY`, so that it can be run again. A build that fails leaves an INVALID index which every
//! write goes on to maintain, which no query uses, and over which `IF NOT EXISTS` reports success.
//!
//! No lock_timeout here: it makes the build itself fail and leave just that.

use tracing::warn;

use super::MigrateError;
use super::apply::{Step, at, run};
use super::concurrent::IndexBuild;
use super::event::Event;
use super::scope::quoted;
use super::statement::Statement;
use crate::db::{DbError, Executor, Session};

const STATE: &str = include_str!("../../sql/migrate/index_state.sql");
const DROP: &str = include_str!("../../sql/migrate/index_drop.sql");
const LIKENESS: &str = include_str!("../../sql/migrate/index_likeness.sql");
const MEANT: &str = include_str!("../../sql/migrate/index_meant.sql");
const MEANT_DEFINITION: &str = include_str!("../../sql/migrate/index_meant_definition.sql");

/// What bears the index's name.
struct State {
    kind: String,
    schema_name: String,
    on_table: bool,
    valid: bool,
    definition: Option<String>,
}

/// Builds the index, unless it is there, valid and as meant; an invalid one is dropped first. Afterwards the index is
/// valid.
///
/// # Errors
///
/// [`MigrateError::Index`] when the name is taken by something else or the index came out invalid;
/// [`MigrateError::Statement`] when the build failed.
pub(super) async fn build(
    session: &mut Session,
    step: &Step<'_>,
    statement: &Statement<'_>,
    build: &IndexBuild,
) -> Result<(), MigrateError> {
    let fault = |fault: String| MigrateError::Index { path: step.file.path.clone(), fault };
    let name = &build.name;
    if let Some(found) = state(session, build).await? {
        if found.kind != "i" && found.kind != "I" {
            return Err(fault(format!(
                "\"{name}\" is no index but another relation; give the index another name"
            )));
        }
        if !found.on_table {
            return Err(fault(format!("index \"{name}\" is on another table; give this one another name")));
        }
        if found.valid {
            let meant = meant(session, build).await.map_err(|source| at(step.file, statement, source))?;
            let there = found.definition.as_deref().map(shape).unwrap_or_default();
            if there != meant {
                return Err(fault(format!(
                    "index \"{name}\" is there with another definition: {there} instead of {meant}; drop it or give \
                     this one another name"
                )));
            }
            step.observer.observe(&Event::IndexKept { version: step.file.version, index: name.clone() });
            return Ok(());
        }
        let index = format!("{}.{}", found.schema_name, quoted(name));
        warn!(index, "dropping what a failed build left of {index}");
        session
            .batch(&DROP.replace("{index}", &index))
            .await
            .map_err(|source| at(step.file, statement, source))?;
        step.observer
            .observe(&Event::InvalidIndexDropped { version: step.file.version, index: name.clone() });
    }
    if statement.mentions("IF") && build.statement() != statement.text() {
        // Without IF NOT EXISTS, which would hide a rival that appears now.
        session.batch(&build.statement()).await.map_err(|source| at(step.file, statement, source))?;
    } else {
        run(session, step.file, statement).await?;
    }
    match state(session, build).await? {
        Some(found) if found.valid && found.on_table => Ok(()),
        _ => Err(fault(format!("index \"{name}\" came out invalid; the next run drops and rebuilds it"))),
    }
}

async fn state(session: &Session, build: &IndexBuild) -> Result<Option<State>, DbError> {
    let Some(row) = session.query_opt(STATE, &[&build.quoted_table(), &build.name.as_str()]).await? else {
        return Ok(None);
    };
    Ok(Some(State {
        kind: row.try_get("kind")?,
        schema_name: row.try_get("schema_name")?,
        on_table: row.try_get("on_table")?,
        valid: row.try_get("valid")?,
        definition: row.try_get("definition")?,
    }))
}

/// What the statement means, in the server's words: the index is built on an empty likeness of the table, read back
/// and rolled away.
async fn meant(session: &mut Session, build: &IndexBuild) -> Result<String, DbError> {
    let clone = build.table.last().map(|table| quoted(table)).unwrap_or_default();
    let index = quoted(&build.name);
    let tx = session.begin().await?;
    tx.batch(&LIKENESS.replace("{clone}", &clone).replace("{table}", &build.quoted_table())).await?;
    let unique = if build.unique { "UNIQUE" } else { "" };
    let create = MEANT
        .replace("{unique}", unique)
        .replace("{index}", &index)
        .replace("{clone}", &clone)
        .replace("{rest}", &build.rest);
    tx.batch(&create).await?;
    let definition: String =
        tx.query_one(MEANT_DEFINITION, &[&format!("pg_temp.{index}")]).await?.try_get("definition")?;
    tx.rollback().await?;
    Ok(shape(&definition))
}

/// A definition without the names: `UNIQUE USING btree (a) WHERE (b > 0)`. The server writes
/// `CREATE [UNIQUE] INDEX name ON [ONLY] schema.table USING ...`, and neither name can hold an unquoted ` USING `.
fn shape(definition: &str) -> String {
    let unique = if definition.starts_with("CREATE UNIQUE") { "UNIQUE " } else { "" };
    let from = definition.find(" USING ").map_or(0, |at| at + 1);
    format!("{unique}{}", &definition[from..])
}
