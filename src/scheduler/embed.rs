//! The worker inside an application: the same as `highwater worker`, with the application's own rollups and handlers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::SchedulerError;
use super::code::program::Program;
use super::code::spec::JobSpec;
use super::settings::Limits;
use super::vitals::Vitals;
use super::worker::{self, End, Options};
use crate::db::target::Target;
use crate::ground::host;
use crate::ground::shutdown::Shutdown;
use crate::rollup::definition::Definition;

/// A worker that is ready to run.
///
/// It keeps every rollup of the database current and takes all jobs that it can run, those of `highwater job add`
/// included; any number of such workers, in applications or alone, share the work. Highwater's schema must be there:
/// `highwater migrate up`.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use std::time::Duration;
/// use highwater::{Definition, Ended, JobSpec, Shutdown, Target, Worker};
///
/// let target = Target::from_url("postgresql://app@db.example/app", "the configuration")?;
/// let orders = Definition::parse(&std::fs::read_to_string("orders_hourly.toml")?, "orders_hourly.toml")?;
/// let worker = Worker::builder(target)
///     .application("shop")
///     .rollup(orders)
///     .job(JobSpec::every("greet", Duration::from_secs(60), |run| async move {
///         Ok(Ended::done(format!("the minute of {}", run.plan_time())))
///     }))
///     .build()?;
/// // SIGTERM lets runs in hand end; a second one ends them now.
/// worker.run(&Shutdown::from_signals()?).await?;
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    target: Arc<Target>,
    options: Options,
    vitals: Arc<Vitals>,
}

/// Collects what a [`Worker`] works with.
pub struct Builder {
    target: Arc<Target>,
    application: String,
    rollups: Vec<Definition>,
    jobs: Vec<JobSpec>,
    limits: Limits,
    listens_at: Option<Arc<Target>>,
}

impl Worker {
    /// A worker on a database. It opens connections of its own, beside the application's pool: leases are renewed on
    /// one that nothing else can make late.
    pub fn builder(target: impl Into<Arc<Target>>) -> Builder {
        Builder {
            target: target.into(),
            application: "default".to_owned(),
            rollups: Vec::new(),
            jobs: Vec::new(),
            limits: Limits::default(),
            listens_at: None,
        }
    }

    /// What the worker counts about itself; [`crate::scheduler::vitals`] says what, and the HTTP endpoints of
    /// `highwater worker` show it.
    pub fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.vitals)
    }

    /// Installs the rollups, registers the jobs, and works until `shutdown` asks for the end. While the database is away
    /// it waits, at the start too.
    ///
    /// # Errors
    ///
    /// Only at the start: the schema is not this build's, a rollup cannot be installed, a job's name is taken.
    pub async fn run(self, shutdown: &Shutdown) -> Result<End, SchedulerError> {
        worker::run(self.target, self.options, self.vitals, shutdown).await
    }
}

impl Builder {
    /// Name of the application whose jobs these are; "default" unless set. Applications that share a database need
    /// names of their own: jobs belong to the application that registered them first.
    pub fn application(mut self, name: &str) -> Builder {
        name.clone_into(&mut self.application);
        self
    }

    /// A rollup to be installed if it is missing. Its history is filled by the worker.
    pub fn rollup(mut self, definition: Definition) -> Builder {
        self.rollups.push(definition);
        self
    }

    pub fn job(mut self, job: JobSpec) -> Builder {
        self.jobs.push(job);
        self
    }

    /// Runs at once, each rollup's drain among them; 64 unless set.
    pub fn concurrency(mut self, runs: usize) -> Builder {
        self.limits.concurrency = runs;
        self
    }

    /// How long runs in hand may take to end when the worker is asked to; 30 s unless set.
    pub fn drain_timeout(mut self, timeout: Duration) -> Builder {
        self.limits.drain_timeout = timeout;
        self
    }

    /// Takes jobs that start programs, too. Whoever may write to `highwater.job` then runs programs as this user.
    pub fn allow_commands(mut self) -> Builder {
        self.limits.allows_commands = true;
        self
    }

    /// The same database without its transaction pooler, for the one connection that listens for calls. Without it a
    /// worker behind a pooler finds due plans within a second.
    pub fn listen_at(mut self, target: impl Into<Arc<Target>>) -> Builder {
        self.listens_at = Some(target.into());
        self
    }

    /// # Errors
    ///
    /// [`SchedulerError::Invalid`], naming the job and what is wrong with it.
    pub fn build(self) -> Result<Worker, SchedulerError> {
        if self.limits.concurrency == 0 {
            return Err(SchedulerError::Invalid("a worker needs at least one run at once".to_owned()));
        }
        let program = Program::new(&self.application, self.rollups, self.jobs)?;
        let options = Options {
            // Nobody changes them: what was sent last stays.
            limits: watch::channel(self.limits).1,
            host: host::name(),
            listens_at: self.listens_at,
            program: Arc::new(program),
        };
        Ok(Worker { target: self.target, options, vitals: Arc::default() })
    }
}
