//! The host's clocks, as its events carry them.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};

use super::outbox::Stamp;
use crate::ground::{boot, clock};

/// The host's wall clock, which may be wrong, and its time since boot, which is not; and how far the first was ahead
/// when a server last said its time.
#[derive(Debug)]
pub struct HostClock {
    boot_id: String,
    skew_ms: Mutex<Option<i64>>,
}

impl Default for HostClock {
    fn default() -> HostClock {
        HostClock { boot_id: boot::id(), skew_ms: Mutex::new(None) }
    }
}

impl HostClock {
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// The wall clock.
    pub fn now(&self) -> DateTime<Utc> {
        clock::local_now()
    }

    /// The wall clock, put right by what the server said last: for finding slots.
    pub fn corrected(&self) -> DateTime<Utc> {
        self.now() - TimeDelta::milliseconds(self.skew_ms().unwrap_or(0))
    }

    pub fn skew_ms(&self) -> Option<i64> {
        *self.skew_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The server has said its time; `asked` and `answered` are the wall clock around the question.
    pub fn learn(&self, server: DateTime<Utc>, asked: DateTime<Utc>, answered: DateTime<Utc>) {
        let middle = asked + (answered - asked) / 2;
        let skew = (middle - server).num_milliseconds();
        *self.skew_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(skew);
    }

    /// A stamp for what happens now.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            event_at: self.now(),
            boot_id: self.boot_id.clone(),
            mono_ms: boot::elapsed_ms(),
            skew_ms: self.skew_ms(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_measured_at_the_middle_of_the_question() {
        let clock = HostClock::default();
        assert_eq!(clock.stamp().skew_ms, None);
        let at = |ms: i64| DateTime::from_timestamp_millis(1_764_000_000_000 + ms).unwrap();
        clock.learn(at(-5_000), at(0), at(200));
        assert_eq!(clock.skew_ms(), Some(5_100));
    }
}
