//! The outbox of a running agent: the lock, the epoch, the counter, and what waits.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::fcntl::Flock;
use tokio::sync::{Notify, oneshot};
use tracing::{error, warn};

use super::super::AgentError;
use super::bounds::{Bounds, Class};
use super::draft::{Draft, Stamp};
use super::durable;
use super::entry::{Entry, Header, Name};
use super::epoch;
use super::layout::{Layout, Place, sync_directory};
use super::queue::{Load, Queue, Waiting};
use super::shelf::{self, Answer};
use crate::ground::fault;
use crate::ground::wire::event::Event;
use crate::ground::wire::hello::Figures;
use crate::ground::wire::id::EventId;

/// Room on the disk that is given up for a report which ends a job: a few entries with full log tails.
const RESERVE_BYTES: usize = 256 * 1024;

/// Most entries that share one sync of the directory.
const GROUP: usize = 256;

/// What a start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    pub waiting: usize,
    /// Half-written files, of which nothing was acknowledged.
    pub cleared: usize,
    /// Moved to dead/.
    pub unreadable: usize,
}

/// One draft on its way to the disk.
struct Posted {
    draft: Draft,
    stamp: Stamp,
    done: oneshot::Sender<Result<Option<Name>, AgentError>>,
}

/// The outbox of this process; dropping it gives the lock back.
pub struct Outbox {
    layout: Layout,
    epoch: i64,
    bounds: Bounds,
    found: Found,
    /// The last number that was given; held while files are written, so that they appear in their order.
    seq: Mutex<i64>,
    queue: Mutex<Queue>,
    posted: Mutex<Vec<Posted>>,
    /// Something may be sent that could not before.
    news: Notify,
    _lock: Flock<File>,
}

impl Outbox {
    /// Takes the directory, which is made if need be, raises the epoch and reads what waits.
    ///
    /// # Errors
    ///
    /// [`AgentError::Busy`] when another agent has it.
    pub fn open(root: &Path, bounds: Bounds, now: DateTime<Utc>) -> Result<Outbox, AgentError> {
        let layout = Layout::create(root)?;
        let lock = layout.lock()?;
        let mut found = Found { cleared: clear(&layout)?, ..Found::default() };
        shelf::clear_orphans(&layout)?;
        let mut queue = Queue::default();
        let mut highest_epoch = 0;
        for file in shelf::files(&layout, Place::New)? {
            match read(&layout, &file) {
                Ok((entry, size_bytes)) => {
                    highest_epoch = highest_epoch.max(entry.header.epoch);
                    queue.insert(entry.name(), Waiting::of(&entry, size_bytes));
                }
                Err(reason) => {
                    error!(file = %file, reason = %reason, "{file} in new/ {reason}; moved to dead/");
                    let answer = Answer { status: None, verdict: None, reason, body: None, at: now };
                    shelf::refuse(&layout, &file, Place::Dead, &answer)?;
                    found.unreadable += 1;
                }
            }
        }
        found.waiting = queue.len();
        let mut seq = 0;
        for place in [Place::New, Place::Conflict, Place::Dead] {
            let names = shelf::files(&layout, place)?;
            seq = names
                .iter()
                .filter_map(|name| name.parse::<Name>().ok())
                .map(|name| name.seq)
                .fold(seq, i64::max);
        }
        let epoch = epoch::raise(&layout, highest_epoch)?;
        let outbox = Outbox {
            layout,
            epoch,
            bounds,
            found,
            seq: Mutex::new(seq),
            queue: Mutex::new(queue),
            posted: Mutex::default(),
            news: Notify::new(),
            _lock: lock,
        };
        outbox.refill_reserve();
        Ok(outbox)
    }

    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    pub fn found(&self) -> Found {
        self.found
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Why nothing may begin; none while there is room.
    pub fn excess(&self, now: DateTime<Utc>) -> Option<String> {
        let queue = self.queue();
        let oldest =
            queue.first().map(|(_, waiting)| (now - waiting.queued_at).to_std().unwrap_or(Duration::ZERO));
        self.bounds.excess(queue.len(), queue.bytes(), oldest)
    }

    /// Queues drafts, in their order and all or none; when this returns they are durable. None stands for progress that
    /// was shed.
    ///
    /// # Errors
    ///
    /// [`AgentError::OutboxFull`] for what begins something, [`AgentError::DiskFull`], [`AgentError::File`].
    pub fn enqueue(&self, drafts: &[(Draft, Stamp)]) -> Result<Vec<Option<Name>>, AgentError> {
        let mut seq = lock(&self.seq);
        let mut written: Vec<(Entry, u64)> = Vec::new();
        let mut names = Vec::new();
        let outcome = drafts.iter().try_for_each(|(draft, stamp)| {
            if !self.admits(draft, stamp.event_at)? {
                names.push(None);
                return Ok(());
            }
            *seq += 1;
            let entry = self.entry(*seq, draft, stamp);
            let size_bytes = self.write(&entry, draft.class())?;
            names.push(Some(entry.name()));
            written.push((entry, size_bytes));
            Ok(())
        });
        let outcome = outcome.and_then(|()| {
            if written.is_empty() { Ok(()) } else { sync_directory(&self.layout.directory(Place::New)) }
        });
        fault::point("outbox.durable");
        if let Err(error) = outcome {
            // Nothing of it was acknowledged, so nothing of it may be sent: the caller will come again.
            for (entry, _) in &written {
                let _ = fs::remove_file(self.path(entry.name()));
            }
            return Err(error);
        }
        let mut superseded = Vec::new();
        let mut queue = self.queue();
        for (entry, size_bytes) in &written {
            let waiting = Waiting::of(entry, *size_bytes);
            if let Some(job) = waiting.job.filter(|_| waiting.is_progress) {
                superseded.extend(queue.older_progress(job, entry.name()));
            }
            queue.insert(entry.name(), waiting);
        }
        drop(queue);
        drop(seq);
        self.shed(&superseded);
        self.news.notify_one();
        Ok(names)
    }

    /// Queues one draft from asynchronous code. Those that are posted at once share a sync of the directory.
    ///
    /// # Errors
    ///
    /// As [`Outbox::enqueue`].
    pub async fn post(self: &Arc<Self>, draft: Draft, stamp: Stamp) -> Result<Option<Name>, AgentError> {
        let (done, answer) = oneshot::channel();
        lock(&self.posted).push(Posted { draft, stamp, done });
        let outbox = Arc::clone(self);
        tokio::task::spawn_blocking(move || outbox.commit());
        match answer.await {
            Ok(answer) => answer,
            // Only a panic while writing drops the sender; the file may be there, but nobody may rely on it.
            Err(_) => Err(AgentError::file(
                "write to",
                self.layout.root(),
                std::io::Error::other("the writer of the outbox ended"),
            )),
        }
    }

    /// Writes what was posted; the first of several callers takes the drafts of all.
    fn commit(&self) {
        // Waits for the group that is being written; meanwhile the next one gathers.
        drop(lock(&self.seq));
        let mut group = {
            let mut posted = lock(&self.posted);
            let most = posted.len().min(GROUP);
            posted.drain(..most).collect::<Vec<_>>()
        };
        if group.len() > 1 {
            let drafts: Vec<_> = group.iter().map(|one| (one.draft.clone(), one.stamp.clone())).collect();
            if let Ok(names) = self.enqueue(&drafts) {
                for (one, name) in group.drain(..).zip(names) {
                    let _ = one.done.send(Ok(name));
                }
                return;
            }
            // One of them was refused: each by itself.
        }
        for one in group {
            let answer =
                self.enqueue(&[(one.draft, one.stamp)]).map(|names| names.into_iter().next().flatten());
            let _ = one.done.send(answer);
        }
    }

    /// What may be sent now.
    pub fn next(&self, now: Instant, most_events: usize, most_bytes: u64) -> Option<Load> {
        self.queue().next(now, most_events, most_bytes)
    }

    /// When the next entry that was put off is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue().next_due()
    }

    /// How often an entry was sent in vain.
    pub fn attempts(&self, name: Name) -> u32 {
        self.queue().attempts(name)
    }

    /// Reads an entry that waits; none if somebody dropped it.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`]. An entry that has become unreadable goes to dead/ and is none.
    pub fn load(&self, name: Name, now: DateTime<Utc>) -> Result<Option<Entry>, AgentError> {
        let file = name.to_string();
        if !self.path(name).exists() {
            self.queue().remove(name);
            return Ok(None);
        }
        match read(&self.layout, &file) {
            Ok((entry, _)) => Ok(Some(entry)),
            Err(reason) => {
                error!(file = %file, reason = %reason, "{file} in new/ {reason}; moved to dead/");
                let answer = Answer { status: None, verdict: None, reason, body: None, at: now };
                self.refuse(name, Place::Dead, &answer)?;
                Ok(None)
            }
        }
    }

    /// The server has answered for these: their files go.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn settle(&self, names: &[Name]) -> Result<(), AgentError> {
        for name in names {
            fault::point("outbox.settle");
            shelf::remove(&self.path(*name))?;
            self.queue().remove(*name);
        }
        self.refill_reserve();
        Ok(())
    }

    /// Puts an entry off, and with it its lane.
    pub fn defer(&self, name: Name, until: Instant) {
        self.queue().defer(name, until);
    }

    /// Moves an entry to conflict/ or dead/.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`]; it then still waits.
    pub fn refuse(&self, name: Name, place: Place, answer: &Answer) -> Result<(), AgentError> {
        shelf::refuse(&self.layout, &name.to_string(), place, answer)?;
        self.queue().remove(name);
        Ok(())
    }

    /// Looks for what somebody put back into new/ or took out of it.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn rescan(&self) -> Result<(), AgentError> {
        // No file is being written meanwhile.
        let _seq = lock(&self.seq);
        let files = shelf::files(&self.layout, Place::New)?;
        let there: std::collections::HashSet<Name> =
            files.iter().filter_map(|file| file.parse().ok()).collect();
        let mut queue = self.queue();
        let gone: Vec<Name> = queue.names().filter(|name| !there.contains(name)).collect();
        for name in gone {
            queue.remove(name);
        }
        for name in there {
            if !queue.contains(name)
                && let Ok((entry, size_bytes)) = read(&self.layout, &name.to_string())
            {
                queue.insert(name, Waiting::of(&entry, size_bytes));
                self.news.notify_one();
            }
        }
        Ok(())
    }

    /// How full it is.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn figures(&self) -> Result<Figures, AgentError> {
        let seq = *lock(&self.seq);
        let queue = self.queue();
        let first = queue.first();
        Ok(Figures {
            pending: queue.len() as u64,
            pending_bytes: queue.bytes(),
            oldest_at: first.map(|(_, waiting)| waiting.queued_at),
            drained_to: first.map_or(seq, |(name, _)| name.seq - 1),
            conflict: shelf::files(&self.layout, Place::Conflict)?.len() as u64,
            dead: shelf::files(&self.layout, Place::Dead)?.len() as u64,
        })
    }

    /// Whether everything is answered for.
    pub fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// Resolves when something was queued since the last time.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Whether a draft is taken; `false` for progress that is shed.
    fn admits(&self, draft: &Draft, now: DateTime<Utc>) -> Result<bool, AgentError> {
        let Some(why) = self.excess(now) else { return Ok(true) };
        let progress = self.queue().progress();
        self.shed(&progress);
        match draft.class() {
            Class::Tells => Ok(true),
            Class::Progress => Ok(false),
            // Shedding may have made room.
            Class::Begins if self.excess(now).is_none() => Ok(true),
            Class::Begins => Err(AgentError::OutboxFull { why }),
        }
    }

    fn entry(&self, seq: i64, draft: &Draft, stamp: &Stamp) -> Entry {
        let id = EventId::fresh();
        let header = |kind, job, lane, request| Header {
            seq,
            epoch: self.epoch,
            id,
            kind,
            job,
            lane,
            queued_at: stamp.event_at,
            request,
        };
        match draft {
            Draft::Event { job, fact } => {
                let event = Event {
                    event_id: id,
                    epoch: self.epoch,
                    seq,
                    job: *job,
                    fact: fact.clone(),
                    event_at: stamp.event_at,
                    boot_id: Some(stamp.boot_id.clone()),
                    mono_ms: Some(stamp.mono_ms),
                    skew_ms: stamp.skew_ms,
                };
                let lane = job.map(|job| job.to_string());
                let header = header(Some(fact.kind().to_owned()), *job, lane, None);
                Entry { header, body: event.write().to_string() }
            }
            Draft::Request { request, body, lane, .. } => {
                Entry { header: header(None, None, lane.clone(), Some(request.clone())), body: body.clone() }
            }
        }
    }

    /// Writes one file; for what tells of an end the reserve is given up when the disk is full.
    fn write(&self, entry: &Entry, class: Class) -> Result<u64, AgentError> {
        let bytes = entry.write();
        let name = entry.name().to_string();
        let aside = self.layout.directory(Place::Tmp).join(&name);
        let path = self.path(entry.name());
        match durable::place(&aside, &path, &bytes) {
            Err(AgentError::DiskFull { .. }) if class == Class::Tells => {
                warn!("the disk is full; the outbox gives up its reserve");
                shelf::remove(&self.reserve())?;
                durable::place(&aside, &path, &bytes)?;
            }
            outcome => outcome?,
        }
        Ok(bytes.len() as u64)
    }

    /// Removes progress that newer progress or fullness has made pointless.
    fn shed(&self, names: &[Name]) {
        for name in names {
            match shelf::remove(&self.path(*name)) {
                Ok(()) => {
                    self.queue().remove(*name);
                }
                Err(error) => warn!(error = %error, "old progress stays"),
            }
        }
    }

    /// Keeps some room for the last word of a job. Without it a full disk is told to the caller, as before.
    fn refill_reserve(&self) {
        let path = self.reserve();
        if path.exists() {
            return;
        }
        let aside = self.layout.directory(Place::Tmp).join("reserve");
        if durable::place_durably(&aside, &path, &vec![b'.'; RESERVE_BYTES]).is_err() {
            let _ = fs::remove_file(&path);
        }
    }

    fn reserve(&self) -> std::path::PathBuf {
        self.layout.root().join("reserve")
    }

    fn path(&self, name: Name) -> std::path::PathBuf {
        self.layout.directory(Place::New).join(name.to_string())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// The state behind a lock is whole between any two of its statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what was half written; nothing of it was acknowledged.
fn clear(layout: &Layout) -> Result<usize, AgentError> {
    let names = layout.names(Place::Tmp)?;
    for name in &names {
        shelf::remove(&layout.directory(Place::Tmp).join(name))?;
    }
    Ok(names.len())
}

fn read(layout: &Layout, file: &str) -> Result<(Entry, u64), String> {
    let name: Name = file.parse().map_err(|_| "is not named as entries are".to_owned())?;
    let bytes = fs::read(layout.directory(Place::New).join(file))
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok((Entry::read(name, &bytes)?, bytes.len() as u64))
}
