//! Work from the server: a long poll, and each job under its lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, error, warn};

use super::super::client::Call;
use super::super::graph::{Cancel, Why};
use super::super::outbox::Draft;
use super::super::run::{Task, attempt};
use super::super::{AgentError, config, journal};
use super::{Duty, hello, lock};
use crate::ground::wire::fact::{Fact, Finished};
use crate::ground::wire::id::{JobId, LeaseToken, RecordId};
use crate::ground::wire::state::{Ended, ErrorClass};
use crate::ground::wire::work::{Assignment, Renewed, Work};

/// How long the server may hold the question, in its own words, and how long its answer is waited for.
const PATH: &str = "/v1/agent/work?wait=25";
const PATIENCE: Duration = Duration::from_secs(40);

/// Pause after an answer that was none.
const PAUSE: Duration = Duration::from_secs(5);

/// Distance of renewals; a lease lasts three of them.
const RENEW: Duration = Duration::from_secs(30);

/// Takes work as long as the agent is on duty and has room.
pub async fn keep(duty: Arc<Duty>) {
    loop {
        // Held while the question is open: an answer must find room.
        let Ok(room) = Arc::clone(&duty.room).acquire_owned().await else { return };
        match poll(&duty).await {
            Ok(work) => {
                duty.heard(true);
                let mut room = Some(room);
                for assignment in work.work {
                    let room = match room.take() {
                        Some(room) => room,
                        // More than one was handed out: the others begin when there is room.
                        None => match Arc::clone(&duty.room).acquire_owned().await {
                            Ok(room) => room,
                            Err(_) => return,
                        },
                    };
                    duty.spawn(assigned(Arc::clone(&duty), assignment, room)).await;
                }
            }
            Err(error) => {
                debug!(error = %error, "no work: {error}");
                if matches!(error, AgentError::Away { .. }) {
                    duty.heard(false);
                }
                drop(room);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn poll(duty: &Duty) -> Result<Work, AgentError> {
    let call = Call { method: "GET", path: PATH, patience: Some(PATIENCE), ..Call::default() };
    let reply = duty.client.call(call).await?;
    match reply.status {
        200 => reply.read(),
        204 => Ok(Work::default()),
        _ => {
            tokio::time::sleep(reply.retry_after.unwrap_or_default()).await;
            Err(AgentError::Strange { reason: format!("it answers for work with {}", reply.words()) })
        }
    }
}

async fn assigned(duty: Arc<Duty>, assignment: Assignment, room: OwnedSemaphorePermit) {
    let job = assignment.job;
    let task = match task(&duty, &assignment).await {
        Ok(task) => task,
        Err(error) => {
            error!(job = %job, error = %error, "job {job} cannot be run: {error}");
            let fact = Fact::JobFinished(Finished {
                state: Ended::Failed,
                error_class: Some(ErrorClass::Config.to_string()),
                error: Some(error.to_string()),
                bytes_total: None,
                bytes_added: None,
                files: None,
            });
            let draft = Draft::Event { job: Some(job), fact };
            if let Err(error) = duty.outbox.post(draft, duty.clock.stamp()).await {
                error!(job = %job, error = %error, "and that cannot be reported");
            }
            return;
        }
    };
    duty.perform(task, Some(assignment.lease_token), room).await;
}

/// The attempt that an assignment asks for; a group that is not known yet makes the configuration be fetched.
async fn task(duty: &Duty, assignment: &Assignment) -> Result<Task, AgentError> {
    let known = duty.config();
    let is_known = known.as_ref().is_some_and(|config| {
        config.groups.iter().any(|group| group.id == assignment.source_group)
            && config.repositories.iter().any(|repository| repository.id == assignment.repository)
    });
    if !is_known {
        hello::fetch(duty, None).await?;
    }
    let found =
        duty.config().ok_or_else(|| AgentError::NoConfig { path: duty.outbox.layout().root().to_owned() })?;
    Ok(Task {
        host: found.host.clone(),
        group: config::group(&found, &assignment.source_group.to_string())?.clone(),
        repository: config::repository(&found, assignment.repository)?.clone(),
        settings: duty.settings.clone(),
        job: assignment.job,
        record: RecordId::fresh(),
        schedule: assignment.schedule,
        slot_at: assignment.slot_at,
        reason: assignment.reason,
        attempt: assignment.attempt,
        is_own: false,
        prune: assignment.prune.clone(),
        root: duty.outbox.layout().root().to_owned(),
    })
}

impl Duty {
    /// Makes an attempt: noted before it begins, its lease renewed, forgotten once its end is in the outbox.
    pub(super) async fn perform(&self, task: Task, lease: Option<LeaseToken>, _room: OwnedSemaphorePermit) {
        let (job, group) = (task.job, task.group.id);
        if !lock(&self.running).insert((job, group)) {
            warn!(job = %job, "job {job} was handed out twice");
            return;
        }
        if let Err(error) = journal::open(self.outbox.layout(), &journal::Open::of(&task)) {
            error!(job = %job, error = %error, "job {job} cannot be noted; its death would be reported late");
        }
        let (stop, cancel) = Cancel::channel();
        let work = attempt(task, Arc::clone(&self.outbox), Arc::clone(&self.clock), &cancel);
        tokio::pin!(work);
        let mut ending = self.stop.subscribe();
        let watch = async {
            let why = tokio::select! {
                why = self.renew(job, lease) => why,
                _ = ending.wait_for(Option::is_some) => Why::Ending,
            };
            stop.send_replace(Some(why));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = &mut work => {}
            () = watch => {}
        }
        if let Err(error) = journal::close(self.outbox.layout(), job) {
            error!(job = %job, error = %error, "the note of job {job} stays");
        }
        lock(&self.running).remove(&(job, group));
    }

    /// Renews a lease until the job is to stop; without a lease for ever.
    async fn renew(&self, job: JobId, lease: Option<LeaseToken>) -> Why {
        let Some(token) = lease else { return std::future::pending().await };
        let path = format!("/v1/agent/jobs/{job}/lease");
        loop {
            let headers = vec![("if-match", token.etag())];
            let call =
                Call { method: "POST", path: &path, headers, body: Some(Vec::new()), ..Call::default() };
            match self.client.call(call).await {
                Ok(reply) if reply.status == 200 => {
                    if reply.read::<Renewed>().is_ok_and(|renewed| renewed.cancel) {
                        return Why::Cancelled;
                    }
                }
                Ok(reply) if matches!(reply.status, 410 | 412) => {
                    warn!(job = %job, "the lease of job {job} is lost: {}", reply.words());
                    return Why::Lost;
                }
                // Whoever comes back within a day goes on.
                Ok(reply) => debug!(job = %job, "the lease is not renewed: {}", reply.words()),
                Err(error) => debug!(job = %job, error = %error, "the lease is not renewed"),
            }
            tokio::time::sleep(RENEW).await;
        }
    }
}
