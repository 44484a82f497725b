//! The worker tells, and dies in the middle.

use std::os::unix::process::ExitStatusExt;

use highwater::db::Executor;
use nix::sys::signal::Signal;

use super::peer::Peer;
use super::site::{settings, site};
use crate::rollup::field::until;
use crate::support::eventually::eventually;
use crate::support::program::{command, spawn, start};

#[tokio::test]
async fn killed_between_the_answer_and_the_commit_it_tells_again_under_the_same_id() {
    let mut site = site().await;
    let peer = Peer::http().await;
    site.webhook("ops", None, &settings(&peer.url())).await;
    site.backup("failed").await;
    let arguments = ["worker", "--listen", "127.0.0.1:0"];
    let first =
        start(command(&arguments).env("DATABASE_URL", site.db.url()).env("HIGHWATER_FAULT", "alarm.told"));
    assert_eq!(first.ended().await.status.signal(), Some(9));
    assert_eq!((peer.heard().len(), site.tellings().await), (1, vec!["raised waiting 1".to_owned()]));
    // What was in hand is due a minute later; its job's plan is taken over when the dead worker's lease has run out.
    site.later().await;
    site.session.batch("UPDATE highwater.lease SET lease_until = now() - interval '1 minute'").await.unwrap();
    let second = spawn(&site.db, &arguments);
    let delivered = "SELECT count(*) = 1 FROM highwater.alarm_delivery WHERE state = 'delivered'";
    until(&site.session, "the alarm is told", delivered).await;
    let heard = peer.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].headers["highwater-delivery"], heard[1].headers["highwater-delivery"]);
    assert_eq!(heard[0].body, heard[1].body);
    // It goes on telling, and never this one again.
    site.backup("succeeded").await;
    eventually("it is told that it is over", || (peer.heard().len() == 3).then_some(())).await;
    assert_eq!(peer.heard()[2].headers["highwater-event"], "resolved");
    second.signal(Signal::SIGTERM);
    second.ended().await.success();
    assert_eq!(site.tellings().await, ["raised delivered 2", "resolved delivered 1"]);
}
