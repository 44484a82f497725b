//! Where a channel is: read and checked once, when it is written and again when something is told.

use lettre::Address as Mailbox;

use super::{Refusal, secret};
use crate::ground::http::Place;
use crate::job::JobError;
use crate::job::channel::Kind;

/// Registered ports: submission with STARTTLS, submission over TLS, relay.
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
const RELAY: u16 = 25;

/// How a connection to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// `smtps://`: TLS from the first byte.
    Implicit,
    /// `smtp://`: TLS by STARTTLS, or not at all.
    StartTls,
    /// `smtp+plain://`: in the clear.
    Plain,
}

/// A mail server and who writes to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Name, and reference to the password.
    pub login: Option<(String, String)>,
    pub sender: String,
    pub recipients: Vec<String>,
}

/// Where a channel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Webhook {
        /// A URL or a reference to one.
        url: String,
        /// Reference to the key that signs.
        secret: Option<String>,
    },
    Smtp(Mail),
}

impl Address {
    /// Reads what a channel says about itself.
    ///
    /// # Errors
    ///
    /// [`JobError::Invalid`] with the remedy.
    pub fn read(
        kind: Kind,
        url: &str,
        username: Option<&str>,
        secret: Option<&str>,
        sender: Option<&str>,
        recipients: &[String],
    ) -> Result<Address, JobError> {
        let invalid = |reason: &str| JobError::Invalid(format!("channel: {reason}"));
        match kind {
            Kind::Webhook => {
                if username.is_some() || sender.is_some() || !recipients.is_empty() {
                    return Err(invalid("--user, --from and --to are for --smtp"));
                }
                if secret::is_reference(url) {
                    secret::check(url)?;
                } else {
                    place(url).map_err(|refusal| invalid(&refusal.reason))?;
                }
                Ok(Address::Webhook { url: url.to_owned(), secret: secret.map(str::to_owned) })
            }
            Kind::Smtp => {
                let (security, rest) = match url.split_once("://") {
                    Some(("smtps", rest)) => (Security::Implicit, rest),
                    Some(("smtp", rest)) => (Security::StartTls, rest),
                    Some(("smtp+plain", rest)) => (Security::Plain, rest),
                    _ => {
                        return Err(invalid(
                            "a mail server is smtps://HOST, smtp://HOST or smtp+plain://HOST",
                        ));
                    }
                };
                // Read as if it were a web server's: host, port and nothing else.
                let place = place(&format!("http://{rest}")).map_err(|refusal| invalid(&refusal.reason))?;
                if place.path != "/" {
                    return Err(invalid("a mail server's URL ends after its host and port"));
                }
                let has_port = place.authority.rsplit(']').next().unwrap_or_default().contains(':');
                let port = match (has_port, security) {
                    (true, _) => place.port,
                    (false, Security::Implicit) => SUBMISSIONS,
                    (false, Security::StartTls) => SUBMISSION,
                    (false, Security::Plain) => RELAY,
                };
                let login = match (username, secret) {
                    (Some(user), Some(secret)) => Some((user.to_owned(), secret.to_owned())),
                    (None, None) => None,
                    _ => return Err(invalid("--user and --secret go together")),
                };
                if login.is_some() && security == Security::Plain && !place.is_loopback() {
                    return Err(invalid("a password is not sent in the clear; use smtps:// or smtp://"));
                }
                let sender = sender.ok_or_else(|| invalid("--smtp needs --from"))?;
                if recipients.is_empty() {
                    return Err(invalid("--smtp needs at least one --to"));
                }
                for address in recipients.iter().map(String::as_str).chain([sender]) {
                    address
                        .parse::<Mailbox>()
                        .map_err(|error| invalid(&format!("\"{address}\" is no mail address: {error}")))?;
                }
                Ok(Address::Smtp(Mail {
                    host: place.host,
                    port,
                    security,
                    login,
                    sender: sender.to_owned(),
                    recipients: recipients.to_vec(),
                }))
            }
        }
    }
}

/// The server of a URL that holds no name and password.
///
/// # Errors
///
/// [`Refusal`] without the URL, which may be a secret.
pub fn place(url: &str) -> Result<Place, Refusal> {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    if after.split(['/', '?', '#']).next().unwrap_or_default().contains('@') {
        return Err(Refusal::new("a URL holds no name and no password; --secret names where one is"));
    }
    Place::parse(url).map_err(|error| Refusal::new(format!("the URL {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(url: &str, user: Option<&str>) -> Result<Address, JobError> {
        let secret = user.map(|_| "env:HIGHWATER_SECRET_MAIL");
        Address::read(Kind::Smtp, url, user, secret, Some("hw@example.org"), &["ops@example.org".to_owned()])
    }

    #[test]
    fn a_mail_servers_scheme_says_how_it_is_spoken_to() {
        for (url, port, security) in [
            ("smtps://mail.example", 465, Security::Implicit),
            ("smtp://mail.example", 587, Security::StartTls),
            ("smtp+plain://127.0.0.1", 25, Security::Plain),
            ("smtp://mail.example:2525", 2525, Security::StartTls),
            ("smtp://[::1]", 587, Security::StartTls),
            ("smtp+plain://[::1]:26", 26, Security::Plain),
        ] {
            let Address::Smtp(found) = mail(url, None).unwrap() else { panic!("{url}") };
            assert_eq!((found.port, found.security), (port, security), "{url}");
        }
    }

    #[test]
    fn a_password_goes_neither_into_a_url_nor_over_the_net_in_the_clear() {
        for wrong in ["smtps://me:sesame@mail.example", "http://mail.example", "smtps://mail.example/inbox"] {
            let said = mail(wrong, None).unwrap_err().to_string();
            assert!(!said.contains("sesame"), "{said}");
        }
        assert!(mail("smtp+plain://mail.example", Some("me")).is_err());
        assert!(mail("smtp+plain://127.0.0.1:25", Some("me")).is_ok());
        let hook = |url: &str| Address::read(Kind::Webhook, url, None, None, None, &[]);
        assert!(hook("https://me:sesame@chat.example/hook").is_err());
        assert!(hook("https://chat.example/hook?x=a@b").is_ok());
        assert!(hook("env:HIGHWATER_SECRET_HOOK").is_ok());
        assert!(hook("env:PATH").is_err());
    }
}
