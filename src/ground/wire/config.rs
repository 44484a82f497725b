//! What a host is told about itself: `GET /v1/agent/config`, with its revision as the ETag. Spans are in seconds.

use serde::{Deserialize, Serialize};

use super::id::{GroupId, HostId, RepositoryId, Rev, ScheduleId};
use super::state::words;

/// All that a host needs to run its schedules by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub rev: Rev,
    pub host: Host,
    #[serde(default)]
    pub groups: Vec<Group>,
    #[serde(default)]
    pub repositories: Vec<Repository>,
    #[serde(default)]
    pub schedules: Vec<Schedule>,
}

/// The host itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub id: HostId,
    pub name: String,
    pub mode: Mode,
    /// IANA name.
    pub tz: String,
    #[serde(default = "one")]
    pub max_concurrent: u32,
}

words!(
    /// Whether a host that is silent is a worry.
    Mode { AlwaysOn = "always_on", Intermittent = "intermittent" }
);

words!(
    /// What makes the bytes of a group.
    SourceKind { Command = "command", Directory = "directory", Restic = "restic" }
);

/// What is backed up together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub name: String,
    pub kind: SourceKind,
    /// For `command`: a line for the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// For `directory` and `restic`: what is in it.
    #[serde(default)]
    pub includes: Vec<String>,
    #[serde(default)]
    pub excludes: Vec<String>,
    #[serde(default)]
    pub repositories: Vec<RepositoryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_hook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_hook: Option<String>,
    /// None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_timeout_seconds: Option<u64>,
    /// None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_timeout_seconds: Option<u64>,
    #[serde(default)]
    pub retention: Retention,
}

/// Which archives stay. Everything else may go, but for the newest `keep_min`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
    #[serde(default = "one")]
    pub keep_min: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            keep_last: None,
            keep_hourly: None,
            keep_daily: None,
            keep_weekly: None,
            keep_monthly: None,
            keep_yearly: None,
            keep_min: one(),
        }
    }
}

fn one() -> u32 {
    1
}

/// Where archives go. Its secrets are the host's own and never travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    pub id: RepositoryId,
    /// `directory`, `restic` or `s3`.
    pub kind: RepositoryKind,
    pub url: String,
    #[serde(default = "one")]
    pub max_concurrent: u32,
}

words!(
    /// What keeps the archives.
    RepositoryKind { Directory = "directory", Restic = "restic", S3 = "s3" }
);

/// When groups are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub groups: Vec<GroupId>,
    pub cron: String,
    /// IANA name.
    pub tz: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default = "catchup_one")]
    pub catchup: Catchup,
    /// How long ago a slot may lie to be caught up with; none: any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catchup_window_seconds: Option<u64>,
    /// Pause after a wake-up before anything is caught up with.
    #[serde(default)]
    pub settle_seconds: u64,
    /// A run begins up to this much after its slot, by an amount that is fixed for the host.
    #[serde(default)]
    pub jitter_seconds: u64,
    #[serde(default = "overlap_skip")]
    pub overlap: Overlap,
    /// A run that could not begin for this long is missed; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u64>,
}

fn yes() -> bool {
    true
}

fn catchup_one() -> Catchup {
    Catchup::One
}

fn overlap_skip() -> Overlap {
    Overlap::Skip
}

words!(
    /// What is done about slots that passed while the host was away.
    Catchup { None = "none", One = "one", All = "all" }
);

words!(
    /// What is done about a slot that comes while its group still runs.
    Overlap { Skip = "skip", Queue = "queue" }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_config_is_filled_with_what_is_usual_and_reads_as_written() {
        let id = "01980000-0000-7000-8000-000000000001";
        let text = serde_json::json!({
            "rev": 3,
            "host": {"id": id, "name": "laptop", "mode": "intermittent", "tz": "Europe/Berlin"},
            "groups": [{"id": id, "name": "home", "kind": "directory", "includes": ["/home"], "repositories": [id]}],
            "repositories": [{"id": id, "kind": "directory", "url": "/srv/backup"}],
            "schedules": [{"id": id, "groups": [id], "cron": "0 3 * * *", "tz": "Europe/Berlin", "unknown": 1}]
        });
        let config: Config = serde_json::from_value(text).unwrap();
        assert_eq!(config.schedules[0].catchup, Catchup::One);
        assert_eq!(config.groups[0].retention.keep_min, 1);
        assert_eq!(config.host.max_concurrent, 1);
        let again: Config = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }
}
