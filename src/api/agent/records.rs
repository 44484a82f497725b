//! `PUT /v1/agent/records/{id}`: an archive is published.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use crate::api::body::{Raw, json};
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::idempotency;
use crate::api::refusal::Refusal;
use crate::ground::wire::fact;
use crate::ground::wire::id::{RecordId, Rev};
use crate::ground::wire::problem::IN_PROGRESS;
use crate::ground::wire::record::RecordPut;
use crate::job::publish::{self, Put};

/// The job's own reports are on their way when a record comes before them.
const REPORTS_SECONDS: u64 = 5;

pub async fn put(
    State(desk): State<Desk>,
    agent: Agent,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Refusal> {
    let record: RecordId =
        id.parse().map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "a record's id is a UUID"))?;
    let put: RecordPut = body.read("the record")?;
    check(record, &put)?;
    let wanted = precondition(&headers)?;
    let mut session = desk.pool.get().await?;
    let tx = session.begin().await?;
    let key = idempotency::key(&headers)?;
    if let Some(key) = &key
        && let Some(answer) = idempotency::recall(&tx, agent.host, key, &body.0).await?
    {
        return Ok(json(answer.status, &answer.body));
    }
    if let Some(wanted) = wanted {
        match publish::rev(&tx, agent.host, record).await? {
            Some(found) if found == wanted => {}
            Some(found) => {
                let detail = format!("the record is at revision {}, not {}", found.0, wanted.0);
                return Err(Refusal::precondition_failed(detail));
            }
            None => return Err(Refusal::precondition_failed("there is no such record")),
        }
    }
    let (status, rev) = match publish::put(&tx, agent.host, &put).await? {
        Put::Published(rev) => (StatusCode::CREATED, rev),
        Put::Same(rev) => (StatusCode::OK, rev),
        Put::Contradicts(_) => {
            // The mark stays; what was published first is not overwritten.
            tx.commit().await?;
            return Err(Refusal::precondition_failed(
                "the record is there with another digest; both are kept",
            ));
        }
        Put::JobUnknown => {
            let detail = "its job has not been reported yet; send the record again after the job's events";
            return Err(Refusal::typed(StatusCode::CONFLICT, IN_PROGRESS, detail)
                .later(std::time::Duration::from_secs(REPORTS_SECONDS)));
        }
        Put::NotOfHost => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "this host has no such record, job, group or repository",
            ));
        }
    };
    let answer = idempotency::Answer { status, body: serde_json::json!({"record": record, "rev": rev}) };
    if let Some(key) = &key {
        idempotency::keep(&tx, agent.host, key, &body.0, &answer).await?;
    }
    tx.commit().await?;
    let mut response = json(answer.status, &answer.body);
    if let Ok(tag) = rev.etag().parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

fn check(record: RecordId, put: &RecordPut) -> Result<(), Refusal> {
    let invalid = |detail: &str| Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    if put.record != record {
        return invalid("record is not the id of the URL");
    }
    if put.sha256.as_deref().is_some_and(|digest| !fact::is_sha256(digest)) {
        return invalid("sha256 must be 64 hexadecimal digits in lower case");
    }
    if i64::try_from(put.bytes_total).is_err() || i64::try_from(put.bytes_added).is_err() {
        return invalid("bytes_total or bytes_added is too large");
    }
    Ok(())
}

/// The revision that must be there; `None` for `If-None-Match: *`.
fn precondition(headers: &HeaderMap) -> Result<Option<Rev>, Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, Some("*")) => Ok(None),
        (Some(tag), None) => Rev::of_etag(tag).map(Some).ok_or_else(|| {
            Refusal::new(StatusCode::BAD_REQUEST, "If-Match must be a revision in quotes, such as \"3\"")
        }),
        (Some(_), Some(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "send If-Match or If-None-Match, not both"))
        }
        (None, Some(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "If-None-Match takes * alone here")),
        (None, None) => Err(Refusal::precondition_required("If-None-Match: * or If-Match")),
    }
}
