//! Hooks and guards, with a small engine: a rollup is a row of `current_rollup`, and its backfill is five slices.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use highwater::db::connect::connect;
use highwater::db::target::Target;
use highwater::db::{DbError, Executor, Tx};
use highwater::ground::exit::Exit;
use highwater::ground::shutdown::{self, Shutdown};
use highwater::migrate::directive::Requirement;
use highwater::migrate::event::{Event, Observer, Progress};
use highwater::migrate::hook::{Estimate, Hook, HookContext, HookError, Registry};
use highwater::migrate::plan::{Verdict, plan};
use highwater::migrate::setup::Setup;
use highwater::migrate::up::{Options, up};
use highwater::migrate::{MigrateError, Pooler, RollupEngine, Wait};

use crate::migrate_database::{Folder, TestDb};

const SLICES: u64 = 5;

/// What the engine's schema would bring.
const LEDGER: &str = "
    CREATE TABLE slice (rollup text, n int8, PRIMARY KEY (rollup, n));
    CREATE TABLE current_rollup (name text PRIMARY KEY);
    CREATE OR REPLACE FUNCTION highwater.assert_rollup_current(p_name text, p_max_lag interval DEFAULT '5 minutes')
    RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM public.current_rollup WHERE name = p_name) THEN
            RAISE 'rollup % is not complete', p_name USING ERRCODE = 'HW010', HINT = 'run \"highwater backfill ' || p_name || '\"';
        END IF;
    END $$;";

const DROP_DAILY: &str = "-- highwater: require-rollup hourly max-lag 10m\nDROP TABLE daily;";

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    FailAt(u64),
    PauseAt(u64),
    LoseLockAt(u64),
    /// Does its work but does not say that the rollup is current.
    ForgetStamp,
}

struct Engine {
    trouble: Trouble,
    runs: Arc<AtomicU32>,
}

struct Backfill {
    rollups: Vec<String>,
    trouble: Trouble,
    runs: Arc<AtomicU32>,
}

#[async_trait]
impl RollupEngine for Engine {
    fn check(&self, text: &str, _: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if text.contains("name ") { Ok(()) } else { Err("a definition begins with its name".into()) }
    }

    fn require(&self, requirements: &[Requirement]) -> Arc<dyn Hook> {
        let rollups = requirements.iter().map(|requirement| requirement.rollup.to_string()).collect();
        Arc::new(Backfill { rollups, trouble: self.trouble, runs: Arc::clone(&self.runs) })
    }

    async fn install(
        &self,
        tx: &Tx<'_>,
        text: &str,
        path: &Path,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert_eq!(path.file_name().unwrap(), "hourly.toml");
        tx.query("INSERT INTO installed SELECT $1 FROM source", &[&text]).await?;
        Ok(())
    }
}

#[async_trait]
impl Hook for Backfill {
    fn name(&self) -> String {
        self.rollups.join(", ")
    }

    async fn estimate(&self, target: &Target) -> Result<Estimate, HookError> {
        let row = connect(target, "test").await?.query_one("SELECT count(*) FROM slice", &[]).await?;
        let left = SLICES - row.get::<_, i64>(0).unsigned_abs();
        Ok(Estimate {
            slices_left: Some(left),
            slices_total: Some(SLICES),
            rows_left: Some(left * 10),
            eta: None,
        })
    }

    async fn run(&self, context: &HookContext<'_>) -> Result<(), HookError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let session = connect(context.target, "test hook").await?;
        for rollup in &self.rollups {
            let done =
                session.query_one("SELECT count(*) FROM slice", &[]).await?.get::<_, i64>(0).unsigned_abs();
            for n in done + 1..=SLICES {
                context.still_ours().await?;
                match self.trouble {
                    Trouble::FailAt(at) if at == n => {
                        return Err(HookError::Failed("the disk is full".into()));
                    }
                    Trouble::PauseAt(at) if at == n => return Err(HookError::Paused),
                    Trouble::LoseLockAt(at) if at == n => {
                        session
                            .batch(
                                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name = 'highwater/migrate lock'",
                            )
                            .await?
                    }
                    _ => {
                        let n = i64::try_from(n).unwrap();
                        session.query("INSERT INTO slice VALUES ($1, $2)", &[&rollup.as_str(), &n]).await?;
                    }
                }
                context.progress(Progress {
                    slices_done: n,
                    slices_total: Some(SLICES),
                    ..Progress::default()
                });
            }
            if self.trouble != Trouble::ForgetStamp {
                session.query("INSERT INTO current_rollup VALUES ($1)", &[&rollup.as_str()]).await?;
            }
        }
        Ok(())
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

struct Outcome {
    result: Result<usize, MigrateError>,
    events: Vec<Event>,
    hook_runs: u32,
}

impl Outcome {
    fn exit(&self) -> Exit {
        self.result.as_ref().err().map_or(Exit::Done, MigrateError::exit)
    }
}

fn setup<'a>(target: &'a Target, folder: &Folder, trouble: Trouble, runs: &Arc<AtomicU32>) -> Setup<'a> {
    let engine = Engine { trouble, runs: Arc::clone(runs) };
    Setup { dir: Some(folder.to_path()), engine: Some(Arc::new(engine)), ..Setup::new(target) }
}

const OPTIONS: Options =
    Options { to: None, wait: Wait::AtMost(Duration::from_secs(20)), pooler: Pooler::None };

async fn go_with(
    setup: &Setup<'_>,
    options: Options,
    shutdown: &Shutdown,
) -> (Result<usize, MigrateError>, Vec<Event>) {
    let heard = Heard::default();
    let result = up(setup, options, shutdown, &heard).await;
    (result, heard.0.into_inner().unwrap())
}

async fn go(db: &TestDb, folder: &Folder, trouble: Trouble) -> Outcome {
    let target = db.target();
    let runs = Arc::default();
    let (_trigger, shutdown) = shutdown::channel();
    let (result, events) = go_with(&setup(&target, folder, trouble, &runs), OPTIONS, &shutdown).await;
    Outcome { result, events, hook_runs: runs.load(Ordering::Relaxed) }
}

/// A database with highwater's own schema, made by its own engine.
async fn installed() -> TestDb {
    let db = TestDb::empty().await;
    let target = db.target();
    let (_trigger, shutdown) = shutdown::channel();
    go_with(&Setup::new(&target), OPTIONS, &shutdown).await.0.unwrap();
    db
}

async fn with_ledger() -> (TestDb, Folder) {
    let db = installed().await;
    db.run(LEDGER).await;
    (db, Folder::with(&[("V1__daily.sql", "CREATE TABLE daily ();"), ("V2__drop_daily.sql", DROP_DAILY)]))
}

const SLICES_DONE: &str = "SELECT count(*) FROM slice";

#[tokio::test]
async fn a_hook_runs_once_before_its_migration_and_only_when_that_is_pending() {
    let (db, folder) = with_ledger().await;
    let target = db.target();
    let (_trigger, shutdown) = shutdown::channel();
    let runs = Arc::default();
    let setup = setup(&target, &folder, Trouble::None, &runs);
    let short = Options { to: Some(1), ..OPTIONS };
    go_with(&setup, short, &shutdown).await.0.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    let (result, events) = go_with(&setup, OPTIONS, &shutdown).await;
    assert_eq!(result.unwrap(), 1);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    let started = Event::HookStarted {
        scope: highwater::migrate::scope::Scope::App,
        version: 2,
        hook: "hourly".to_owned(),
        rows_left: Some(50),
        eta_ms: None,
    };
    assert!(events.contains(&started), "{events:#?}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::HookProgress { .. })).count(), 5);
    assert_eq!(db.texts("SELECT to_regclass('daily')").await, [""]);
    assert_eq!(go_with(&setup, OPTIONS, &shutdown).await.0.unwrap(), 0);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_hook_that_fails_keeps_its_slices_and_the_next_run_goes_on_from_there() {
    let (db, folder) = with_ledger().await;
    let failed = go(&db, &folder, Trouble::FailAt(4)).await;
    assert_eq!(failed.exit(), Exit::HookFailed);
    assert!(failed.result.unwrap_err().to_string().contains("the disk is full"));
    assert_eq!(db.texts(SLICES_DONE).await, ["3"]);
    assert_eq!(db.versions().await, ["1"]);
    assert_eq!(db.texts("SELECT to_regclass('daily')").await, ["daily"]);
    assert_eq!(go(&db, &folder, Trouble::PauseAt(5)).await.exit(), Exit::Paused);
    assert_eq!(db.texts(SLICES_DONE).await, ["4"]);
    // A slice that is done twice violates the primary key.
    assert_eq!(go(&db, &folder, Trouble::None).await.exit(), Exit::Done);
    assert_eq!(db.texts(SLICES_DONE).await, ["5"]);
    assert_eq!(db.versions().await, ["1", "2"]);
}

#[tokio::test]
async fn the_guard_refuses_whatever_the_hook_believes() {
    let (db, folder) = with_ledger().await;
    let refused = go(&db, &folder, Trouble::ForgetStamp).await;
    assert_eq!(refused.exit(), Exit::GuardRefused);
    let message = refused.result.unwrap_err().to_string();
    assert!(
        message.contains("rollup hourly is not complete") && message.contains("highwater backfill hourly"),
        "{message}"
    );
    assert_eq!(db.versions().await, ["1"]);
    assert_eq!(db.texts("SELECT to_regclass('daily')").await, ["daily"]);
}

#[tokio::test]
async fn a_file_may_call_the_guard_by_hand() {
    let (db, folder) = with_ledger().await;
    folder.write(
        "V2__drop_daily.sql",
        "SELECT highwater.assert_rollup_current('hourly', '1h');\nDROP TABLE daily;",
    );
    assert_eq!(go(&db, &folder, Trouble::None).await.exit(), Exit::GuardRefused);
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn a_lock_that_is_lost_between_slices_ends_the_run() {
    let (db, folder) = with_ledger().await;
    let lost = go(&db, &folder, Trouble::LoseLockAt(3)).await;
    assert_eq!(lost.exit(), Exit::LockLost, "{:?}", lost.result);
    assert_eq!(db.texts(SLICES_DONE).await, ["2"]);
    assert_eq!(db.versions().await, ["1"]);
    assert_eq!(go(&db, &folder, Trouble::None).await.exit(), Exit::Done);
}

/// Kills the lock as the last thing before the migration, so that the fence alone stands in the way.
struct Saboteur;

#[async_trait]
impl Hook for Saboteur {
    fn name(&self) -> String {
        "saboteur".to_owned()
    }

    async fn estimate(&self, _: &Target) -> Result<Estimate, HookError> {
        Ok(Estimate::default())
    }

    async fn run(&self, _: &HookContext<'_>) -> Result<(), HookError> {
        Ok(())
    }

    async fn guard(&self, tx: &Tx<'_>) -> Result<(), DbError> {
        tx.batch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'highwater/migrate lock'",
        )
        .await
    }
}

#[tokio::test]
async fn the_fence_inside_the_transaction_refuses_to_commit_without_the_lock() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__a.sql", "-- highwater: hook saboteur\nCREATE TABLE a ();")]);
    let target = db.target();
    let hooks = Registry::default().with("saboteur", Arc::new(Saboteur));
    let setup = Setup { dir: Some(folder.to_path()), hooks, ..Setup::new(&target) };
    let (_trigger, shutdown) = shutdown::channel();
    let error = go_with(&setup, OPTIONS, &shutdown).await.0.unwrap_err();
    assert_eq!(error.exit(), Exit::LockLost, "{error}");
    assert_eq!(db.versions().await, [""; 0]);
    assert_eq!(db.texts("SELECT to_regclass('a')").await, [""]);
}

#[tokio::test]
async fn a_signal_between_slices_ends_the_run_with_its_progress() {
    let (db, folder) = with_ledger().await;
    let target = db.target();
    let runs = Arc::default();
    let (trigger, shutdown) = shutdown::channel();
    /// Asks for the end when two slices are done.
    struct Impatient(Mutex<Option<shutdown::Trigger>>);
    impl Observer for Impatient {
        fn observe(&self, event: &Event) {
            if let Event::HookProgress { progress: Progress { slices_done: 2, .. }, .. } = event {
                self.0.lock().unwrap().as_ref().unwrap().raise();
            }
        }
    }
    let observer = Impatient(Mutex::new(Some(trigger)));
    let error =
        up(&setup(&target, &folder, Trouble::None, &runs), OPTIONS, &shutdown, &observer).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Interrupted);
    assert_eq!(db.texts(SLICES_DONE).await, ["2"]);
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn a_definition_is_installed_with_its_migration_and_drifts_when_it_is_edited() {
    let db = installed().await;
    let folder = Folder::with(&[
        (
            "V1__hourly.sql",
            "-- highwater: add-rollup hourly.toml\nCREATE TABLE source AS SELECT 1 AS x; CREATE TABLE installed (text text);",
        ),
        ("hourly.toml", "name = 'hourly'"),
    ]);
    let done = go(&db, &folder, Trouble::None).await;
    assert_eq!(done.exit(), Exit::Done, "{:?}", done.result);
    assert_eq!(db.texts("SELECT text FROM installed").await, ["name = 'hourly'"]);
    folder.write("hourly.toml", "name = 'hourly'\r\n# more");
    let drift = go(&db, &folder, Trouble::None).await;
    assert_eq!(drift.exit(), Exit::Drift);
    assert!(
        drift.result.unwrap_err().to_string().contains("hourly.toml: edited after version 1 installed it")
    );
    folder.write("hourly.toml", "nonsense");
    assert_eq!(go(&db, &folder, Trouble::None).await.exit(), Exit::Usage);
}

#[tokio::test]
async fn a_failed_installation_rolls_its_migration_back() {
    let db = installed().await;
    let folder = Folder::with(&[
        ("V1__hourly.sql", "-- highwater: add-rollup hourly.toml\nCREATE TABLE source AS SELECT 1 AS x;"),
        ("hourly.toml", "name = 'hourly'"),
    ]);
    let failed = go(&db, &folder, Trouble::None).await;
    assert_eq!(failed.exit(), Exit::SqlFailed);
    assert_eq!(db.texts("SELECT to_regclass('source')").await, [""]);
    assert_eq!(db.versions().await, [""; 0]);
}

#[tokio::test]
async fn the_plan_says_what_is_left_and_whether_the_guard_would_refuse() {
    let (db, folder) = with_ledger().await;
    db.run("CREATE TABLE daily (x int); INSERT INTO daily SELECT generate_series(1, 1000); ANALYZE daily")
        .await;
    folder.write("V1__daily.sql", "SELECT 1;");
    let target = db.target();
    let runs = Arc::default();
    let setup = setup(&target, &folder, Trouble::None, &runs);
    let planned = plan(&setup, None).await.unwrap().pending.pop().unwrap();
    assert_eq!(planned.hooks[0].estimate.rows_left, Some(50));
    assert_eq!(planned.guards[0].verdict, Verdict::Refuse);
    assert_eq!(planned.guards[0].reason.as_deref(), Some("rollup hourly is not complete"));
    assert_eq!(planned.statements[0].lock.map(|lock| lock.as_str()), Some("ACCESS EXCLUSIVE"));
    assert_eq!(planned.statements[0].row_estimate, Some(1000));
    db.run("INSERT INTO current_rollup VALUES ('hourly')").await;
    let planned = plan(&setup, None).await.unwrap().pending.pop().unwrap();
    assert_eq!(planned.guards[0].verdict, Verdict::Pass);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    let untouched = TestDb::empty().await;
    let target = untouched.target();
    let setup = Setup { target: &target, ..setup };
    let planned = plan(&setup, None).await.unwrap().pending.pop().unwrap();
    assert_eq!(planned.guards[0].verdict, Verdict::Unknown);
}

#[tokio::test]
async fn a_guarded_run_of_several_at_once_runs_its_hook_once() {
    let (db, folder) = with_ledger().await;
    let runs = futures_util::future::join_all((0..4).map(|_| go(&db, &folder, Trouble::None))).await;
    assert!(runs.iter().all(|run| run.exit() == Exit::Done));
    assert_eq!(runs.iter().map(|run| run.hook_runs).sum::<u32>(), 1);
    let applied =
        runs.iter().flat_map(|run| &run.events).filter(|event| matches!(event, Event::Applied { .. }));
    assert_eq!(applied.count(), 2, "each version of the application once");
}
