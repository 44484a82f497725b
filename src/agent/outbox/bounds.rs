//! How much an outbox may hold, and what gives way first.

use std::time::Duration;

use crate::ground::wire::fact::Fact;

/// Limits of what waits. Over one of them progress is shed, then new runs are refused; reports that end what has begun
/// are taken always, for they are what the outbox is for.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub files: usize,
    pub bytes: u64,
    pub age: Duration,
}

impl Default for Bounds {
    /// 10,000 files, 64 MiB, 30 days.
    fn default() -> Bounds {
        Bounds { files: 10_000, bytes: 64 * 1024 * 1024, age: Duration::from_secs(30 * 24 * 3_600) }
    }
}

/// What may happen to an entry when the outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The newest says all; older ones go when it is queued, and over the bounds it is shed.
    Progress,
    /// Begins something that may as well not begin.
    Begins,
    /// Tells of something that has begun or ended.
    Tells,
}

impl Class {
    pub fn of(fact: &Fact) -> Class {
        match fact {
            Fact::JobProgress(_) => Class::Progress,
            Fact::JobOpened(_) => Class::Begins,
            Fact::JobStarted
            | Fact::StepStarted(_)
            | Fact::StepFinished(_)
            | Fact::RecordUnderway(_)
            | Fact::RecordPublished(_)
            | Fact::JobFinished(_)
            | Fact::SlotMissed(_)
            | Fact::SlotSkipped(_) => Class::Tells,
        }
    }
}

impl Bounds {
    /// Why nothing that begins is taken any more; none while there is room.
    pub fn excess(&self, files: usize, bytes: u64, oldest: Option<Duration>) -> Option<String> {
        if files >= self.files {
            return Some(format!("{files} entries wait, {} may", self.files));
        }
        if bytes >= self.bytes {
            return Some(format!("{bytes} bytes wait, {} may", self.bytes));
        }
        let age = oldest.filter(|age| *age > self.age)?;
        Some(format!("the oldest entry has waited for {} days", age.as_secs() / 86_400))
    }
}
