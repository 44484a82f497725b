//! Jobs that call a function: fence, call and end are one transaction, so that the function's effects happen exactly
//! once however often the plan is tried.

use serde_json::json;

use super::clip;
use super::handler::{Context, ending, lost};
use super::outcome::Outcome;
use crate::db::{DbError, Executor, Param, Session};

/// Characters of a returned value that are kept.
const RETURNED_CHARACTERS: usize = 2_000;

/// Calls the function of a run, with the plan time if it takes one, and records the end.
pub async fn call(context: &Context, function: &str) -> Outcome {
    let mut session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    match transaction(context, function, &mut session).await {
        Ok(Some(outcome)) => {
            context.sessions.put(session).await;
            outcome
        }
        Ok(None) => lost(context),
        // The connection is not given back: closing it ends what may still run in the server. After a commit that was
        // not answered this end finds no lease, and changes nothing.
        Err(error) => ending(&error),
    }
}

async fn transaction(
    context: &Context,
    function: &str,
    session: &mut Session,
) -> Result<Option<Outcome>, DbError> {
    let form =
        session.query_one(include_str!("../../sql/scheduler/resolve_function.sql"), &[&function]).await?;
    let (takes_time, takes_nothing): (bool, bool) = (form.get("takes_time"), form.get("takes_nothing"));
    let Some(tx) = context.fenced(session).await? else { return Ok(None) };
    let plan_time: &dyn Param = &context.claimed.plan_time;
    let rows = if takes_time {
        tx.query(&format!("SELECT called::text FROM (SELECT {function}($1) AS called) AS run"), &[plan_time])
            .await?
    } else if takes_nothing {
        tx.query(&format!("SELECT called::text FROM (SELECT {function}() AS called) AS run"), &[]).await?
    } else {
        let words = format!("there is no function {function}() or {function}(timestamptz) any more");
        return Ok(Some(Outcome::Failed(words)));
    };
    let returned: Option<String> = rows.first().and_then(|row| row.get("called"));
    let result = match returned.filter(|words| !words.is_empty()) {
        Some(words) => clip::result(&json!({"returned": clip::text(&words, RETURNED_CHARACTERS)})),
        None => String::new(),
    };
    context.hold.ending();
    let statement = include_str!("../../sql/scheduler/finish_own.sql");
    let finished = tx.query_opt(statement, &[&context.hold.run.0, &context.hold.token.0, &result]).await?;
    if finished.is_none() {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(Outcome::Recorded))
}
