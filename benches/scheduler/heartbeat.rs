//! What renewing a lease writes.

use anyhow::ensure;
use highwater::db::Executor;
use highwater::scheduler::claim::{self, Identity};
use highwater::scheduler::heartbeat;

use crate::place::Place;
use crate::report::{Limit, Report};

const LEASES: usize = 500;
const BEATS: usize = 20;

/// Most bytes of write-ahead log for one lease.
const MOST_BYTES: f64 = 100.0;

/// Least part of the updates that touch no index, in percent.
const LEAST_HOT: f64 = 99.0;

pub async fn run(place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    for statement in include_str!("sql/trivial_plans.sql").replace("{{jobs}}", &LEASES.to_string()).split(';')
    {
        session.batch(statement).await?;
    }
    session.batch("VACUUM highwater.lease").await?;
    let identity = Identity::new(&session, "bench").await?;
    let mut held = Vec::new();
    while held.len() < LEASES {
        let claimed = claim::claim(&session, &identity, &["sql"], claim::MOST).await?;
        ensure!(!claimed.is_empty(), "only {} plans could be claimed", held.len());
        held.extend(claimed.iter().map(|one| (one.run, one.token)));
    }
    session.batch("CHECKPOINT").await?;
    // The first writes of pages after a checkpoint are whole pages, as in every five minutes of a server's life.
    heartbeat::beat(&session, &identity.incarnation, &held).await?;
    let written = async || anyhow::Ok(session.query_one(include_str!("sql/written.sql"), &[]).await?);
    let before = written().await?;
    for _ in 0..BEATS {
        let answers = heartbeat::beat(&session, &identity.incarnation, &held).await?;
        ensure!(answers.renewed.len() == LEASES, "{answers:?}");
    }
    let after = written().await?;
    let difference = |column: &str| (after.get::<_, i64>(column) - before.get::<_, i64>(column)) as f64;
    let renewals = (LEASES * BEATS) as f64;
    report.add(
        "heartbeat, log a lease",
        difference("log_bytes") / renewals,
        "bytes",
        Limit::AtMost(MOST_BYTES),
    );
    report.add(
        "heartbeat, HOT updates",
        difference("hot_updates") / difference("updates") * 100.0,
        "%",
        Limit::AtLeast(LEAST_HOT),
    );
    Ok(())
}
