//! An agent as it looks from beside, from its files alone.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::AgentError;
use super::journal::{self, Open};
use super::outbox::{Place, Shelf, epoch_of};
use crate::ground::wire::hello::Figures;

/// What is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The process that is on duty.
    pub holder: Option<String>,
    pub epoch: i64,
    pub outbox: Figures,
    /// Runs that are open; without an agent on duty they were interrupted.
    pub runs: Vec<Open>,
}

/// Looks at an agent's directory.
///
/// # Errors
///
/// [`AgentError::NoDirectory`], or what the file system says.
pub fn look(root: &Path) -> Result<Status, AgentError> {
    let shelf = Shelf::open(root)?;
    let waiting = shelf.files(Place::New)?;
    let (mut bytes, mut oldest): (u64, Option<DateTime<Utc>>) = (0, None);
    let mut drained_to = 0;
    for (place, file) in waiting.iter().enumerate() {
        let size =
            std::fs::metadata(shelf.layout().directory(Place::New).join(file)).map_or(0, |found| found.len());
        bytes += size;
        if place == 0
            && let Some(item) = shelf.item(Place::New, file)?
            && let Ok(entry) = item.entry
        {
            oldest = Some(entry.header.queued_at);
            drained_to = entry.header.seq - 1;
        }
    }
    Ok(Status {
        holder: shelf.layout().holder(),
        epoch: epoch_of(shelf.layout())?,
        outbox: Figures {
            pending: waiting.len() as u64,
            pending_bytes: bytes,
            oldest_at: oldest,
            drained_to,
            conflict: shelf.files(Place::Conflict)?.len() as u64,
            dead: shelf.files(Place::Dead)?.len() as u64,
        },
        runs: journal::list(shelf.layout())?,
    })
}
