//! `POST /v1/usage`: NDJSON, one use of a model a line. All lines of a request are taken, or none; lines that were sent
//! before change nothing.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde_json::json;

use super::body::{self, Raw};
use super::caller::Agent;
use super::desk::Desk;
use super::refusal::Refusal;
use crate::db::Executor;
use crate::ground::wire::usage::Usage;

/// Largest body, in bytes, and most lines: what one statement takes in well under a second.
const MOST_BYTES: usize = 8 * 1024 * 1024;
const MOST_LINES: usize = 20_000;

/// The route.
pub fn routes() -> Router<Desk> {
    Router::new().route("/v1/usage", post(take))
}

async fn take(State(desk): State<Desk>, agent: Agent, body: Raw<MOST_BYTES>) -> Result<Response, Refusal> {
    let columns = read(&body.0, &agent.tenant)?;
    let count = columns.event_id.len();
    let session = desk.pool.get().await?;
    let statement = include_str!("../../sql/api/usage_insert.sql");
    let row = session
        .query_one(
            statement,
            &[
                &agent.tenant,
                &columns.event_id,
                &columns.occurred_at,
                &columns.runtime,
                &columns.agent,
                &columns.project,
                &columns.provider,
                &columns.model,
                &columns.task,
                &columns.input_tokens,
                &columns.output_tokens,
                &columns.cache_read_tokens,
                &columns.cache_write_tokens,
            ],
        )
        .await?;
    let added = usize::try_from(row.get::<_, i64>("added")).unwrap_or(count);
    Ok(body::json(StatusCode::OK, &json!({"accepted": added, "duplicates": count.saturating_sub(added)})))
}

/// The lines, column by column, as one statement takes them.
#[derive(Default)]
struct Columns {
    event_id: Vec<String>,
    occurred_at: Vec<chrono::DateTime<chrono::Utc>>,
    runtime: Vec<String>,
    agent: Vec<String>,
    project: Vec<Option<String>>,
    provider: Vec<String>,
    model: Vec<String>,
    task: Vec<Option<String>>,
    input_tokens: Vec<i64>,
    output_tokens: Vec<i64>,
    cache_read_tokens: Vec<i64>,
    cache_write_tokens: Vec<i64>,
}

fn read(body: &[u8], tenant: &str) -> Result<Columns, Refusal> {
    let mut columns = Columns::default();
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = number + 1;
        if columns.event_id.len() == MOST_LINES {
            let detail = format!("more than {MOST_LINES} lines; send them in parts");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let usage = Usage::read(line, tenant).map_err(|error| {
            Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("line {number}: {error}; nothing was taken"),
            )
        })?;
        columns.event_id.push(usage.event_id);
        columns.occurred_at.push(usage.occurred_at);
        columns.runtime.push(usage.runtime);
        columns.agent.push(usage.agent);
        columns.project.push(usage.project);
        columns.provider.push(usage.provider);
        columns.model.push(usage.model);
        columns.task.push(usage.task);
        columns.input_tokens.push(usage.input_tokens);
        columns.output_tokens.push(usage.output_tokens);
        columns.cache_read_tokens.push(usage.cache_read_tokens);
        columns.cache_write_tokens.push(usage.cache_write_tokens);
    }
    if columns.event_id.is_empty() {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the body has no line; send NDJSON, one event a line",
        ));
    }
    Ok(columns)
}
