//! The outbox under kill -9: at every place of an enqueue, and at any moment.
//!
//! The victim is this test program itself, started again for one ignored test that enqueues and tells what was
//! acknowledged.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use highwater::agent::outbox::{Bounds, Outbox, Place, Shelf};
use highwater::ground::wire::id::JobId;

use super::field::{event, noon, stamp, started};
use crate::support::scale::scaled;

const VICTIM: &str = "agent::outbox_kill::victim_that_enqueues";

/// Tells the victim its directory.
const DIRECTORY: &str = "HIGHWATER_TEST_OUTBOX";

/// Enqueues without end, and says each number once it is acknowledged.
#[test]
#[ignore = "started by other tests"]
fn victim_that_enqueues() {
    let Some((_, root)) = std::env::vars_os().find(|(name, _)| name == DIRECTORY) else { return };
    let outbox = Outbox::open(Path::new(&root), Bounds::default(), noon()).unwrap();
    let mut out = std::io::stdout();
    for turn in 0_usize.. {
        // One, or a few that share a sync.
        let drafts: Vec<_> = (0..=turn % 3).map(|_| (event(JobId::fresh(), started()), stamp(0))).collect();
        for name in outbox.enqueue(&drafts).unwrap().into_iter().flatten() {
            writeln!(out, "acknowledged {}", name.seq).unwrap();
        }
        out.flush().unwrap();
    }
}

fn victim(root: &Path, fault: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([VICTIM, "--exact", "--ignored", "--nocapture"]).env(DIRECTORY, root);
    if let Some(fault) = fault {
        command.env("HIGHWATER_FAULT", fault);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn numbers(lines: impl Iterator<Item = String>) -> BTreeSet<i64> {
    lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).collect()
}

/// What must hold after any death: everything acknowledged waits, nothing is invisible, nothing unreadable.
fn assert_whole(root: &Path, acknowledged: &BTreeSet<i64>, context: &str) {
    let outbox = Outbox::open(root, Bounds::default(), noon()).unwrap();
    assert_eq!(outbox.found().unreadable, 0, "{context}");
    let shelf = Shelf::open(root).unwrap();
    let files = shelf.files(Place::New).unwrap();
    let there: BTreeSet<i64> =
        files.iter().map(|file| file.parse::<highwater::agent::outbox::Name>().ok().unwrap().seq).collect();
    assert!(there.is_superset(acknowledged), "{context}: lost {:?}", acknowledged.difference(&there));
    assert_eq!(outbox.figures().unwrap().pending, files.len() as u64, "{context}");
    assert!(shelf.files(Place::Tmp).unwrap().is_empty(), "{context}");
}

#[test]
fn killed_at_every_place_of_an_enqueue_nothing_acknowledged_is_lost() {
    for place in ["created", "half", "written", "synced", "renamed", "durable"] {
        for count in [1, 2, 5] {
            let dir = tempfile::tempdir().unwrap();
            let context = format!("outbox.{place}:{count}");
            let victim = victim(dir.path(), Some(&context));
            let output = victim.wait_with_output().unwrap();
            assert_eq!(output.status.signal(), Some(9), "{context} was never passed");
            let acknowledged = numbers(output.stdout.lines().map_while(Result::ok));
            assert_whole(dir.path(), &acknowledged, &context);
        }
    }
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for turn in 0..scaled(15, 1_000) {
        let mut victim = victim(dir.path(), None);
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Let it get somewhere, another distance each time, then kill it in the middle of what follows.
        let reach = 1 + (turn * 7) % 23;
        let mut seen: Vec<String> = Vec::new();
        while seen.iter().filter(|line| line.starts_with("acknowledged")).count() < reach {
            seen.push(lines.next().expect("the victim works until it is killed"));
        }
        victim.kill().unwrap();
        seen.extend(lines);
        victim.wait().unwrap();
        let told = numbers(seen.into_iter());
        assert!(told.is_disjoint(&acknowledged), "a number was given twice");
        acknowledged.extend(told);
        assert_whole(dir.path(), &acknowledged, &format!("turn {turn}"));
    }
}
