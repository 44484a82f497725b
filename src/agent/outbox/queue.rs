//! What waits, in memory: which entries may be sent next. Pure; files and the network are others' business.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::entry::{Entry, Name};
use crate::ground::wire::id::JobId;

/// One entry that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Entries of one lane go in order, and a deferred one holds back those behind it; none: on its own.
    pub lane: Option<String>,
    pub job: Option<JobId>,
    /// Events travel in batches, requests alone.
    pub is_event: bool,
    pub is_progress: bool,
    /// Of its file; its share of a batch is no larger.
    pub size_bytes: u64,
    pub queued_at: DateTime<Utc>,
    /// Times that it was sent in vain.
    pub attempts: u32,
    /// Not to be sent before this.
    pub not_before: Option<Instant>,
}

impl Waiting {
    pub fn of(entry: &Entry, size_bytes: u64) -> Waiting {
        let header = &entry.header;
        Waiting {
            lane: header.lane.clone(),
            job: header.job,
            is_event: header.request.is_none(),
            is_progress: header.kind.as_deref() == Some("job.progress"),
            size_bytes,
            queued_at: header.queued_at,
            attempts: 0,
            not_before: None,
        }
    }
}

/// What is to be sent in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// Events, in their order.
    Events(Vec<Name>),
    Request(Name),
}

/// All that waits, in the order in which it was made.
#[derive(Debug, Default)]
pub struct Queue {
    entries: BTreeMap<Name, Waiting>,
    bytes: u64,
}

impl Queue {
    pub fn insert(&mut self, name: Name, waiting: Waiting) {
        self.bytes += waiting.size_bytes;
        if let Some(old) = self.entries.insert(name, waiting) {
            self.bytes -= old.size_bytes;
        }
    }

    pub fn remove(&mut self, name: Name) -> Option<Waiting> {
        let removed = self.entries.remove(&name)?;
        self.bytes -= removed.size_bytes;
        Some(removed)
    }

    pub fn contains(&self, name: Name) -> bool {
        self.entries.contains_key(&name)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.entries.keys().copied()
    }

    /// The entry that was made first.
    pub fn first(&self) -> Option<(Name, &Waiting)> {
        self.entries.iter().next().map(|(name, waiting)| (*name, waiting))
    }

    /// Progress of a job that is older than `newest`, which says all that it says.
    pub fn older_progress(&self, job: JobId, newest: Name) -> Vec<Name> {
        let older = self
            .entries
            .range(..newest)
            .filter(|(_, waiting)| waiting.is_progress && waiting.job == Some(job));
        older.map(|(name, _)| *name).collect()
    }

    /// All progress that waits.
    pub fn progress(&self) -> Vec<Name> {
        self.entries.iter().filter(|(_, waiting)| waiting.is_progress).map(|(name, _)| *name).collect()
    }

    /// Puts an entry off, and with it its lane.
    pub fn defer(&mut self, name: Name, until: Instant) {
        if let Some(waiting) = self.entries.get_mut(&name) {
            waiting.attempts += 1;
            waiting.not_before = Some(until);
        }
    }

    /// How often an entry was sent in vain.
    pub fn attempts(&self, name: Name) -> u32 {
        self.entries.get(&name).map_or(0, |waiting| waiting.attempts)
    }

    /// What may be sent at `now`: the first entry that nothing holds back, and when it is an event others with it, at
    /// most `most_events` and `most_bytes` of them, but always one.
    pub fn next(&self, now: Instant, most_events: usize, most_bytes: u64) -> Option<Load> {
        let mut held: HashSet<&str> = HashSet::new();
        let mut events = Vec::new();
        let mut bytes = 0;
        for (name, waiting) in &self.entries {
            if waiting.lane.as_deref().is_some_and(|lane| held.contains(lane)) {
                continue;
            }
            let is_due = waiting.not_before.is_none_or(|until| until <= now);
            match (is_due, waiting.is_event) {
                (true, false) if events.is_empty() => return Some(Load::Request(*name)),
                (true, true) if events.is_empty() || bytes + waiting.size_bytes <= most_bytes => {
                    bytes += waiting.size_bytes;
                    events.push(*name);
                    if events.len() >= most_events {
                        break;
                    }
                }
                // Too large for what is left of this batch; nothing may pass it.
                (true, true) => break,
                // A request waits until the events before it are answered, and what is put off until its time.
                (true, false) | (false, _) => {
                    held.extend(waiting.lane.as_deref());
                }
            }
        }
        (!events.is_empty()).then_some(Load::Events(events))
    }

    /// When the next entry that was put off is due; none if none was.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(|waiting| waiting.not_before).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ground::wire::id::EventId;
    use proptest::prelude::*;

    fn name(seq: i64) -> Name {
        Name { seq, id: EventId(uuid::Uuid::from_u128(seq.unsigned_abs().into())) }
    }

    fn waiting(lane: Option<&str>, is_event: bool) -> Waiting {
        Waiting {
            lane: lane.map(str::to_owned),
            job: None,
            is_event,
            is_progress: false,
            size_bytes: 10,
            queued_at: DateTime::UNIX_EPOCH,
            attempts: 0,
            not_before: None,
        }
    }

    #[test]
    fn a_deferred_entry_holds_back_only_its_own_lane() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for (seq, lane) in [(1, Some("a")), (2, Some("b")), (3, Some("a")), (4, Some("b")), (5, None)] {
            queue.insert(name(seq), waiting(lane, true));
        }
        queue.defer(name(1), now + Duration::from_secs(60));
        assert_eq!(queue.next(now, 500, 1_000), Some(Load::Events(vec![name(2), name(4), name(5)])));
        let later = now + Duration::from_secs(61);
        let all = (1..=5).map(name).collect();
        assert_eq!(queue.next(later, 500, 1_000), Some(Load::Events(all)));
    }

    #[test]
    fn a_request_waits_for_the_events_before_it_and_holds_those_behind() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.insert(name(1), waiting(Some("a"), true));
        queue.insert(name(2), waiting(Some("a"), false));
        queue.insert(name(3), waiting(Some("a"), true));
        queue.insert(name(4), waiting(Some("b"), true));
        assert_eq!(queue.next(now, 500, 1_000), Some(Load::Events(vec![name(1), name(4)])));
        queue.remove(name(1));
        queue.remove(name(4));
        assert_eq!(queue.next(now, 500, 1_000), Some(Load::Request(name(2))));
        queue.defer(name(2), now + Duration::from_secs(1));
        assert_eq!(queue.next(now, 500, 1_000), None);
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for seq in 1..=10 {
            queue.insert(name(seq), waiting(None, true));
        }
        assert_eq!(queue.next(now, 3, 1_000), Some(Load::Events((1..=3).map(name).collect())));
        assert_eq!(queue.next(now, 500, 45), Some(Load::Events((1..=4).map(name).collect())));
        assert_eq!(queue.next(now, 500, 1), Some(Load::Events(vec![name(1)])));
        assert_eq!(queue.bytes(), 100);
    }

    proptest! {
        /// Whatever is deferred and answered, no lane is ever sent out of its order.
        #[test]
        fn lanes_keep_their_order(
            lanes in proptest::collection::vec((0_u8..4, any::<bool>()), 1..40),
            turns in proptest::collection::vec((any::<u8>(), 1_usize..6), 1..80),
        ) {
            let begun = Instant::now();
            let mut queue = Queue::default();
            for (seq, (lane, is_event)) in lanes.iter().enumerate() {
                let lane = format!("{lane}");
                queue.insert(name(seq as i64), waiting(Some(&lane), *is_event));
            }
            let mut sent: Vec<(u8, i64)> = Vec::new();
            for (turn, (dice, most)) in turns.iter().enumerate() {
                let now = begun + Duration::from_secs(turn as u64);
                let names = match queue.next(now, *most, 1_000) {
                    Some(Load::Events(names)) => names,
                    Some(Load::Request(name)) => vec![name],
                    None => continue,
                };
                // The server answers for a prefix of the batch and puts the rest off.
                let answered = usize::from(*dice) % (names.len() + 1);
                for (place, name) in names.into_iter().enumerate() {
                    if place < answered {
                        queue.remove(name);
                        sent.push((lanes[name.seq as usize].0, name.seq));
                    } else {
                        queue.defer(name, now + Duration::from_secs(u64::from(*dice % 3)));
                    }
                }
            }
            for lane in 0..4 {
                let order: Vec<i64> = sent.iter().filter(|(one, _)| *one == lane).map(|(_, seq)| *seq).collect();
                prop_assert!(order.is_sorted(), "{order:?}");
            }
        }
    }
}
