//! Deliveries: each state of an alarm is told once to each channel that wants to hear of it, again and again until it is taken.
//!
//! What is due is claimed in a transaction of its own, told, and answered for in another one. Whoever dies in between leaves it in
//! hand until `IN_HAND` is over; then it is told again, with the same id. So everything is told at least once, and only a death
//! between a peer's answer and our commit tells it twice.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::JobError;
use super::channel::{Channel, Kind};
use super::slot;
use super::telling::address::Address;
use super::telling::message::{Message, Subject};
use super::telling::{self, Refusal};
use crate::db::{Executor, Row};
use crate::ground::fault;

/// How long what was claimed is in hand: longer than a channel's `BUDGET` and its slowest try together.
const IN_HAND: Duration = Duration::from_secs(60);

/// How long one channel is told things in one go; what is left then waits for the next one.
const BUDGET: Duration = Duration::from_secs(10);

/// Tries before a telling is given up: pauses of 10 seconds to an hour make about a day of them.
pub const MOST_TRIES: i64 = 32;

/// Most characters of an error that are kept.
const WORDS: usize = 500;

/// One telling that is in hand.
pub struct Claimed {
    channel: Uuid,
    kind: Kind,
    /// What the channel's settings say about where it is.
    address: Result<Address, JobError>,
    attempts: i32,
    message: Message,
}

/// What became of a telling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    id: Uuid,
    attempts: i32,
    outcome: &'static str,
    error: Option<String>,
    wait_seconds: Option<f64>,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub delivered: i64,
    pub refused: i64,
    pub given_up: i64,
}

/// Claims what is due, a few tellings for each channel. They are in hand once the transaction has committed.
///
/// # Errors
///
/// [`JobError::UnknownWord`]; what the server says.
pub async fn claim(db: &impl Executor) -> Result<Vec<Claimed>, JobError> {
    let seconds = i64::try_from(IN_HAND.as_secs()).unwrap_or(i64::MAX);
    let rows = db.query(include_str!("../../sql/job/alarm/claim_deliveries.sql"), &[&seconds]).await?;
    rows.iter().map(read).collect()
}

/// Tells what was claimed: channels side by side, those of one channel one after the other. The first refusal of a channel ends its
/// turn, so that a dead one costs one time-out a turn and not one for each alarm.
pub async fn tell(claimed: Vec<Claimed>) -> Vec<Answer> {
    let mut channels: Vec<Vec<Claimed>> = Vec::new();
    for one in claimed {
        match channels
            .last_mut()
            .filter(|last| last.first().is_some_and(|first| first.channel == one.channel))
        {
            Some(last) => last.push(one),
            None => channels.push(vec![one]),
        }
    }
    join_all(channels.into_iter().map(turn)).await.into_iter().flatten().collect()
}

async fn turn(claimed: Vec<Claimed>) -> Vec<Answer> {
    let end = Instant::now() + BUDGET;
    let mut trouble: Option<String> = None;
    let mut answers = Vec::with_capacity(claimed.len());
    for one in claimed {
        let (id, attempts) = (one.message.id, one.attempts);
        if trouble.is_some() || Instant::now() >= end {
            let error = trouble.clone();
            answers.push(Answer { id, attempts, outcome: "released", error, wait_seconds: None });
            continue;
        }
        let told = match &one.address {
            Ok(address) => telling::tell(address, &one.message).await,
            Err(error) => Err(Refusal::new(error.to_string())),
        };
        answers.push(match told {
            Ok(()) => {
                info!(delivery = %id, channel = %one.message.channel, kind = %one.kind, event = %one.message.event,
                      "told {} of an alarm", one.message.channel);
                Answer { id, attempts, outcome: "delivered", error: None, wait_seconds: None }
            }
            Err(Refusal { reason, wait }) => {
                warn!(delivery = %id, channel = %one.message.channel, kind = %one.kind, attempts, error = %reason,
                      "cannot tell {} of an alarm", one.message.channel);
                let words: String = reason.chars().filter(|&one| one != '\0').take(WORDS).collect();
                trouble = Some(words.clone());
                let wait_seconds = wait.map(|wait| wait.as_secs_f64());
                Answer { id, attempts, outcome: "refused", error: Some(words), wait_seconds }
            }
        });
        fault::point("alarm.told");
    }
    answers
}

/// Takes down what became of tellings. It is not fenced: what a peer has taken stays taken, whoever holds the job by now.
///
/// # Errors
///
/// What the server says.
pub async fn answer(db: &impl Executor, answers: &[Answer]) -> Result<Told, JobError> {
    if answers.is_empty() {
        return Ok(Told::default());
    }
    let statement = include_str!("../../sql/job/alarm/answer_deliveries.sql");
    let row = db.query_one(statement, &[&serde_json::json!(answers), &MOST_TRIES]).await?;
    Ok(Told { delivered: row.get("delivered"), refused: row.get("refused"), given_up: row.get("given_up") })
}

/// Tells a channel that this is a test, from this process and with its secrets, once.
///
/// # Errors
///
/// [`JobError::Untold`]; what the server says.
pub async fn test(db: &impl Executor, channel: &Channel) -> Result<Uuid, JobError> {
    let settings = &channel.settings;
    let address = Address::read(
        channel.kind,
        &settings.url,
        settings.username.as_deref(),
        settings.secret.as_deref(),
        settings.sender.as_deref(),
        &settings.recipients,
    )?;
    let message = Message {
        id: Uuid::now_v7(),
        event: "test".to_owned(),
        channel: channel.name.clone(),
        now: slot::clock(db).await?,
        alarm: None,
    };
    telling::tell(&address, &message)
        .await
        .map_err(|refusal| JobError::Untold { channel: channel.name.clone(), reason: refusal.reason })?;
    Ok(message.id)
}

fn read(row: &Row) -> Result<Claimed, JobError> {
    let word: &str = row.get("channel_kind");
    let kind = Kind::read(word)
        .ok_or_else(|| JobError::UnknownWord { what: "kind of a channel", word: word.to_owned() })?;
    let (url, recipients): (String, Vec<String>) = (row.get("url"), row.get("recipients"));
    let (username, secret, sender) = (row.get("username"), row.get("secret"), row.get("sender"));
    Ok(Claimed {
        channel: row.get("channel"),
        kind,
        address: Address::read(kind, &url, username, secret, sender, &recipients),
        attempts: row.get("attempts"),
        message: Message {
            id: row.get("id"),
            event: row.get("event"),
            channel: row.get("channel_name"),
            now: row.get("now"),
            alarm: Some(Subject {
                id: row.get("alarm"),
                kind: row.get("kind"),
                severity: row.get("severity"),
                state: row.get("state"),
                tenant: row.get("tenant_name"),
                host: row.get("host_name"),
                group: row.get("group_name"),
                job: row.get("job"),
                message: row.get("message"),
                times: row.get("times"),
                raised_at: row.get("raised_at"),
                last_at: row.get("last_at"),
                acknowledged_at: row.get("acknowledged_at"),
                acknowledged_by: row.get("acknowledged_by"),
                resolved_at: row.get("resolved_at"),
            }),
        },
    })
}
