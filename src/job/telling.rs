//! Telling: what goes out to a channel, and how. Nothing here touches the database; `job/delivery.rs` says what is due and
//! takes down what became of it.

pub mod address;
pub mod mail;
pub mod message;
pub mod secret;
pub mod webhook;

use std::time::Duration;

use address::Address;
use message::Message;

/// Why something was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Without a secret and without the URL, which may be one.
    pub reason: String,
    /// How long the peer wants to be left alone.
    pub wait: Option<Duration>,
}

impl Refusal {
    pub fn new(reason: impl Into<String>) -> Refusal {
        Refusal { reason: reason.into(), wait: None }
    }
}

/// Tells a message. When this returns without an error, the peer has said that it took it; after an error it may have taken it
/// all the same, and can tell a repetition by the message's id.
///
/// # Errors
///
/// [`Refusal`].
pub async fn tell(address: &Address, message: &Message) -> Result<(), Refusal> {
    match address {
        Address::Webhook { url, secret } => webhook::post(url, secret.as_deref(), message).await,
        Address::Smtp(mail) => mail::send(mail, message).await,
    }
}
