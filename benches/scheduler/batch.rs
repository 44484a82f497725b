//! Trivial jobs from claim to finish, a hundred at a time, beside the least that a fenced queue does.

use std::time::Instant;

use anyhow::ensure;
use highwater::db::{Executor, Session};
use highwater::scheduler::claim::{self, Identity};
use highwater::scheduler::finish::{self, Ended};
use highwater::scheduler::outcome::Outcome;

use crate::place::Place;
use crate::processor;
use crate::report::{Limit, Report};

/// Most processor time of one job, Postgres and this program together.
const MOST_MICROSECONDS: f64 = 60.0;

/// Least part of the bound's jobs a second.
const LEAST_RATE: f64 = 0.5;

/// Rounds, in turn; the least of each counts, since everything else on the machine only adds.
const ROUNDS: usize = 3;

/// What one way of doing it took for each job.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    processor: f64,
}

impl Cost {
    fn least(self, other: Cost) -> Cost {
        Cost { wall: self.wall.min(other.wall), processor: self.processor.min(other.processor) }
    }
}

pub async fn run(place: &Place, jobs: i64, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    let identity = Identity::new(&session, "bench").await?;
    let endless = Cost { wall: f64::INFINITY, processor: f64::INFINITY };
    let (mut ours, mut bound) = (endless, endless);
    for _ in 0..ROUNDS {
        fill(&session, include_str!("sql/bound_tables.sql"), jobs).await?;
        bound = bound.least(measure(&session, jobs, bound_batch).await?);
        fill(&session, include_str!("sql/trivial_plans.sql"), jobs).await?;
        ours =
            ours.least(measure(&session, jobs, async |session| our_batch(session, &identity).await).await?);
    }
    let microseconds = 1e6;
    report.add(
        "claim to finish, processor a job",
        ours.processor * microseconds,
        "us",
        Limit::AtMost(MOST_MICROSECONDS),
    );
    report.add("the bound's", bound.processor * microseconds, "us", Limit::None);
    report.add("jobs a second of the bound's", bound.wall / ours.wall, "ratio", Limit::AtLeast(LEAST_RATE));
    report.add("jobs a second", 1.0 / ours.wall, "1/s", Limit::None);
    Ok(())
}

async fn fill(session: &Session, statements: &str, jobs: i64) -> anyhow::Result<()> {
    // VACUUM refuses a transaction, and several statements in one message are one.
    for statement in statements.replace("{{jobs}}", &jobs.to_string()).split(';') {
        session.batch(statement).await?;
    }
    Ok(session.batch("CHECKPOINT").await?)
}

async fn measure(
    session: &Session,
    jobs: i64,
    batch: impl AsyncFn(&Session) -> anyhow::Result<usize>,
) -> anyhow::Result<Cost> {
    let used = async || anyhow::Ok(processor::backend(session).await? + processor::process("self")?);
    let (began, before) = (Instant::now(), used().await?);
    let mut done = 0;
    loop {
        let ended = batch(session).await?;
        if ended == 0 {
            break;
        }
        done += ended;
    }
    let wall = began.elapsed().as_secs_f64();
    let processor = used().await? - before;
    ensure!(i64::try_from(done)? == jobs, "{done} of {jobs} jobs were done");
    Ok(Cost { wall: wall / jobs as f64, processor: processor / jobs as f64 })
}

async fn our_batch(session: &Session, identity: &Identity) -> anyhow::Result<usize> {
    let claimed = claim::claim(session, identity, &["sql"], claim::MOST).await?;
    let ended: Vec<Ended> = claimed
        .iter()
        .map(|one| Ended { run: one.run, token: one.token, outcome: Outcome::Done(serde_json::Value::Null) })
        .collect();
    if ended.is_empty() {
        return Ok(0);
    }
    Ok(finish::finish(session, &ended)
        .await?
        .iter()
        .filter(|(_, answer)| matches!(answer, finish::Answer::Finished(_)))
        .count())
}

async fn bound_batch(session: &Session) -> anyhow::Result<usize> {
    let rows = session.query(include_str!("sql/bound_claim.sql"), &[]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let (runs, tokens): (Vec<i64>, Vec<i64>) =
        rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))).unzip();
    Ok(session.query(include_str!("sql/bound_finish.sql"), &[&runs, &tokens]).await?.len())
}
