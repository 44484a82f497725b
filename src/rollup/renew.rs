//! Renewing what is rendered: functions, views and capture of installed rollups, as this build renders them.
//!
//! In: the ledger, which knows by a fingerprint what is installed. Out: the same rollups, their tables, marks and months
//! untouched. Each is renewed in one transaction, so that every caller finds either all of the old or all of the new.

use super::definition::Definition;
use super::error::RollupError;
use super::install::{self, INSTALL_PAUSE, INSTALL_TRIES, path_of, set_search_path};
use super::live;
use super::name::RollupName;
use super::render::{self, ledger::BUILD, ledger::Fingerprint};
use super::shape::Shape;
use super::watch::Fence;
use crate::db::{DbError, Executor, Session, Tx};

/// What became of one rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// What is installed is what this build renders.
    Current,
    Renewed,
    /// A newer highwater has rendered it; an older one leaves it alone.
    Newer {
        build: String,
    },
    /// It does not fit its source any more, so that nothing can be rendered; `status` shows it as critical.
    Misfit {
        reason: String,
    },
}

/// What the ledger says of one rollup's rendering.
struct Installed {
    definition: Definition,
    engine: Option<String>,
    capture: Option<String>,
    build: Option<String>,
}

/// Renews all rollups whose rendering is of another version, one after the other.
///
/// # Errors
///
/// The first failure, with the rollup's name; those before it stay renewed.
pub async fn all(
    session: &mut Session,
    fence: &dyn Fence,
) -> Result<Vec<(RollupName, Renewal)>, (RollupName, RollupError)> {
    let nobody = RollupName::parse("rollup").expect("a constant that is a name");
    let listed = list(session).await.map_err(|error| (nobody, error))?;
    let mut renewals = Vec::with_capacity(listed.len());
    for installed in listed {
        let name = installed.definition.name.clone();
        match one(session, &installed, fence).await {
            Ok(renewal) => renewals.push((name, renewal)),
            Err(error) => return Err((name, error)),
        }
    }
    Ok(renewals)
}

/// Empty where the ledger does not record renderings yet.
async fn list(session: &Session) -> Result<Vec<Installed>, RollupError> {
    if !session.query_one(include_str!("../../sql/rollup/has_engine.sql"), &[]).await?.get::<_, bool>("found")
    {
        return Ok(Vec::new());
    }
    let rows = session.query(include_str!("../../sql/rollup/renderings.sql"), &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Installed {
                definition: Definition::parse(row.get("definition"), "in highwater.rollup")?,
                engine: row.get("engine_sha256"),
                capture: row.get("capture_sha256"),
                build: row.get("engine_build"),
            })
        })
        .collect()
}

async fn one(
    session: &mut Session,
    installed: &Installed,
    fence: &dyn Fence,
) -> Result<Renewal, RollupError> {
    let mut attempt = 1;
    let mut afresh = false;
    loop {
        fence.check().await?;
        let tx = session.begin().await?;
        match within(&tx, installed, afresh, fence).await {
            Ok(renewal) => {
                tx.commit().await?;
                return Ok(renewal);
            }
            Err(RollupError::Misfit { reason, .. }) => {
                tx.rollback().await?;
                return Ok(Renewal::Misfit { reason });
            }
            Err(RollupError::Db(DbError::LockTimeout(_) | DbError::Retry(_))) if attempt < INSTALL_TRIES => {
                tx.rollback().await?;
                tokio::time::sleep(INSTALL_PAUSE).await;
                attempt += 1;
            }
            // Its results have other columns than before.
            Err(RollupError::Db(error)) if !afresh && is_other_result(&error) => {
                tx.rollback().await?;
                afresh = true;
            }
            Err(error) => {
                // The first error is the one to tell; a rollback fails only where the connection is gone.
                let _ = tx.rollback().await;
                return Err(error);
            }
        }
    }
}

async fn within(
    tx: &Tx<'_>,
    installed: &Installed,
    afresh: bool,
    fence: &dyn Fence,
) -> Result<Renewal, RollupError> {
    if let Some(build) = installed.build.as_ref().filter(|build| is_newer(build, BUILD)) {
        return Ok(Renewal::Newer { build: build.clone() });
    }
    let definition = &installed.definition;
    tx.batch(install::SETTINGS).await?;
    set_search_path(tx, &path_of(definition)).await?;
    let shape = Shape::installed(tx, definition).await?;
    let wanted = Fingerprint::of(&shape);
    let is_same = |stored: &Option<String>, wanted: &str| stored.as_deref() == Some(wanted);
    let has_capture = is_same(&installed.capture, &wanted.capture);
    if has_capture && is_same(&installed.engine, &wanted.engine) {
        return Ok(Renewal::Current);
    }
    write(tx, &shape, afresh).await?;
    // Triggers wait for writers; where they are what they were, nobody has to wait.
    if !has_capture {
        install::install_capture(tx, &shape.source.table, &shape.source.relations).await?;
        install::install_watches(tx, &shape).await?;
    }
    record(tx, &shape).await?;
    fence.check().await?;
    Ok(Renewal::Renewed)
}

/// Writes functions and views anew. `afresh` drops them first, which is needed where what they return has changed; what
/// others may do with the views is granted again.
pub(super) async fn write(tx: &Tx<'_>, shape: &Shape, afresh: bool) -> Result<(), RollupError> {
    let name = &shape.definition.name;
    let mut grants = Vec::new();
    if afresh {
        for view in [render::live::name(shape), render::live::open(shape)] {
            grants.extend(grants_of(tx, &view.quoted(), &view.quoted()).await?);
        }
        tx.batch(&render::drop_functions(name)).await?;
        tx.batch(&render::live::drop(name)).await?;
    }
    // Functions name no column that the query does not read.
    let used = live::used_columns(tx, shape).await?;
    tx.batch(&render::functions(&render::live::narrow(shape, &used))).await?;
    live::install(tx, shape).await?;
    let names = render::function_names(name);
    let outdated = tx.query(include_str!("../../sql/rollup/outdated_functions.sql"), &[&names]).await?;
    for row in &outdated {
        tx.batch(&format!("DROP FUNCTION {}", row.get::<_, String>("function"))).await?;
    }
    for grant in grants {
        tx.batch(&grant).await?;
    }
    Ok(())
}

/// Statements that grant to `to` what others may do with `from`; both are qualified and quoted.
async fn grants_of(tx: &Tx<'_>, from: &str, to: &str) -> Result<Vec<String>, RollupError> {
    let rows = tx.query(include_str!("../../sql/rollup/grants.sql"), &[&from, &to]).await?;
    Ok(rows.iter().map(|row| row.get("statement")).collect())
}

/// Records what is installed, where the ledger has a place for it.
pub(super) async fn record(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    if tx.query_one(include_str!("../../sql/rollup/has_engine.sql"), &[]).await?.get("found") {
        tx.batch(&render::ledger::engine(shape)).await?;
    }
    Ok(())
}

/// Whether CREATE OR REPLACE refused since the columns of a result differ.
pub(super) fn is_other_result(error: &DbError) -> bool {
    // invalid_function_definition, invalid_table_definition
    matches!(error.code(), Some("42P13" | "42P16"))
}

/// Whether a version comes after another; what is no version comes before all.
fn is_newer(one: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    numbers(one) > numbers(other)
}

/// Whether what is installed differs from what this build renders; `None` where nothing is on record.
pub fn is_outdated(shape: &Shape, engine: Option<&str>, capture: Option<&str>) -> bool {
    let wanted = Fingerprint::of(shape);
    engine != Some(wanted.engine.as_str()) || capture != Some(wanted.capture.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_newer("0.10.0", "0.9.9") && is_newer("1.0", "0.9") && is_newer("1.0.1-rc1", "1.0.0"));
        assert!(!is_newer("0.9.9", "0.10.0") && !is_newer("1.0.0", "1.0.0") && !is_newer("odd", "0.1"));
    }
}
