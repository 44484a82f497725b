//! Groups, schedules and repositories as reports name them: by id or by name, of their own host only.

use std::collections::HashMap;

use uuid::Uuid;

use crate::db::Executor;
use crate::ground::wire::event::Event;
use crate::ground::wire::fact::{Fact, Opened, Slot};
use crate::ground::wire::id::HostId;
use crate::job::JobError;

use super::job::Identity;

/// What the names of a batch stand for.
#[derive(Debug, Default)]
pub struct Names {
    groups: HashMap<String, Group>,
    schedules: HashMap<String, Uuid>,
    repositories: HashMap<String, Uuid>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    id: Uuid,
    /// None where it goes to several.
    only_repository: Option<Uuid>,
}

impl Names {
    /// Looks up every name of a batch in one statement; none if nothing is named.
    pub(super) async fn find(db: &impl Executor, host: HostId, events: &[&Event]) -> Result<Names, JobError> {
        let mut groups = Vec::new();
        let mut schedules = Vec::new();
        let mut repositories = Vec::new();
        for event in events {
            match &event.fact {
                Fact::JobOpened(opened) => {
                    groups.push(opened.source_group.clone());
                    schedules.extend(opened.schedule.clone());
                    repositories.extend(opened.repository.clone());
                }
                Fact::SlotMissed(slot) | Fact::SlotSkipped(slot) => {
                    groups.push(slot.source_group.clone());
                    schedules.push(slot.schedule.clone());
                }
                Fact::JobStarted
                | Fact::JobProgress(_)
                | Fact::StepStarted(_)
                | Fact::StepFinished(_)
                | Fact::RecordUnderway(_)
                | Fact::RecordPublished(_)
                | Fact::JobFinished(_) => {}
            }
        }
        let mut names = Names::default();
        if groups.is_empty() {
            return Ok(names);
        }
        let statement = include_str!("../../../sql/job/event/names.sql");
        for row in db.query(statement, &[&host.0, &groups, &schedules, &repositories]).await? {
            let (named, id): (String, Uuid) = (row.get("named"), row.get("id"));
            match row.get("what") {
                "group" => {
                    names.groups.insert(named, Group { id, only_repository: row.get("only_repository") });
                }
                "schedule" => {
                    names.schedules.insert(named, id);
                }
                _ => {
                    names.repositories.insert(named, id);
                }
            }
        }
        Ok(names)
    }

    /// Whom a job is for.
    ///
    /// # Errors
    ///
    /// A sentence about the first name that means nothing to this host.
    pub(super) fn identity(&self, opened: &Opened) -> Result<Identity, String> {
        let group = self.group(&opened.source_group)?;
        let schedule = opened.schedule.as_deref().map(|schedule| self.schedule(schedule)).transpose()?;
        let repository = match &opened.repository {
            Some(named) => Some(
                *self
                    .repositories
                    .get(named)
                    .ok_or_else(|| format!("repository \"{named}\" is not known to this host's tenant"))?,
            ),
            None => group.only_repository,
        };
        Ok(Identity {
            source_group: Some(group.id),
            repository,
            schedule,
            slot_at: opened.slot_at,
            reason: opened.reason,
            attempt: opened.attempt.and_then(|attempt| i32::try_from(attempt).ok()).unwrap_or(1),
        })
    }

    /// Schedule and group of a slot.
    ///
    /// # Errors
    ///
    /// As [`Names::identity`].
    pub(super) fn slot(&self, slot: &Slot) -> Result<(Uuid, Uuid), String> {
        Ok((self.schedule(&slot.schedule)?, self.group(&slot.source_group)?.id))
    }

    fn group(&self, named: &str) -> Result<Group, String> {
        self.groups
            .get(named)
            .copied()
            .ok_or_else(|| format!("source_group \"{named}\" is not known to this host"))
    }

    fn schedule(&self, named: &str) -> Result<Uuid, String> {
        self.schedules
            .get(named)
            .copied()
            .ok_or_else(|| format!("schedule \"{named}\" is not known to this host"))
    }
}
