//! From `job run-now` to the claim, by the database's clock, beside a bare notification and claim.

use std::time::Duration;

use anyhow::Context;
use highwater::db::listen::Listener;
use highwater::db::{Executor, Session};
use highwater::scheduler::job;
use tokio::time::{Instant, sleep, timeout};

use crate::place::Place;
use crate::report::{Limit, Report, quantile};
use crate::service::Service;

const SAMPLES: usize = 200;

/// Largest multiples of the bound's quantiles.
const MOST_P50: f64 = 1.5;
const MOST_P99: f64 = 2.0;

const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two samples, so that they do not wait for each other.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    for statement in include_str!("sql/trivial_plans.sql").replace("{{jobs}}", "0").split(';') {
        session.batch(statement).await?;
    }
    session.batch("UPDATE highwater.job SET overlap = 'forbid' WHERE name = 'trivial'").await?;
    let mut bound = bound(place, &session).await?;
    let worker = Service::start(place)?;
    worker.is_at_work(&session).await?;
    let mut ours = Vec::new();
    for _ in 0..SAMPLES {
        let (run, ..) = job::run_now(&session, "trivial", None).await?.pop().context("a run")?;
        let began = Instant::now();
        loop {
            if let Some(row) = session.query_opt(include_str!("sql/picked_up.sql"), &[&run.0]).await? {
                ours.push(row.get::<_, f64>("milliseconds"));
                break;
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "run {run} was not taken");
            sleep(PAUSE).await;
        }
    }
    worker.stop().await?;
    for (what, part, most) in [("p50", 0.5, MOST_P50), ("p99", 0.99, MOST_P99)] {
        let (ours, bound) = (quantile(&mut ours, part), quantile(&mut bound, part));
        report.add(&format!("pickup of run-now, {what}"), ours, "ms", Limit::None);
        report.add(&format!("a bare NOTIFY and claim, {what}"), bound, "ms", Limit::None);
        report.add(&format!("pickup beside it, {what}"), ours / bound, "ratio", Limit::AtMost(most));
    }
    Ok(())
}

/// Milliseconds from an insert, with a notification after it, to the claim of a listener.
async fn bound(place: &Place, session: &Session) -> anyhow::Result<Vec<f64>> {
    for statement in include_str!("sql/bound_tables.sql").replace("{{jobs}}", "0").split(';') {
        session.batch(statement).await?;
    }
    let mut listener = Listener::open(&place.target, "bench", &["bench"]).await?;
    let claimer = place.session().await?;
    let mut samples = Vec::new();
    for number in 0..i64::try_from(SAMPLES)? {
        let insert =
            "INSERT INTO bench.plan (run_id, due_at) VALUES ($1, clock_timestamp()) RETURNING due_at";
        let due_at: chrono::DateTime<chrono::Utc> = session.query_one(insert, &[&number]).await?.get(0);
        session.batch("NOTIFY bench").await?;
        timeout(PATIENCE, listener.hear()).await??;
        let row = claimer.query_one(include_str!("sql/bound_claim.sql"), &[]).await?;
        let claimed_at: chrono::DateTime<chrono::Utc> = row.get("claimed_at");
        samples.push((claimed_at - due_at).as_seconds_f64() * 1e3);
        sleep(PAUSE).await;
    }
    Ok(samples)
}
