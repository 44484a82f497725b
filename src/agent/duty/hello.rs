//! Hello: at the start, after every wake-up, once a minute; and the configuration, whenever it has changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::super::AgentError;
use super::super::client::Call;
use super::super::config;
use super::super::outbox::Draft;
use super::{Duty, lock};
use crate::ground::boot;
use crate::ground::wire::config::Config;
use crate::ground::wire::fact::{Fact, Finished};
use crate::ground::wire::hello::{Hello, Welcome};
use crate::ground::wire::id::Rev;
use crate::ground::wire::state::Ended;

/// Distance of hellos.
const EVERY: Duration = Duration::from_secs(60);

/// Distance of looks at the clocks.
const LOOK: Duration = Duration::from_secs(5);

/// The clock that counts sleep is ahead of the one that does not by this much: the machine slept.
const SLEPT_MS: i64 = 10_000;

/// Says hello as long as the agent is on duty.
pub async fn keep(duty: Arc<Duty>) {
    loop {
        match greet(&duty).await {
            Ok(()) => duty.heard(true),
            Err(error @ AgentError::Away { .. }) => {
                tracing::debug!(error = %error, "hello was not heard");
                duty.heard(false);
            }
            Err(error) => warn!(error = %error, "hello: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = duty.greet.notified() => {}
            () = woken() => {
                info!("the machine woke up");
                duty.woke_ms.store(boot::elapsed_ms(), Ordering::Relaxed);
            }
        }
    }
}

/// Resolves when the machine has slept.
async fn woken() {
    loop {
        let (boot_ms, monotonic) = (boot::elapsed_ms(), Instant::now());
        tokio::time::sleep(LOOK).await;
        let awake_ms = i64::try_from(monotonic.elapsed().as_millis()).unwrap_or(i64::MAX);
        if boot::elapsed_ms() - boot_ms - awake_ms > SLEPT_MS {
            return;
        }
    }
}

async fn greet(duty: &Duty) -> Result<(), AgentError> {
    let asked = duty.clock.now();
    let hello = Hello {
        boot_id: duty.clock.boot_id().to_owned(),
        epoch: duty.outbox.epoch(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: asked,
        mono_ms: Some(boot::elapsed_ms()),
        outbox: duty.outbox.figures()?,
    };
    let body = serde_json::to_vec(&hello).expect("a hello has text keys only");
    let call = Call { method: "POST", path: "/v1/agent/hello", body: Some(body), ..Call::default() };
    let reply = duty.client.call(call).await?;
    if reply.status != 200 {
        return Err(AgentError::Strange { reason: format!("it answers a hello with {}", reply.words()) });
    }
    let welcome: Welcome = reply.read()?;
    duty.clock.learn(welcome.server_time, asked, duty.clock.now());
    let known = lock(&duty.config).as_ref().map(|config| config.rev);
    if known != Some(welcome.config_rev) {
        fetch(duty, known).await?;
    }
    for held in &welcome.leases {
        let is_here = lock(&duty.running).iter().any(|(job, _)| *job == held.job);
        if !is_here {
            // Claimed, and the answer was lost or the agent died before it noted the run.
            let fact = Fact::JobFinished(Finished {
                state: Ended::Interrupted,
                error_class: None,
                error: Some("the agent does not know of this job".to_owned()),
                bytes_total: None,
                bytes_added: None,
                files: None,
            });
            warn!(job = %held.job, "job {} is leased to this host, which does not run it", held.job);
            duty.outbox.enqueue(&[(Draft::Event { job: Some(held.job), fact }, duty.clock.stamp())])?;
        }
    }
    Ok(())
}

/// Fetches the configuration, unless it is the one that is known.
pub async fn fetch(duty: &Duty, known: Option<Rev>) -> Result<(), AgentError> {
    let _alone = duty.fetching.lock().await;
    let headers = known.map(|rev| ("if-none-match", rev.etag())).into_iter().collect();
    let call = Call { method: "GET", path: "/v1/agent/config", headers, ..Call::default() };
    let reply = duty.client.call(call).await?;
    match reply.status {
        304 => Ok(()),
        200 => {
            let config: Config = reply.read()?;
            config::write(duty.outbox.layout(), &config)?;
            info!(
                rev = config.rev.0,
                groups = config.groups.len(),
                "configuration {} is in force",
                config.rev.0
            );
            let before = lock(&duty.config).as_ref().map_or(1, |config| config.host.max_concurrent).max(1);
            let after = config.host.max_concurrent.max(1);
            if after > before {
                duty.room.add_permits((after - before) as usize);
            } else {
                duty.room.forget_permits((before - after) as usize);
            }
            *lock(&duty.config) = Some(config);
            Ok(())
        }
        _ => Err(AgentError::Strange {
            reason: format!("it answers for the configuration with {}", reply.words()),
        }),
    }
}
