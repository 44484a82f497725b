//! Behind a pooler that hands out server processes by transaction no lock holds: the run refuses, nothing touched.

use crate::migrate_database::{Ended, Folder, TestDb, migrate_at};
use crate::support::pooler::PgBouncer;

const FILES: &[(&str, &str)] = &[("V1__a.sql", "CREATE TABLE a ();")];

/// Runs `migrate up` through a pgbouncer of these settings.
async fn through(settings: &str, args: &[&str]) -> Option<(TestDb, Ended)> {
    let db = TestDb::empty().await;
    let bouncer = PgBouncer::start(&db, settings).await?;
    let run = migrate_at(&bouncer.url(&db), &[&["up"], args].concat(), Some(&Folder::with(FILES))).await;
    Some((db, run))
}

async fn refused(settings: &str, args: &[&str], words: &str) {
    let Some((db, run)) = through(settings, args).await else { return };
    assert_eq!(run.code, 8, "{settings}: {run:?}");
    assert!(run.err.contains("nothing was touched") && run.err.contains(words), "{settings}: {run:?}");
    let touched = "SELECT nspname FROM pg_namespace WHERE nspname = 'highwater'
                   UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(db.texts(touched).await, [""; 0]);
}

#[tokio::test]
async fn a_transaction_pool_is_refused_by_each_probe_alone() {
    refused("pool_mode = transaction", &[], "it refuses start-up settings").await;
    refused(
        "pool_mode = transaction\nignore_startup_parameters = options",
        &[],
        "it drops start-up settings",
    )
    .await;
    refused(
        "pool_mode = transaction",
        &["--pooler=session"],
        "its connections share or change server processes",
    )
    .await;
}

#[tokio::test]
async fn a_session_pool_is_safe_when_it_is_named() {
    refused("pool_mode = session", &[], "--pooler=session").await;
    let Some((db, run)) = through("pool_mode = session", &["--pooler=session"]).await else { return };
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(db.versions().await, ["1"]);
}
