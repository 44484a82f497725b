//! Hosts with schedules in the past: slots fall half an hour away from now, so that no test depends on the minute.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use highwater::db::{Executor, Session};
use highwater::ground::wire::hello::{Figures, Hello, Welcome};
use highwater::ground::wire::id::HostId;
use highwater::ground::wire::work::Assignment;
use highwater::job::arm::{self, Looked};
use highwater::job::settle::{self, Settled};
use highwater::job::slot::{self, Made};
use highwater::job::{JobError, hello, pending};
use uuid::Uuid;

use crate::rollup::field;
use crate::support::TestDb;

pub struct Site {
    pub db: TestDb,
    pub session: Session,
    pub tenant: Uuid,
}

/// A database with one tenant.
pub async fn site() -> Site {
    let db = field::migrated().await;
    let session = db.session().await;
    let row =
        session.query_one("INSERT INTO highwater.tenant (name) VALUES ('acme') RETURNING id", &[]).await;
    let tenant = row.unwrap().get(0);
    Site { db, session, tenant }
}

impl Site {
    /// A host that is there.
    pub async fn host(&self, name: &str, mode: &str) -> Uuid {
        let statement =
            "INSERT INTO highwater.host (tenant, name, mode, tz, state, last_seen_at, max_concurrent)
             VALUES ($1, $2, $3, 'UTC', 'online', now(), 4) RETURNING id";
        self.session.query_one(statement, &[&self.tenant, &name, &mode]).await.unwrap().get(0)
    }

    /// A group of a host, with a repository of its own; nothing is retried in the test's time.
    pub async fn group(&self, host: Uuid, name: &str) -> Uuid {
        let statement = "WITH repository AS (
               INSERT INTO highwater.repository (tenant, kind, url) VALUES ($1, 'directory', '/srv/' || $3 || $2::text) RETURNING id
             ), source_group AS (
               INSERT INTO highwater.source_group (tenant, host, name, source, command, repository, retry_max)
               SELECT $1, $2, $3, 'command', 'true', repository.id, 2 FROM repository RETURNING id, repository
             ), target AS (
               INSERT INTO highwater.group_repository (source_group, repository) SELECT id, repository FROM source_group
             ) SELECT id FROM source_group";
        self.session.query_one(statement, &[&self.tenant, &host, &name]).await.unwrap().get(0)
    }

    /// A schedule with a slot each hour, the last one half an hour ago, of which the last `missed` are not written yet.
    pub async fn hourly(&self, host: Uuid, groups: &[Uuid], catchup: &str, missed: i32) -> Uuid {
        let minute = (self.now().await - TimeDelta::minutes(30)).minute();
        self.schedule(host, groups, &format!("{minute} * * * *"), catchup, missed).await
    }

    pub async fn schedule(
        &self,
        host: Uuid,
        groups: &[Uuid],
        cron: &str,
        catchup: &str,
        missed: i32,
    ) -> Uuid {
        let next = self.last_slot().await - TimeDelta::hours(i64::from(missed) - 1);
        let statement = "WITH schedule AS (
               INSERT INTO highwater.schedule (tenant, host, cron, tz, catchup, created_at, next_slot_at)
               VALUES ($1, $2, $3, 'UTC', $4, $5::timestamptz - interval '1 minute', $5) RETURNING id
             ), member AS (
               INSERT INTO highwater.schedule_group (schedule, source_group) SELECT id, unnest($6::uuid[]) FROM schedule
             ) SELECT id FROM schedule";
        let groups = groups.to_vec();
        self.session
            .query_one(statement, &[&self.tenant, &host, &cron, &catchup, &next, &groups])
            .await
            .unwrap()
            .get(0)
    }

    /// The slot half an hour ago.
    pub async fn last_slot(&self) -> DateTime<Utc> {
        let half_an_hour_ago = self.now().await - TimeDelta::minutes(30);
        half_an_hour_ago.with_second(0).unwrap().with_nanosecond(0).unwrap()
    }

    pub async fn now(&self) -> DateTime<Utc> {
        self.session.query_one("SELECT clock_timestamp()", &[]).await.unwrap().get(0)
    }

    pub async fn run(&self, statement: &str) {
        self.session.batch(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    pub async fn count(&self, what: &str) -> i64 {
        field::number(&self.session, &format!("SELECT count(*) FROM highwater.{what}")).await
    }

    pub async fn texts(&self, query: &str) -> Vec<String> {
        let rows = self.session.query(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// What became of a schedule's slots, oldest first.
    pub async fn hows(&self, schedule: Uuid) -> Vec<String> {
        self.texts(&format!(
            "SELECT how FROM highwater.run_slot WHERE schedule = '{schedule}' ORDER BY slot_at, source_group"
        ))
        .await
    }

    /// Reasons and states of the runs of a schedule, oldest slot first.
    pub async fn runs(&self, schedule: Uuid) -> Vec<String> {
        self.texts(&format!(
            "SELECT reason || ' ' || state FROM highwater.pending_run WHERE schedule = '{schedule}' ORDER BY slot_at, source_group"
        ))
        .await
    }

    /// Writes every slot that has come.
    pub async fn materialise(&mut self) -> Made {
        let mut all = Made::default();
        loop {
            let tx = self.session.begin().await.unwrap();
            let made = slot::materialise(&tx).await.unwrap();
            tx.commit().await.unwrap();
            if made.schedules == 0 {
                return all;
            }
            all.schedules += made.schedules;
            all.slots += made.slots;
            all.runs += made.runs;
        }
    }

    pub async fn settle(&mut self) -> Settled {
        let tx = self.session.begin().await.unwrap();
        let settled = settle::pass(&tx).await.unwrap();
        tx.commit().await.unwrap();
        settled
    }

    pub async fn evaluate(&self) -> Looked {
        arm::evaluate(&self.session).await.unwrap()
    }

    /// Arms what is overdue and looks at it.
    pub async fn sweep(&self) -> Looked {
        arm::sweep(&self.session).await.unwrap();
        self.evaluate().await
    }

    /// A hello with an empty outbox.
    pub async fn hello(&mut self, host: Uuid) -> Welcome {
        self.hello_with(host, 0, TimeDelta::zero()).await.unwrap()
    }

    /// A hello of a host whose clock is `ahead` and whose outbox holds `pending` reports.
    pub async fn hello_with(
        &mut self,
        host: Uuid,
        pending: u64,
        ahead: TimeDelta,
    ) -> Result<Welcome, JobError> {
        let words = Hello {
            boot_id: "boot".to_owned(),
            epoch: 1,
            version: "1".to_owned(),
            clock: self.now().await + ahead,
            mono_ms: Some(1000),
            outbox: Figures { pending, ..Figures::default() },
        };
        hello::hello(&mut self.session, HostId(host), &words).await
    }

    /// As if a host's arm had been set earlier by its settle time.
    pub async fn settled(&self, host: Uuid) {
        self.run(&format!(
            "UPDATE highwater.catchup_arm SET due_at = now() - interval '1 second' WHERE host = '{host}'"
        ))
        .await;
    }

    pub async fn claim(&mut self, host: Uuid) -> Vec<Assignment> {
        pending::claim(&mut self.session, HostId(host)).await.unwrap()
    }

    /// Acknowledges a job and ends it, as its reports would.
    pub async fn end(&self, job: &Assignment, host: Uuid, state: &str) {
        let renewed = pending::renew(&self.session, HostId(host), job.job, job.lease_token).await.unwrap();
        assert!(matches!(renewed, pending::Renewal::Renewed(_)), "{renewed:?}");
        self.report(job.job.0, state).await;
    }

    /// The end of a job on its row.
    pub async fn report(&self, job: Uuid, state: &str) {
        self.run(&format!(
            "UPDATE highwater.backup_job SET state = '{state}', started_at = clock_timestamp(), finished_at = clock_timestamp(),
                    ended_by = '{{4,0,0,0}}', error = 'said so' WHERE id = '{job}'"
        ))
        .await;
    }
}

impl Site {
    /// What became of all slots and why, oldest first.
    pub async fn texts_of_slots(&self) -> Vec<String> {
        self.texts("SELECT how || coalesce(': ' || why, '') FROM highwater.run_slot ORDER BY slot_at, schedule, source_group").await
    }
}
