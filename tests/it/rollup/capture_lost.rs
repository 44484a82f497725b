//! A column that capture reads is renamed, dropped or retyped: no writer fails, the alarm is loud, and nothing is lost. What
//! exactly has changed cannot be said any more, so everything is marked until somebody looks.

use highwater::db::{Executor, Session};
use highwater::ground::shutdown;
use highwater::rollup::{RollupName, drain};

use super::field::{self, DEFINITION, ROWS, TRUTH};
use crate::support::TestDb;
use crate::support::program::highwater;

/// Writers as they come, in words of the table as it is now; the last one into a month that nobody knew.
fn writes(time: &str, tenant: &str) -> Vec<String> {
    vec![
        format!(
            "INSERT INTO app.event ({tenant}, {time}, key, amount) VALUES ('t1', '2024-02-10 12:34+00', 'k1', 5)"
        ),
        "UPDATE app.event SET amount = amount + 1 WHERE id % 10 = 0".to_owned(),
        "DELETE FROM app.event WHERE id % 10 = 5".to_owned(),
        format!(
            "INSERT INTO app.event ({tenant}, {time}, key, amount) VALUES ('t1', '2027-02-10 12:34+00', 'k1', 5)"
        ),
    ]
}

async fn fails_loudly(db: &TestDb, session: &mut Session, what: &str) {
    let name = RollupName::parse("event_hourly").unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let error = drain::run(session, &name, &shutdown).await.unwrap_err().to_string();
    let noted =
        field::text(session, "SELECT last_error FROM highwater.rollup WHERE name = 'event_hourly'").await;
    assert_eq!(noted.as_deref(), Some(error.as_str()), "{what}");
    let status = highwater(db, &["status"]).await;
    assert_eq!(status.code(), 2, "{what}: {status:?}");
    let told = status.stdout.replace('\n', " ");
    assert!(told.contains("rollup drop event_hourly") && told.contains("none is lost"), "{what}: {status:?}");
}

#[tokio::test]
async fn a_renamed_column_fails_no_writer_and_loses_nothing() {
    let db = field::complete().await;
    let mut session = db.session().await;
    for (column, name) in [("at", "happened_at"), ("tenant", "shop")] {
        // Sessions that have captured before keep plans of the old names.
        session.batch("UPDATE app.event SET amount = amount + 1 WHERE id = 3").await.unwrap();
        session.batch(&format!("ALTER TABLE app.event RENAME COLUMN {column} TO {name}")).await.unwrap();
        let (time, tenant) = if column == "at" { (name, "tenant") } else { ("at", name) };
        for write in writes(time, tenant) {
            session.batch(&write).await.unwrap_or_else(|error| panic!("{write}: {error}"));
            // The view follows the name, and all of it is open.
            let truth = TRUTH
                .replace(if column == "at" { "at," } else { "tenant," }, &format!("{name},"))
                .replace("at >=", &format!("{time} >="))
                .replace("at <", &format!("{time} <"));
            field::assert_same(&session, &ROWS.replace("event_hourly", "event_hourly_live"), &truth).await;
        }
        fails_loudly(&db, &mut session, column).await;
        session.batch(&format!("ALTER TABLE app.event RENAME COLUMN {name} TO {column}")).await.unwrap();
        highwater(&db, &["backfill", "event_hourly"]).await.success();
        field::assert_exact(&mut session).await;
        assert_eq!(highwater(&db, &["status"]).await.code(), 0, "{column}");
        // And it captures as before, bucket by bucket.
        session.batch("UPDATE app.event SET amount = amount + 1 WHERE id = 3").await.unwrap();
        assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 1);
        field::assert_exact(&mut session).await;
    }
}

#[tokio::test]
async fn a_dropped_or_retyped_column_fails_no_writer() {
    for (harm, time, tenant) in [
        (
            "ALTER TABLE app.event ADD COLUMN at2 timestamptz; UPDATE app.event SET at2 = at; ALTER TABLE app.event DROP COLUMN at CASCADE",
            "at2",
            "tenant",
        ),
        (
            "DROP VIEW highwater.event_hourly_live CASCADE; ALTER TABLE app.event ALTER COLUMN at TYPE text",
            "at",
            "tenant",
        ),
        (
            "DROP VIEW highwater.event_hourly_live CASCADE; ALTER TABLE app.event ALTER COLUMN at TYPE timestamp USING at AT TIME ZONE 'UTC'",
            "at",
            "tenant",
        ),
        (
            "ALTER TABLE app.event RENAME COLUMN tenant TO owner; ALTER TABLE app.event DROP COLUMN owner CASCADE; ALTER TABLE app.event ADD COLUMN shop text DEFAULT 's'",
            "at",
            "shop",
        ),
    ] {
        let db = field::complete().await;
        let mut session = db.session().await;
        // The truth is told without a zone once the column has none.
        session
            .batch("SET TimeZone = 'UTC'; UPDATE app.event SET amount = amount + 1 WHERE id = 3")
            .await
            .unwrap();
        field::drain(&mut session, "event_hourly").await;
        session.batch(harm).await.unwrap();
        for write in writes(time, tenant) {
            session.batch(&write).await.unwrap_or_else(|error| panic!("{harm}: {write}: {error}"));
        }
        let wide = field::number(&session, "SELECT count(*) FROM highwater.event_hourly_wide").await;
        // A timestamp fits the definition too, but not what was rendered for an instant.
        assert!(wide >= 4, "{harm}: {wide}");
        if !harm.contains("TYPE timestamp ") {
            fails_loudly(&db, &mut session, harm).await;
        }
        // The remedy that status names.
        highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
        let definition = DEFINITION
            .replace("time = \"at\"", &format!("time = \"{time}\""))
            .replace("tenant = \"tenant\"", &format!("tenant = \"{tenant}\""))
            .replace("source.tenant", &format!("source.{tenant}"));
        if harm.contains("TYPE text") {
            session
                .batch("ALTER TABLE app.event ALTER COLUMN at TYPE timestamptz USING at::timestamptz")
                .await
                .unwrap();
        }
        if !harm.contains("DROP COLUMN") {
            field::add(&mut session, &definition).await.unwrap();
            highwater(&db, &["backfill", "event_hourly"]).await.success();
            field::assert_exact(&mut session).await;
        }
    }
}

#[tokio::test]
async fn a_query_that_does_not_run_any_more_is_critical_before_anything_is_drained() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("ALTER TABLE app.event RENAME COLUMN amount TO worth").await.unwrap();
    let status = highwater(&db, &["status"]).await;
    assert_eq!(status.code(), 2, "{status:?}");
    assert!(status.stdout.replace('\n', " ").contains("amount does not exist"), "{status:?}");
    session.batch("UPDATE app.event SET worth = 7 WHERE id % 9 = 0").await.unwrap();
    fails_loudly(&db, &mut session, "the query").await;
    session.batch("ALTER TABLE app.event RENAME COLUMN worth TO amount").await.unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn columns_that_the_query_does_not_read_come_and_go_freely() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("ALTER TABLE app.event ADD COLUMN extra int").await.unwrap();
    field::add(&mut session, &DEFINITION.replace("event_hourly", "event_again")).await.unwrap();
    field::backfill_of(&db, "event_again", &Default::default()).await.unwrap();
    session
        .batch("ALTER TABLE app.event DROP COLUMN extra; UPDATE app.event SET amount = 7 WHERE id % 9 = 0")
        .await
        .unwrap();
    field::drain(&mut session, "event_again").await;
    field::assert_same(&session, &ROWS.replace("event_hourly", "event_again"), TRUTH).await;
    field::assert_exact(&mut session).await;
    // The index that capture asks may go too: then it asks the catalog.
    session
        .batch("DROP INDEX app.event_tenant_at; UPDATE app.event SET amount = 8 WHERE id % 9 = 1")
        .await
        .unwrap();
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_wide").await, 0);
    field::assert_exact(&mut session).await;
}
