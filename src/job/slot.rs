//! Slots: every time at which a schedule promised a backup, each written once, and what became of it.
//!
//! In: schedules whose slot has come, by the database's clock. Out: rows of `run_slot`, the runs that they owe, and
//! `next_slot_at` moved on, in one statement. Expressions are worked out here, never in a statement a schedule.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::error;
use uuid::Uuid;

use super::JobError;
use crate::db::{Executor, Row, Tx};
use crate::ground::cron::{Cron, CronError};
use crate::ground::wire::id::{GroupId, HostId, JobId, ScheduleId};
use crate::ground::wire::state::words;

/// A slot that is noticed within this was seen in time; later, no worker was running when it came.
pub const IN_TIME_SECONDS: i64 = 300;

/// Slots of one schedule that one statement writes; a longer absence takes several.
const MOST_OF_A_SCHEDULE: usize = 1_000;

/// Slots that one statement writes, about: bounds what a pass holds in memory.
const MOST_AT_ONCE: usize = 50_000;

/// What a pass put on the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// Schedules that were looked at.
    pub schedules: usize,
    pub slots: i64,
    pub runs: i64,
}

/// Puts slots that have come on the ledger: of at most 5000 schedules, which stay locked until `tx` ends. No schedules
/// in the answer means that none is left.
///
/// # Errors
///
/// What the server says.
pub async fn materialise(tx: &Tx<'_>) -> Result<Made, JobError> {
    let rows = tx.query(include_str!("../../sql/job/due_schedules.sql"), &[]).await?;
    let Some(now) = rows.first().map(|row| row.get("now")) else { return Ok(Made::default()) };
    let mut promises: Vec<Promise> = rows.iter().map(Promise::read).collect();
    write(tx, &mut promises, now).await
}

/// Puts all slots of a host's schedules that have come on the ledger, before something that decides about them changes: what
/// was promised until then stays promised as it was, also when no worker was running. The schedules stay locked until
/// `tx` ends. Returns the moment of the change: later slots follow the new rules.
///
/// # Errors
///
/// What the server says.
pub async fn materialise_host(tx: &Tx<'_>, host: HostId) -> Result<DateTime<Utc>, JobError> {
    let rows = tx.query(include_str!("../../sql/job/lock_schedules.sql"), &[&host.0]).await?;
    let now = clock(tx).await?;
    let mut promises: Vec<Promise> = rows.iter().map(Promise::read).collect();
    loop {
        promises.retain(|promise| promise.next.is_some_and(|next| next <= now));
        if promises.is_empty() {
            return Ok(now);
        }
        write(tx, &mut promises, now).await?;
    }
}

/// The database's clock.
///
/// # Errors
///
/// What the server says.
pub async fn clock(db: &impl Executor) -> Result<DateTime<Utc>, JobError> {
    Ok(db.query_one(include_str!("../../sql/job/clock.sql"), &[]).await?.get("now"))
}

/// When a schedule promises a backup.
struct Promise {
    schedule: Uuid,
    cron: String,
    tz: String,
    /// The first slot that is not on the ledger yet.
    next: Option<DateTime<Utc>>,
}

impl Promise {
    fn read(row: &Row) -> Promise {
        let (schedule, next) = (row.get("id"), row.get("next_slot_at"));
        Promise { schedule, cron: row.get("cron"), tz: row.get("tz"), next }
    }
}

/// Writes slots up to `now`, inclusive, as many as one statement may, and moves the promises on.
async fn write(tx: &Tx<'_>, promises: &mut [Promise], now: DateTime<Utc>) -> Result<Made, JobError> {
    let mut known: HashMap<(String, String), Result<Cron, CronError>> = HashMap::new();
    let (mut slot_schedules, mut slot_times) = (Vec::new(), Vec::new());
    let (mut moved, mut nexts) = (Vec::new(), Vec::new());
    for promise in promises {
        if slot_times.len() >= MOST_AT_ONCE {
            break;
        }
        let Some(first) = promise.next else { continue };
        let schedule = promise.schedule;
        let rule = (promise.cron.clone(), promise.tz.clone());
        let cron = known.entry(rule).or_insert_with_key(|(text, zone)| Cron::parse(text, zone));
        let slots = match cron {
            Ok(cron) => {
                let (slots, next) = due(cron, first, now);
                promise.next = next;
                slots
            }
            Err(problem) => {
                error!(%schedule, error = %problem, "schedule {schedule} stands still: {problem}");
                promise.next = None;
                Vec::new()
            }
        };
        slot_schedules.extend(std::iter::repeat_n(schedule, slots.len()));
        slot_times.extend(slots);
        moved.push(schedule);
        nexts.push(promise.next);
    }
    let written = tx
        .query_one(
            include_str!("../../sql/job/write_slots.sql"),
            &[&slot_schedules, &slot_times, &moved, &nexts, &now, &IN_TIME_SECONDS],
        )
        .await?;
    Ok(Made { schedules: moved.len(), slots: written.get("slots"), runs: written.get("runs") })
}

/// Slots from `first`, inclusive, up to `now`, inclusive, and the one after them.
fn due(cron: &Cron, first: DateTime<Utc>, now: DateTime<Utc>) -> (Vec<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let mut slots = Vec::new();
    let mut next = Some(first);
    while let Some(slot) = next.filter(|&slot| slot <= now && slots.len() < MOST_OF_A_SCHEDULE) {
        slots.push(slot);
        next = cron.next_after(slot);
    }
    (slots, next)
}

words!(
    /// What became of a slot, for people: as on the ledger, but that one whose run is still in hand waits.
    Fate {
        Ran = "ran",
        Covered = "covered",
        Missed = "missed",
        Skipped = "skipped",
        Waiting = "waiting",
    }
);

/// One slot of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slot {
    pub slot_at: DateTime<Utc>,
    pub schedule: ScheduleId,
    pub source_group: GroupId,
    pub group: String,
    /// `ran`, `covered`, `missed` or `skipped`, as on the ledger.
    pub how: String,
    pub fate: Fate,
    pub why: Option<String>,
    pub job: Option<JobId>,
    pub job_state: Option<String>,
    pub cron: String,
    pub tz: String,
}

/// Where a page of slots begins: behind this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub slot_at: DateTime<Utc>,
    pub schedule: ScheduleId,
    pub source_group: GroupId,
}

/// Which slots are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub host: HostId,
    /// Inclusive.
    pub from: DateTime<Utc>,
    /// Exclusive.
    pub to: DateTime<Utc>,
    pub after: Option<Cursor>,
    pub how: Option<String>,
    pub limit: u32,
}

/// One page of a host's slots, newest first; it reads the page's rows by their index, whatever the history.
///
/// # Errors
///
/// What the server says.
pub async fn list(db: &impl Executor, page: &Page) -> Result<Vec<Slot>, JobError> {
    let statement = include_str!("../../sql/job/slots.sql").replace("{limit}", &page.limit.to_string());
    let rows = db
        .query(
            &statement,
            &[
                &page.host.0,
                &page.from,
                &page.to,
                &page.after.map(|cursor| cursor.slot_at),
                &page.after.map(|cursor| cursor.schedule.to_string()),
                &page.after.map(|cursor| cursor.source_group.to_string()),
                &page.how,
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let how: String = row.get("how");
            let is_in_hand = row.get::<_, Option<String>>("run_state").is_some();
            let fate = match Fate::read(&how) {
                Some(Fate::Missed) if is_in_hand => Fate::Waiting,
                Some(fate) => fate,
                None => Fate::Missed,
            };
            Slot {
                slot_at: row.get("slot_at"),
                schedule: ScheduleId(row.get("schedule")),
                source_group: GroupId(row.get("source_group")),
                group: row.get("group_name"),
                how,
                fate,
                why: row.get("why"),
                job: row.get::<_, Option<Uuid>>("job").map(JobId),
                job_state: row.get("job_state"),
                cron: row.get("cron"),
                tz: row.get("tz"),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_have_come_are_listed_and_the_next_one_is_kept() {
        let cron = Cron::parse("0 * * * *", "UTC").unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let first = at("2026-11-25T10:00:00Z");
        assert_eq!(due(&cron, first, at("2026-11-25T09:59:59Z")), (vec![], Some(first)));
        let (slots, next) = due(&cron, first, at("2026-11-25T12:00:00Z"));
        assert_eq!(slots, [first, at("2026-11-25T11:00:00Z"), at("2026-11-25T12:00:00Z")]);
        assert_eq!(next, Some(at("2026-11-25T13:00:00Z")));
        let (slots, next) = due(&cron, first, at("2027-11-25T10:00:00Z"));
        assert_eq!((slots.len(), next), (MOST_OF_A_SCHEDULE, cron.next_after(*slots.last().unwrap())));
    }
}
