//! The outbox in one process: order, bounds, full disks, strangers' files, a second agent.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use highwater::agent::AgentError;
use highwater::agent::outbox::{Bounds, Entry, Load, Name, Outbox, Place, Shelf};
use highwater::ground::wire::event::Event;
use highwater::ground::wire::id::JobId;

use super::field::{event, finished, noon, progress, stamp, started, step_with_log};
use crate::support::small_disk::SmallDisk;

fn open(root: &Path) -> Outbox {
    Outbox::open(root, Bounds::default(), noon()).unwrap()
}

fn entries(root: &Path, place: Place) -> Vec<Entry> {
    let shelf = Shelf::open(root).unwrap();
    let files = shelf.files(place).unwrap();
    files.iter().map(|file| shelf.item(place, file).unwrap().unwrap().entry.unwrap()).collect()
}

fn kinds(root: &Path) -> Vec<String> {
    entries(root, Place::New).into_iter().filter_map(|entry| entry.header.kind).collect()
}

#[test]
fn the_order_is_the_counters_also_when_the_clock_steps_back() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let job = JobId::fresh();
    for seconds in [0, 3_600, -86_400, 10] {
        outbox.enqueue(&[(event(job, started()), stamp(seconds))]).unwrap();
    }
    drop(outbox);
    let outbox = open(dir.path());
    outbox.enqueue(&[(event(job, finished()), stamp(-1_000_000))]).unwrap();
    let order: Vec<(i64, i64)> =
        entries(dir.path(), Place::New).iter().map(|entry| (entry.header.seq, entry.header.epoch)).collect();
    assert_eq!(order, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2)]);
    let Some(Load::Events(names)) = outbox.next(Instant::now(), 500, 1 << 20) else { panic!("events wait") };
    assert_eq!(names.iter().map(|name| name.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let read = Event::read(&outbox.load(names[4], noon()).unwrap().unwrap().event().unwrap()).unwrap();
    assert_eq!((read.epoch, read.seq, read.job), (2, 5, Some(job)));
}

#[test]
fn the_epoch_rises_at_every_start_also_when_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let epochs: Vec<i64> = (0..3).map(|_| open(dir.path()).epoch()).collect();
    assert_eq!(epochs, [1, 2, 3]);
    std::fs::write(dir.path().join("epoch"), "rubbish").unwrap();
    let refused = Outbox::open(dir.path(), Bounds::default(), noon()).err().unwrap();
    assert!(matches!(refused, AgentError::BadEpoch { .. }), "{refused}");
}

#[test]
fn a_lost_epoch_file_repeats_no_epoch_that_an_entry_shows() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        open(dir.path()).enqueue(&[(event(JobId::fresh(), started()), stamp(0))]).unwrap();
    }
    std::fs::remove_file(dir.path().join("epoch")).unwrap();
    assert_eq!(open(dir.path()).epoch(), 5);
}

#[test]
fn a_second_agent_is_refused_and_told_who_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = Outbox::open(dir.path(), Bounds::default(), noon()).err().unwrap();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    open(dir.path());
}

#[test]
fn only_the_agents_user_may_look() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("agent");
    open(&root).enqueue(&[(event(JobId::fresh(), started()), stamp(0))]).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    for place in Place::ALL {
        assert_eq!(mode(&root.join(place.word())), 0o700);
    }
    for found in std::fs::read_dir(root.join("new")).unwrap() {
        assert_eq!(mode(&found.unwrap().path()), 0o600);
    }
}

#[test]
fn what_cannot_be_read_is_moved_aside_and_counted_never_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let names: Vec<Name> = (0..4)
        .map(|_| outbox.enqueue(&[(event(JobId::fresh(), started()), stamp(0))]).unwrap()[0].unwrap())
        .collect();
    drop(outbox);
    let new = dir.path().join("new");
    let half = new.join(names[1].to_string());
    let bytes = std::fs::read(&half).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(new.join(names[2].to_string()), "").unwrap();
    std::fs::write(new.join("notes.txt"), "hello").unwrap();
    std::fs::write(dir.path().join("tmp/half"), "{").unwrap();
    let outbox = open(dir.path());
    let found = outbox.found();
    assert_eq!((found.waiting, found.cleared, found.unreadable), (2, 1, 3));
    let shelf = Shelf::open(dir.path()).unwrap();
    let dead = shelf.files(Place::Dead).unwrap();
    assert_eq!(dead.len(), 3);
    for file in &dead {
        assert!(shelf.item(Place::Dead, file).unwrap().unwrap().answer.is_some(), "{file}");
    }
    // The numbers of the dead are not given again.
    let next = outbox.enqueue(&[(event(JobId::fresh(), started()), stamp(0))]).unwrap()[0].unwrap();
    assert_eq!(next.seq, 5);
}

#[test]
fn newer_progress_takes_the_place_of_older() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let (one, two) = (JobId::fresh(), JobId::fresh());
    for (job, fact) in
        [(one, started()), (one, progress(1)), (two, progress(1)), (one, progress(2)), (one, progress(3))]
    {
        outbox.enqueue(&[(event(job, fact), stamp(0))]).unwrap();
    }
    assert_eq!(kinds(dir.path()), ["job.started", "job.progress", "job.progress"]);
    assert_eq!(entries(dir.path(), Place::New)[1].header.job, Some(two));
    assert_eq!(outbox.figures().unwrap().pending, 3);
}

#[test]
fn over_its_bounds_it_sheds_progress_refuses_beginnings_and_takes_every_end() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { files: 4, ..Bounds::default() };
    let outbox = Outbox::open(dir.path(), bounds, noon()).unwrap();
    let job = JobId::fresh();
    let put = |fact| outbox.enqueue(&[(event(job, fact), stamp(0))]).map(|names| names[0].is_some());
    for fact in [started(), progress(1), started(), started()] {
        assert!(put(fact).unwrap());
    }
    assert!(!put(progress(2)).unwrap(), "progress is shed");
    let opened = || highwater::ground::wire::fact::Fact::JobOpened(Default::default());
    assert!(put(opened()).unwrap(), "the shed progress made room");
    assert!(matches!(put(opened()), Err(AgentError::OutboxFull { .. })));
    for _ in 0..10 {
        assert!(put(finished()).unwrap());
    }
    let kinds = kinds(dir.path());
    assert!(!kinds.contains(&"job.progress".to_owned()), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "job.finished").count(), 10);
    let old = noon() + chrono::TimeDelta::days(31);
    assert!(outbox.excess(old).is_some());
    let room = Bounds { files: 100, bytes: 1, age: Duration::from_secs(60) };
    drop(outbox);
    let outbox = Outbox::open(dir.path(), room, noon()).unwrap();
    assert!(outbox.excess(noon()).unwrap().contains("bytes wait"));
}

#[test]
fn a_full_disk_refuses_what_is_new_and_still_takes_the_last_word() {
    let Some(small) = SmallDisk::mount() else { return };
    let root = small.path().join("agent");
    let outbox = open(&root);
    let job = JobId::fresh();
    // Progress of jobs of their own, so that none takes another's place.
    let mut acknowledged = 0;
    let refused = loop {
        std::fs::write(small.path().join(format!("filler{acknowledged}")), vec![0_u8; 16 * 1024])
            .unwrap_or(());
        match outbox.enqueue(&[(event(JobId::fresh(), progress(1)), stamp(0))]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "a megabyte is never full");
    };
    assert!(matches!(refused, AgentError::DiskFull { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0, "what failed is cleaned up");
    outbox.enqueue(&[(event(job, step_with_log(40_000)), stamp(0))]).unwrap();
    outbox.enqueue(&[(event(job, finished()), stamp(0))]).unwrap();
    drop(outbox);
    let outbox = open(&root);
    assert_eq!(outbox.found().unreadable, 0);
    assert_eq!(outbox.found().waiting, acknowledged + 2);
}

#[tokio::test]
async fn many_who_post_at_once_are_all_durable_and_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = std::sync::Arc::new(open(dir.path()));
    let posts = (0..100).map(|_| {
        let outbox = std::sync::Arc::clone(&outbox);
        tokio::spawn(async move {
            outbox.post(event(JobId::fresh(), started()), stamp(0)).await.unwrap().unwrap()
        })
    });
    let mut seqs = Vec::new();
    for post in posts.collect::<Vec<_>>() {
        seqs.push(post.await.unwrap().seq);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=100).collect::<Vec<i64>>());
    assert_eq!(entries(dir.path(), Place::New).len(), 100);
}
