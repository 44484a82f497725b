//! A host whose backups go wrong and well again, and channels that are told of it.

use highwater::db::{Executor, Session};
use highwater::job::alarm;
use highwater::job::channel::{self, Kind, Settings, Severity};
use highwater::job::delivery::{self, Told};
use uuid::Uuid;

use crate::job::site::{self as reports, Reporter, apply};
use crate::rollup::field;
use crate::support::TestDb;

pub struct Site {
    pub db: TestDb,
    pub session: Session,
    pub host: reports::Site,
    reporter: Reporter,
    day: u32,
}

pub async fn site() -> Site {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let host = reports::site(&mut session, "acme", "laptop").await;
    Site { db, session, host, reporter: Reporter::new(1, "2026-03-01T02:00:00Z"), day: 0 }
}

/// Of a webhook.
pub fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        secret: None,
        username: None,
        sender: None,
        recipients: Vec::new(),
        kinds: None,
        min_severity: Severity::Warning,
        enabled: true,
    }
}

impl Site {
    pub async fn webhook(&self, name: &str, tenant: Option<&str>, settings: &Settings) -> Uuid {
        channel::add(&self.session, tenant, name, Kind::Webhook, settings).await.unwrap()
    }

    /// The next day's backup ends.
    pub async fn backup(&mut self, state: &str) {
        self.day += 1;
        let slot = format!("2026-03-{:02}T03:00:00Z", self.day);
        let run = self.reporter.run(Uuid::now_v7(), "home", &slot, state);
        apply(&mut self.session, self.host.host, &run).await;
    }

    /// Somebody takes notice of everything.
    pub async fn acknowledge(&self) {
        for alarm in alarm::list(&self.session, None, false, 100).await.unwrap() {
            alarm::acknowledge(&self.session, alarm.id, None, "ann").await.unwrap();
        }
    }

    /// What the worker does once a second.
    pub async fn pass(&mut self) -> Told {
        let tx = self.session.begin().await.unwrap();
        let claimed = delivery::claim(&tx).await.unwrap();
        tx.commit().await.unwrap();
        delivery::answer(&self.session, &delivery::tell(claimed).await).await.unwrap()
    }

    /// As if the pauses were over.
    pub async fn later(&self) {
        self.session
            .batch("UPDATE highwater.alarm_delivery SET next_try_at = now() WHERE state = 'waiting'")
            .await
            .unwrap();
    }

    /// State, tries and event of all tellings, in the order in which they came to be.
    pub async fn tellings(&self) -> Vec<String> {
        let rows = self
            .session
            .query(
                "SELECT concat_ws(' ', delivery.event, delivery.state, delivery.attempts)
               FROM highwater.alarm_delivery AS delivery ORDER BY delivery.created_at, delivery.channel",
                &[],
            )
            .await;
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}
