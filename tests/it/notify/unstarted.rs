//! Runs that never began are told of, and those that may still begin are not.

use highwater::db::Executor;
use highwater::job::alarm;

use crate::due::site::{Site, site};

async fn alarms(site: &mut Site) -> Vec<String> {
    let tx = site.session.begin().await.unwrap();
    alarm::standing(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let alarms = alarm::list(&site.session, None, false, 10).await.unwrap();
    alarms.iter().map(|alarm| format!("{}: {}", alarm.kind, alarm.message)).collect()
}

#[tokio::test]
async fn a_run_that_nobody_ever_took_is_told_of_though_its_host_sleeps() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.run("UPDATE highwater.source_group SET retry_max = 0").await;
    site.hourly(host, &[group], "one", 1).await;
    site.materialise().await;
    site.sweep().await;
    assert_eq!(site.claim(host).await.len(), 1);
    assert!(alarms(&mut site).await.is_empty(), "it is in hand");
    // No answer, and no further try.
    site.run("UPDATE highwater.pending_run SET lease_until = now() - interval '1 second'").await;
    site.settle().await;
    assert_eq!(site.texts("SELECT state FROM highwater.pending_run").await, ["abandoned"]);
    let told = alarms(&mut site).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("missed: backup of home on laptop missed its slot of ")
            && told[0].ends_with(": dispatched 1 times without an answer"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_slot_whose_run_may_still_begin_is_not_missed() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "home").await;
    site.hourly(host, &[group], "one", 1).await;
    site.materialise().await;
    site.run(
        "UPDATE highwater.run_slot SET slot_at = slot_at - interval '3 hours';
         UPDATE highwater.schedule_progress SET last_slot = last_slot - interval '3 hours';
         DELETE FROM highwater.pending_run",
    )
    .await;
    let told = alarms(&mut site).await;
    assert!(told.len() == 1 && told[0].starts_with("missed: "), "{told:?}");
    for state in ["waiting", "claimed", "dispatched"] {
        let run = "INSERT INTO highwater.pending_run (tenant, host, schedule, source_group, slot_at, reason, state)
                   SELECT tenant, host, schedule, source_group, slot_at + interval '3 hours', 'cron', $1 FROM highwater.run_slot";
        site.session.query(run, &[&state]).await.unwrap();
        assert!(alarms(&mut site).await.is_empty(), "{state}");
        site.run("DELETE FROM highwater.pending_run").await;
        assert_eq!(alarms(&mut site).await.len(), 1, "{state}");
    }
}
