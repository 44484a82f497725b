//! Directives: comments at the head of a migration, so that its reviewer sees how it will be run.
//!
//! ```sql
//! -- highwater: add-rollup rollups/usage.toml
//! -- highwater: require-rollup usage_hourly, cost_hourly max-lag 10m
//! -- highwater: no-transaction
//! -- highwater: lock-timeout 5s, retries 10
//! -- highwater: hook reconcile_accounts
//! ```

use std::time::Duration;

use crate::rollup::RollupName;

use super::token::{Kind, tokens};

/// How far a required rollup's watermark may lie behind, unless the directive says otherwise. The hook has drained
/// it moments before; an hour leaves room for a lock that takes its time, and is far from "stopped yesterday".
pub const DEFAULT_MAX_LAG: Duration = Duration::from_secs(3600);

/// How a migration waits for locks unless it says so itself: a queued ACCESS EXCLUSIVE request holds up every reader
/// behind it, so one wait must be short, and there may be several.
pub const DEFAULT_LOCK_WAIT: LockWait = LockWait { timeout: Duration::from_secs(5), retries: 10 };

/// What a migration's head asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    pub require: Vec<Requirement>,
    /// Definition files, relative to the migration, in order.
    pub add_rollup: Vec<String>,
    pub no_transaction: bool,
    pub lock_wait: Option<LockWait>,
    pub hooks: Vec<String>,
}

/// A rollup that must be complete and current before the migration may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub rollup: RollupName,
    pub max_lag: Duration,
}

/// How long one attempt waits for a lock, and how many more attempts there are. A timeout of zero waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockWait {
    pub timeout: Duration,
    pub retries: u32,
}

/// A directive that cannot be understood, with the byte at which its comment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub offset: usize,
    pub fault: String,
}

const MARKER: &str = "highwater:";

/// Reads the directives at the head of a file, before its first statement. All faults are returned, not the first.
///
/// ```
/// use highwater::migrate::directive::read;
/// let (directives, faults) = read("-- highwater: no-transaction\nVACUUM usage;");
/// assert!(directives.no_transaction && faults.is_empty());
/// ```
pub fn read(sql: &str) -> (Directives, Vec<Malformed>) {
    let mut directives = Directives::default();
    let mut faults = Vec::new();
    let mut in_head = true;
    for token in tokens(sql) {
        in_head &= !token.is_significant();
        let comment = match token.kind {
            Kind::LineComment => token.text(sql).trim_start_matches('-').trim(),
            Kind::BlockComment => token.text(sql).trim_matches(['/', '*']).trim(),
            _ => continue,
        };
        let fault = match body(comment) {
            None => continue,
            Some(_) if !in_head => Err("a directive must stand before the first statement".to_owned()),
            Some(_) if token.kind == Kind::BlockComment => {
                Err("a directive must be a comment of its own line: -- highwater: ...".to_owned())
            }
            Some(Ok(body)) => directives.take(body),
            Some(Err(fault)) => Err(fault),
        };
        if let Err(fault) = fault {
            faults.push(Malformed { offset: token.start, fault });
        }
    }
    (directives, faults)
}

/// What follows the marker; `None` for a comment that is no directive. A near miss is a fault: a directive that is
/// silently taken for prose would run a migration unguarded.
fn body(comment: &str) -> Option<Result<&str, String>> {
    if let Some(body) = comment.strip_prefix(MARKER) {
        return Some(Ok(body.trim()));
    }
    let lower = comment.to_lowercase();
    let rest = lower.strip_prefix("highwater")?.trim_start_matches([' ', ':', '-']);
    let first = rest.split_whitespace().next().unwrap_or_default();
    let meant = lower.starts_with(MARKER)
        || lower.starts_with("highwater :")
        || ["add-rollup", "require-rollup", "no-transaction", "lock-timeout", "hook"].contains(&first);
    meant.then(|| Err(format!("a directive is spelt \"-- {MARKER} {rest}\"")))
}

impl Directives {
    /// How the migration waits for locks.
    pub fn lock_wait(&self) -> LockWait {
        self.lock_wait.unwrap_or(DEFAULT_LOCK_WAIT)
    }

    fn take(&mut self, body: &str) -> Result<(), String> {
        let (verb, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        let rest = rest.trim();
        match verb {
            "require-rollup" => self.require.extend(requirements(rest)?),
            "add-rollup" if rest.is_empty() => return Err("add-rollup needs a file".to_owned()),
            "add-rollup" => self.add_rollup.push(rest.to_owned()),
            "no-transaction" if rest.is_empty() => self.no_transaction = true,
            "no-transaction" => return Err(format!("no-transaction takes nothing, not \"{rest}\"")),
            "lock-timeout" if self.lock_wait.is_some() => {
                return Err("lock-timeout is given twice".to_owned());
            }
            "lock-timeout" => self.lock_wait = Some(lock_wait(rest)?),
            "hook" if is_name(rest) => self.hooks.push(rest.to_owned()),
            "hook" => return Err("hook needs one name: letters, digits, underscores".to_owned()),
            _ => {
                return Err(format!(
                    "unknown directive \"{verb}\"; known are require-rollup, add-rollup, no-transaction, \
                     lock-timeout and hook"
                ));
            }
        }
        Ok(())
    }
}

/// `NAME[, NAME] [max-lag DURATION]`
fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let (names, max_lag) = match text.split_once(" max-lag ") {
        Some((names, lag)) => (names, duration("max-lag", lag)?),
        None => (text, DEFAULT_MAX_LAG),
    };
    names
        .split(',')
        .map(str::trim)
        .map(|name| match RollupName::parse(name) {
            Ok(rollup) => Ok(Requirement { rollup, max_lag }),
            Err(reason) => Err(format!("{reason}; expected require-rollup NAME[, NAME] [max-lag 10m]")),
        })
        .collect()
}

/// `DURATION[, retries N]`
fn lock_wait(text: &str) -> Result<LockWait, String> {
    let (timeout, retries) = match text.split_once(',') {
        Some((timeout, retries)) => {
            let count = retries.trim().strip_prefix("retries ").and_then(|count| count.trim().parse().ok());
            (timeout, count.ok_or("expected lock-timeout 5s, retries 10")?)
        }
        None => (text, DEFAULT_LOCK_WAIT.retries),
    };
    let timeout = duration("lock-timeout", timeout)?;
    // The server counts whole milliseconds, and zero means for ever.
    if timeout > Duration::ZERO && timeout < Duration::from_millis(1)
        || timeout.as_millis() > i32::MAX as u128
    {
        return Err("lock-timeout must be 0 (wait for ever) or between 1ms and 24 days".to_owned());
    }
    Ok(LockWait { timeout, retries })
}

fn duration(what: &str, text: &str) -> Result<Duration, String> {
    let text = text.trim();
    humantime::parse_duration(text)
        .map_err(|_| format!("\"{text}\" is no duration for {what}, such as 5s or 10m"))
}

/// Names of hooks: what needs no quoting in SQL.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(sql: &str) -> Vec<String> {
        read(sql).1.into_iter().map(|malformed| malformed.fault).collect()
    }

    #[test]
    fn every_directive_is_read() {
        let (directives, faults) = read(
            "-- Drops the daily table.\n\
             -- highwater: require-rollup usage_hourly, cost_hourly max-lag 10m\r\n\
             --highwater: add-rollup rollups/my usage.toml\n\
             -- highwater: lock-timeout 300ms, retries 20\n\
             -- highwater: hook reconcile_accounts\n\
             DROP TABLE usage_daily; -- highwater keeps the hourly one\n",
        );
        assert_eq!(faults, []);
        let max_lag = Duration::from_secs(600);
        let require = ["usage_hourly", "cost_hourly"]
            .map(|name| Requirement { rollup: RollupName::parse(name).unwrap(), max_lag })
            .to_vec();
        assert_eq!(
            directives,
            Directives {
                require,
                add_rollup: vec!["rollups/my usage.toml".to_owned()],
                no_transaction: false,
                lock_wait: Some(LockWait { timeout: Duration::from_millis(300), retries: 20 }),
                hooks: vec!["reconcile_accounts".to_owned()],
            }
        );
    }

    #[test]
    fn a_near_miss_is_a_fault_and_not_prose() {
        for sql in [
            "-- highwater: no-transactions\n",
            "-- highwater:\n",
            "-- Highwater: no-transaction\n",
            "-- highwater no-transaction\n",
            "-- highwater : no-transaction\n",
            "/* highwater: no-transaction */\n",
            "SELECT 1; -- highwater: no-transaction\n",
            "-- highwater: no-transaction please\n",
            "-- highwater: require-rollup\n",
            "-- highwater: require-rollup usage hourly\n",
            "-- highwater: require-rollup usage_hourly max-lag soon\n",
            "-- highwater: lock-timeout 5 parsecs\n",
            "-- highwater: lock-timeout 5s, attempts 3\n",
            "-- highwater: add-rollup\n",
            "-- highwater: hook a b\n",
        ] {
            assert_eq!(faults(sql).len(), 1, "{sql:?}: {:?}", faults(sql));
        }
        assert_eq!(faults("-- highwater: x\n-- highwater: y\n").len(), 2, "all of them, not the first");
    }

    #[test]
    fn prose_about_highwater_is_no_directive() {
        for sql in [
            "-- highwater keeps the hourly rollup\n",
            "-- see highwater's docs\n",
            "SELECT '-- highwater: x'",
        ] {
            assert_eq!(read(sql), (Directives::default(), vec![]), "{sql:?}");
        }
    }
}
