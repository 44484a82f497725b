//! The first words of a host, and every sign of life after them.

use uuid::Uuid;

use super::JobError;
use crate::db::{Executor, Session};
use crate::ground::wire::hello::{Held, Hello, Welcome};
use crate::ground::wire::id::{HostId, JobId, LeaseToken, Rev};

/// Takes a hello: the host is there, and a host that sleeps is armed, so that what it missed is caught up with when it has
/// settled. Said again, it settles anew. The skew of its clock is noted and decides nothing.
///
/// # Errors
///
/// [`JobError::UnknownHost`] for a host that is not there or retired.
pub async fn hello(session: &mut Session, host: HostId, hello: &Hello) -> Result<Welcome, JobError> {
    let tx = session.begin().await?;
    let pending = i64::try_from(hello.outbox.pending).unwrap_or(i64::MAX);
    let row = tx
        .query_opt(
            include_str!("../../sql/job/hello.sql"),
            &[
                &host.0,
                &hello.boot_id,
                &hello.epoch,
                &hello.clock,
                &hello.mono_ms,
                &pending,
                &hello.outbox.oldest_at,
                &hello.outbox.drained_to,
            ],
        )
        .await?;
    let row = row.ok_or_else(|| JobError::UnknownHost { host: host.to_string() })?;
    let held = tx.query(include_str!("../../sql/job/held_jobs.sql"), &[&host.0]).await?;
    tx.commit().await?;
    Ok(Welcome {
        server_time: row.get("server_time"),
        config_rev: Rev(row.get("config_rev")),
        leases: held
            .iter()
            .map(|row| Held {
                job: JobId(row.get::<_, Uuid>("id")),
                lease_token: LeaseToken(row.get("lease_token")),
                lease_until: row.get("lease_until"),
                cancel: row.get("cancel"),
            })
            .collect(),
    })
}

/// Notes that a host is there; says whether there may be work for it.
///
/// # Errors
///
/// [`JobError::UnknownHost`] for a host that is not there or retired.
pub async fn seen(db: &impl Executor, host: HostId) -> Result<bool, JobError> {
    let row = db.query_opt(include_str!("../../sql/job/seen.sql"), &[&host.0]).await?;
    row.map(|row| row.get("has_work")).ok_or_else(|| JobError::UnknownHost { host: host.to_string() })
}
