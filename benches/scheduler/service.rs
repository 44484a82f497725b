//! The worker as a service: with nothing to do, and under a stream of events.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use highwater::db::{Executor, Session};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep, sleep_until};

use crate::place::Place;
use crate::processor;
use crate::report::{Limit, Report, quantile};

/// Most statements a second, and MiB, of an idle worker.
const MOST_STATEMENTS: f64 = 5.0;
const MOST_MIB: f64 = 50.0;

/// Events a second, in so many statements.
const EVENTS: i32 = 5_000;
const STATEMENTS: i32 = 50;

/// Most seconds from a commit to the rollup, at the 99th percentile.
const MOST_LAG: f64 = 2.0;

/// Most of one core that keeping the rollup costs, in percent.
const MOST_CORE: f64 = 30.0;

/// Plans of the first minute are done and connections made by then.
const WARM_UP: Duration = Duration::from_secs(5);

const LOOK: Duration = Duration::from_millis(20);

/// A worker; killed if it is not stopped.
pub struct Service {
    child: Child,
}

impl Service {
    pub fn start(place: &Place) -> anyhow::Result<Service> {
        let child = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .env("DATABASE_URL", &place.url)
            .args(["worker", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Service { child })
    }

    /// Waits until the worker has taken its first plan, and a while longer.
    pub async fn is_at_work(&self, session: &Session) -> anyhow::Result<()> {
        let began = Instant::now();
        while session.query_one("SELECT count(*) FROM highwater.lease", &[]).await?.get::<_, i64>(0) == 0 {
            ensure!(began.elapsed() < Duration::from_secs(60), "the worker takes no plan");
            sleep(LOOK).await;
        }
        sleep(WARM_UP).await;
        Ok(())
    }

    pub async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = tokio::task::spawn_blocking(move || self.child.wait()).await??;
        ensure!(status.success(), "the worker ended with {status}");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// A worker over an empty table.
pub async fn idle(place: &Place, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    let worker = Service::start(place)?;
    worker.is_at_work(&session).await?;
    // Each of its statements is a transaction; ours are two.
    let count = async || {
        anyhow::Ok(session.query_one(include_str!("sql/transactions.sql"), &[]).await?.get::<_, i64>(0))
    };
    let (began, before) = (Instant::now(), count().await?);
    sleep(Duration::from_secs(seconds)).await;
    let statements = (count().await? - before - 2).max(0) as f64 / began.elapsed().as_secs_f64();
    report.add("idle worker, statements a second", statements, "1/s", Limit::AtMost(MOST_STATEMENTS));
    report.add(
        "idle worker, memory",
        processor::peak_mib(worker.child.id())?,
        "MiB",
        Limit::AtMost(MOST_MIB),
    );
    worker.stop().await
}

/// A worker over a table into which events stream.
pub async fn fresh(place: &Place, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    let worker = Service::start(place)?;
    worker.is_at_work(&session).await?;
    let pid = worker.child.id().to_string();
    let used = async || anyhow::Ok(processor::worker_backends(&session).await? + processor::process(&pid)?);
    let writer = place.session().await?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let insert = include_str!("sql/stream.sql").replace("{{rows}}", &(EVENTS / STATEMENTS).to_string());
    let stream = tokio::spawn(async move {
        let mut written = 0_u64;
        let mut next = Instant::now();
        while next < end {
            writer.batch(&insert).await?;
            written += u64::from(EVENTS.unsigned_abs() / STATEMENTS.unsigned_abs());
            next += Duration::from_secs(1) / STATEMENTS.unsigned_abs();
            sleep_until(next).await;
        }
        anyhow::Ok(written)
    });
    // What was committed is in the rollup once the watermark has passed it: no event waits longer than the lag.
    let (began, before) = (Instant::now(), used().await?);
    let mut lags = Vec::new();
    while Instant::now() < end {
        let row = session.query_one(include_str!("sql/lag.sql"), &[]).await?;
        lags.push(row.get::<_, f64>("seconds"));
        sleep(LOOK).await;
    }
    let core = (used().await? - before) / began.elapsed().as_secs_f64() * 100.0;
    let written = stream.await.context("the stream ended badly")??;
    let rate = written as f64 / seconds as f64;
    report.add("events written a second", rate, "1/s", Limit::None);
    report.add("commit to rollup, p50", quantile(&mut lags, 0.5), "s", Limit::None);
    report.add("commit to rollup, p99", quantile(&mut lags, 0.99), "s", Limit::AtMost(MOST_LAG));
    report.add("keeping it fresh, of one core", core, "%", Limit::AtMost(MOST_CORE));
    worker.stop().await
}
