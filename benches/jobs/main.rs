//! What it costs to apply reports, beside what plain upserts of as many rows into the same captured table cost in the same run.
//!
//! `cargo bench --bench jobs`. It starts a server of its own and removes it; with `HIGHWATER_BENCH_URL` it uses that one, whose
//! schema `highwater` must be migrated and gets a tenant of its own. One JSON document goes to stdout.

use std::time::{Duration, Instant};

use anyhow::Context;
use highwater::db::embedded::{self, Options, Server};
use highwater::db::target::Target;
use highwater::db::{Executor, Session, connect};
use highwater::ground::config;
use highwater::ground::shutdown;
use highwater::ground::wire::config::{Mode, SourceKind};
use highwater::ground::wire::id::HostId;
use highwater::job::event::apply;
use highwater::job::{group, host};
use highwater::migrate::setup::Setup;
use highwater::migrate::{Pooler, Wait, event, up};
use serde_json::{Value, json};
use uuid::Uuid;

/// Names a server to use instead of an own one.
const URL_VARIABLE: &str = "HIGHWATER_BENCH_URL";

/// Reports of one batch: as many as one request may hold.
const BATCH: usize = 500;

/// Batches of each measure; the first is not counted, for it warms up.
const BATCHES: usize = 11;

/// Single reports, and single rows, of each measure.
const SINGLES: usize = 300;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (target, _server) = place().await?;
    let mut session = connect::connect(&target, "bench").await?;
    let host = site(&mut session).await?;
    let mut reporter = Reporter { seq: 0 };
    let batches = rate(BATCHES - 1, BATCH, {
        let mut took = Vec::new();
        for _ in 0..BATCHES {
            let batch = reporter.runs(BATCH);
            took.push(apply_one(&mut session, host, &batch).await?);
        }
        took.split_off(1)
    });
    let upserts = rate(BATCHES - 1, BATCH, {
        let mut took = Vec::new();
        for _ in 0..BATCHES {
            took.push(upsert(&session, host, BATCH).await?);
        }
        took.split_off(1)
    });
    let mut took = Vec::new();
    for event in reporter.runs(SINGLES) {
        took.push(apply_one(&mut session, host, &[event]).await?);
    }
    let single_reports = rate(SINGLES, 1, took);
    let mut took = Vec::new();
    for _ in 0..SINGLES {
        took.push(upsert(&session, host, 1).await?);
    }
    let single_upserts = rate(SINGLES, 1, took);
    println!(
        "{}",
        json!({
            "reports_per_second": batches, "upserts_per_second": upserts, "ratio": batches / upserts,
            "single_reports_per_second": single_reports, "single_upserts_per_second": single_upserts,
            "single_ratio": single_reports / single_upserts,
        })
    );
    Ok(())
}

fn rate(times: usize, each: usize, took: Vec<Duration>) -> f64 {
    (times * each) as f64 / took.iter().sum::<Duration>().as_secs_f64()
}

async fn place() -> anyhow::Result<(Target, Option<Server>)> {
    let (url, server) = match config::env(URL_VARIABLE) {
        Some(url) => (url, None),
        None => {
            let directory = std::env::temp_dir().join(format!("highwater-bench-{}", std::process::id()));
            let options = Options {
                directory: Some(directory),
                durable: true,
                keeper_program: Some(env!("CARGO_BIN_EXE_highwater").into()),
                wipe_at_stop: true,
                ..Options::default()
            };
            let server = embedded::start(&options).await?;
            (server.url(embedded::DATABASE), Some(server))
        }
    };
    let target = Target::from_url(&url, URL_VARIABLE)?;
    let (_trigger, shutdown) = shutdown::channel();
    let options = up::Options { to: None, wait: Wait::No, pooler: Pooler::None };
    up::up(&Setup::new(&target), options, &shutdown, &event::Silent).await?;
    Ok((target, server))
}

async fn site(session: &mut Session) -> anyhow::Result<HostId> {
    let draft = host::Draft {
        tenant: format!("bench-{}", Uuid::now_v7().simple()),
        name: "bench".to_owned(),
        mode: Mode::AlwaysOn,
        tz: "UTC".to_owned(),
        max_concurrent: 1,
        rpo: None,
    };
    let (id, _) = host::add(session, &draft).await?;
    let found = host::find(session, &id.to_string(), None).await?;
    let settings = group::Settings { includes: Some(vec!["/home".to_owned()]), ..Default::default() };
    let draft = group::Draft {
        name: "home".to_owned(),
        source: SourceKind::Directory,
        repositories: vec!["/srv/bench".to_owned()],
        settings,
    };
    group::add(session, &found, &draft).await?;
    Ok(id)
}

async fn apply_one(session: &mut Session, host: HostId, events: &[Value]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let lines = apply::apply(session, host, events).await?;
    anyhow::ensure!(lines.iter().all(|line| line.detail.is_none()), "{lines:?}");
    Ok(began.elapsed())
}

/// Upserts rows into the table of jobs by the statement that writes merged jobs, and does nothing else.
async fn upsert(session: &Session, host: HostId, rows: usize) -> anyhow::Result<Duration> {
    let jobs: Vec<Value> = (0..rows)
        .map(|row| {
            let at = format!("2026-03-{:02}T03:00:00Z", row % 28 + 1);
            json!({
                "id": Uuid::now_v7(), "attempt": 1, "state": "succeeded", "is_inferred": false, "has_conflict": false,
                "slot_at": at, "opened_at": at, "finished_at": at, "bytes_total": 1, "ended_by": [8, 11, -1, -1],
            })
        })
        .collect();
    let statement = include_str!("../../sql/job/event/write_jobs.sql");
    let tenant = session
        .query_one("SELECT tenant FROM highwater.host WHERE id = $1", &[&host.0])
        .await
        .context("the host is there")?
        .get::<_, Uuid>(0);
    let began = Instant::now();
    session.query(statement, &[&tenant, &host.0, &json!(jobs)]).await?;
    Ok(began.elapsed())
}

/// Makes reports that are all new.
struct Reporter {
    seq: i64,
}

impl Reporter {
    /// Runs of ten reports each, cut after `count`.
    fn runs(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::with_capacity(count + 10);
        while events.len() < count {
            let (job, record) = (Uuid::now_v7(), Uuid::now_v7());
            let steps = ["identify-target", "backup"];
            let slot = format!("2026-03-{:02}T03:00:00Z", self.seq % 28 + 1);
            events.push(self.report(job, "job.opened", json!({"source_group": "home", "slot_at": slot})));
            events.push(self.report(job, "job.started", json!({})));
            events.push(self.report(job, "record.underway", json!({"record": record})));
            for step in steps {
                events.push(self.report(job, "step.started", json!({"step": step})));
                events.push(self.report(
                    job,
                    "step.finished",
                    json!({"step": step, "state": "succeeded", "exit_code": 0}),
                ));
            }
            events.push(self.report(job, "job.progress", json!({"bytes_done": 1})));
            events.push(self.report(job, "record.published", json!({"record": record, "bytes_total": 1})));
            events.push(self.report(job, "job.finished", json!({"state": "succeeded", "bytes_total": 1})));
        }
        events.truncate(count);
        events
    }

    fn report(&mut self, job: Uuid, kind: &str, payload: Value) -> Value {
        self.seq += 1;
        json!({
            "event_id": Uuid::now_v7(), "epoch": 1, "seq": self.seq, "job": job, "kind": kind,
            "event_at": "2026-03-05T03:00:00Z", "payload": payload,
        })
    }
}
