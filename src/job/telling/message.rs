//! What is told: one state of one alarm. The document is the same at each try unless the alarm has changed meanwhile.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Version of the document; a field that is added does not raise it.
const VERSION: u32 = 1;

/// Longest subject of a mail, in characters.
const SUBJECT: usize = 150;

/// The alarm, as it is when it is told.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    pub id: Uuid,
    pub kind: String,
    pub severity: String,
    /// As it is now; the event says which state is told.
    pub state: String,
    pub tenant: Option<String>,
    pub host: Option<String>,
    pub group: Option<String>,
    pub job: Option<Uuid>,
    pub message: String,
    pub times: i64,
    pub raised_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<String>,
    pub resolved_at: Option<DateTime<Utc>>,
}

/// One telling.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same at each try.
    pub id: Uuid,
    /// raised, acknowledged, resolved, or test.
    pub event: String,
    pub channel: String,
    /// The database's clock at this try.
    pub now: DateTime<Utc>,
    /// None: a test of the channel.
    pub alarm: Option<Subject>,
}

impl Message {
    /// The document that a webhook gets.
    pub fn document(&self) -> Value {
        json!({
            "version": VERSION, "id": self.id, "event": self.event, "channel": self.channel, "alarm": self.alarm,
        })
    }

    /// The subject of a mail: one line.
    pub fn subject(&self) -> String {
        let line = match &self.alarm {
            None => "test: this channel works".to_owned(),
            Some(alarm) => format!(
                "{}: {}",
                if self.event == "raised" { &alarm.severity } else { &self.event },
                alarm.message.lines().next().unwrap_or_default()
            ),
        };
        let line = format!("[highwater] {line}");
        line.chars().map(|one| if one.is_control() { ' ' } else { one }).take(SUBJECT).collect()
    }

    /// The text of a mail.
    pub fn text(&self) -> String {
        let Some(alarm) = &self.alarm else {
            return format!("Alarms of highwater are told to channel {} at this address.\n", self.channel);
        };
        let mut lines = vec![alarm.message.clone(), String::new()];
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                lines.push(format!("{:<14}{value}", format!("{name}:")));
            }
        };
        let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        line("alarm", Some(alarm.id.to_string()));
        line("kind", Some(format!("{}, {}", alarm.kind, alarm.severity)));
        line("state", Some(alarm.state.clone()));
        line("tenant", alarm.tenant.clone());
        line("host", alarm.host.clone());
        line("group", alarm.group.clone());
        line("job", alarm.job.map(|job| job.to_string()));
        line("times", Some(alarm.times.to_string()));
        line("raised", Some(at(alarm.raised_at)));
        line("acknowledged", alarm.acknowledged_at.map(at));
        line("by", alarm.acknowledged_by.clone());
        line("resolved", alarm.resolved_at.map(at));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_short_line() {
        let at = DateTime::UNIX_EPOCH;
        let alarm = Subject {
            id: Uuid::nil(),
            kind: "failed".to_owned(),
            severity: "critical".to_owned(),
            state: "raised".to_owned(),
            tenant: None,
            host: Some("laptop".to_owned()),
            group: None,
            job: None,
            message: format!("backup failed: {}\r\nBcc: all@example.org", "ö".repeat(200)),
            times: 1,
            raised_at: at,
            last_at: at,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
        };
        let message = Message {
            id: Uuid::nil(),
            event: "raised".to_owned(),
            channel: "ops".to_owned(),
            now: at,
            alarm: Some(alarm),
        };
        let subject = message.subject();
        assert!(
            subject.starts_with("[highwater] critical: backup failed: öö")
                && subject.chars().count() == SUBJECT
        );
        assert!(!subject.contains(['\r', '\n']) && !subject.contains("Bcc"), "{subject}");
        assert!(message.text().contains("host:         laptop\n"), "{}", message.text());
    }
}
