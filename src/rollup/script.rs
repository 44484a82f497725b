//! Everything that installs a rollup as one text, to be read, or run by hand with psql.

use super::definition::Definition;
use super::error::RollupError;
use super::install::{self, path_of, set_search_path};
use super::name::RollupName;
use super::render::{
    self,
    script::{self, Parts},
};
use super::shape::Shape;
use super::{live, source, watched};
use crate::db::{Executor, Session, Tx};

/// The text that installs a definition; the database is asked about the source, and stays as it is.
///
/// # Errors
///
/// As [`install::install`], except that the rollup may exist.
pub async fn of_definition(session: &mut Session, definition: &Definition) -> Result<String, RollupError> {
    install::require_schema(session).await?;
    let tx = session.begin().await?;
    set_search_path(&tx, &path_of(definition)).await?;
    let shape = Shape::discover(&tx, definition).await?;
    source::require_index(&tx, &definition.name, &shape.source).await?;
    let text = whole(&tx, &shape).await?;
    tx.rollback().await?;
    Ok(text)
}

/// The text that would install an installed rollup as this build renders it.
///
/// # Errors
///
/// As [`install::load`].
pub async fn of_installed(session: &mut Session, name: &RollupName) -> Result<String, RollupError> {
    let shape = install::load(session, name).await?;
    let tx = session.begin().await?;
    set_search_path(&tx, &path_of(&shape.definition)).await?;
    let text = whole(&tx, &shape).await?;
    tx.rollback().await?;
    Ok(text)
}

async fn whole(tx: &Tx<'_>, shape: &Shape) -> Result<String, RollupError> {
    let views = live::text(tx, shape).await?;
    let used = live::used_columns(tx, shape).await?;
    let functions = render::functions(&render::live::narrow(shape, &used));
    let name = &shape.definition.name;
    let mut shapes = install::shapes_over(tx, &shape.source.table).await?;
    shapes.retain(|one| one.definition.name != *name);
    let place = shapes.partition_point(|one| one.definition.name < *name);
    shapes.insert(place, shape.clone());
    let mut capture =
        install::capture_text(tx, &shape.source.table, &shape.source.relations, &shapes).await?;
    capture.push_str(&watched::remember_text(shape));
    for watched in &shape.watched {
        capture.push_str(&watched::capture_text(tx, &watched.table, Some(shape)).await?);
    }
    let rows = tx.query(include_str!("../../sql/rollup/names.sql"), &[]).await?;
    let others = rows.iter().map(|row| row.get("name")).filter(|other| other != name.as_str()).collect();
    let has_engine = tx.query_one(include_str!("../../sql/rollup/has_engine.sql"), &[]).await?.get("found");
    Ok(script::script(
        shape,
        &Parts { functions, views, capture, others, has_engine, search_path: path_of(&shape.definition) },
    ))
}
