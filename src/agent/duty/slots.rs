//! Which slots of which schedule the host has dealt with: one small file, so that a restart neither repeats nor
//! forgets one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::AgentError;
use super::super::outbox::{Layout, Place, place_durably};
use crate::ground::wire::id::{GroupId, ScheduleId};

/// The file in an agent's directory.
const FILE: &str = "slots.json";

/// The newest slot that was dealt with, for each schedule and group.
#[derive(Debug, Default)]
pub struct Slots {
    last: BTreeMap<String, DateTime<Utc>>,
}

impl Slots {
    /// Reads the file; a missing or unreadable one counts as nothing dealt with, and the server has the slots too.
    pub fn read(layout: &Layout) -> Slots {
        let bytes = std::fs::read(layout.root().join(FILE)).unwrap_or_default();
        Slots { last: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// The newest slot that was dealt with; for a schedule that is seen for the first time `now`, from which it counts.
    pub fn last(&mut self, schedule: ScheduleId, group: GroupId, now: DateTime<Utc>) -> DateTime<Utc> {
        *self.last.entry(key(schedule, group)).or_insert(now)
    }

    /// Notes a slot as dealt with, durably: before it runs, or it may run twice.
    ///
    /// # Errors
    ///
    /// What the file system says; then it must not run.
    pub fn note(
        &mut self,
        layout: &Layout,
        schedule: ScheduleId,
        group: GroupId,
        slot: DateTime<Utc>,
    ) -> Result<(), AgentError> {
        let before = self.last.insert(key(schedule, group), slot);
        let bytes = serde_json::to_vec(&self.last).expect("slots have text keys only");
        let aside = layout.directory(Place::Tmp).join(FILE);
        let written = place_durably(&aside, &layout.root().join(FILE), &bytes);
        if written.is_err()
            && let Some(before) = before
        {
            self.last.insert(key(schedule, group), before);
        }
        written
    }
}

fn key(schedule: ScheduleId, group: GroupId) -> String {
    format!("{schedule}:{group}")
}
