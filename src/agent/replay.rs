//! Sends what waits in the outbox, and does with each entry what its answer says.
//!
//! One request at a time, so that lanes keep their order. A failure holds everything back for a growing, random while;
//! a batch that a server falls over is halved until the one event that it cannot digest stands alone, and then waits
//! by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tracing::{debug, error, info, warn};

use super::AgentError;
use super::client::{Call, Client, Reply};
use super::clock::HostClock;
use super::outbox::{Answer, Entry, Fate, Hold, Load, Name, Outbox, Place, of_status, of_verdict};
use crate::ground::fault;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::ground::wire::event::{BATCH_BYTES, BATCH_EVENTS};
use crate::ground::wire::text::{LOG_TAIL_BYTES, tail};
use crate::ground::wire::verdict::Verdicts;

/// What somebody put back by hand is seen within this.
const RESCAN: Duration = Duration::from_secs(5);

/// A new token is seen within this.
const TOKEN: Duration = Duration::from_secs(2);

/// Bytes of a batch beside its events: the envelope, and a comma for each.
const ENVELOPE_BYTES: usize = 64 + BATCH_EVENTS;

/// How long a failure holds the queue back.
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    pub base: Duration,
    pub cap: Duration,
}

impl Default for Pacing {
    /// 1 s to 5 min.
    fn default() -> Pacing {
        Pacing { base: Duration::from_secs(1), cap: Duration::from_secs(300) }
    }
}

impl Pacing {
    /// A random pause after `failures` in a row: full jitter, so that a thousand hosts that lost one server do not
    /// come back as one.
    fn pause(&self, failures: u32, dice: u64) -> Duration {
        let most = self.base.saturating_mul(2_u32.saturating_pow(failures.min(20))).min(self.cap);
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(1 + dice % most_ms)
    }
}

/// What a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Something was answered; more may wait.
    Went,
    /// Nothing may be sent before this; none: before something is queued.
    Idle(Option<Instant>),
    /// The way or the server is not there.
    Paused(Duration),
    /// Nothing is sent until the token changes, or for this long.
    Refused(Duration),
}

/// Whoever sends.
pub struct Replay {
    outbox: Arc<Outbox>,
    client: Arc<Client>,
    clock: Arc<HostClock>,
    pacing: Pacing,
    /// Events of the next batch.
    most: usize,
    failures: u32,
    /// Said once, not at every attempt.
    complained: Option<Hold>,
}

impl Replay {
    pub fn new(outbox: Arc<Outbox>, client: Arc<Client>, clock: Arc<HostClock>, pacing: Pacing) -> Replay {
        Replay { outbox, client, clock, pacing, most: BATCH_EVENTS, failures: 0, complained: None }
    }

    /// Sends until the shutdown asks for the end now.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            let pace = match self.pass().await {
                Ok(pace) => pace,
                Err(error) => {
                    error!(error = %error, "the outbox cannot be read or written");
                    self.fail(None)
                }
            };
            let wait = async {
                match pace {
                    Pace::Went => {}
                    Pace::Idle(until) => {
                        let due =
                            until.map_or(RESCAN, |until| until.saturating_duration_since(Instant::now()));
                        tokio::select! {
                            () = self.outbox.news() => {}
                            () = tokio::time::sleep(due.min(RESCAN)) => {}
                        }
                        if let Err(error) = self.outbox.rescan() {
                            warn!(error = %error, "the outbox cannot be looked through");
                        }
                    }
                    Pace::Paused(pause) => tokio::time::sleep(pause).await,
                    Pace::Refused(pause) => self.until_token(pause).await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = shutdown.at_least(Urgency::Now) => return,
            }
        }
    }

    /// Waits for another token, or for `pause`.
    async fn until_token(&self, pause: Duration) {
        let before: Option<SystemTime> = self.client.token_written();
        let end = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < end && self.client.token_written() == before {
            tokio::time::sleep(TOKEN.min(pause)).await;
        }
    }

    /// Sends once, what may be sent now.
    ///
    /// # Errors
    ///
    /// What the file system says; nothing is lost by it.
    pub async fn pass(&mut self) -> Result<Pace, AgentError> {
        let bytes = (BATCH_BYTES - ENVELOPE_BYTES) as u64;
        match self.outbox.next(Instant::now(), self.most, bytes) {
            None => Ok(Pace::Idle(self.outbox.next_due())),
            Some(Load::Request(name)) => self.request(name).await,
            Some(Load::Events(names)) => self.events(names).await,
        }
    }

    async fn events(&mut self, names: Vec<Name>) -> Result<Pace, AgentError> {
        let mut loaded: Vec<(Name, Entry)> = Vec::with_capacity(names.len());
        let mut events: Vec<Value> = Vec::with_capacity(names.len());
        for name in names {
            if let Some(entry) = self.outbox.load(name, self.clock.now())?
                && let Ok(event) = entry.event()
            {
                events.push(event);
                loaded.push((name, entry));
            }
        }
        if events.is_empty() {
            return Ok(Pace::Went);
        }
        let call = Call {
            method: "POST",
            path: "/v1/agent/events",
            body: Some(json!({"events": events}).to_string().into_bytes()),
            ..Call::default()
        };
        let reply = match self.client.call(call).await {
            Ok(reply) => reply,
            Err(error) => return Ok(self.away(&error)),
        };
        fault::point("replay.answered");
        let names: Vec<Name> = loaded.iter().map(|(name, _)| *name).collect();
        if reply.status == 200 {
            return match reply.read::<Verdicts>() {
                Ok(verdicts) => self.judged(&names, &verdicts),
                Err(error) => Ok(self.stopped(Hold::Misconfigured, &error.to_string())),
            };
        }
        let fate = match of_status(reply.status, reply.problem().as_ref(), reply.retry_after.is_some()) {
            // Only verdicts answer for events.
            Fate::Done => Fate::Keep(Hold::Misconfigured),
            fate => fate,
        };
        self.whole(&names, fate, &reply)
    }

    /// Does with each event what its verdict says; one without a verdict waits.
    fn judged(&mut self, names: &[Name], verdicts: &Verdicts) -> Result<Pace, AgentError> {
        let told: HashMap<&str, _> =
            verdicts.verdicts.iter().filter_map(|line| Some((line.event_id.as_deref()?, line))).collect();
        let mut done = Vec::new();
        let mut waits = 0;
        for name in names {
            let line = told.get(name.id.to_string().as_str()).copied();
            let fate = line.map_or(Fate::Keep(Hold::Asked), |line| of_verdict(line.verdict));
            let place = match fate {
                Fate::Done => {
                    done.push(*name);
                    continue;
                }
                Fate::Keep(_) | Fate::Split => {
                    waits += 1;
                    self.put_off(*name);
                    continue;
                }
                Fate::Conflict => Place::Conflict,
                Fate::Dead => Place::Dead,
            };
            let verdict = line.map(|line| line.verdict.to_string());
            let reason =
                line.and_then(|line| line.detail.clone()).or_else(|| verdict.clone()).unwrap_or_default();
            warn!(entry = %name, reason = %reason, "event {name} goes to {}/: {reason}", place.word());
            let answer = Answer { status: Some(200), verdict, reason, body: None, at: self.clock.now() };
            self.outbox.refuse(*name, place, &answer)?;
        }
        self.outbox.settle(&done)?;
        if waits == names.len() {
            // Nothing went through: not a word of it may mean that the server is unwell.
            return Ok(self.fail(None));
        }
        self.well();
        Ok(Pace::Went)
    }

    /// One fate for all that was sent.
    fn whole(&mut self, names: &[Name], fate: Fate, reply: &Reply) -> Result<Pace, AgentError> {
        let single = names.first().copied().filter(|_| names.len() == 1);
        match (fate, single) {
            (Fate::Done, _) => {
                self.outbox.settle(names)?;
                self.well();
                Ok(Pace::Went)
            }
            // Somewhere among them is the one.
            (Fate::Split | Fate::Dead | Fate::Conflict, None) => {
                self.most = (names.len() / 2).max(1);
                debug!(most = self.most, status = reply.status, "the batch is halved");
                Ok(Pace::Went)
            }
            (Fate::Split | Fate::Dead, Some(name)) => {
                self.refuse(name, Place::Dead, reply)?;
                Ok(Pace::Went)
            }
            (Fate::Conflict, Some(name)) => {
                self.refuse(name, Place::Conflict, reply)?;
                Ok(Pace::Went)
            }
            (Fate::Keep(Hold::Unauthorised), _) => {
                self.stopped(Hold::Unauthorised, &reply.words());
                Ok(Pace::Refused(self.pacing.cap))
            }
            (Fate::Keep(Hold::Misconfigured), _) => Ok(self.stopped(Hold::Misconfigured, &reply.words())),
            (Fate::Keep(Hold::Suspect), None) => {
                self.most = (names.len() / 2).max(1);
                Ok(self.fail(reply.retry_after))
            }
            (Fate::Keep(Hold::Suspect | Hold::Asked), Some(name)) => {
                let pause = self.put_off_by(name, reply.retry_after);
                debug!(entry = %name, pause_ms = pause.as_millis(), status = reply.status, "{name} waits");
                // A server that answers 500 to everything is not to be asked for one lane after the other at once.
                Ok(self.fail(None))
            }
            (Fate::Keep(Hold::Away | Hold::Asked), _) => Ok(self.fail(reply.retry_after)),
        }
    }

    async fn request(&mut self, name: Name) -> Result<Pace, AgentError> {
        let Some(entry) = self.outbox.load(name, self.clock.now())? else { return Ok(Pace::Went) };
        let Some(request) = &entry.header.request else { return Ok(Pace::Went) };
        let mut headers = Vec::new();
        for (header, value) in [
            ("idempotency-key", &request.idempotency_key),
            ("if-match", &request.if_match),
            ("if-none-match", &request.if_none_match),
        ] {
            headers.extend(value.clone().map(|value| (header, value)));
        }
        let call = Call {
            method: &request.method,
            path: &request.path,
            headers,
            content_type: Some(&request.content_type),
            body: Some(entry.body.clone().into_bytes()),
            ..Call::default()
        };
        let reply = match self.client.call(call).await {
            Ok(reply) => reply,
            Err(error) => return Ok(self.away(&error)),
        };
        fault::point("replay.answered");
        let fate = match of_status(reply.status, reply.problem().as_ref(), reply.retry_after.is_some()) {
            // Whoever answers with a page is not highwater, whatever its status says.
            Fate::Done if !reply.body.is_empty() && !reply.is_json => Fate::Keep(Hold::Misconfigured),
            fate => fate,
        };
        self.whole(&[name], fate, &reply)
    }

    fn refuse(&mut self, name: Name, place: Place, reply: &Reply) -> Result<(), AgentError> {
        let reason = reply.words();
        warn!(entry = %name, reason = %reason, "entry {name} goes to {}/: {reason}", place.word());
        let body = String::from_utf8_lossy(&reply.body);
        let answer = Answer {
            status: Some(reply.status),
            verdict: None,
            reason,
            body: (!body.is_empty()).then(|| tail(&body, LOG_TAIL_BYTES).to_owned()),
            at: self.clock.now(),
        };
        self.outbox.refuse(name, place, &answer)?;
        self.well();
        Ok(())
    }

    fn put_off(&self, name: Name) -> Duration {
        self.put_off_by(name, None)
    }

    fn put_off_by(&self, name: Name, asked: Option<Duration>) -> Duration {
        let pause = asked.unwrap_or_else(|| self.pacing.pause(self.outbox.attempts(name), dice()));
        self.outbox.defer(name, Instant::now() + pause);
        pause
    }

    /// An answer came, so the way is open.
    fn well(&mut self) {
        if self.complained.take().is_some() {
            info!(server = %self.client.base(), "the server takes reports again");
        }
        self.failures = 0;
        self.most = (self.most * 2).min(BATCH_EVENTS);
    }

    fn away(&mut self, error: &AgentError) -> Pace {
        if matches!(error, AgentError::NoToken { .. }) {
            self.stopped(Hold::Unauthorised, &error.to_string());
            return Pace::Refused(self.pacing.cap);
        }
        if self.complained.replace(Hold::Away).is_none() {
            warn!(error = %error, "reports wait: {error}");
        }
        self.fail(None)
    }

    fn fail(&mut self, asked: Option<Duration>) -> Pace {
        let pause = self.pacing.pause(self.failures, dice());
        self.failures = self.failures.saturating_add(1);
        Pace::Paused(asked.unwrap_or(pause))
    }

    /// Somebody must do something; it is said once.
    fn stopped(&mut self, hold: Hold, words: &str) -> Pace {
        if self.complained.replace(hold) != Some(hold) {
            let remedy = match hold {
                Hold::Unauthorised => "the token is not taken; \"highwater agent enrol\" gets a new one",
                Hold::Misconfigured | Hold::Away | Hold::Suspect | Hold::Asked => {
                    "whoever answers is no highwater server; look at \"server\" in agent.toml"
                }
            };
            error!(server = %self.client.base(), "nothing is sent, and nothing is lost: {words}; {remedy}");
        }
        Pace::Paused(self.pacing.cap)
    }
}

/// Random bits, from where ids have theirs.
fn dice() -> u64 {
    let bits = uuid::Uuid::now_v7().as_u128() & u128::from(u64::MAX >> 2);
    u64::try_from(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_random_and_have_an_end() {
        let pacing = Pacing::default();
        for failures in 0..40 {
            let most = Duration::from_secs(1 << failures.min(20)).min(Duration::from_secs(300));
            for dice in [0, 1, 12_345, u64::MAX] {
                let pause = pacing.pause(failures, dice);
                assert!(
                    pause >= Duration::from_millis(1) && pause <= most + Duration::from_millis(1),
                    "{pause:?}"
                );
            }
        }
        let drawn: std::collections::BTreeSet<u64> = (0..100).map(|_| dice()).collect();
        assert_eq!(drawn.len(), 100);
    }
}
