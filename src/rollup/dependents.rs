//! What others have made over a rollup's table and views, kept while a successor takes their place.
//!
//! Views are made again by name, with owner, comment and rights. What cannot be made again is a reason not to begin.

use super::error::RollupError;
use super::name::RollupName;
use super::render;
use super::shape::Shape;
use crate::db::{Executor, Tx};

/// Statements that make again what was taken away.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    /// Views, an outer one after those that it reads.
    views: Vec<View>,
    /// Rights on the target and its views, and the target's owner and comment.
    own: Vec<String>,
}

#[derive(Debug)]
struct View {
    name: String,
    statements: Vec<String>,
}

/// Looks whether a successor can take the place of a rollup without others losing something.
///
/// # Errors
///
/// [`RollupError::Misfit`] with what stands in the way, and the remedy.
pub(super) async fn check(db: &impl Executor, shape: &Shape) -> Result<(), RollupError> {
    let rows = db.query(include_str!("../../sql/rollup/blockers.sql"), &[&shape.target.quoted()]).await?;
    let mut blockers: Vec<String> = rows.iter().map(|row| row.get("blocker")).collect();
    let rows = db.query(include_str!("../../sql/rollup/dependents.sql"), &[&relations(shape)]).await?;
    let others = rows.iter().filter(|row| !row.get::<_, bool>("is_view"));
    blockers.extend(others.map(|row| format!("materialized view or rule {}", row.get::<_, String>("name"))));
    if blockers.is_empty() {
        return Ok(());
    }
    Err(RollupError::Misfit {
        name: shape.definition.name.clone(),
        reason: format!(
            "{} would be lost with the table that is replaced: {}; drop it first, and make it again afterwards",
            if blockers.len() == 1 { "this" } else { "these" },
            blockers.join(", ")
        ),
    })
}

fn relations(shape: &Shape) -> Vec<String> {
    [&shape.target, &render::live::name(shape), &render::live::open(shape)]
        .map(super::quote::TableName::quoted)
        .to_vec()
}

impl Dependents {
    /// Notes what stands over a rollup and takes it away. The successor's target is `target`, qualified and quoted.
    pub(super) async fn take(tx: &Tx<'_>, shape: &Shape, target: &str) -> Result<Dependents, RollupError> {
        let mut taken = Dependents::default();
        let grants = include_str!("../../sql/rollup/grants.sql");
        let old = shape.target.quoted();
        let row = tx.query_one(include_str!("../../sql/rollup/target_owner.sql"), &[&old]).await?;
        let owner: String = row.get("owner");
        taken.own.push(format!("ALTER TABLE {target} OWNER TO {}", super::quote::identifier(&owner)));
        let views = [render::live::name(shape).quoted(), render::live::open(shape).quoted()];
        for (from, to) in [(&old, target), (&views[0], &views[0]), (&views[1], &views[1])] {
            let rows = tx.query(grants, &[from, &to]).await?;
            taken.own.extend(rows.iter().map(|row| row.get::<_, String>("statement")));
        }
        for row in tx.query(include_str!("../../sql/rollup/dependents.sql"), &[&relations(shape)]).await? {
            let name: String = row.get("name");
            let mut statements: Vec<String> = vec![row.get("statement"), row.get("own_it")];
            statements.extend(row.get::<_, Option<String>>("comment_on_it"));
            let rows = tx.query(grants, &[&name, &name]).await?;
            statements.extend(rows.iter().map(|row| row.get::<_, String>("statement")));
            taken.views.push(View { name, statements });
        }
        for view in taken.views.iter().rev() {
            tx.batch(&format!("DROP VIEW {}", view.name)).await?;
        }
        Ok(taken)
    }

    /// Makes everything again, over the successor.
    ///
    /// # Errors
    ///
    /// [`RollupError::Misfit`] naming the view that does not fit the successor.
    pub(super) async fn restore(&self, tx: &Tx<'_>, name: &RollupName) -> Result<(), RollupError> {
        let misfit = |what: &str, error: &crate::db::DbError| RollupError::Misfit {
            name: name.clone(),
            reason: format!(
                "{what} does not fit the new definition: {error}; change or drop it first, then alter again"
            ),
        };
        for statement in &self.own {
            tx.batch(statement).await.map_err(|error| misfit(statement, &error))?;
        }
        for view in &self.views {
            for statement in &view.statements {
                tx.batch(statement).await.map_err(|error| misfit(&format!("view {}", view.name), &error))?;
            }
        }
        Ok(())
    }
}
