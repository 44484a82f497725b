//! A record that its host puts by itself, beside the report that says the same. Equal digests agree, different ones
//! contradict each other: the first stays, and the record is marked.

use super::JobError;
use crate::db::{Executor, Tx};
use crate::ground::wire::id::{HostId, RecordId, Rev};
use crate::ground::wire::record::RecordPut;

/// What came of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is complete now, and was not before.
    Published(Rev),
    /// The same was said before.
    Same(Rev),
    /// Another digest was said before; the record is marked as contradicted.
    Contradicts(Rev),
    /// Its job has not been reported yet.
    JobUnknown,
    /// Record, job, group or repository are another host's.
    NotOfHost,
}

/// Takes a record. The stamp it leaves is the least of all reports', so that `record.published` overrules it.
///
/// The record's row is locked until `tx` ends.
///
/// # Errors
///
/// What the server says.
pub async fn put(tx: &Tx<'_>, host: HostId, put: &RecordPut) -> Result<Put, JobError> {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let job = put.job.map(|job| job.0);
    let standing = tx
        .query_one(
            include_str!("../../sql/job/record_standing.sql"),
            &[&put.record.0, &host.0, &job, &put.source_group.0, &put.repository.0],
        )
        .await?;
    if !standing.get::<_, bool>("is_of_host") {
        return Ok(Put::NotOfHost);
    }
    if !standing.get::<_, bool>("job_is_known") {
        return Ok(Put::JobUnknown);
    }
    let row = tx
        .query_opt(
            include_str!("../../sql/job/record_put.sql"),
            &[
                &put.record.0,
                &host.0,
                &job,
                &put.source_group.0,
                &put.repository.0,
                &put.snapshot,
                &number(put.bytes_total),
                &number(put.bytes_added),
                &put.sha256,
                &put.started_at,
                &put.finished_at,
            ],
        )
        .await?;
    if let Some(row) = row {
        return Ok(Put::Published(Rev(row.get("rev"))));
    }
    let statement = include_str!("../../sql/job/record_compare.sql");
    let row = tx.query_one(statement, &[&put.record.0, &put.sha256]).await?;
    let rev = Rev(row.get("rev"));
    Ok(if row.get("is_same") { Put::Same(rev) } else { Put::Contradicts(rev) })
}

/// The revision of a host's record. `None`: it has none of that id.
///
/// # Errors
///
/// What the server says.
pub async fn rev(db: &impl Executor, host: HostId, record: RecordId) -> Result<Option<Rev>, JobError> {
    let row = db.query_opt(include_str!("../../sql/job/record_rev.sql"), &[&record.0, &host.0]).await?;
    Ok(row.map(|row| Rev(row.get("rev"))))
}
