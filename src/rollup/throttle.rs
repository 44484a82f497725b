//! When a backfill goes slower, or waits, because the database has other worries.
//!
//! In: a sample of the database's health and the limits. Out: go, slow down, or wait, and why. The decision is pure; the
//! sample is one statement, taken before each slice and, while waiting, every second.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::error::RollupError;
use super::name::RollupName;
use super::watch::{Listener, News};
use crate::db::{Executor, Session};
use crate::ground::shutdown::{Shutdown, Urgency};

/// Above this part of a limit the work slows down, so that it need not stop.
const EASY: f64 = 0.7;

/// What the database may be asked to bear; `None` leaves a thing unlimited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Sessions at work beside highwater's own.
    pub load: Option<f64>,
    /// How far the slowest replica is behind.
    pub lag: Option<Duration>,
    /// WAL of the whole server.
    pub wal_bytes_per_second: Option<u64>,
}

impl Default for Limits {
    /// Half a minute of lag is what most replicas are watched for; load and WAL are for whoever knows the machine.
    fn default() -> Limits {
        Limits { load: None, lag: Some(Duration::from_secs(30)), wal_bytes_per_second: None }
    }
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Sessions that wait for a lock which a session of highwater holds.
    pub waiting: i64,
    /// Sessions at work that are not highwater's.
    pub load: i64,
    /// Lag of the slowest replica in seconds; `None` without one, or without the right to see it.
    pub lag_seconds: Option<f64>,
    /// Since the sample before; `None` for the first one.
    pub wal_bytes_per_second: Option<f64>,
}

/// What to do before the next slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Go,
    /// Go on after a pause of this many times what the last slice took.
    Slow {
        times: f64,
        reason: Reason,
    },
    /// Look again in a while.
    Wait(Reason),
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    Waiting { sessions: i64 },
    Load { sessions: i64, limit: f64 },
    Lag { seconds: f64, limit: f64 },
    Wal { bytes_per_second: f64, limit: f64 },
}

/// Decides. Somebody who waits for us stops us at once; of the limits the one that is nearest decides: up to 70 % of it the
/// work goes at full speed, at the limit it waits, between them it pauses for up to three times its own length.
pub fn decide(sample: &Sample, limits: &Limits) -> Verdict {
    if sample.waiting > 0 {
        return Verdict::Wait(Reason::Waiting { sessions: sample.waiting });
    }
    let load =
        limits.load.map(|limit| (sample.load as f64 / limit, Reason::Load { sessions: sample.load, limit }));
    let lag = limits.lag.zip(sample.lag_seconds).map(|(limit, seconds)| {
        let limit = limit.as_secs_f64();
        (seconds / limit, Reason::Lag { seconds, limit })
    });
    let wal =
        limits.wal_bytes_per_second.zip(sample.wal_bytes_per_second).map(|(limit, bytes_per_second)| {
            let limit = limit as f64;
            (bytes_per_second / limit, Reason::Wal { bytes_per_second, limit })
        });
    let nearest = [load, lag, wal].into_iter().flatten().max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((part, reason)) if part >= 1.0 => Verdict::Wait(reason),
        Some((part, reason)) if part > EASY => {
            Verdict::Slow { times: 3.0 * (part - EASY) / (1.0 - EASY), reason }
        }
        Some(_) | None => Verdict::Go,
    }
}

impl Reason {
    /// One word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Reason::Waiting { .. } => "lock_wait",
            Reason::Load { .. } => "load",
            Reason::Lag { .. } => "replication_lag",
            Reason::Wal { .. } => "wal_rate",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Waiting { sessions } => {
                write!(out, "{sessions} sessions wait for a lock that highwater holds")
            }
            Reason::Load { sessions, limit } => {
                write!(out, "{sessions} sessions are at work, --max-load is {limit}")
            }
            Reason::Lag { seconds, limit } => {
                write!(out, "a replica is {seconds:.0} s behind, --max-lag is {limit:.0} s")
            }
            Reason::Wal { bytes_per_second, limit } => {
                let mib = |bytes: f64| bytes / f64::from(1 << 20);
                write!(
                    out,
                    "{:.1} MiB of WAL a second, --max-wal is {:.1} MiB",
                    mib(*bytes_per_second),
                    mib(*limit)
                )
            }
        }
    }
}

/// How often a backfill that waits looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who still waits after so long waits for something that the end of a slice does not give: then the work goes on.
const LONGEST_COURTESY: Duration = Duration::from_secs(60);

/// Holds one connection's work back, slice by slice.
pub(super) struct Throttle<'a> {
    limits: Limits,
    sampler: Sampler,
    rollup: &'a RollupName,
    listener: &'a dyn Listener,
    shutdown: &'a Shutdown,
    told: Option<&'static str>,
}

impl Throttle<'_> {
    pub fn new<'a>(
        limits: Limits,
        rollup: &'a RollupName,
        listener: &'a dyn Listener,
        shutdown: &'a Shutdown,
    ) -> Throttle<'a> {
        Throttle { limits, sampler: Sampler::default(), rollup, listener, shutdown, told: None }
    }

    /// Returns when the next slice may begin, a signal has come or `deadline` is over. `last` is what the slice before took.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn admit(
        &mut self,
        session: &Session,
        last: Duration,
        deadline: Option<Instant>,
    ) -> Result<(), RollupError> {
        let began = Instant::now();
        loop {
            let (pause, reason, is_last) = match decide(&self.sampler.take(session).await?, &self.limits) {
                Verdict::Go => (Duration::ZERO, None, true),
                Verdict::Slow { times, reason } => (last.mul_f64(times), Some(reason), true),
                Verdict::Wait(Reason::Waiting { .. }) if began.elapsed() > LONGEST_COURTESY => {
                    (Duration::ZERO, None, true)
                }
                Verdict::Wait(reason) => (LOOK_AGAIN, Some(reason), false),
            };
            self.tell(reason, !is_last);
            let pause =
                deadline.map_or(pause, |end| pause.min(end.saturating_duration_since(Instant::now())));
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.shutdown.at_least(Urgency::Soon) => {}
                }
            }
            let is_over = deadline.is_some_and(|end| Instant::now() >= end);
            if is_last || is_over || self.shutdown.is_requested() {
                return Ok(());
            }
        }
    }

    /// Once for each reason, not once a second.
    fn tell(&mut self, reason: Option<Reason>, is_waiting: bool) {
        let word = reason.map(|reason| reason.word());
        if word != self.told
            && let Some(reason) = reason
        {
            self.listener.hear(News::Throttled { rollup: self.rollup.clone(), reason, is_waiting });
        }
        self.told = word;
    }
}

/// Takes samples; the rate of WAL needs the one before.
#[derive(Debug, Default)]
pub struct Sampler {
    last: Option<(f64, f64)>,
}

impl Sampler {
    /// Looks at the database.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn take(&mut self, session: &Session) -> Result<Sample, RollupError> {
        let row = session.query_one(include_str!("../../sql/rollup/health.sql"), &[]).await?;
        let (wal_bytes, at): (f64, f64) = (row.get("wal_bytes"), row.get("at"));
        let before = self.last.replace((wal_bytes, at));
        let rate = before.map(|(bytes, seconds)| (wal_bytes - bytes) / (at - seconds).max(0.001));
        Ok(Sample {
            waiting: row.get("waiting"),
            load: row.get("load"),
            lag_seconds: row.get("lag_seconds"),
            wal_bytes_per_second: rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { load: Some(10.0), lag: Some(Duration::from_secs(30)), wal_bytes_per_second: Some(1 << 20) };

    #[test]
    fn a_quiet_database_is_worked_on_at_full_speed() {
        let quiet = Sample { load: 7, lag_seconds: Some(3.0), wal_bytes_per_second: Some(0.0), waiting: 0 };
        assert_eq!(decide(&quiet, &LIMITS), Verdict::Go);
        let nothing = Limits { load: None, lag: None, wal_bytes_per_second: None };
        let busy = Sample { load: 700, lag_seconds: Some(3e9), wal_bytes_per_second: Some(1e12), waiting: 0 };
        assert_eq!(decide(&busy, &nothing), Verdict::Go);
    }

    #[test]
    fn whoever_waits_for_us_comes_first() {
        let waiting = Sample { waiting: 2, ..Sample::default() };
        assert_eq!(decide(&waiting, &LIMITS), Verdict::Wait(Reason::Waiting { sessions: 2 }));
    }

    #[test]
    fn the_nearest_limit_decides_and_pauses_grow_towards_it() {
        let at = |load: i64, lag: f64| {
            decide(&Sample { load, lag_seconds: Some(lag), ..Sample::default() }, &LIMITS)
        };
        assert!(matches!(at(10, 0.0), Verdict::Wait(Reason::Load { sessions: 10, .. })));
        assert!(matches!(at(9, 45.0), Verdict::Wait(Reason::Lag { .. })));
        let Verdict::Slow { times: near, reason: Reason::Load { .. } } = at(9, 1.0) else { panic!() };
        let Verdict::Slow { times: far, reason: Reason::Lag { .. } } = at(7, 24.0) else { panic!() };
        assert!(near > far && (0.0..3.0).contains(&far), "{near} {far}");
        let wal = Sample { wal_bytes_per_second: Some(2e6), ..Sample::default() };
        assert!(matches!(decide(&wal, &LIMITS), Verdict::Wait(Reason::Wal { .. })));
    }
}
