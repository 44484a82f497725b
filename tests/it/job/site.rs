//! What the tests of jobs share: a host with a group, and a run's reports.

use chrono::{DateTime, TimeDelta, Utc};
use highwater::db::{Executor, Session};
use highwater::ground::wire::config::{Mode, SourceKind};
use highwater::ground::wire::id::{GroupId, HostId};
use highwater::ground::wire::verdict::Verdict;
use highwater::job::event::apply;
use highwater::job::{group, host};
use serde_json::{Value, json};
use uuid::Uuid;

/// A host with one group and one repository.
pub struct Site {
    pub host: HostId,
    pub group: GroupId,
}

pub async fn site(session: &mut Session, tenant: &str, name: &str) -> Site {
    let draft = host::Draft {
        tenant: tenant.to_owned(),
        name: name.to_owned(),
        mode: Mode::Intermittent,
        tz: "Europe/Berlin".to_owned(),
        max_concurrent: 1,
        rpo: None,
    };
    let (host, _) = host::add(session, &draft).await.unwrap();
    let found = host::find(session, &host.to_string(), None).await.unwrap();
    let draft = group::Draft {
        name: "home".to_owned(),
        source: SourceKind::Directory,
        repositories: vec![format!("/srv/{tenant}/{name}")],
        settings: group::Settings { includes: Some(vec!["/home".to_owned()]), ..Default::default() },
    };
    let group = group::add(session, &found, &draft).await.unwrap();
    Site { host, group }
}

/// A schedule of the site's group; its id.
pub async fn schedule(session: &Session, site: &Site) -> Uuid {
    let statement = format!(
        "WITH made AS (INSERT INTO highwater.schedule (tenant, host, cron, tz)
           SELECT tenant, id, '0 3 * * *', tz FROM highwater.host WHERE id = '{}' RETURNING id),
         bond AS (INSERT INTO highwater.schedule_group (schedule, source_group) SELECT id, '{}' FROM made)
         SELECT id FROM made",
        site.host, site.group
    );
    session.query_one(&statement, &[]).await.unwrap().get(0)
}

/// Makes reports of one host, each with the next sequence number and a minute after the one before.
pub struct Reporter {
    epoch: i64,
    seq: i64,
    at: DateTime<Utc>,
}

impl Reporter {
    pub fn new(epoch: i64, at: &str) -> Reporter {
        Reporter { epoch, seq: 0, at: at.parse().unwrap() }
    }

    pub fn report(&mut self, job: Uuid, kind: &str, payload: Value) -> Value {
        self.seq += 1;
        self.at += TimeDelta::minutes(1);
        json!({
            "event_id": Uuid::now_v7(), "epoch": self.epoch, "seq": self.seq, "job": job, "kind": kind,
            "event_at": self.at, "boot_id": "boot", "mono_ms": self.seq * 60_000, "payload": payload,
        })
    }

    /// A whole run of a group, from opened to finished.
    pub fn run(&mut self, job: Uuid, group: &str, slot_at: &str, state: &str) -> Vec<Value> {
        let record = Uuid::now_v7();
        let sha256 = "ab".repeat(32);
        let mut run = vec![
            self.report(
                job,
                "job.opened",
                json!({"source_group": group, "slot_at": slot_at, "reason": "cron", "attempt": 1}),
            ),
            self.report(job, "job.started", json!({})),
        ];
        for step in ["identify-target", "backup"] {
            run.push(self.report(job, "step.started", json!({"step": step})));
            if step == "backup" {
                run.push(self.report(job, "record.underway", json!({"record": record})));
                for done in 1..=3 {
                    run.push(self.report(
                        job,
                        "job.progress",
                        json!({"bytes_done": done * 1000, "bytes_total": 3000}),
                    ));
                }
            }
            run.push(self.report(
                job,
                "step.finished",
                json!({"step": step, "state": "succeeded", "exit_code": 0}),
            ));
        }
        if matches!(state, "succeeded" | "warned") {
            run.push(self.report(
                job,
                "record.published",
                json!({"record": record, "bytes_total": 3000, "bytes_added": 700, "sha256": sha256}),
            ));
        }
        let error = if state == "failed" { json!("disk full") } else { Value::Null };
        run.push(self.report(
            job,
            "job.finished",
            json!({"state": state, "error": error, "bytes_total": 3000, "bytes_added": 700, "files": 12}),
        ));
        run
    }
}

/// Applies reports and returns their verdicts.
pub async fn apply(session: &mut Session, host: HostId, events: &[Value]) -> Vec<Verdict> {
    apply::apply(session, host, events).await.unwrap().iter().map(|line| line.verdict).collect()
}

/// Everything that reports make, as text: jobs, steps and records.
pub async fn dump(session: &Session) -> Vec<String> {
    let statement = "SELECT to_jsonb(job)::text FROM highwater.backup_job AS job
        UNION ALL SELECT to_jsonb(step)::text FROM highwater.job_step AS step
        UNION ALL SELECT to_jsonb(record)::text FROM highwater.backup_record AS record ORDER BY 1";
    session.query(statement, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

pub async fn count(session: &Session, query: &str) -> i64 {
    session.query_one(query, &[]).await.unwrap().get(0)
}

pub async fn text(session: &Session, query: &str) -> String {
    session.query_one(query, &[]).await.unwrap().get(0)
}
