//! A mail, by SMTP. Its Message-ID is that of the telling, so that a mail which comes twice is seen as one.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::timeout;

use super::address::{Mail, Security};
use super::message::Message;
use super::{Refusal, secret};

/// How long a mail server may think about each command.
const COMMAND: Duration = Duration::from_secs(10);

/// How long a mail may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a message to all recipients of a channel, as one mail: it was taken when the server has said so for all of them.
///
/// # Errors
///
/// [`Refusal`] with the server's words.
pub async fn send(mail: &Mail, message: &Message) -> Result<(), Refusal> {
    let wrong = |error: &dyn std::fmt::Display| Refusal::new(error.to_string());
    let mailbox = |address: &str| -> Result<Mailbox, Refusal> {
        address.parse().map_err(|error| wrong(&format!("\"{address}\" is no mail address: {error}")))
    };
    let from = mailbox(&mail.sender)?;
    let domain = from.email.domain().to_owned();
    let mut letter = MessageBuilder::new()
        .from(from)
        .subject(message.subject())
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .date(SystemTime::from(message.now))
        .header(ContentType::TEXT_PLAIN);
    for recipient in &mail.recipients {
        letter = letter.to(mailbox(recipient)?);
    }
    let letter = letter.body(message.text()).map_err(|error| wrong(&error))?;
    let parameters = || TlsParameters::new(mail.host.clone()).map_err(|error| wrong(&error));
    let tls = match mail.security {
        Security::Implicit => Tls::Wrapper(parameters()?),
        Security::StartTls => Tls::Required(parameters()?),
        Security::Plain => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.as_str())
        .port(mail.port)
        .tls(tls)
        .hello_name(ClientId::Domain(domain))
        .timeout(Some(COMMAND));
    if let Some((user, password)) = &mail.login {
        transport = transport.credentials(Credentials::new(user.clone(), secret::read(password)?));
    }
    match timeout(PATIENCE, transport.build().send(letter)).await {
        Err(_) => Err(Refusal::new(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Err(error)) => Err(wrong(&error)),
        Ok(Ok(_)) => Ok(()),
    }
}
