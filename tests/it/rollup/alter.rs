//! Alter: another definition takes the place of the one that is installed, under writers and readers.

use std::sync::atomic::{AtomicBool, Ordering};

use highwater::db::{DbError, Executor};
use nix::sys::signal::Signal;

use super::field::{self, DEFINITION, ROWS, TRUTH};
use crate::support::TestDb;
use crate::support::program::{Output, Running, highwater, spawn};

/// One more key and one more measure than [`DEFINITION`].
fn finer() -> String {
    DEFINITION
        .replace("key = [\"key\"]", "key = [\"key\", \"note\"]")
        .replace("source.key, sum", "source.key, source.note, sum")
        .replace("source.bucket, source.key\n", "source.bucket, source.key, source.note\n")
        .replace("count(DISTINCT source.note) AS notes", "max(source.amount) AS peak")
}

const FINER_ROWS: &str = "SELECT tenant, bucket, key, note, amount, events, peak FROM highwater.event_hourly";

const FINER_TRUTH: &str = "
SELECT tenant, date_trunc('hour', at, 'UTC') AS bucket, key, note, sum(amount)::bigint, count(*), max(amount)
  FROM app.event WHERE at >= '0001-01-01 00:00+00' AND at < '10000-01-01 00:00+00' GROUP BY 1, 2, 3, 4";

/// What any definition of these tests answers alike: so many events, with this sum, are in the rollup as in its source.
const SUMS: &str = "
SELECT (SELECT (coalesce(sum(events), 0), coalesce(sum(amount), 0))::text FROM highwater.event_hourly_live)
     = (SELECT (count(*), coalesce(sum(amount), 0))::text FROM app.event WHERE at IS NOT NULL AND isfinite(at))";

/// What is left of a successor once it has taken its place, or was given up.
const LEFTOVERS: &str = "
SELECT count(*) FROM (
  SELECT relname AS name FROM pg_class UNION ALL SELECT proname FROM pg_proc
  UNION ALL SELECT name FROM highwater.rollup UNION ALL SELECT rollup FROM highwater.rollup_slice) AS o
 WHERE o.name LIKE '%\\_\\_next%'";

struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn of(text: &str) -> File {
        let file = File { directory: tempfile::tempdir().unwrap() };
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> String {
        self.directory.path().join("event_hourly.toml").display().to_string()
    }
}

async fn alter(db: &TestDb, text: &str) -> Output {
    let file = File::of(text);
    highwater(db, &["rollup", "alter", &file.path()]).await
}

fn altering(db: &TestDb, file: &File) -> Running {
    spawn(db, &["rollup", "alter", &file.path()])
}

async fn diff(db: &TestDb, text: &str) -> Output {
    let file = File::of(text);
    highwater(db, &["rollup", "diff", &file.path()]).await
}

async fn assert_finer(db: &TestDb) {
    let mut session = db.session().await;
    field::drain(&mut session, "event_hourly").await;
    field::assert_same(&session, FINER_ROWS, FINER_TRUTH).await;
    field::assert_same(&session, &FINER_ROWS.replace("event_hourly", "event_hourly_live"), FINER_TRUTH).await;
    highwater(db, &["rollup", "verify", "event_hourly"]).await.success();
    assert_eq!(field::number(&session, LEFTOVERS).await, 0);
    let status = highwater(db, &["status"]).await;
    assert_eq!(status.code(), 0, "{status:?}");
}

#[tokio::test]
async fn a_file_is_compared_by_what_it_says() {
    let db = field::complete().await;
    let same = diff(&db, DEFINITION).await;
    assert_eq!(same.code(), 0, "{same:?}");
    let text = diff(&db, &format!("# why\n{DEFINITION}")).await;
    assert!(text.code() == 4 && text.stdout.contains("only comments and layout differ"), "{text:?}");
    let other = diff(&db, &finer().replace("\"1h\"", "\"30m\"")).await;
    assert_eq!(other.code(), 4);
    for line in [
        "grain",
        "  - 1h",
        "  + 30m",
        "column peak",
        "  + bigint",
        "column notes",
        "key",
        "beside the rollup",
    ] {
        assert!(other.stdout.lines().any(|one| one.contains(line)), "{line}: {other:?}");
    }
    let json = File::of(&finer());
    let json = highwater(&db, &["rollup", "diff", &json.path(), "--format", "json"]).await;
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code(), &document["change"]), (4, &"rebuild".into()));
    let unknown = diff(&db, &DEFINITION.replace("event_hourly", "other")).await;
    assert!(
        unknown.code() == 2
            && unknown.stderr.contains("installed are ")
            && unknown.stderr.contains(" event_hourly,"),
        "{unknown:?}"
    );
    let broken = diff(&db, &DEFINITION.replace("source.amount", "source.price")).await;
    assert!(broken.code() == 2 && broken.stderr.contains("source.price does not exist"), "{broken:?}");
}

#[tokio::test]
async fn indexes_and_combinations_change_in_place() {
    let db = field::complete().await;
    let session = db.session().await;
    let place = "SELECT tableoid::regclass::text AS place, ctid::text AS item, xmin::text AS writer FROM highwater.event_hourly";
    session.batch(&format!("CREATE TABLE app.before AS {place}")).await.unwrap();
    let with = |more: &str| format!("index = [['key', 'bucket']]\n{DEFINITION}\n[combine]\n{more}\n");
    let altered = alter(&db, &with("amount = 'sum'\nevents = 'sum'\nnotes = 'none'")).await.success();
    assert!(altered.stdout.contains("altered in place"), "{altered:?}");
    field::assert_same(&session, place, "SELECT * FROM app.before").await;
    let indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'highwater' AND tablename LIKE 'event_hourly%' AND indexdef LIKE '%(key, bucket)'";
    assert_eq!(field::number(&session, indexes).await, field::MONTHS + 1);
    let read = ["rollup", "read", "event_hourly", "--from", "2024-01", "--to", "2024-03"];
    let refused = highwater(&db, &read).await;
    assert!(refused.code() == 2 && refused.stderr.contains("\"notes\""), "{refused:?}");
    // NAME_read has other columns afterwards.
    alter(&db, &with("amount = 'sum'\nevents = 'sum'\nnotes = 'max'")).await.success();
    highwater(&db, &read).await.success();
    // A month that comes later has the index too.
    session.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2031-01-01', 1)").await.unwrap();
    field::assert_exact(&mut db.session().await).await;
    assert_eq!(field::number(&session, indexes).await, field::MONTHS + 2);
    let again = alter(&db, &with("amount = 'sum'\nevents = 'sum'\nnotes = 'max'")).await.success();
    assert!(again.stdout.contains("installed already"), "{again:?}");
    alter(&db, DEFINITION).await.success();
    assert_eq!(field::number(&session, indexes).await, 0);
    assert_eq!(highwater(&db, &["status"]).await.code(), 0);
}

/// Reads again and again until told to stop; every answer, in a snapshot that is old by then or not, is right.
async fn read(db: &TestDb, isolation: &str, stop: &AtomicBool) -> Result<u32, DbError> {
    let mut session = db.session().await;
    let mut reads = 0;
    let mut watermark: Option<chrono::DateTime<chrono::Utc>> = None;
    while !stop.load(Ordering::Relaxed) {
        session.batch(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM app.event")).await?;
        for _ in 0..3 {
            assert!(field::is_true(&session, SUMS).await, "{isolation}, read {reads}");
        }
        let row = session
            .query_one("SELECT watermark_at AS at FROM highwater.rollup WHERE name = 'event_hourly'", &[])
            .await?;
        let now: Option<chrono::DateTime<chrono::Utc>> = row.get("at");
        assert!(now >= watermark, "the watermark moved back from {watermark:?} to {now:?}");
        watermark = now;
        session.batch("COMMIT").await?;
        let view = session.begin().await?;
        view.query("SELECT sum(events) FROM app.by_tenant", &[]).await?;
        view.commit().await?;
        reads += 1;
    }
    Ok(reads)
}

/// Inserts, updates, moves and deletes until told to stop.
async fn write(db: &TestDb, seed: i64, stop: &AtomicBool) -> Result<u32, DbError> {
    let session = db.session().await;
    let mut state = seed;
    let mut writes = 0;
    while !stop.load(Ordering::Relaxed) {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        let id = state % 1600;
        let change = match state % 4 {
            0 => format!(
                "INSERT INTO app.event (tenant, at, key, note, amount) VALUES ('t1', timestamptz '2024-01-01' + {id} * interval '3 hours', 'new', 'n', 1)"
            ),
            1 => format!("UPDATE app.event SET amount = amount + 1, note = 'n{id}' WHERE id = {id}"),
            2 => format!("UPDATE app.event SET at = at + interval '20 days', tenant = 't2' WHERE id = {id}"),
            _ => format!("DELETE FROM app.event WHERE id = {id}"),
        };
        session.batch(&change).await?;
        writes += 1;
    }
    Ok(writes)
}

#[tokio::test]
async fn another_key_and_measure_are_swapped_in_under_writers_and_readers() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch(
            "CREATE VIEW app.by_tenant WITH (security_barrier = true) AS SELECT tenant, sum(events) AS events FROM highwater.event_hourly GROUP BY 1;
             CREATE VIEW app.outer_view AS SELECT b.events, l.amount FROM app.by_tenant AS b JOIN highwater.event_hourly_live AS l USING (tenant);
             COMMENT ON VIEW app.by_tenant IS 'kept';
             GRANT SELECT ON app.by_tenant, highwater.event_hourly, highwater.event_hourly_live TO PUBLIC",
        )
        .await
        .unwrap();
    let stop = AtomicBool::new(false);
    let altering = async {
        let file = File::of(&finer());
        let altered = highwater(&db, &["rollup", "alter", &file.path()]).await;
        // Over the new tables everything goes on as over the old.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        stop.store(true, Ordering::Relaxed);
        altered
    };
    let (altered, committed, repeatable, one, other) = tokio::join!(
        altering,
        read(&db, "READ COMMITTED", &stop),
        read(&db, "REPEATABLE READ", &stop),
        write(&db, 1, &stop),
        write(&db, 2, &stop),
    );
    let altered = altered.success();
    assert!(altered.stdout.contains("every one equal to the source"), "{altered:?}");
    for count in [committed, repeatable, one, other] {
        assert!(count.unwrap() > 2);
    }
    assert_finer(&db).await;
    let kept = "
SELECT (SELECT count(*) FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
         WHERE a.grantee = 0 AND c.oid IN ('app.by_tenant'::regclass, 'highwater.event_hourly'::regclass, 'highwater.event_hourly_live'::regclass)) = 3
   AND obj_description('app.by_tenant'::regclass) = 'kept'
   AND (SELECT reloptions::text = '{security_barrier=true}' FROM pg_class WHERE oid = 'app.by_tenant'::regclass)
   AND (SELECT sum(events) FROM app.by_tenant) = (SELECT count(*) FROM app.event) AND EXISTS (SELECT FROM app.outer_view)";
    assert!(field::is_true(&session, kept).await);
    // And back, to a coarser grain.
    alter(&db, &DEFINITION.replace("\"1h\"", "\"1d\"")).await.success();
    field::drain(&mut db.session().await, "event_hourly").await;
    field::assert_same(&session, ROWS, &TRUTH.replace("'hour'", "'day'")).await;
    assert_eq!(field::number(&session, LEFTOVERS).await, 0);
}

/// A snapshot from before the successor was filled would find it empty: it is waited for.
#[tokio::test]
async fn an_old_snapshot_reads_the_old_rollup_to_its_end() {
    let db = field::complete().await;
    let reader = db.session().await;
    reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    let before = field::number(&reader, "SELECT count(*) FROM app.event").await;
    let file = File::of(&finer());
    let running = altering(&db, &file);
    let watcher = db.session().await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '-- rollup/older\\_snapshots%')";
    field::until(&watcher, "the alter waits for the reader", waits).await;
    watcher.batch("DELETE FROM app.event WHERE id % 2 = 0").await.unwrap();
    for _ in 0..5 {
        assert_eq!(
            field::number(&reader, "SELECT sum(events)::bigint FROM highwater.event_hourly").await,
            before
        );
        assert!(field::is_true(&reader, SUMS).await);
    }
    reader.batch("COMMIT").await.unwrap();
    let ended = running.ended().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended.stderr.contains("waiting for a transaction that began before the months were filled: pid"),
        "{ended:?}"
    );
    assert_finer(&db).await;
}

/// More events, so that a kill falls inside the building.
const MORE: &str = "
INSERT INTO app.event (tenant, at, key, note, amount)
SELECT 't' || n % 7, timestamptz '2022-01-01 00:00+00' + n * interval '420 seconds', 'k' || n % 4, 'note ' || n % 5, n
  FROM generate_series(1, 60000) AS n;
ANALYZE app.event;";

#[tokio::test]
async fn a_killed_alter_goes_on_from_what_is_there() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch(MORE).await.unwrap();
    field::drain(&mut db.session().await, "event_hourly").await;
    let stop = AtomicBool::new(false);
    let file = File::of(&finer());
    let filled = "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly__next' AND state = 'complete'";
    let killing = async {
        for wanted in [1, 4] {
            let running = altering(&db, &file);
            field::until(&session, "months are filled", &format!("SELECT ({filled}) >= {wanted}")).await;
            running.signal(Signal::SIGKILL);
            assert!(running.ended().await.status.code().is_none());
        }
        let before = field::number(&session, filled).await;
        assert!(before < 15, "the kills came too late");
        // While it waits for its moment.
        let mut reader = db.session().await;
        let open = reader.begin().await.unwrap();
        open.batch(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM highwater.event_hourly",
        )
        .await
        .unwrap();
        let running = altering(&db, &file);
        let all = "SELECT count(*) > 15 AND bool_and(state = 'complete') FROM highwater.rollup_slice WHERE rollup = 'event_hourly__next'";
        field::until(&session, "every month is filled", all).await;
        running.signal(Signal::SIGKILL);
        assert!(running.ended().await.status.code().is_none());
        open.rollback().await.unwrap();
        let told = highwater(&db, &["rollup", "alter", &file.path()]).await.success();
        assert!(told.stderr.contains("going on with event_hourly__next"), "{told:?}");
        stop.store(true, Ordering::Relaxed);
    };
    let ((), writes) = tokio::join!(killing, write(&db, 7, &stop));
    assert!(writes.unwrap() > 2);
    assert_finer(&db).await;
}

#[tokio::test]
async fn two_alters_at_once_take_turns() {
    let db = field::complete().await;
    let file = File::of(&finer());
    let (one, other) = (altering(&db, &file), altering(&db, &file));
    let (one, other) = tokio::join!(one.ended(), other.ended());
    let told: String = [&one, &other].map(|ended| format!("{}{}", ended.stdout, ended.stderr)).concat();
    assert!(one.status.success() && other.status.success(), "{told}");
    assert!(told.contains("every one equal") && told.contains("installed already"), "{told}");
    assert_finer(&db).await;
    // One that is begun by another text is given up for the new one, and one that is not needed any more is dropped.
    let lock = db.session().await;
    lock.batch("SELECT pg_advisory_lock(hashtext('highwater.alter'), hashtext('event_hourly'))")
        .await
        .unwrap();
    let file = File::of(DEFINITION);
    let busy = highwater(&db, &["rollup", "alter", &file.path(), "--no-wait"]).await;
    assert!(
        busy.code() == 5 && busy.stderr.contains("another alter of \"event_hourly\" is running: pid"),
        "{busy:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_named_before_anything_is_built() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch(
            "CREATE MATERIALIZED VIEW app.frozen AS SELECT * FROM highwater.event_hourly_live;
             ALTER TABLE highwater.event_hourly ENABLE ROW LEVEL SECURITY",
        )
        .await
        .unwrap();
    let refused = alter(&db, &finer()).await;
    assert_eq!(refused.code(), 2, "{refused:?}");
    for blocker in ["app.frozen", "row-level security of highwater.event_hourly"] {
        assert!(refused.stderr.contains(blocker), "{refused:?}");
    }
    assert_eq!(field::number(&session, LEFTOVERS).await, 0);
    session.batch("DROP MATERIALIZED VIEW app.frozen; ALTER TABLE highwater.event_hourly DISABLE ROW LEVEL SECURITY").await.unwrap();
    // A view of what the new definition does not have is found at the end: nothing is lost, and it goes on from there.
    session.batch("CREATE VIEW app.notes AS SELECT notes FROM highwater.event_hourly").await.unwrap();
    let refused = alter(&db, &finer()).await;
    assert!(refused.code() == 2 && refused.stderr.contains("view app.notes does not fit"), "{refused:?}");
    field::assert_exact(&mut db.session().await).await;
    session.batch("DROP VIEW app.notes").await.unwrap();
    let told = alter(&db, &finer()).await.success();
    assert!(told.stderr.contains("going on with event_hourly__next"), "{told:?}");
    assert_finer(&db).await;
}
