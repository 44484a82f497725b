//! One batch of reports, in one transaction and a handful of statements, whatever the number of reports.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::existing::{self, Kept};
use super::job::{Effect, Job};
use super::moment::{self, Moment};
use super::names::Names;
use super::record::Record;
use super::stamp::Place;
use super::step::Step;
use crate::db::{DbError, Executor, Session, Tx};
use crate::ground::digits;
use crate::ground::wire::event::{Event, digest};
use crate::ground::wire::fact::{self, Fact};
use crate::ground::wire::id::{HostId, JobId};
use crate::ground::wire::state::StepState;
use crate::ground::wire::verdict::{Line, Verdict};
use crate::job::JobError;
use crate::job::alarm;

/// How often a batch that lost a deadlock is tried.
const TRIES: u32 = 3;

/// The action that removes an archive; its parameter is the record.
const REMOVE: &str = "remove";

/// A report that can be read, with what decides over it.
struct Sent {
    /// Its place in the batch.
    index: usize,
    event: Event,
    body_sha256: [u8; 32],
    moment: Moment,
    is_conflict: bool,
}

impl Sent {
    fn place(&self) -> Place {
        Place { epoch: self.event.epoch, seq: self.event.seq }
    }
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    verdict: Verdict,
    detail: Option<String>,
}

impl Judged {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Judged {
        Judged { verdict, detail: Some(detail.into()) }
    }
}

impl From<Effect> for Judged {
    fn from(effect: Effect) -> Judged {
        match effect {
            Effect::Applied => Judged { verdict: Verdict::Applied, detail: None },
            Effect::Stale => Judged { verdict: Verdict::Stale, detail: None },
            Effect::Conflict => {
                Judged::new(Verdict::Conflict, "contradicts an earlier report; both are kept")
            }
        }
    }
}

/// A slot at which nothing ran, as the host says.
struct Absence {
    schedule: Uuid,
    source_group: Uuid,
    slot_at: DateTime<Utc>,
    how: &'static str,
    why: String,
}

/// The rows that a batch works on.
struct Board {
    host: HostId,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs that belong to another host.
    foreign: BTreeSet<JobId>,
    changed: BTreeSet<JobId>,
    steps: HashMap<(JobId, String), Step>,
    changed_steps: BTreeSet<(JobId, String)>,
    records: BTreeMap<JobId, Record>,
    /// Ids of records that belong to other jobs than those of the batch.
    taken: BTreeSet<Uuid>,
    absences: Vec<Absence>,
    names: Names,
}

/// Applies a batch of a host's reports; returns a verdict for each, in their order.
///
/// The host's row is locked until the end, so that batches of one host take turns and nothing of it is read twice.
///
/// # Errors
///
/// [`JobError::Unknown`] for a host that is not there or is retired; what the server says. Nothing of the batch stays
/// then, and the host sends it again.
pub async fn apply(session: &mut Session, host: HostId, events: &[Value]) -> Result<Vec<Line>, JobError> {
    let mut attempt = 1;
    loop {
        match once(session, host, events).await {
            Err(JobError::Db(DbError::Retry(_))) if attempt < TRIES => attempt += 1,
            other => return other,
        }
    }
}

async fn once(session: &mut Session, host: HostId, events: &[Value]) -> Result<Vec<Line>, JobError> {
    let tx = session.begin().await?;
    let Some(row) = tx.query_opt(include_str!("../../../sql/job/event/lock_host.sql"), &[&host.0]).await?
    else {
        return Err(JobError::Unknown {
            what: "host",
            name: host.to_string(),
            within: None,
            list: "hosts list",
        });
    };
    let received_at: DateTime<Utc> = row.get("received_at");
    let tenant: Uuid = row.get("tenant");
    let waits: i64 = row.get::<_, Option<i64>>("outbox_pending").unwrap_or_default();
    let mut judged: Vec<Option<Judged>> = vec![None; events.len()];
    let mut sent = read(events, &mut judged);
    let booted_at = boots(&tx, host, &sent).await?;
    for one in &mut sent {
        one.moment = moment::correct(&one.event, &booted_at, received_at);
    }
    sift(&tx, host, &mut sent, &mut judged).await?;
    let mut board = load(&tx, host, &sent).await?;
    for one in &mut sent {
        let verdict = board.take(one);
        one.is_conflict = verdict.verdict == Verdict::Conflict;
        judged[one.index] = Some(verdict);
    }
    sent.retain(|one| judged[one.index].as_ref().is_some_and(|judged| judged.verdict != Verdict::Rejected));
    board.follow();
    board.write(&tx, tenant).await?;
    keep(&tx, host, &sent).await?;
    board.settle(&tx, tenant).await?;
    let contradictions = contradictions(&sent, &judged, events);
    alarm::after_events(
        &tx,
        host,
        tenant,
        &board.changed.iter().map(|job| job.0).collect::<Vec<_>>(),
        &contradictions,
    )
    .await?;
    // A duplicate was counted when it came first.
    let left = judged.iter().flatten().filter(|one| one.verdict != Verdict::Duplicate).count();
    if waits > 0 && left > 0 {
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        tx.query(include_str!("../../../sql/job/event/drained.sql"), &[&host.0, &left]).await?;
    }
    tx.commit().await?;
    Ok(events
        .iter()
        .zip(judged)
        .map(|(event, judged)| {
            let judged = judged.unwrap_or(Judged { verdict: Verdict::Stale, detail: None });
            Line {
                event_id: event.get("event_id").and_then(Value::as_str).map(str::to_owned),
                verdict: judged.verdict,
                detail: judged.detail,
            }
        })
        .collect())
}

/// Reads each report by itself; the unreadable are rejected.
fn read(events: &[Value], judged: &mut [Option<Judged>]) -> Vec<Sent> {
    let mut sent = Vec::with_capacity(events.len());
    for (index, (value, judged)) in events.iter().zip(judged).enumerate() {
        match Event::read(value) {
            Ok(event) => {
                let moment = Moment { at: event.event_at, is_clamped: false };
                sent.push(Sent { index, body_sha256: digest(value), moment, event, is_conflict: false });
            }
            Err(error) => *judged = Some(Judged::new(Verdict::Rejected, error.to_string())),
        }
    }
    sent
}

/// The zero of the monotonic clock of each boot that is named by a report without a skew.
async fn boots(tx: &Tx<'_>, host: HostId, sent: &[Sent]) -> Result<HashMap<String, DateTime<Utc>>, JobError> {
    let named: BTreeSet<&String> = sent
        .iter()
        .filter(|one| one.event.skew_ms.is_none() && one.event.mono_ms.is_some())
        .filter_map(|one| one.event.boot_id.as_ref())
        .collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let named: Vec<String> = named.into_iter().cloned().collect();
    let rows = tx.query(include_str!("../../../sql/job/event/boots.sql"), &[&host.0, &named]).await?;
    Ok(rows.iter().map(|row| (row.get("boot_id"), row.get("booted_at"))).collect())
}

/// Takes out what is there already, or twice in the batch: the same report is a duplicate; another one of the same id or
/// at the same place is a conflict.
async fn sift(
    tx: &Tx<'_>,
    host: HostId,
    sent: &mut Vec<Sent>,
    judged: &mut [Option<Judged>],
) -> Result<(), JobError> {
    let ids = sent.iter().map(|one| one.event.event_id.0).collect();
    let (epochs, seqs) = sent.iter().map(|one| (one.event.epoch, one.event.seq)).unzip();
    let kept = existing::events(tx, host, ids, epochs, seqs).await?;
    let mut by_id: HashMap<Uuid, Kept> = HashMap::new();
    let mut by_place: HashMap<Place, Kept> = HashMap::new();
    for one in kept {
        by_id.insert(one.event_id.0, one.clone());
        by_place.insert(Place { epoch: one.epoch, seq: one.seq }, one);
    }
    sent.retain(|one| {
        let verdict = match (by_id.get(&one.event.event_id.0), by_place.get(&one.place())) {
            (Some(known), _) if known.body_sha256 == one.body_sha256 => {
                Judged { verdict: Verdict::Duplicate, detail: None }
            }
            (Some(_), _) => Judged::new(Verdict::Conflict, "another report has this event_id"),
            (None, Some(known)) => Judged::new(
                Verdict::Conflict,
                format!("another report has this epoch and seq: {}", known.event_id),
            ),
            (None, None) => {
                let known = Kept {
                    event_id: one.event.event_id,
                    epoch: one.event.epoch,
                    seq: one.event.seq,
                    body_sha256: one.body_sha256.to_vec(),
                };
                by_id.insert(one.event.event_id.0, known.clone());
                by_place.insert(one.place(), known);
                return true;
            }
        };
        judged[one.index] = Some(verdict);
        false
    });
    Ok(())
}

async fn load(tx: &Tx<'_>, host: HostId, sent: &[Sent]) -> Result<Board, JobError> {
    let mut ids = BTreeSet::new();
    let mut step_jobs = Vec::new();
    let mut step_names = Vec::new();
    let mut record_ids = Vec::new();
    for one in sent {
        let Some(job) = one.event.job else { continue };
        ids.insert(job.0);
        match &one.event.fact {
            Fact::StepStarted(step) | Fact::StepFinished(step) => {
                step_jobs.push(job.0);
                step_names.push(step.step.clone());
            }
            Fact::RecordUnderway(record) | Fact::RecordPublished(record) => record_ids.push(record.record.0),
            Fact::JobOpened(_)
            | Fact::JobStarted
            | Fact::JobProgress(_)
            | Fact::JobFinished(_)
            | Fact::SlotMissed(_)
            | Fact::SlotSkipped(_) => {}
        }
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let mut jobs = BTreeMap::new();
    let mut foreign = BTreeSet::new();
    for (id, known) in existing::jobs(tx, ids.clone()).await? {
        if known.host == host {
            jobs.insert(id, known.job);
        } else {
            foreign.insert(id);
        }
    }
    let steps = if step_jobs.is_empty() {
        HashMap::new()
    } else {
        existing::steps(tx, step_jobs, step_names).await?
    };
    let mut records = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for record in existing::records(tx, ids.clone(), record_ids).await? {
        if ids.binary_search(&record.job.0).is_ok() && !foreign.contains(&record.job) {
            records.insert(record.job, record);
        } else {
            taken.insert(record.id.0);
        }
    }
    let events: Vec<&Event> = sent.iter().map(|one| &one.event).collect();
    let names = Names::find(tx, host, &events).await?;
    Ok(Board {
        host,
        jobs,
        foreign,
        changed: BTreeSet::new(),
        steps,
        changed_steps: BTreeSet::new(),
        records,
        taken,
        absences: Vec::new(),
        names,
    })
}

impl Board {
    /// Merges one report.
    fn take(&mut self, sent: &Sent) -> Judged {
        let (at, place) = (sent.moment.at, sent.place());
        if let Fact::SlotMissed(slot) | Fact::SlotSkipped(slot) = &sent.event.fact {
            return self.absent(slot, sent.event.fact.kind());
        }
        let Some(id) = sent.event.job else {
            return Judged::new(Verdict::Rejected, "job is missing");
        };
        if self.foreign.contains(&id) {
            return Judged::new(Verdict::Rejected, "job is not one of this host");
        }
        let identity = match &sent.event.fact {
            Fact::JobOpened(opened) => match self.names.identity(opened) {
                Ok(identity) => identity,
                Err(reason) => return Judged::new(Verdict::Rejected, reason),
            },
            _ => Default::default(),
        };
        if let Fact::RecordUnderway(record) | Fact::RecordPublished(record) = &sent.event.fact {
            let other = self.records.get(&id).is_some_and(|known| known.id != record.record);
            if other || self.taken.contains(&record.record.0) {
                return Judged::new(
                    Verdict::Conflict,
                    "the job has another record, or the record another job",
                );
            }
        }
        let job = self.jobs.entry(id).or_insert_with(|| Job::unheard(id, at));
        job.hear(at);
        self.changed.insert(id);
        let effect = match &sent.event.fact {
            Fact::JobOpened(_) => job.open(identity, at, place),
            Fact::JobStarted => job.start(at, place),
            Fact::JobProgress(progress) => job.progress(*progress, at, place),
            Fact::JobFinished(finished) => job.finish(finished, at, place),
            Fact::StepStarted(step) | Fact::StepFinished(step) => {
                let has_risen = job.runs();
                let key = (id, step.step.clone());
                self.changed_steps.insert(key.clone());
                let known = self.steps.entry(key).or_insert_with(|| Step::unheard(id, &step.step));
                let effect = match &sent.event.fact {
                    Fact::StepStarted(_) => known.start(at, place),
                    _ => known.finish(step, at, place),
                };
                effect.max(Effect::of(has_risen))
            }
            Fact::RecordUnderway(record) | Fact::RecordPublished(record) => {
                let has_risen = job.runs();
                let known = self.records.entry(id).or_insert_with(|| Record::unheard(record.record, id));
                let effect = match &sent.event.fact {
                    Fact::RecordUnderway(_) => known.begin(at, place),
                    _ => known.publish(record, at, place),
                };
                effect.max(Effect::of(has_risen))
            }
            Fact::SlotMissed(_) | Fact::SlotSkipped(_) => Effect::Stale,
        };
        effect.into()
    }

    fn absent(&mut self, slot: &fact::Slot, kind: &str) -> Judged {
        let (schedule, source_group) = match self.names.slot(slot) {
            Ok(found) => found,
            Err(reason) => return Judged::new(Verdict::Rejected, reason),
        };
        let how = if kind == "slot.skipped" { "skipped" } else { "missed" };
        let why = slot.why.clone().unwrap_or_else(|| format!("the host says that it was {how}"));
        self.absences.push(Absence { schedule, source_group, slot_at: slot.slot_at, how, why });
        Effect::Applied.into()
    }

    /// Lets records take over what their jobs say.
    fn follow(&mut self) {
        for (id, record) in &mut self.records {
            if let Some(job) = self.jobs.get(id) {
                record.follow(job);
            }
        }
    }

    /// Writes what changed: jobs, then what refers to them.
    async fn write(&self, tx: &Tx<'_>, tenant: Uuid) -> Result<(), JobError> {
        let jobs: Vec<&Job> = self.changed.iter().filter_map(|id| self.jobs.get(id)).collect();
        if !jobs.is_empty() {
            let statement = include_str!("../../../sql/job/event/write_jobs.sql");
            tx.query(statement, &[&tenant, &self.host.0, &json!(jobs)]).await?;
        }
        let steps: Vec<&Step> = self.changed_steps.iter().filter_map(|key| self.steps.get(key)).collect();
        if !steps.is_empty() {
            tx.query(include_str!("../../../sql/job/event/write_steps.sql"), &[&json!(steps)]).await?;
        }
        // What was removed: `remove/RECORD` succeeded.
        let removed: Vec<Uuid> = steps
            .iter()
            .filter(|step| step.action == REMOVE && step.state == StepState::Succeeded)
            .filter_map(|step| Uuid::try_parse(step.name.split_once('/')?.1).ok())
            .collect();
        if !removed.is_empty() {
            let statement = include_str!("../../../sql/job/event/prune_records.sql");
            tx.query(statement, &[&self.host.0, &removed]).await?;
        }
        let records: Vec<&Record> = self
            .records
            .iter()
            .filter(|(job, _)| self.changed.contains(job))
            .map(|(_, record)| record)
            .collect();
        if !records.is_empty() {
            let statement = include_str!("../../../sql/job/event/write_records.sql");
            tx.query(statement, &[&tenant, &self.host.0, &json!(records)]).await?;
        }
        Ok(())
    }

    /// Writes slots at which nothing ran. What became of the slots of jobs is settled by the worker.
    async fn settle(&self, tx: &Tx<'_>, tenant: Uuid) -> Result<(), JobError> {
        if self.absences.is_empty() {
            return Ok(());
        }
        let absences: Vec<Value> = self
            .absences
            .iter()
            .map(|absence| {
                json!({
                    "schedule": absence.schedule, "source_group": absence.source_group,
                    "slot_at": absence.slot_at, "how": absence.how, "why": absence.why,
                })
            })
            .collect();
        let statement = include_str!("../../../sql/job/event/write_absences.sql");
        tx.query(statement, &[&tenant, &self.host.0, &json!(absences)]).await?;
        Ok(())
    }
}

/// Writes the reports themselves.
async fn keep(tx: &Tx<'_>, host: HostId, sent: &[Sent]) -> Result<(), JobError> {
    if sent.is_empty() {
        return Ok(());
    }
    let events: Vec<Value> = sent
        .iter()
        .map(|one| {
            json!({
                "epoch": one.event.epoch, "seq": one.event.seq, "event_id": one.event.event_id, "job": one.event.job,
                "kind": one.event.fact.kind(), "event_at": one.moment.at, "raw_event_at": one.event.event_at,
                "is_clamped": one.moment.is_clamped, "boot_id": one.event.boot_id, "mono_ms": one.event.mono_ms,
                "skew_ms": one.event.skew_ms, "is_conflict": one.is_conflict, "body_sha256": digits::hex(&one.body_sha256),
                "payload": one.event.fact.payload(),
            })
        })
        .collect();
    tx.query(include_str!("../../../sql/job/event/write_events.sql"), &[&host.0, &json!(events)]).await?;
    Ok(())
}

/// What contradicts something, and clocks that cannot be right, for alarms.
fn contradictions(sent: &[Sent], judged: &[Option<Judged>], events: &[Value]) -> alarm::Contradictions {
    let mut found = alarm::Contradictions {
        is_clock_wrong: sent.iter().any(|one| one.moment.is_clamped),
        reports: Vec::new(),
    };
    for (judged, event) in judged.iter().zip(events) {
        if let Some(Judged { verdict: Verdict::Conflict, detail }) = judged {
            let job = event.get("job").and_then(Value::as_str).and_then(|job| job.parse().ok());
            let event_id = event.get("event_id").and_then(Value::as_str).unwrap_or_default();
            let detail = detail.as_deref().unwrap_or_default();
            found.reports.push((job, format!("report {event_id}: {detail}")));
        }
    }
    found
}
