//! What the hot statements cost, where the machine has no say in it: how they find their rows, and what they write.
//! `benches/scheduler` measures the rest.

use std::time::Duration;

use highwater::db::{Executor, Param, Session};
use highwater::scheduler::{heartbeat, lease};

use crate::scheduler_site::{Claimer, bare, count, due, job};

/// How a statement is executed, with what it really read and wrote; its effects stay.
async fn explained(session: &Session, statement: &str, params: &[&dyn Param]) -> String {
    let statement = format!("EXPLAIN (ANALYZE, WAL, TIMING OFF, SUMMARY OFF) {statement}");
    let rows = session.query(&statement, params).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

/// Lines that read the whole ledger.
fn scans(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter(|line| line.contains("Seq Scan on plan") && !line.contains("never executed"))
        .collect()
}

#[tokio::test]
async fn the_end_of_a_run_reads_its_own_plan_and_not_the_ledger() {
    let db = bare().await;
    job(&db, "free", |draft| draft.allows_overlap = true).await;
    due(&db, "free", 4_000).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.claim(100).await;
    let session = db.session().await;
    session.batch("ANALYZE highwater.plan").await.unwrap();
    let (runs, tokens): (Vec<i64>, Vec<i64>) = claimed.iter().map(|one| (one.run.0, one.token.0)).unzip();
    let (words, texts) = (vec!["done".to_owned(); runs.len()], vec![String::new(); runs.len()]);
    let statement = include_str!("../../sql/scheduler/finish.sql");
    let plan = explained(&session, statement, &[&runs, &tokens, &words, &texts, &texts]).await;
    assert_eq!(scans(&plan), [""; 0], "{plan}");
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.plan WHERE state = 'done'").await, 100);
}

#[tokio::test]
async fn a_heartbeat_writes_at_most_a_hundred_bytes_a_lease() {
    const LEASES: i64 = 300;
    const TRIES: usize = 40;
    const PAUSE: Duration = Duration::from_millis(250);
    let db = bare().await;
    job(&db, "many", |draft| draft.allows_overlap = true).await;
    due(&db, "many", 300).await;
    let claimer = Claimer::new(&db, "host").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.extend(claimer.claim(100).await.iter().map(|one| (one.run, one.token)));
    }
    let incarnation = &claimer.identity.incarnation;
    for _ in 0..10 {
        let answers = heartbeat::beat(&claimer.session, incarnation, &held).await.unwrap();
        assert_eq!(answers.renewed.len(), held.len());
    }
    let (runs, tokens): (Vec<i64>, Vec<i64>) = held.iter().map(|(run, token)| (run.0, token.0)).unzip();
    let statement = include_str!("../../sql/scheduler/heartbeat.sql");
    // More after a checkpoint, and while a transaction anywhere on this shared server keeps old versions in their pages.
    let mut written = i64::MAX;
    for _ in 0..TRIES {
        let plan =
            explained(&claimer.session, statement, &[incarnation, &runs, &tokens, &lease::length_ms()]).await;
        let bytes = plan.lines().filter_map(|line| line.trim().strip_prefix("WAL:")?.split("bytes=").nth(1));
        let most = bytes.map(|bytes| bytes.trim().parse::<i64>().unwrap()).max();
        written = written.min(most.unwrap_or_else(|| panic!("nothing was written: {plan}")));
        if written <= 100 * LEASES {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{} bytes a lease", written / LEASES);
}
