//! Leases as a worker knows them: which it holds, and until when it may believe so.
//!
//! The database decides by its own clock whether a lease is still good. Here is only the local side of it: a deadline on
//! the monotonic clock, counted from when the last good heartbeat was *sent*, after which a run stops although nobody
//! has said that its lease is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

/// Length of a lease. A worker that was killed is replaced after at most this.
pub const LENGTH: Duration = Duration::from_secs(15);

/// Distance of heartbeats: two may fail before a lease is in danger.
pub const BEAT: Duration = Duration::from_secs(5);

/// A run stops this long before its lease could run out by the database's clock.
const MARGIN: Duration = Duration::from_secs(2);

/// Number of a plan, and of the lease under which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RunId(pub i64);

/// Token of a claim; a later claim of the same plan has a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Token(pub i64);

impl std::fmt::Display for RunId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Length of a lease as statements take it.
pub fn length_ms() -> i64 {
    i64::try_from(LENGTH.as_millis()).expect("a lease is shorter than the age of the earth")
}

/// What a run knows of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Ours at least until then.
    Until(Instant),
    /// Someone said that it is not ours any more.
    Lost,
}

/// Why a run must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The database said so.
    Taken,
    /// Nobody could be asked for too long.
    Unverified,
}

/// A run's own view of its lease.
#[derive(Debug, Clone)]
pub struct Hold {
    pub run: RunId,
    pub token: Token,
    standing: watch::Receiver<Standing>,
    holdings: Holdings,
}

/// All leases of a process; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    held: Arc<Mutex<HashMap<RunId, Held>>>,
}

#[derive(Debug)]
struct Held {
    token: Token,
    standing: watch::Sender<Standing>,
    /// The run's end is on its way to the database: that the lease is gone may be that end.
    is_ending: bool,
}

impl Holdings {
    /// Notes a lease that a claim, sent at `sent`, has brought. An earlier one of the same plan is lost thereby: a process
    /// that was frozen may claim again what its own old run still believes in.
    pub fn begin(&self, run: RunId, token: Token, sent: Instant) -> Hold {
        let (sender, standing) = watch::channel(Standing::Until(deadline(sent)));
        let held = Held { token, standing: sender, is_ending: false };
        if let Some(earlier) = self.lock().insert(run, held) {
            earlier.standing.send_replace(Standing::Lost);
        }
        Hold { run, token, standing, holdings: self.clone() }
    }

    /// Runs and tokens, in the order of runs.
    pub fn list(&self) -> Vec<(RunId, Token)> {
        let mut list: Vec<_> = self.lock().iter().map(|(run, held)| (*run, held.token)).collect();
        list.sort_unstable();
        list
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Notes that a heartbeat sent at `sent` found the lease ours.
    pub fn renew(&self, run: RunId, token: Token, sent: Instant) {
        if let Some(held) = self.lock().get(&run).filter(|held| held.token == token) {
            held.standing.send_replace(Standing::Until(deadline(sent)));
        }
    }

    /// Notes that the database does not know the lease. Returns whether that is news: of a run that is ending it is not.
    pub fn lose(&self, run: RunId, token: Token) -> bool {
        match self.lock().get(&run) {
            Some(held) if held.token == token && !held.is_ending => {
                held.standing.send_replace(Standing::Lost) != Standing::Lost
            }
            Some(_) | None => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Says that the run's end is being recorded.
    pub fn ending(&self) {
        if let Some(held) = self.holdings.lock().get_mut(&self.run) {
            held.is_ending = held.is_ending || held.token == self.token;
        }
    }

    /// Forgets the lease: it is given back, or lost.
    pub fn end(&self) {
        let mut held = self.holdings.lock();
        if held.get(&self.run).is_some_and(|held| held.token == self.token) {
            held.remove(&self.run);
        }
    }

    /// Whether the lease can still be believed in.
    pub fn is_live(&self) -> bool {
        match *self.standing.borrow() {
            Standing::Until(deadline) => Instant::now() < deadline,
            Standing::Lost => false,
        }
    }

    /// Resolves when the run must stop; never, once the lease is given back.
    pub async fn lost(&self) -> Loss {
        let mut standing = self.standing.clone();
        loop {
            let now = *standing.borrow_and_update();
            let Standing::Until(deadline) = now else { return Loss::Taken };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return Loss::Unverified,
                changed = standing.changed() => if changed.is_err() { std::future::pending::<()>().await },
            }
        }
    }
}

fn deadline(sent: Instant) -> Instant {
    sent + (LENGTH - MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_whose_lease_nobody_can_renew_stops_before_it_runs_out() {
        let holdings = Holdings::default();
        let sent = Instant::now();
        let hold = holdings.begin(RunId(1), Token(7), sent);
        tokio::time::sleep(BEAT).await;
        holdings.renew(RunId(1), Token(7), sent + BEAT);
        assert_eq!(hold.lost().await, Loss::Unverified);
        assert_eq!(sent.elapsed(), BEAT + LENGTH - MARGIN);
        assert!(!hold.is_live());
    }

    #[tokio::test(start_paused = true)]
    async fn a_taken_lease_stops_its_run_at_once_and_no_other() {
        let holdings = Holdings::default();
        let (one, other) = (
            holdings.begin(RunId(1), Token(7), Instant::now()),
            holdings.begin(RunId(2), Token(8), Instant::now()),
        );
        assert!(!holdings.lose(RunId(1), Token(6)), "an earlier claim of the same plan");
        assert!(holdings.lose(RunId(1), Token(7)));
        assert_eq!(one.lost().await, Loss::Taken);
        assert!(other.is_live());
        other.ending();
        assert!(!holdings.lose(RunId(2), Token(8)), "its own end has taken it");
        other.end();
        assert_eq!(holdings.list(), [(RunId(1), Token(7))]);
    }
    #[tokio::test(start_paused = true)]
    async fn a_run_whose_process_claims_its_plan_again_stops() {
        let holdings = Holdings::default();
        let earlier = holdings.begin(RunId(1), Token(7), Instant::now());
        let later = holdings.begin(RunId(1), Token(8), Instant::now());
        assert_eq!(earlier.lost().await, Loss::Taken);
        earlier.end();
        assert!(later.is_live(), "the earlier run's end is not the later one's");
        assert_eq!(holdings.list(), [(RunId(1), Token(8))]);
    }
}
