//! Why a slot did not run: everything that decided about it, as sentences.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use crate::db::{Executor, Row};
use crate::ground::wire::id::{GroupId, HostId, JobId, ScheduleId};

/// A slot and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    pub slot_at: DateTime<Utc>,
    pub schedule: ScheduleId,
    pub cron: String,
    pub tz: String,
    pub how: String,
    pub job: Option<JobId>,
    pub job_state: Option<String>,
    /// Sentences, the decisive one first.
    pub because: Vec<String>,
}

/// The latest slots of a group at or before a moment, newest first.
///
/// # Errors
///
/// What the server says.
pub async fn why(
    db: &impl Executor,
    host: HostId,
    group: GroupId,
    at: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Told>, JobError> {
    let statement = include_str!("../../sql/job/why.sql").replace("{limit}", &limit.to_string());
    let rows = db.query(&statement, &[&host.0, &group.0, &at]).await?;
    Ok(rows
        .iter()
        .map(|row| Told {
            slot_at: row.get("slot_at"),
            schedule: ScheduleId(row.get("schedule")),
            cron: row.get("cron"),
            tz: row.get("tz"),
            how: row.get("how"),
            job: row.get::<_, Option<Uuid>>("job").map(JobId),
            job_state: row.get("job_state"),
            because: because(row),
        })
        .collect())
}

fn because(row: &Row) -> Vec<String> {
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let time = |column: &str| row.get::<_, Option<DateTime<Utc>>>(column);
    let at = |instant: DateTime<Utc>| instant.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let now: DateTime<Utc> = row.get("now");
    let mut words = Vec::new();
    let how: String = row.get("how");
    match how.as_str() {
        "ran" => words.push(match (text("job_state"), text("error")) {
            (Some(state), Some(error)) => format!("it ran: the job {state}: {error}"),
            (Some(state), None) => format!("it ran: the job {state}"),
            (None, _) => "it ran".to_owned(),
        }),
        "covered" => words.push(match time("job_slot_at") {
            Some(slot) => format!("the backup for the slot of {} covers it", at(slot)),
            None => "a later backup covers it".to_owned(),
        }),
        _ => words.extend(text("slot_why")),
    }
    if let Some(state) = text("run_state") {
        let (attempt, dispatches): (i32, i32) = (row.get("attempt"), row.get("dispatches"));
        let is_settled = time("settled_at").is_some();
        match (state.as_str(), is_settled) {
            ("waiting", _) => match time("not_before") {
                Some(moment) if moment > now => {
                    words.push(format!("its run is owed, attempt {attempt}, not before {}", at(moment)));
                }
                _ => words.push(format!(
                    "its run is owed, attempt {attempt}, and waits for the host to ask for work"
                )),
            },
            ("claimed", _) if dispatches > 0 => {
                words.push(format!("its run was handed out {dispatches} times without an answer"));
            }
            ("claimed", _) => words.push("its run is being handed to the host".to_owned()),
            ("dispatched", false) => words.push(format!("its run is in hand, attempt {attempt}")),
            _ => {}
        }
        words.extend(text("run_why").filter(|why| !words.contains(why)));
    }
    if how == "missed" {
        if let Some(until) = time("armed_until") {
            let tries: i32 = row.get("arm_tries");
            words.push(format!(
                "the host is armed and looked at from {} on; put off {tries} times",
                at(until)
            ));
        }
        if let Some(until) = time("backoff_until").filter(|&until| until > now) {
            let failures: i32 = row.get("consecutive_failures");
            words.push(format!("after {failures} failures nothing is caught up before {}", at(until)));
        }
        if row.get::<_, String>("catchup") == "none" {
            words.push("its schedule makes up for nothing".to_owned());
        }
        match (row.get::<_, bool>("is_removed"), row.get::<_, bool>("enabled")) {
            (true, _) => words.push("its schedule was removed".to_owned()),
            (false, false) => words.push("its schedule is disabled".to_owned()),
            (false, true) => {}
        }
        let state: String = row.get("host_state");
        if state != "online" {
            let seen = time("last_seen_at").map_or("never".to_owned(), at);
            let state = if state == "offline" && row.get::<_, String>("host_mode") == "intermittent" {
                "asleep"
            } else {
                state.as_str()
            }
            .to_owned();
            words.push(format!("the host is {state}; last seen {seen}"));
        }
    }
    words
}
