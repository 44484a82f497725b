//! What a trivial plan and a heartbeat cost. Not run by default: `cargo test -- --ignored scheduler_cost --nocapture`.

use std::time::Instant;

use highwater::db::Executor;
use highwater::scheduler::finish::{Ended, finish};
use highwater::scheduler::heartbeat;
use highwater::scheduler::outcome::Outcome;

use crate::scheduler_site::{Claimer, bare, due, job, row};
use crate::support::TestDb;

const PLANS: i32 = 20_000;

async fn wal(db: &TestDb) -> i64 {
    let query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    row(db, query).await.get(0)
}

/// CPU time of a server process and of this one, in microseconds.
fn cpu(pid: i32) -> (f64, f64) {
    let ticks = |pid: &str| -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after = stat.rsplit(')').next().unwrap().to_owned();
        let field = |at: usize| after.split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
        field(11) + field(12)
    };
    (ticks(&pid.to_string()) * 10_000.0, ticks("self") * 10_000.0)
}

#[tokio::test]
#[ignore = "a measurement, for an idle machine"]
async fn a_plan_from_claim_to_finish_and_a_heartbeat() {
    let db = bare().await;
    job(&db, "trivial", |draft| draft.allows_overlap = true).await;
    due(&db, "trivial", PLANS).await;
    let claimer = Claimer::new(&db, "host").await;
    claimer.session.batch("VACUUM ANALYZE highwater.plan").await.unwrap();
    let pid: i32 = claimer.session.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let (began, cpu_before) = (Instant::now(), cpu(pid));
    let mut done = 0;
    loop {
        let claimed = claimer.claim(100).await;
        if claimed.is_empty() {
            break;
        }
        let ended: Vec<Ended> = claimed
            .iter()
            .map(|one| Ended {
                run: one.run,
                token: one.token,
                outcome: Outcome::Done(serde_json::Value::Null),
            })
            .collect();
        done += finish(&claimer.session, &ended).await.unwrap().len();
    }
    assert_eq!(done, usize::try_from(PLANS).unwrap());
    let (took, cpu_after) = (began.elapsed().as_secs_f64(), cpu(pid));
    let each = |after: f64, before: f64| (after - before) / f64::from(PLANS);
    println!(
        "claim to finish: {:.0} plans/s; CPU a plan: Postgres {:.1} us, this program {:.1} us",
        f64::from(PLANS) / took,
        each(cpu_after.0, cpu_before.0),
        each(cpu_after.1, cpu_before.1)
    );

    let beats = 20;
    let held = {
        let session = db.session().await;
        session.batch("DELETE FROM highwater.plan").await.unwrap();
        due(&db, "trivial", 500).await;
        let mut held = Vec::new();
        while held.len() < 500 {
            held.extend(claimer.claim(100).await.iter().map(|one| (one.run, one.token)));
        }
        session.batch("CHECKPOINT").await.unwrap();
        held
    };
    heartbeat::beat(&claimer.session, &claimer.identity.incarnation, &held).await.unwrap();
    let before = wal(&db).await;
    for _ in 0..beats {
        let answers = heartbeat::beat(&claimer.session, &claimer.identity.incarnation, &held).await.unwrap();
        assert_eq!(answers.renewed.len(), 500);
    }
    let bytes = wal(&db).await - before;
    claimer.session.batch("SELECT pg_stat_force_next_flush()").await.unwrap();
    let hot =
        row(&db, "SELECT n_tup_hot_upd::float8 / n_tup_upd FROM pg_stat_user_tables WHERE relname = 'lease'")
            .await;
    println!(
        "heartbeat: {:.0} bytes of WAL a lease, {:.1} % HOT",
        bytes as f64 / 500.0 / f64::from(beats),
        hot.get::<_, f64>(0) * 100.0
    );
}
