//! A request that must have its effect once: its key, its effect and its answer are one transaction.

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use crate::db::{Executor, Tx};
use crate::ground::wire::id::HostId;
use crate::ground::wire::problem::{IN_PROGRESS, KEY_REUSED};

/// Longest key, in bytes.
const KEY_BYTES: usize = 255;

/// A first request may still be at work for about this long.
const IN_PROGRESS_SECONDS: u64 = 1;

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// The header's value.
///
/// # Errors
///
/// 400 for one that is empty, too long or no text.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES => Ok(Some(key.to_owned())),
        _ => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("Idempotency-Key must be 1 to {KEY_BYTES} visible characters"),
        )),
    }
}

/// Looks whether a request was answered before. `None`: it is the first, and the key is ours until `tx` ends; its answer
/// is kept by [`keep`].
///
/// # Errors
///
/// 409 while another transaction is at work on the same key, 422 when the key was used for another body.
pub async fn recall(tx: &Tx<'_>, host: HostId, key: &str, body: &[u8]) -> Result<Option<Answer>, Refusal> {
    if !tx
        .query_one(include_str!("../../sql/api/try_key.sql"), &[&host.0, &key])
        .await?
        .get::<_, bool>("is_ours")
    {
        return Err(Refusal::typed(
            StatusCode::CONFLICT,
            IN_PROGRESS,
            "a request with this Idempotency-Key is in progress; send it again",
        )
        .later(std::time::Duration::from_secs(IN_PROGRESS_SECONDS)));
    }
    let Some(row) = tx.query_opt(include_str!("../../sql/api/find_key.sql"), &[&host.0, &key]).await? else {
        return Ok(None);
    };
    if row.get::<_, Vec<u8>>("request_sha256") != digest(body) {
        return Err(Refusal::typed(
            StatusCode::UNPROCESSABLE_ENTITY,
            KEY_REUSED,
            "this Idempotency-Key was used for another request; use a new one",
        ));
    }
    let status =
        u16::try_from(row.get::<_, i32>("status")).ok().and_then(|code| StatusCode::from_u16(code).ok());
    Ok(Some(Answer { status: status.unwrap_or(StatusCode::OK), body: row.get("response") }))
}

/// Keeps the answer to the request that [`recall`] found to be the first.
///
/// # Errors
///
/// What the server says.
pub async fn keep(tx: &Tx<'_>, host: HostId, key: &str, body: &[u8], answer: &Answer) -> Result<(), Refusal> {
    let status = i32::from(answer.status.as_u16());
    let statement = include_str!("../../sql/api/keep_key.sql");
    tx.query(statement, &[&host.0, &key, &digest(body), &status, &answer.body]).await?;
    Ok(())
}

fn digest(body: &[u8]) -> Vec<u8> {
    Sha256::digest(body).to_vec()
}
