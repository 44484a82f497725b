//! `highwater alarms channel`: where alarms are told.

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Subcommand, ValueEnum};
use serde_json::json;

use super::SCHEMA_VERSION;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::command::table;
use crate::db::Session;
use crate::job::alarm::Kind as AlarmKind;
use crate::job::channel::{self, Channel, Kind, Settings, Severity};
use crate::job::delivery;

#[derive(Debug, Subcommand)]
pub enum Action {
    Add(Box<Add>),
    /// Channels, with what waits for them and what was given up
    List {
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    Edit(Box<Edit>),
    /// Remove a channel; what was to be told it goes too
    Remove(Which),
    /// Tell a channel that this is a test, from here and with the secrets of this shell
    Test(Which),
    /// Tell a channel at once what waits, and again what was given up
    Retry(Which),
}

#[derive(Debug, clap::Args)]
pub struct Which {
    /// Name or id
    channel: String,
    /// Only if it is of this tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
}

/// Add a channel; it is told what goes wrong from then on
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("where").required(true).args(["webhook", "smtp"]), after_help = "Examples:
  highwater alarms channel add ops --webhook https://chat.example/hook --secret env:HIGHWATER_SECRET_OPS
  highwater alarms channel add chat --webhook file:/run/secrets/chat-url --min-severity critical
  highwater alarms channel add mail --tenant acme --smtp smtps://mail.example --user hw --secret file:/run/secrets/mail \\
      --from hw@acme.example --to ops@acme.example

The worker sends; --secret names a variable of its environment or a file that it can read. A webhook gets a POST of JSON and, with
--secret, the header Highwater-Signature: t=SECONDS,v1=HMAC-SHA256(secret, SECONDS.BODY). Highwater-Delivery stays the same when
something is told again.")]
pub struct Add {
    /// Name of the channel, unique within its tenant
    name: String,
    /// Told of this tenant's alarms only, by name or id; without it of all, and of what is no tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// https:// or http://, or env:HIGHWATER_SECRET_… or file:/… where the URL is a secret
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// smtps://HOST for TLS, smtp://HOST for STARTTLS, smtp+plain://HOST for neither
    #[arg(long, value_name = "URL")]
    smtp: Option<String>,
    /// Where the worker finds the key or password: env:HIGHWATER_SECRET_NAME or file:/PATH
    #[arg(long, value_name = "REFERENCE")]
    secret: Option<String>,
    /// Of smtp: who logs in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Of smtp: the address that mails come from
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Of smtp: an address that they go to; may be repeated
    #[arg(long = "to", value_name = "ADDRESS")]
    to: Vec<String>,
    /// Only alarms of this kind; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds())]
    kinds: Vec<String>,
    /// Only alarms as bad as this
    #[arg(long, value_enum, default_value_t = SeverityFlag::Warning)]
    min_severity: SeverityFlag,
}

/// Change a channel; what is not named stays
#[derive(Debug, clap::Args)]
pub struct Edit {
    #[command(flatten)]
    which: Which,
    /// As --webhook or --smtp of "add"
    #[arg(long)]
    url: Option<String>,
    #[arg(long, value_name = "REFERENCE")]
    secret: Option<String>,
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Instead of those that it has
    #[arg(long = "to", value_name = "ADDRESS")]
    to: Vec<String>,
    /// Instead of those that it has
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds())]
    kinds: Vec<String>,
    #[arg(long, value_enum)]
    min_severity: Option<SeverityFlag>,
    /// Whether it is told; what waits goes on waiting meanwhile
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// Back to none: no secret, nobody who logs in, all kinds
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(["secret", "user", "kinds"]))]
    clear: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SeverityFlag {
    /// All of them
    Warning,
    /// failed, missed, over_rpo and drift
    Critical,
}

impl From<SeverityFlag> for Severity {
    fn from(flag: SeverityFlag) -> Severity {
        match flag {
            SeverityFlag::Warning => Severity::Warning,
            SeverityFlag::Critical => Severity::Critical,
        }
    }
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(AlarmKind::ALL.iter().map(|kind| kind.word()))
}

/// None: all.
fn chosen(words: &[String]) -> Option<Vec<AlarmKind>> {
    if words.is_empty() {
        None
    } else {
        Some(words.iter().filter_map(|word| AlarmKind::read(word)).collect())
    }
}

/// Runs the command.
///
/// # Errors
///
/// What reading, writing and telling say.
pub async fn run(global: &Global, session: &Session, action: Action) -> anyhow::Result<()> {
    match action {
        Action::Add(add) => {
            let (kind, url) = match (add.webhook, add.smtp) {
                (Some(url), _) => (Kind::Webhook, url),
                (None, url) => (Kind::Smtp, url.unwrap_or_default()),
            };
            let settings = Settings {
                url,
                secret: add.secret,
                username: add.user,
                sender: add.from,
                recipients: add.to,
                kinds: chosen(&add.kinds),
                min_severity: add.min_severity.into(),
                enabled: true,
            };
            let id = channel::add(session, add.tenant.as_deref(), &add.name, kind, &settings).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": id})),
                Format::Text => say!("{id}"),
            }
        }
        Action::List { tenant } => {
            let channels = channel::list(session, tenant.as_deref()).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "channels": channels}));
                }
                Format::Text => list(&channels),
            }
        }
        Action::Edit(edit) => {
            let found = find(session, &edit.which).await?;
            let mut settings = found.settings.clone();
            for what in &edit.clear {
                match what.as_str() {
                    "secret" => settings.secret = None,
                    "user" => settings.username = None,
                    _ => settings.kinds = None,
                }
            }
            settings.url = edit.url.unwrap_or(settings.url);
            settings.secret = edit.secret.or(settings.secret);
            settings.username = edit.user.or(settings.username);
            settings.sender = edit.from.or(settings.sender);
            settings.kinds = chosen(&edit.kinds).or(settings.kinds);
            if !edit.to.is_empty() {
                settings.recipients = edit.to;
            }
            settings.min_severity = edit.min_severity.map_or(settings.min_severity, Severity::from);
            settings.enabled = edit.enabled.unwrap_or(settings.enabled);
            let rev = channel::edit(session, &found, &settings).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": found.id, "rev": rev}));
                }
                Format::Text => say!("{}: revision {rev}", found.name),
            }
        }
        Action::Remove(which) => {
            let found = find(session, &which).await?;
            channel::remove(session, &found).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "removed": found.id})),
                Format::Text => say!("{} is told nothing any more", found.name),
            }
        }
        Action::Test(which) => {
            let found = find(session, &which).await?;
            let id = delivery::test(session, &found).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "delivery": id})),
                Format::Text => say!("{} has taken it ({id})", found.name),
            }
        }
        Action::Retry(which) => {
            let found = find(session, &which).await?;
            let anew = channel::retry(session, &found).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "due": anew})),
                Format::Text => say!("{anew} due for {}", found.name),
            }
        }
    }
    Ok(())
}

async fn find(session: &Session, which: &Which) -> anyhow::Result<Channel> {
    Ok(channel::find(session, &which.channel, which.tenant.as_deref()).await?)
}

fn list(channels: &[Channel]) {
    if channels.is_empty() {
        say!("no channel; \"highwater alarms channel add\" makes one");
        return;
    }
    let mut table = table::plain([
        "CHANNEL",
        "TENANT",
        "BY",
        "WHERE",
        "KINDS",
        "FROM",
        "ON",
        "WAITING",
        "GIVEN UP",
        "LAST ERROR",
    ]);
    for channel in channels {
        let settings = &channel.settings;
        let kinds = settings.kinds.as_ref().map_or_else(
            || "all".to_owned(),
            |kinds| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(","),
        );
        table.add_row([
            channel.name.clone(),
            channel.tenant.clone().unwrap_or_else(|| "(all)".to_owned()),
            channel.kind.to_string(),
            settings.url.clone(),
            kinds,
            settings.min_severity.to_string(),
            if settings.enabled { "yes" } else { "no" }.to_owned(),
            channel.waiting.to_string(),
            channel.failed.to_string(),
            channel.last_error.as_deref().unwrap_or("-").chars().take(60).collect(),
        ]);
    }
    table::print(&table);
}
