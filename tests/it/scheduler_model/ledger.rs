//! The plain model of the ledger: what each step must do, without locks, snapshots or SQL. Times are milliseconds of the
//! history's clock.

use std::collections::{BTreeMap, BTreeSet};

use highwater::scheduler::lease;
use highwater::scheduler::outcome::Outcome;
use highwater::scheduler::state::State;

/// Distance of the plan times of all jobs.
pub const CADENCE: i64 = 60_000;

const HOUR: i64 = 3_600_000;

pub struct Job {
    pub name: &'static str,
    pub catches_up_all: bool,
    pub is_exclusive: bool,
    pub backoff: i64,
    pub max_attempts: i32,
    pub max_crashes: i32,
    pub is_paused: bool,
    /// Every plan time up to and including this is on the ledger.
    cursor: i64,
}

#[derive(Debug, Clone)]
struct Plan {
    /// As the database numbered it; unknown until it was looked at.
    run: Option<i64>,
    state: State,
    next_try: Option<i64>,
    attempts: i32,
    crashes: i32,
    token: Option<i64>,
    worker: String,
    started: Option<i64>,
    finished: Option<i64>,
    has_error: bool,
    is_by_hand: bool,
}

/// What the run's own transaction has done to its lease, unseen by others but for its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grip {
    None,
    Fenced,
    Deleted,
}

#[derive(Debug, Clone)]
struct Lease {
    key: Key,
    token: i64,
    worker: String,
    until: i64,
    grip: Grip,
    /// When the run's transaction deleted it.
    ended: Option<i64>,
}

/// Job and plan time.
type Key = (usize, i64);

/// What a heartbeat must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Renewed,
    Finishing,
    Lost,
}

/// What an end must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Finished(State),
    Locked,
    Lost,
}

pub struct Ledger {
    pub now: i64,
    pub jobs: Vec<Job>,
    plans: BTreeMap<Key, Plan>,
    leases: BTreeMap<i64, Lease>,
    /// Committed effects: run and token.
    effects: BTreeSet<(i64, i64)>,
    last_token: i64,
}

impl Ledger {
    pub fn new(now: i64) -> Ledger {
        let job = |name, catches_up_all, is_exclusive, max_crashes| Job {
            name,
            catches_up_all,
            is_exclusive,
            backoff: 30_000,
            max_attempts: 3,
            max_crashes,
            is_paused: false,
            cursor: now,
        };
        Ledger {
            now,
            jobs: vec![
                job("every", true, true, 3),
                job("free", true, false, 4),
                job("latest", false, true, 2),
            ],
            plans: BTreeMap::new(),
            leases: BTreeMap::new(),
            effects: BTreeSet::new(),
            last_token: 0,
        }
    }

    /// Takes over the numbers of plans that the database has just made.
    pub fn number(&mut self, run: i64, job: &str, plan_time: i64) {
        let job = self.jobs.iter().position(|known| known.name == job);
        if let Some(plan) = job.and_then(|job| self.plans.get_mut(&(job, plan_time))) {
            plan.run.get_or_insert(run);
        }
    }

    fn make(&mut self, key: Key, state: State, is_by_hand: bool) {
        let plan = Plan {
            run: None,
            state,
            next_try: (state == State::Due).then_some(key.1),
            attempts: 0,
            crashes: 0,
            token: None,
            worker: String::new(),
            started: None,
            finished: (state == State::Skipped).then_some(self.now),
            has_error: false,
            is_by_hand,
        };
        self.plans.insert(key, plan);
    }

    pub fn materialise(&mut self) {
        for number in 0..self.jobs.len() {
            let job = &mut self.jobs[number];
            let newest = self.now.div_euclid(CADENCE) * CADENCE;
            let times: Vec<i64> = (1..)
                .map(|step| job.cursor.div_euclid(CADENCE) * CADENCE + step * CADENCE)
                .take_while(|at| *at <= newest)
                .collect();
            let Some(&first) = times.first() else { continue };
            job.cursor = newest;
            let (is_paused, catches_up_all) = (job.is_paused, job.catches_up_all);
            if is_paused {
                // One row tells of all.
                self.make((number, first), State::Skipped, false);
                continue;
            }
            if !catches_up_all {
                for plan in self.plans.range_mut((number, i64::MIN)..(number, newest)).map(|(_, plan)| plan) {
                    if plan.state == State::Due && !plan.is_by_hand {
                        (plan.state, plan.next_try, plan.finished) = (State::Skipped, None, Some(self.now));
                    }
                }
            }
            for at in times {
                let runs = catches_up_all || at == newest;
                self.make((number, at), if runs { State::Due } else { State::Skipped }, false);
            }
        }
    }

    pub fn run_now(&mut self, job: usize) {
        self.make((job, self.now), State::Due, true);
    }

    /// Runs that a claim must bring, in its order.
    pub fn claimable(&self, room: usize) -> Vec<i64> {
        let is_ripe = |plan: &Plan| plan.next_try.is_some_and(|at| at <= self.now);
        let mut found: Vec<(i64, i64)> = self
            .plans
            .iter()
            .filter(|((job, time), plan)| {
                let scope = || self.plans.range((*job, i64::MIN)..(*job + 1, i64::MIN));
                let is_blocked = self.jobs[*job].is_exclusive
                    && (scope().any(|(_, other)| other.state == State::Running)
                        || scope().any(|((_, older), other)| older < time && is_ripe(other)));
                is_ripe(plan) && !self.jobs[*job].is_paused && !is_blocked
            })
            .map(|(_, plan)| (plan.next_try.unwrap_or_default(), plan.run.unwrap_or_default()))
            .collect();
        found.sort_unstable();
        found.truncate(room);
        let mut runs: Vec<i64> = found.into_iter().map(|(_, run)| run).collect();
        runs.sort_unstable();
        runs
    }

    /// Whether all tokens of a claim are higher than all before.
    pub fn is_rising(&mut self, tokens: &[i64]) -> bool {
        let least = tokens.iter().min().copied().unwrap_or(i64::MAX);
        let before = self.last_token;
        self.last_token = tokens.iter().fold(before, |last, token| last.max(*token));
        least > before
    }

    /// A claim that the database has answered.
    pub fn claim(&mut self, run: i64, token: i64, worker: &str, incarnation: &str) {
        let now = self.now;
        let Some((&key, plan)) = self.plans.iter_mut().find(|(_, plan)| plan.run == Some(run)) else {
            return;
        };
        (plan.state, plan.next_try, plan.started, plan.token) =
            (State::Running, None, Some(now), Some(token));
        plan.attempts += 1;
        plan.worker = worker.to_owned();
        let until = now + lease::length_ms();
        self.leases.insert(
            run,
            Lease { key, token, worker: incarnation.to_owned(), until, grip: Grip::None, ended: None },
        );
    }

    fn live(&mut self, run: i64, token: i64) -> Option<&mut Lease> {
        let now = self.now;
        self.leases.get_mut(&run).filter(|lease| lease.token == token && lease.until > now)
    }

    pub fn beat(&mut self, run: i64, token: i64, incarnation: &str) -> Beat {
        let until = self.now + lease::length_ms();
        match self.live(run, token) {
            Some(lease) if lease.worker == incarnation && lease.grip == Grip::Deleted => Beat::Finishing,
            Some(lease) if lease.worker == incarnation => {
                lease.until = until;
                Beat::Renewed
            }
            Some(_) | None => Beat::Lost,
        }
    }

    /// Whether the fence lets a run's transaction through.
    pub fn fence(&mut self, run: i64, token: i64) -> bool {
        self.live(run, token).map(|lease| lease.grip = Grip::Fenced).is_some()
    }

    /// The last statement of a run's transaction.
    pub fn finish_own(&mut self, run: i64) {
        if let Some(lease) = self.leases.get_mut(&run) {
            (lease.grip, lease.ended) = (Grip::Deleted, Some(self.now));
        }
    }

    pub fn commit(&mut self, run: i64) {
        let Some(lease) = self.leases.remove(&run) else { return };
        self.effects.insert((run, lease.token));
        if let Some(plan) = self.plans.get_mut(&lease.key) {
            (plan.state, plan.finished) = (State::Done, lease.ended);
        }
    }

    pub fn roll_back(&mut self, run: i64) {
        if let Some(lease) = self.leases.get_mut(&run) {
            lease.grip = Grip::None;
        }
    }

    pub fn finish(&mut self, run: i64, token: i64, outcome: &Outcome) -> Answer {
        let now = self.now;
        let Some(lease) = self.live(run, token) else { return Answer::Lost };
        if lease.grip != Grip::None {
            return Answer::Locked;
        }
        let key = lease.key;
        self.leases.remove(&run);
        let job = &self.jobs[key.0];
        let plan = self.plans.get_mut(&key).expect("a lease is of a plan");
        match outcome {
            Outcome::Done(_) => plan.end(State::Done, now),
            Outcome::Failed(_) => {
                plan.has_error = true;
                if plan.attempts >= job.max_attempts {
                    plan.end(State::Failed, now);
                } else {
                    plan.wait(State::Retrying, now + pause(job.backoff, plan.attempts - 1));
                }
            }
            Outcome::Crashed(_) => plan.crash(job, now),
            _ => {
                plan.attempts -= 1;
                plan.wait(if plan.has_error { State::Retrying } else { State::Due }, now);
            }
        }
        Answer::Finished(plan.state)
    }

    /// Takes what has run out, unless a transaction holds it. Returns the runs.
    pub fn sweep(&mut self) -> Vec<i64> {
        let now = self.now;
        let is_over = |lease: &Lease| lease.until <= now && lease.grip == Grip::None;
        let over: Vec<(i64, Key)> = self
            .leases
            .iter()
            .filter(|(_, lease)| is_over(lease))
            .map(|(run, lease)| (*run, lease.key))
            .collect();
        for (run, key) in &over {
            self.leases.remove(run);
            let plan = self.plans.get_mut(key).expect("a lease is of a plan");
            plan.crash(&self.jobs[key.0], now);
        }
        over.into_iter().map(|(run, _)| run).collect()
    }

    pub fn is_settled(&self) -> bool {
        self.plans.values().all(|plan| plan.finished.is_some()) && self.leases.is_empty()
    }

    /// Everything that others can see, a line each.
    pub fn lines(&self) -> Vec<String> {
        let number = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
        let plans = self.plans.iter().map(|((job, time), plan)| {
            format!(
                "plan {} {} {time} {} next {} attempts {} crashes {} token {} by {} from {} to {} error {}",
                number(plan.run),
                self.jobs[*job].name,
                plan.state,
                number(plan.next_try),
                plan.attempts,
                plan.crashes,
                number(plan.token),
                plan.worker,
                number(plan.started),
                number(plan.finished),
                plan.has_error
            )
        });
        let leases = self.leases.iter().map(|(run, lease)| {
            format!("lease {run} token {} of {} until {}", lease.token, lease.worker, lease.until)
        });
        let effects = self.effects.iter().map(|(run, token)| format!("effect {run} token {token}"));
        let mut lines: Vec<String> = plans.chain(leases).chain(effects).collect();
        lines.sort_unstable();
        lines
    }
}

impl Plan {
    fn end(&mut self, state: State, now: i64) {
        (self.state, self.next_try, self.finished) = (state, None, Some(now));
    }

    fn wait(&mut self, state: State, next_try: i64) {
        (self.state, self.next_try) = (state, Some(next_try));
    }

    fn crash(&mut self, job: &Job, now: i64) {
        self.attempts -= 1;
        self.crashes += 1;
        self.has_error = true;
        if self.crashes >= job.max_crashes {
            self.end(State::Poisoned, now);
        } else if self.crashes == 1 {
            self.wait(State::Retrying, now);
        } else {
            self.wait(State::Retrying, now + pause(job.backoff, self.crashes - 2));
        }
    }
}

/// Doubles with each further one, up to an hour.
fn pause(backoff: i64, doublings: i32) -> i64 {
    (backoff << doublings).min(HOUR)
}
