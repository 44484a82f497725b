//! One history: workers take steps in an order that a seed decides, on the database and in the model at once.

use std::fmt;

use highwater::db::{DbError, Executor, Session};
use highwater::scheduler::claim::{self, Identity};
use highwater::scheduler::finish::{self, Ended};
use highwater::scheduler::lease::{RunId, Token};
use highwater::scheduler::outcome::Outcome;
use highwater::scheduler::{SchedulerError, heartbeat, materialise, sweep};

use super::fault::{Fault, Wire};
use super::ledger::{Answer, Beat, Ledger};
use super::site::{SEEN, Site, WORKERS, Wires};

/// Where the history's clock begins, in milliseconds since its own origin: in the middle of a minute.
const START: i64 = 30_001;

/// How far the clock may jump: within a lease, to its last moment, past it, past plan times and pauses.
const JUMPS: [i64; 8] = [1, 500, 4_000, 7_001, 14_999, 15_001, 31_000, 61_000];

/// How the database and the model differ.
#[derive(Debug)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<SchedulerError> for Difference {
    fn from(error: SchedulerError) -> Difference {
        Difference(format!("a step was refused: {error}"))
    }
}

impl From<DbError> for Difference {
    fn from(error: DbError) -> Difference {
        Difference(format!("a step was refused: {error}"))
    }
}

type Step = Result<(), Difference>;

struct Worker<'a> {
    identity: Identity,
    wires: &'a Wires,
    held: Vec<(RunId, Token)>,
    /// A run in its own transaction; whether it has done all but the commit.
    inside: Option<(RunId, Token, bool)>,
    /// A transaction is open in which the next claim will be.
    is_round_open: bool,
}

pub struct History<'a> {
    ledger: Ledger,
    workers: Vec<Worker<'a>>,
    observer: &'a Session,
    fault: Option<&'a Fault>,
    random: u64,
    told: Vec<String>,
}

impl<'a> History<'a> {
    pub async fn new(site: &'a Site, seed: u64, fault: Option<&'a Fault>) -> History<'a> {
        let observer = &site.observer;
        let ledger = Ledger::new(START);
        // What a history that found a fault has left open.
        for wires in &site.wires {
            wires.control.batch("ROLLBACK").await.unwrap();
            wires.work.batch("ROLLBACK").await.unwrap();
        }
        let clean = format!(
            "DELETE FROM highwater.lease; DELETE FROM highwater.job; DELETE FROM model.effect;
             SELECT setval('model.moment', {START})"
        );
        observer.batch(&clean).await.unwrap();
        for job in &ledger.jobs {
            let statement = format!(
                "INSERT INTO highwater.job (name, kind, function, cadence, catch_up, overlap, backoff, max_attempts, max_crashes, created_at)
                 VALUES ('{}', 'sql', 'work', '1 minute', '{}', '{}', interval '1 millisecond' * {}, {}, {}, model.clock_timestamp())",
                job.name,
                if job.catches_up_all { "every" } else { "latest" },
                if job.is_exclusive { "forbid" } else { "allow" },
                job.backoff,
                job.max_attempts,
                job.max_crashes
            );
            observer.batch(&statement).await.unwrap();
        }
        let mut workers = Vec::new();
        for (number, wires) in site.wires.iter().enumerate() {
            let identity = Identity::new(&wires.control, &format!("host{number}")).await.unwrap();
            workers.push(Worker { identity, wires, held: Vec::new(), inside: None, is_round_open: false });
        }
        History { ledger, workers, observer, fault, random: seed, told: Vec::new() }
    }

    /// Steps in random order, then whatever is left in peace, comparing after each.
    pub async fn run(mut self, steps: usize) -> Step {
        self.advance(JUMPS[7]).await?;
        self.materialise(0).await?;
        for _ in 0..steps {
            let step = self.step().await;
            let step = match step {
                Ok(()) => self.compare().await,
                refused => refused,
            };
            if let Err(Difference(words)) = step {
                return Err(Difference(format!("{words}\nafter\n  {}", self.told.join("\n  "))));
            }
        }
        self.settle().await
    }

    /// All workers vanish, and a last one works off what they left.
    async fn settle(&mut self) -> Step {
        for number in 0..WORKERS {
            self.vanish(number).await?;
        }
        for number in 0..self.ledger.jobs.len() {
            if self.ledger.jobs[number].is_paused {
                self.toggle(number).await?;
            }
        }
        for _ in 0..200 {
            if self.ledger.is_settled() {
                return Ok(());
            }
            self.advance(JUMPS[6]).await?;
            self.sweep(0).await?;
            self.claim(0, 100).await?;
            let held = std::mem::take(&mut self.workers[0].held);
            self.finish(0, held, &Outcome::Done(serde_json::Value::Null)).await?;
            self.compare().await?;
        }
        Err(Difference("plans are left for ever".to_owned()))
    }

    /// splitmix64: small, and the same everywhere.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below the bound")
    }

    fn tell(&mut self, words: String) {
        let now = self.ledger.now;
        self.told.push(format!("{now}: {words}"));
    }

    async fn step(&mut self) -> Step {
        let worker = self.below(WORKERS);
        let is_round_open = self.workers[worker].is_round_open;
        match self.below(28) {
            0..=4 => {
                let jump = JUMPS[self.below(JUMPS.len())];
                self.advance(jump).await
            }
            5..=6 if !is_round_open => self.sweep(worker).await,
            7..=8 if !is_round_open => self.materialise(worker).await,
            9..=13 => {
                let room = 1 + self.below(3);
                self.claim(worker, room).await
            }
            14 if !is_round_open => self.open_round(worker).await,
            15..=17 => self.beat(worker).await,
            18..=23 => self.work(worker).await,
            24 => self.roll_back(worker).await,
            25..=26 => self.end_some(worker).await,
            27 => match self.below(4) {
                0 => self.vanish(worker).await,
                1 => {
                    let job = self.below(self.ledger.jobs.len());
                    self.toggle(job).await
                }
                _ => self.run_now().await,
            },
            _ => Ok(()),
        }
    }

    async fn advance(&mut self, ms: i64) -> Step {
        self.ledger.now += ms;
        self.tell(format!("{ms} ms go by"));
        let statement = format!("SELECT setval('model.moment', {})", self.ledger.now);
        Ok(self.observer.batch(&statement).await?)
    }

    async fn sweep(&mut self, worker: usize) -> Step {
        let swept = sweep::sweep(&wire(&self.workers[worker].wires.control, self.fault)).await?;
        let mut runs: Vec<i64> = swept.iter().map(|one| one.run.0).collect();
        runs.sort_unstable();
        self.tell(format!("worker {worker} sweeps {runs:?}"));
        let expected = self.ledger.sweep();
        same("a sweep", &runs, &expected)
    }

    async fn materialise(&mut self, worker: usize) -> Step {
        materialise::materialise(&wire(&self.workers[worker].wires.control, self.fault)).await?;
        self.tell(format!("worker {worker} plans"));
        self.ledger.materialise();
        self.number().await
    }

    async fn run_now(&mut self) -> Step {
        // A moment of its own, which no plan time is.
        self.advance(1).await?;
        let job = self.below(self.ledger.jobs.len());
        let name = self.ledger.jobs[job].name;
        self.tell(format!("someone wants {name} now"));
        highwater::scheduler::job::run_now(&wire(self.observer, self.fault), name, None).await?;
        self.ledger.run_now(job);
        self.number().await
    }

    async fn toggle(&mut self, job: usize) -> Step {
        let job = &mut self.ledger.jobs[job];
        job.is_paused = !job.is_paused;
        let (name, is_paused) = (job.name, job.is_paused);
        self.tell(format!("someone pauses {name}: {is_paused}"));
        Ok(highwater::scheduler::job::pause(self.observer, name, is_paused).await?)
    }

    /// Begins the transaction of a slow round, in which a later claim will be.
    async fn open_round(&mut self, worker: usize) -> Step {
        self.tell(format!("worker {worker} opens a round"));
        let at = &mut self.workers[worker];
        at.is_round_open = true;
        Ok(at
            .wires
            .control
            .batch("BEGIN; SELECT set_config('model.began', clock_timestamp()::text, true)")
            .await?)
    }

    async fn claim(&mut self, worker: usize, room: usize) -> Step {
        let at = &mut self.workers[worker];
        let claimed =
            claim::claim(&wire(&at.wires.control, self.fault), &at.identity, &["sql"], room).await?;
        if std::mem::take(&mut at.is_round_open) {
            at.wires.control.batch("COMMIT").await?;
        }
        // As a worker's own book has it: one lease a plan.
        at.held.retain(|(run, _)| claimed.iter().all(|one| one.run != *run));
        at.held.extend(claimed.iter().map(|one| (one.run, one.token)));
        let (name, incarnation) = (at.identity.name.clone(), at.identity.incarnation.clone());
        let runs: Vec<i64> = claimed.iter().map(|one| one.run.0).collect();
        let tokens: Vec<i64> = claimed.iter().map(|one| one.token.0).collect();
        self.tell(format!("worker {worker} claims {runs:?} under {tokens:?}"));
        same("a claim", &runs, &self.ledger.claimable(room))?;
        same("that tokens rise", &self.ledger.is_rising(&tokens), &true)?;
        for one in &claimed {
            self.ledger.claim(one.run.0, one.token.0, &name, &incarnation);
        }
        Ok(())
    }

    async fn beat(&mut self, worker: usize) -> Step {
        let at = &mut self.workers[worker];
        if at.held.is_empty() {
            return Ok(());
        }
        let shares = self.fault.is_some_and(|fault| fault.beats_with_job);
        let session = if shares { &at.wires.work } else { &at.wires.beats };
        let incarnation = at.identity.incarnation.clone();
        let answers = heartbeat::beat(&wire(session, self.fault), &incarnation, &at.held).await?;
        let held = at.held.clone();
        // A handler whose lease is lost is cancelled; one that is inside its transaction finds out there.
        let inside = at.inside.map(|(run, ..)| run);
        at.held.retain(|(run, _)| !answers.lost.contains(run) || inside == Some(*run));
        self.tell(format!("worker {worker} beats: {answers:?}"));
        for (run, token) in held {
            let said = if answers.renewed.contains(&run) {
                Beat::Renewed
            } else if answers.finishing.contains(&run) {
                Beat::Finishing
            } else {
                Beat::Lost
            };
            same("a heartbeat", &said, &self.ledger.beat(run.0, token.0, &incarnation))?;
        }
        Ok(())
    }

    /// The next statement of a run that works in its own transaction: fence, effect and end, commit.
    async fn work(&mut self, worker: usize) -> Step {
        let at = &mut self.workers[worker];
        let db = wire(&at.wires.work, self.fault);
        match at.inside {
            None => {
                if at.held.is_empty() {
                    return Ok(());
                }
                let which = self.random as usize % at.held.len();
                let (run, token) = at.held[which];
                db.batch("BEGIN").await?;
                let fence = include_str!("../../../sql/scheduler/fence.sql");
                let is_ours = db.query_opt(fence, &[&run.0, &token.0]).await?.is_some();
                if is_ours {
                    at.inside = Some((run, token, false));
                } else {
                    db.batch("ROLLBACK").await?;
                    at.held.remove(which);
                }
                self.tell(format!("worker {worker} begins run {run} under {token}: {is_ours}"));
                same("the fence", &is_ours, &self.ledger.fence(run.0, token.0))
            }
            Some((run, token, false)) => {
                let effect = format!("INSERT INTO model.effect VALUES ({run}, {token})");
                db.batch(&effect).await?;
                let own = include_str!("../../../sql/scheduler/finish_own.sql");
                let is_ended = db.query_opt(own, &[&run.0, &token.0, &""]).await?.is_some();
                at.inside = Some((run, token, true));
                self.tell(format!("worker {worker} ends run {run} under {token}: {is_ended}"));
                self.ledger.finish_own(run.0);
                same("a transaction's own end", &is_ended, &true)
            }
            Some((run, _, true)) => {
                db.batch("COMMIT").await?;
                at.inside = None;
                at.held.retain(|(held, _)| *held != run);
                self.tell(format!("worker {worker} commits run {run}"));
                self.ledger.commit(run.0);
                Ok(())
            }
        }
    }

    async fn roll_back(&mut self, worker: usize) -> Step {
        let at = &mut self.workers[worker];
        let Some((run, ..)) = at.inside.take() else { return Ok(()) };
        at.wires.work.batch("ROLLBACK").await?;
        self.tell(format!("worker {worker} rolls run {run} back"));
        self.ledger.roll_back(run.0);
        Ok(())
    }

    async fn end_some(&mut self, worker: usize) -> Step {
        let outcome = match self.below(4) {
            0 => Outcome::Failed("no luck".to_owned()),
            1 => Outcome::Crashed("the connection broke".to_owned()),
            2 => Outcome::Stopped,
            _ => Outcome::Done(serde_json::Value::Null),
        };
        let most = 1 + self.below(3);
        let held = &mut self.workers[worker].held;
        if held.is_empty() {
            return Ok(());
        }
        let some = held.drain(..most.min(held.len())).collect();
        self.finish(worker, some, &outcome).await
    }

    async fn finish(&mut self, worker: usize, runs: Vec<(RunId, Token)>, outcome: &Outcome) -> Step {
        let ended: Vec<Ended> =
            runs.iter().map(|&(run, token)| Ended { run, token, outcome: outcome.clone() }).collect();
        let answers = finish::finish(&wire(&self.workers[worker].wires.ends, self.fault), &ended).await?;
        self.tell(format!("worker {worker} ends {runs:?} as {}: {answers:?}", outcome.label()));
        for (run, token) in runs {
            let said = answers.iter().find(|(answered, _)| *answered == run).map(|(_, answer)| *answer);
            let said = match said {
                Some(finish::Answer::Finished(Some(state))) => Answer::Finished(state),
                Some(finish::Answer::Locked) => Answer::Locked,
                Some(finish::Answer::Lost) => Answer::Lost,
                other => return Err(Difference(format!("run {run} was answered {other:?}"))),
            };
            same("an end", &said, &self.ledger.finish(run.0, token.0, outcome))?;
            if said == Answer::Locked {
                self.workers[worker].held.push((run, token));
            }
        }
        Ok(())
    }

    /// A worker dies with all its connections; another one takes its place.
    async fn vanish(&mut self, worker: usize) -> Step {
        self.roll_back(worker).await?;
        let at = &mut self.workers[worker];
        if std::mem::take(&mut at.is_round_open) {
            at.wires.control.batch("ROLLBACK").await?;
        }
        at.held.clear();
        at.identity = Identity::new(&at.wires.control, &format!("host{worker}")).await?;
        self.tell(format!("worker {worker} dies"));
        Ok(())
    }

    async fn number(&mut self) -> Step {
        for row in self.observer.query(SEEN, &[]).await? {
            if let Some(run) = row.get::<_, Option<i64>>("run_id") {
                self.ledger.number(run, row.get("job"), row.get("plan_time"));
            }
        }
        Ok(())
    }

    async fn compare(&mut self) -> Step {
        let rows = self.observer.query(SEEN, &[]).await?;
        let mut seen: Vec<String> = rows.iter().map(|row| row.get("line")).collect();
        seen.sort_unstable();
        let expected = self.ledger.lines();
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        let (surplus, missing) = (only(&seen, &expected), only(&expected, &seen));
        if surplus.is_empty() && missing.is_empty() && seen.len() == expected.len() {
            return Ok(());
        }
        Err(Difference(format!("in the database {surplus:#?}\nin the model {missing:#?}")))
    }
}

fn wire<'a>(session: &'a Session, fault: Option<&'a Fault>) -> Wire<'a> {
    Wire { session, fault }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Step {
    if found == expected {
        Ok(())
    } else {
        Err(Difference(format!("{what}: {found:?} instead of {expected:?}")))
    }
}
