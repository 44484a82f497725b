//! The host's own cron. A slot that comes is told to the server, whose answer decides who runs it; while no server
//! answers the host runs it by itself, and after a sleep the newest one that was missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{error, info, warn};

use super::super::AgentError;
use super::super::client::Call;
use super::super::config as known;
use super::super::outbox::Draft;
use super::super::run::Task;
use super::slots::Slots;
use super::{Duty, hello};
use crate::ground::boot;
use crate::ground::cron::Cron;
use crate::ground::wire::config::{Catchup, Config, Group, Overlap, Schedule};
use crate::ground::wire::fact::{Fact, Slot};
use crate::ground::wire::fire::Fire;
use crate::ground::wire::id::{HostId, JobId, RecordId};
use crate::ground::wire::state::Reason;

/// Distance of looks at the schedules.
const TICK: Duration = Duration::from_secs(1);

/// A slot that is seen this late was slept through, and is caught up with rather than run.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// A server that is there and unwell is asked this long before the host runs a slot by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be done about the newest slot of a schedule and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing yet.
    Wait,
    /// It has just come.
    Fire(DateTime<Utc>),
    /// It was slept through.
    Late(DateTime<Utc>),
}

/// Looks at the schedules as long as the agent is on duty.
pub async fn keep(duty: Arc<Duty>) {
    let mut slots = Slots::read(duty.outbox.layout());
    loop {
        if let Some(config) = duty.config() {
            for schedule in config.schedules.iter().filter(|schedule| schedule.enabled) {
                // The server refuses what cannot be read; one from a newer server is its own to fire.
                let Ok(cron) = Cron::parse(&schedule.cron, &schedule.tz) else { continue };
                for group in &schedule.groups {
                    let Some(group) = config.groups.iter().find(|one| one.id == *group) else { continue };
                    if let Err(error) = duty.look(&config, schedule, &cron, group, &mut slots).await {
                        error!(group = %group.name, error = %error, "a slot of {} waits: {error}", group.name);
                    }
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// What is due at `now`, when the slot at `last` was the newest that was dealt with.
fn due(cron: &Cron, jitter: TimeDelta, last: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    match cron.latest_at_or_before(now) {
        Some(slot) if slot > last && now >= slot + jitter => {
            if now - slot > jitter + LATE {
                Due::Late(slot)
            } else {
                Due::Fire(slot)
            }
        }
        _ => Due::Wait,
    }
}

/// This host's share of a schedule's jitter: always the same, and spread evenly over hosts.
fn jitter(host: HostId, schedule: &Schedule) -> TimeDelta {
    let bits = host.0.as_u128() ^ schedule.id.0.as_u128();
    // Of both ids the last bits are random.
    let share = u64::try_from(bits & u128::from(u64::MAX >> 2)).unwrap_or(0) % (schedule.jitter_seconds + 1);
    TimeDelta::seconds(i64::try_from(share).unwrap_or(0))
}

impl Duty {
    async fn look(
        self: &Arc<Self>,
        config: &Config,
        schedule: &Schedule,
        cron: &Cron,
        group: &Group,
        slots: &mut Slots,
    ) -> Result<(), AgentError> {
        let now = self.clock.corrected();
        let last = slots.last(schedule.id, group.id, now);
        let layout = self.outbox.layout();
        match due(cron, jitter(config.host.id, schedule), last, now) {
            Due::Wait => Ok(()),
            Due::Fire(slot) => {
                let fire = Fire { schedule: schedule.id, source_group: group.id, slot_at: slot };
                let is_servers = self.fire(&fire).await;
                slots.note(layout, schedule.id, group.id, slot)?;
                if is_servers {
                    return Ok(());
                }
                self.begin(config, schedule, group, slot, Reason::Cron).await
            }
            Due::Late(slot) => {
                // A server that answers has heard the hello, and catches up by its own rules.
                if self.is_online() {
                    return slots.note(layout, schedule.id, group.id, slot);
                }
                let awake_ms = boot::elapsed_ms() - self.woke_ms.load(Ordering::Relaxed);
                if awake_ms < i64::try_from(schedule.settle_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
                {
                    return Ok(());
                }
                slots.note(layout, schedule.id, group.id, slot)?;
                let window = schedule.catchup_window_seconds.and_then(|seconds| i64::try_from(seconds).ok());
                let why = match schedule.catchup {
                    Catchup::None => Some("the host slept, and the schedule does not catch up"),
                    Catchup::One | Catchup::All
                        if window.is_some_and(|seconds| now - slot > TimeDelta::seconds(seconds)) =>
                    {
                        Some("the host slept for longer than the schedule catches up")
                    }
                    Catchup::One | Catchup::All => None,
                };
                match why {
                    Some(why) => self.tell_slot(schedule, group, slot, why, Fact::SlotMissed).await,
                    None => self.begin(config, schedule, group, slot, Reason::Catchup).await,
                }
            }
        }
    }

    /// Tells the server that a slot has come; whether the server sees to it.
    async fn fire(&self, fire: &Fire) -> bool {
        let body = serde_json::to_vec(fire).expect("a fire has text keys only");
        let begun = tokio::time::Instant::now();
        loop {
            let headers = vec![("idempotency-key", fire.key())];
            let call = Call {
                method: "POST",
                path: "/v1/agent/fires",
                headers,
                body: Some(body.clone()),
                ..Call::default()
            };
            let pause = match self.client.call(call).await {
                Ok(reply) if matches!(reply.status, 200 | 201) && reply.is_json => return true,
                Ok(reply) if matches!(reply.status, 404 | 410 | 422) => {
                    warn!(
                        "the server does not know this slot ({}); the configuration is fetched",
                        reply.words()
                    );
                    if let Err(error) = hello::fetch(self, None).await {
                        warn!(error = %error, "and that failed");
                    }
                    return true;
                }
                Ok(reply) => {
                    warn!("the server does not take a slot yet: {}", reply.words());
                    reply.retry_after.unwrap_or(TICK)
                }
                Err(AgentError::Away { .. }) => {
                    self.heard(false);
                    return false;
                }
                Err(error) => {
                    warn!(error = %error, "a slot cannot be told: {error}");
                    return false;
                }
            };
            if begun.elapsed() + pause > PATIENCE {
                return false;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Begins a run of the host's own, one for each repository of the group.
    async fn begin(
        self: &Arc<Self>,
        config: &Config,
        schedule: &Schedule,
        group: &Group,
        slot: DateTime<Utc>,
        reason: Reason,
    ) -> Result<(), AgentError> {
        if let Some(why) = self.outbox.excess(self.clock.now()) {
            return self
                .tell_slot(schedule, group, slot, &format!("the outbox is full: {why}"), Fact::SlotSkipped)
                .await;
        }
        if schedule.overlap == Overlap::Skip && self.is_group_running(group.id) {
            return self.tell_slot(schedule, group, slot, "the group still runs", Fact::SlotSkipped).await;
        }
        info!(group = %group.name, slot = %slot, "the host runs {} by itself", group.name);
        for id in &group.repositories {
            let task = Task {
                host: config.host.clone(),
                group: group.clone(),
                repository: known::repository(config, *id)?.clone(),
                settings: self.settings.clone(),
                job: JobId::fresh(),
                record: RecordId::fresh(),
                schedule: Some(schedule.id),
                slot_at: Some(slot),
                reason,
                attempt: 1,
                is_own: true,
                prune: Vec::new(),
                root: self.outbox.layout().root().to_owned(),
            };
            let duty = Arc::clone(self);
            self.spawn(async move {
                let Ok(room) = Arc::clone(&duty.room).acquire_owned().await else { return };
                duty.perform(task, None, room).await;
            })
            .await;
        }
        Ok(())
    }

    async fn tell_slot(
        &self,
        schedule: &Schedule,
        group: &Group,
        slot: DateTime<Utc>,
        why: &str,
        fact: impl FnOnce(Slot) -> Fact,
    ) -> Result<(), AgentError> {
        warn!(group = %group.name, slot = %slot, why, "{} does not run: {why}", group.name);
        let slot = Slot {
            source_group: group.id.to_string(),
            schedule: schedule.id.to_string(),
            slot_at: slot,
            why: Some(why.to_owned()),
        };
        self.outbox.post(Draft::Event { job: None, fact: fact(slot) }, self.clock.stamp()).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_fires_once_after_its_jitter_and_is_late_after_a_sleep() {
        let cron = Cron::parse("0 3 * * *", "Europe/Berlin").unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let slot = at("2026-11-22T02:00:00Z");
        let jitter = TimeDelta::seconds(30);
        let before = at("2026-11-21T20:00:00Z");
        assert_eq!(due(&cron, jitter, before, at("2026-11-22T01:59:59Z")), Due::Wait);
        assert_eq!(due(&cron, jitter, before, at("2026-11-22T02:00:29Z")), Due::Wait);
        assert_eq!(due(&cron, jitter, before, at("2026-11-22T02:00:30Z")), Due::Fire(slot));
        assert_eq!(due(&cron, jitter, slot, at("2026-11-22T02:00:31Z")), Due::Wait);
        assert_eq!(due(&cron, jitter, before, at("2026-11-22T09:00:00Z")), Due::Late(slot));
    }

    #[test]
    fn jitter_is_stable_and_within_its_bound() {
        let text = r#"{"id": "01980000-0000-7000-8000-000000000007", "groups": [], "cron": "@daily", "tz": "UTC", "jitter_seconds": 60}"#;
        let schedule: Schedule = serde_json::from_str(text).unwrap();
        let drawn: Vec<TimeDelta> = (0..200).map(|_| jitter(HostId::fresh(), &schedule)).collect();
        assert!(drawn.iter().all(|one| (0..=60).contains(&one.num_seconds())));
        assert!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len() > 20);
        let host = HostId::fresh();
        assert_eq!(jitter(host, &schedule), jitter(host, &schedule));
    }
}
