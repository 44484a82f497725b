//! One attempt: what it is about, and its course from `accept` to `report`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use tracing::{error, info, warn};

use super::super::AgentError;
use super::super::archive::Compression;
use super::super::clock::HostClock;
use super::super::graph::{self, Cancel, End, Outcome, Perform, Step, Why};
use super::super::journal;
use super::super::outbox::{Draft, Outbox};
use super::super::restic::Access;
use super::super::settings::{RepositorySettings, Settings};
use super::actions::{self, Parts};
use super::outcome::{Verdict, judge};
use super::{backup, checks, hook, prune};
use crate::ground::wire::config::{Group, Host, Repository, RepositoryKind};
use crate::ground::wire::fact::{self, Fact, Opened};
use crate::ground::wire::id::{JobId, RecordId, ScheduleId};
use crate::ground::wire::state::{ErrorClass, Reason, StepState};
use crate::ground::wire::text::{WORDS_BYTES, tail};
use crate::ground::wire::work::Prunable;

/// Pauses between tries to write down what must not be lost; the disk may be full for a while.
const PERSISTENCE: Duration = Duration::from_secs(2);

/// What an attempt is about.
#[derive(Debug, Clone)]
pub struct Task {
    pub host: Host,
    pub group: Group,
    pub repository: Repository,
    pub settings: Settings,
    pub job: JobId,
    pub record: RecordId,
    pub schedule: Option<ScheduleId>,
    pub slot_at: Option<DateTime<Utc>>,
    pub reason: Reason,
    pub attempt: u32,
    /// Whether the host began it by itself, so that the server has yet to hear of it.
    pub is_own: bool,
    pub prune: Vec<Prunable>,
    /// The agent's directory.
    pub root: PathBuf,
}

impl Task {
    /// What the host knows of the repository.
    pub fn repository_settings(&self) -> RepositorySettings {
        let own = &self.settings.repository;
        own.get(&self.repository.url)
            .or_else(|| own.get(&self.repository.id.to_string()))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether the archive is read back.
    pub fn verifies(&self) -> bool {
        let own = self.settings.group.get(&self.group.name).and_then(|group| group.verify);
        // A check of restic's reads the whole repository's index; of a directory only the new archive.
        own.unwrap_or(self.repository.kind == RepositoryKind::Directory)
    }

    pub fn compression(&self) -> Compression {
        self.repository_settings().compression.unwrap_or(Compression::Zstd)
    }

    /// Where a repository of kind `directory` lies.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.repository.url.strip_prefix("file://").unwrap_or(&self.repository.url))
    }

    /// How restic reaches the repository.
    pub fn restic(&self) -> Access {
        let own = self.repository_settings();
        let mut environment: Vec<(String, String)> = own.env.into_iter().collect();
        if let Some(file) = own.password_file {
            environment.push(("RESTIC_PASSWORD_FILE".to_owned(), file.display().to_string()));
        }
        Access { url: self.repository.url.clone(), environment }
    }

    /// What hooks and commands are told.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (format!("HIGHWATER_{name}"), value);
        let mut told = vec![
            pair("JOB", self.job.to_string()),
            pair("RECORD", self.record.to_string()),
            pair("HOST", self.host.name.clone()),
            pair("GROUP", self.group.name.clone()),
            pair("REPOSITORY", self.repository.id.to_string()),
            pair("REASON", self.reason.to_string()),
            pair("ATTEMPT", self.attempt.to_string()),
        ];
        if let Some(slot) = self.slot_at {
            told.push(pair("SLOT", slot.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
        if let Some(schedule) = self.schedule {
            told.push(pair("SCHEDULE", schedule.to_string()));
        }
        told
    }
}

/// What is known of the archive once it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    pub snapshot: Option<String>,
    pub bytes_total: u64,
    pub bytes_added: u64,
    pub files: Option<u64>,
    pub sha256: Option<String>,
}

/// The course of one attempt.
pub struct Attempt {
    pub task: Task,
    outbox: Arc<Outbox>,
    clock: Arc<HostClock>,
    cancel: Cancel,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    ends: BTreeMap<String, End>,
    made: Option<Made>,
    class: Option<ErrorClass>,
    /// The backup itself took too long.
    timed_out: bool,
    verdict: Option<Verdict>,
}

/// Makes an attempt and reports it; ends when the report is durable.
pub async fn attempt(task: Task, outbox: Arc<Outbox>, clock: Arc<HostClock>, cancel: &Cancel) -> Verdict {
    let (job, group) = (task.job, task.group.name.clone());
    info!(job = %job, group = %group, "backup of {group} begins");
    let built = actions::graph(&Parts::of(&task));
    let capacity = BTreeMap::from([("hooks".to_owned(), 1), ("repository".to_owned(), 1)]);
    let attempt = Arc::new(Attempt { task, outbox, clock, cancel: cancel.clone(), inner: Mutex::default() });
    match built {
        Ok(graph) => {
            graph::run(&graph, capacity, &attempt, cancel).await;
        }
        Err(error) => {
            attempt.inner().ends.insert("accept".to_owned(), End::Failed(error.to_string()));
            attempt.report().await;
        }
    }
    let verdict = attempt.verdict();
    info!(job = %job, group = %group, state = %verdict.state, "backup of {group}: {}", verdict.state);
    verdict
}

impl Attempt {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &HostClock {
        &self.clock
    }

    /// The archive is there.
    pub(super) fn made(&self, made: Made) {
        self.inner().made = Some(made);
    }

    pub(super) fn archive(&self) -> Option<Made> {
        self.inner().made.clone()
    }

    /// The backup failed, for a reason of this class.
    pub(super) fn failed(&self, class: ErrorClass, words: impl Into<String>) -> End {
        self.inner().class = Some(class);
        End::Failed(words.into())
    }

    /// Tells the server something; an error is logged, and the run goes on.
    pub(super) async fn tell(&self, fact: Fact) {
        let kind = fact.kind();
        if let Err(error) = self.post(fact).await {
            warn!(kind, error = %error, "{kind} cannot be queued: {error}");
        }
    }

    async fn post(&self, fact: Fact) -> Result<(), AgentError> {
        let draft = Draft::Event { job: Some(self.task.job), fact };
        self.outbox.post(draft, self.clock.stamp()).await.map(|_| ())
    }

    /// Tells the server what must not be lost, however long the disk is full.
    async fn insist(&self, fact: Fact) {
        while let Err(error) = self.post(fact.clone()).await {
            error!(kind = fact.kind(), error = %error, "{} cannot be queued yet: {error}", fact.kind());
            tokio::time::sleep(PERSISTENCE).await;
        }
    }

    fn verdict(&self) -> Verdict {
        let inner = self.inner();
        let cut = if inner.timed_out { Some(Why::TimedOut) } else { self.cancel.get() };
        inner.verdict.clone().unwrap_or_else(|| judge(&inner.ends, cut, inner.class))
    }

    async fn accept(&self) -> End {
        let task = &self.task;
        let mut facts = Vec::new();
        if task.is_own {
            facts.push(Fact::JobOpened(Opened {
                source_group: task.group.id.to_string(),
                schedule: task.schedule.map(|schedule| schedule.to_string()),
                slot_at: task.slot_at,
                reason: Some(task.reason),
                attempt: Some(task.attempt),
                repository: Some(task.repository.id.to_string()),
            }));
        }
        facts.push(Fact::JobStarted);
        for fact in facts {
            if let Err(error) = self.post(fact).await {
                return End::Failed(error.to_string());
            }
        }
        End::Succeeded
    }

    async fn record(&self) -> End {
        let Some(made) = self.archive() else { return End::Succeeded };
        self.insist(Fact::RecordPublished(fact::Record {
            record: self.task.record,
            snapshot: made.snapshot,
            bytes_total: Some(made.bytes_total),
            bytes_added: Some(made.bytes_added),
            sha256: made.sha256,
        }))
        .await;
        End::Succeeded
    }

    async fn report(&self) -> End {
        let verdict = self.verdict();
        let made = self.archive();
        let finished = fact::Finished {
            state: verdict.state,
            error_class: verdict.class.map(|class| class.to_string()),
            error: verdict.error.as_deref().map(|words| tail(words, WORDS_BYTES).to_owned()),
            bytes_total: made.as_ref().map(|made| made.bytes_total),
            bytes_added: made.as_ref().map(|made| made.bytes_added),
            files: made.and_then(|made| made.files),
        };
        if let Err(error) = journal::ending(self.outbox.layout(), self.task.job, &finished) {
            warn!(error = %error, "the end of the run is not noted: {error}");
        }
        self.insist(Fact::JobFinished(finished)).await;
        self.inner().verdict = Some(verdict);
        End::Succeeded
    }

    /// The word that hooks after the backup are told.
    fn state(&self) -> String {
        self.verdict().state.to_string()
    }
}

#[async_trait]
impl Perform for Attempt {
    async fn perform(&self, name: &str, cancel: &Cancel) -> Outcome {
        let (group, hooks) = (&self.task.group, &self.task.settings.hooks);
        let line = |line: &Option<String>| line.clone().unwrap_or_default();
        match name {
            "accept" => self.accept().await.into(),
            "live" => match self.cancel.get() {
                Some(_) => End::Failed("the run was called off before it began".to_owned()).into(),
                None => End::Succeeded.into(),
            },
            "gate" => checks::gate(&self.task, self.clock.corrected()).into(),
            "mount" => checks::mount(&self.task).into(),
            "flag" => checks::flag(&self.task).into(),
            "identify-group" => checks::identify_group(&self.task).into(),
            "pre-access-hook" => hook::run(&self.task, name, &line(&hooks.pre_access), None, cancel).await,
            "check-destination" => checks::check_destination(&self.task).into(),
            "identify-target" => checks::identify_target(&self.task, cancel).await,
            "record-underway" => {
                let record = fact::Record {
                    record: self.task.record,
                    snapshot: None,
                    bytes_total: None,
                    bytes_added: None,
                    sha256: None,
                };
                match self.post(Fact::RecordUnderway(record)).await {
                    Ok(()) => End::Succeeded.into(),
                    Err(error) => End::Failed(error.to_string()).into(),
                }
            }
            "pre-backup-hook" => hook::run(&self.task, name, &line(&group.pre_hook), None, cancel).await,
            "backup" => {
                let outcome = backup::run(self, cancel).await;
                if cancel.get() == Some(Why::TimedOut) && matches!(outcome.end, End::Failed(_)) {
                    self.inner().timed_out = true;
                }
                outcome
            }
            "post-backup-hook" => {
                hook::run(&self.task, name, &line(&group.post_hook), Some(&self.state()), cancel).await
            }
            "record-backup" => self.record().await.into(),
            "verify" => backup::verify(self, cancel).await,
            "post-access-hook" => {
                hook::run(&self.task, name, &line(&hooks.post_access), Some(&self.state()), cancel).await
            }
            "report" => self.report().await.into(),
            _ => prune::perform(self, name, cancel).await,
        }
    }

    async fn told(&self, step: Step) {
        let empty = |name: String| fact::Step {
            step: name,
            state: None,
            exit_code: None,
            log_tail: None,
            reason: None,
            bytes_added: None,
        };
        match step {
            // The job itself is told of first, by `accept`.
            Step::Began { name } if name == "accept" => {}
            Step::Began { name } => {
                let state = Some(StepState::Running);
                self.tell(Fact::StepStarted(fact::Step { state, ..empty(name) })).await;
            }
            Step::Ended { name, outcome } => {
                self.inner().ends.insert(name.clone(), outcome.end.clone());
                let (state, reason) = match outcome.end {
                    End::Succeeded => (StepState::Succeeded, None),
                    End::Warned(words) => (StepState::Warned, Some(words)),
                    End::Failed(words) => (StepState::Failed, Some(words)),
                    End::Skipped(words) => (StepState::Skipped, Some(words)),
                };
                let reason = reason.map(|words| tail(&words, WORDS_BYTES).to_owned());
                let step = fact::Step {
                    state: Some(state),
                    exit_code: outcome.exit_code,
                    log_tail: outcome.log_tail,
                    reason,
                    bytes_added: outcome.bytes_added,
                    ..empty(name)
                };
                self.tell(Fact::StepFinished(step)).await;
            }
        }
    }
}
