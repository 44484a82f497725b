//! Whole runs, with real programs and real repositories.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use highwater::agent::archive;
use highwater::agent::graph::{Cancel, Why};
use highwater::ground::wire::event::Event;
use highwater::ground::wire::fact::Fact;
use highwater::ground::wire::state::{Ended, StepState};
use highwater::ground::wire::work::Prunable;
use serde_json::{Value, json};

use super::site::Site;
use crate::support::eventually::eventually;
use crate::support::program::{self, command};
use crate::support::scale::scaled;
use crate::support::small_disk::SmallDisk;

#[tokio::test]
async fn the_output_of_a_command_is_stored_told_and_restored() {
    let site = Site::new(json!({"kind": "command", "command": "seq 1 200000; echo \"$HIGHWATER_GROUP\""}));
    let verdict = site.run().await;
    assert_eq!((verdict.state, verdict.error), (Ended::Succeeded, None));
    let events = site.events();
    let kinds: Vec<&str> =
        events.iter().map(|event| event.fact.kind()).filter(|kind| !kind.starts_with("step")).collect();
    assert_eq!(kinds, ["job.opened", "job.started", "record.underway", "record.published", "job.finished"]);
    let record = site.archives()[0];
    let published = events.iter().find_map(|event| match &event.fact {
        Fact::RecordPublished(record) => Some(record.clone()),
        _ => None,
    });
    let published = published.unwrap();
    let manifest = archive::read_manifest(&site.repository(), record).unwrap();
    assert_eq!((published.record, published.sha256), (record, Some(manifest.sha256.clone())));
    assert_eq!(manifest.record, record, "one id in three places");
    assert!(manifest.stored_bytes < manifest.source_bytes, "it is compressed");
    assert_eq!(site.step("verify"), Some(StepState::Succeeded));

    let target = site.dir.path().join("restored");
    site.restore(record, &target).unwrap();
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect::<String>() + "home\n";
    assert_eq!(std::fs::read_to_string(&target).unwrap(), expected);
    let refused = site.restore(record, &target).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    let guard = archive::Guard { group: "other".to_owned() };
    let elsewhere = site.dir.path().join("elsewhere");
    let refused = archive::restore(&site.repository(), record, &guard, &elsewhere).unwrap_err().to_string();
    assert!(refused.contains("is of group \"home\""), "{refused}");
    assert!(!elsewhere.exists());
}

#[tokio::test]
async fn a_tree_is_stored_and_restored_with_modes_links_and_times() {
    let mut site = Site::new(json!({"kind": "directory"}));
    let home = site.home();
    std::fs::create_dir(home.join("deep")).unwrap();
    std::fs::write(home.join("deep/notes"), "hello").unwrap();
    std::fs::write(home.join("big"), vec![7_u8; 3 << 20]).unwrap();
    std::os::unix::fs::symlink("deep/notes", home.join("link")).unwrap();
    site.config["groups"][0]["includes"] = json!([home]);
    assert_eq!(site.run().await.state, Ended::Succeeded);
    let target = site.dir.path().join("restored");
    std::fs::create_dir(&target).unwrap();
    site.restore(site.archives()[0], &target).unwrap();
    let compared =
        Command::new("diff").arg("-r").arg(&home).arg(target.join(home.strip_prefix("/").unwrap())).output();
    let compared = compared.unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
}

#[tokio::test]
async fn a_failing_source_leaves_nothing_but_a_report() {
    let site = Site::new(json!({
        "kind": "command", "command": "echo half; echo broken >&2; exit 3", "post_hook": "echo $HIGHWATER_STATE",
        "pre_hook": "true"
    }));
    let verdict = site.run().await;
    assert_eq!(verdict.state, Ended::Failed);
    assert_eq!(verdict.error.as_deref(), Some("the command ended with exit code 3"));
    assert_eq!(site.litter(), 0);
    let tails: Vec<(String, Option<String>)> = site
        .events()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::StepFinished(step) if ["backup", "post-backup-hook"].contains(&step.step.as_str()) => {
                Some((step.step, step.log_tail))
            }
            _ => None,
        })
        .collect();
    assert_eq!(tails[0], ("backup".to_owned(), Some("broken\n".to_owned())));
    assert_eq!(tails[1], ("post-backup-hook".to_owned(), Some("failed\n".to_owned())));
    assert_eq!(site.step("record-backup"), Some(StepState::Succeeded));
    assert_eq!(site.step("verify"), Some(StepState::Skipped));
}

#[tokio::test]
async fn a_repository_that_fills_up_ends_the_run_and_keeps_nothing_of_it() {
    let Some(small) = SmallDisk::mount() else { return };
    // Random bytes do not shrink; the source has far more to say than the disk takes.
    let mut site = Site::new(json!({"kind": "command", "command": "head -c 50000000 /dev/urandom"}));
    site.config["repositories"][0]["url"] = json!(small.path());
    let verdict = site.run().await;
    assert_eq!(verdict.state, Ended::Failed);
    assert!(verdict.error.as_deref().is_some_and(|error| error.contains("No space left")), "{verdict:?}");
    assert_eq!(std::fs::read_dir(small.path()).unwrap().count(), 0);
    assert_eq!(site.step("record-backup"), Some(StepState::Succeeded));
    assert!(site.events().iter().any(|event| event.fact.kind() == "job.finished"));
}

#[tokio::test]
async fn a_manifest_is_small_however_many_files_it_speaks_of() {
    let mut site = Site::new(json!({"kind": "directory"}));
    let home = site.home();
    let files = scaled(3_000, 100_000);
    for number in 0..files {
        std::fs::write(home.join(format!("a-file-with-quite-a-long-name-{number:0200}")), "x").unwrap();
    }
    site.config["groups"][0]["includes"] = json!([home]);
    assert_eq!(site.run().await.state, Ended::Succeeded);
    let record = site.archives()[0];
    let manifest = site.repository().join(record.to_string()).join("manifest.json");
    assert!(std::fs::metadata(manifest).unwrap().len() < 4096);
    let target = site.dir.path().join("restored");
    std::fs::create_dir(&target).unwrap();
    site.restore(record, &target).unwrap();
    let restored = std::fs::read_dir(target.join(home.strip_prefix("/").unwrap())).unwrap();
    assert_eq!(restored.count(), files);
}

#[tokio::test]
async fn hooks_warn_skip_or_fail_as_they_say() {
    let run = async |group: Value| {
        let mut whole = json!({"kind": "command", "command": "echo data"});
        whole.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
        let site = Site::new(whole);
        let verdict = site.run().await;
        (site, verdict)
    };
    let (site, verdict) = run(json!({"post_hook": "exit 1"})).await;
    assert_eq!((verdict.state, site.archives().len()), (Ended::Warned, 1));
    let (site, verdict) = run(json!({"pre_hook": "exit 75", "post_hook": "touch never"})).await;
    assert_eq!((verdict.state, site.archives().len()), (Ended::Skipped, 0));
    assert_eq!(site.step("pre-backup-hook"), Some(StepState::Skipped));
    let (site, verdict) = run(json!({"pre_hook": "exit 1"})).await;
    assert_eq!((verdict.state, site.archives().len()), (Ended::Failed, 0));
    let (_, verdict) = run(json!({"pre_hook": "sleep 60", "hook_timeout_seconds": 1})).await;
    assert_eq!(verdict.state, Ended::Failed);
    assert!(verdict.error.unwrap().contains("took too long"));
    let (_, verdict) = run(json!({"command": "sleep 60", "job_timeout_seconds": 1})).await;
    assert_eq!(verdict.state, Ended::TimedOut);
}

#[tokio::test]
async fn a_closed_gate_runs_no_hook_and_leaves_a_row_with_the_reason() {
    let site =
        Site::new(json!({"kind": "command", "command": "echo data", "pre_hook": "touch $HIGHWATER_TOUCHED"}));
    let touched = site.dir.path().join("touched");
    site.settings("[hooks]\npre_access = \"exit 9\"\n[group.home]\nflag = \"/nonexistent/flag\"\n");
    let mut task = site.task();
    task.group.pre_hook = Some(format!("touch {}", touched.display()));
    let verdict = site.attempt(task).await;
    assert_eq!(
        (verdict.state, verdict.error.as_deref()),
        (Ended::Skipped, Some("/nonexistent/flag is not there"))
    );
    assert!(!touched.exists());
    assert_eq!(site.step("pre-access-hook"), Some(StepState::Skipped));
    assert!(matches!(site.events().last().unwrap().fact, Fact::StepFinished(_)));
    assert!(site.events().iter().any(|event| event.fact.kind() == "job.finished"));
}

#[tokio::test]
async fn a_cancelled_run_stops_its_programs_closes_and_reports() {
    let site = Site::new(json!({"kind": "command", "post_hook": "exit 0", "command": "echo x"}));
    let pid = site.dir.path().join("pid");
    let mut task = site.task();
    task.group.command = Some(format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 300", pid.display()));
    let (stop, cancel) = Cancel::channel();
    let run = site.attempt_under(task, &cancel);
    let stopping = async {
        eventually("the command runs", || pid.exists().then_some(())).await;
        stop.send_replace(Some(Why::Cancelled));
    };
    let (verdict, ()) = tokio::join!(run, stopping);
    assert_eq!(verdict.state, Ended::Cancelled);
    assert_eq!(site.litter(), 0);
    for always in ["post-backup-hook", "record-backup", "report"] {
        assert_eq!(site.step(always), Some(StepState::Succeeded), "{always}");
    }
    let pid = std::fs::read_to_string(&pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).join("exe").exists(), "the command lives on");
}

#[tokio::test]
async fn damage_is_found_and_nothing_damaged_is_restored() {
    let site = Site::new(json!({"kind": "command", "command": "seq 1 50000"}));
    assert_eq!(site.run().await.state, Ended::Succeeded);
    let record = site.archives()[0];
    let payload = site.repository().join(record.to_string()).join("payload.zst");
    let bytes = std::fs::read(&payload).unwrap();
    let target = site.dir.path().join("restored");
    let damage: [(&str, Vec<u8>); 3] = [
        (
            "a flipped bit",
            bytes.iter().enumerate().map(|(at, byte)| if at == 500 { byte ^ 1 } else { *byte }).collect(),
        ),
        ("a short file", bytes[..bytes.len() - 1].to_vec()),
        ("a longer file", [bytes.as_slice(), b"x"].concat()),
    ];
    for (what, damaged) in damage {
        std::fs::write(&payload, damaged).unwrap();
        assert!(archive::verify(&site.repository(), record).is_err(), "{what}");
        assert!(site.restore(record, &target).is_err(), "{what}");
        assert!(!target.exists(), "{what}");
    }
    let left: Vec<_> =
        std::fs::read_dir(site.dir.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("restoring")), "{left:?}");
    let ended = program::run(&mut command(&[
        "agent",
        "verify",
        &record.to_string(),
        "--repository",
        site.repository().to_str().unwrap(),
    ]))
    .await;
    assert_eq!(ended.code(), 4, "{ended:?}");
}

#[tokio::test]
async fn pruning_removes_what_it_was_told_and_nothing_of_another_group() {
    let site = Site::new(json!({"kind": "command", "command": "echo data"}));
    assert_eq!(site.run().await.state, Ended::Succeeded);
    let old = site.archives()[0];
    let prune = |record| vec![Prunable { record, snapshot: None, reason: "keep-last 1".to_owned() }];
    let mut task = site.task();
    task.prune = prune(old);
    task.group.id = highwater::ground::wire::id::GroupId::fresh();
    assert_eq!(site.attempt(task).await.state, Ended::Succeeded);
    assert!(site.archives().contains(&old), "of another group");
    let mut task = site.task();
    task.prune = prune(old);
    assert_eq!(site.attempt(task).await.state, Ended::Succeeded);
    assert!(!site.archives().contains(&old));
    assert_eq!(site.step(&format!("remove/{old}")), Some(StepState::Skipped), "the first time");
    let history = std::fs::read_to_string(site.root().join("prune.log")).unwrap();
    assert!(history.contains(&old.to_string()), "{history}");
    assert_eq!(site.litter(), site.archives().len());
}

#[tokio::test]
async fn restic_backs_up_warns_and_restores() {
    if Command::new("restic").arg("version").output().is_err() {
        assert!(std::env::vars_os().all(|(name, _)| name != "CI"), "CI needs restic");
        eprintln!("restic is not installed here; its backups are not tried");
        return;
    }
    let mut site = Site::new(json!({"kind": "restic"}));
    let home = site.home();
    std::fs::write(home.join("notes"), "hello").unwrap();
    let password = site.dir.path().join("password");
    std::fs::write(&password, "correct horse").unwrap();
    let url = site.dir.path().join("restic");
    site.config["groups"][0]["includes"] = json!([home]);
    site.config["repositories"][0]["kind"] = json!("restic");
    site.config["repositories"][0]["url"] = json!(url);
    let settings = |init: bool| {
        format!(
            "[group.home]\nverify = true\n[repository.\"{}\"]\ninit = {init}\npassword_file = \"{}\"\nenv = {{ RESTIC_CACHE_DIR = \"{}\" }}\n",
            url.display(),
            password.display(),
            site.dir.path().join("cache").display()
        )
    };
    site.settings(&settings(false));
    let verdict = site.run().await;
    assert_eq!(verdict.state, Ended::Failed);
    site.settings(&settings(true));
    let verdict = site.run().await;
    assert_eq!(verdict.state, Ended::Succeeded, "{verdict:?}");
    assert_eq!(
        site.steps()
            .iter()
            .filter(|(name, state)| name == "verify" && *state == StepState::Succeeded)
            .count(),
        1
    );
    let snapshot = site.events().into_iter().find_map(|event| match event.fact {
        Fact::RecordPublished(record) => record.snapshot,
        _ => None,
    });
    let target = site.dir.path().join("restored");
    let task = site.task();
    let (_keep, cancel) = Cancel::channel();
    let restored = task.restic().restore(&snapshot.unwrap(), &target, &cancel).await.unwrap();
    assert!(restored.is_success(), "{restored:?}");
    let notes = target.join(home.strip_prefix("/").unwrap()).join("notes");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "hello");
    // Root reads everything but this: restic ends with 3, and the snapshot is there.
    let mut task = site.task();
    task.group.includes.push("/proc/self/mem".to_owned());
    let verdict = site.attempt(task).await;
    assert_eq!(verdict.state, Ended::Warned, "{verdict:?}");
    let mut task = site.task();
    task.group.includes.push(site.dir.path().join("gone").display().to_string());
    let verdict = site.attempt(task).await;
    assert_eq!(verdict.state, Ended::Failed, "what is not there is found before anything runs");
}

#[tokio::test]
async fn plan_draws_what_would_run_and_why_and_touches_nothing() {
    let site = Site::new(json!({"kind": "command", "command": "pg_dump app", "post_hook": "echo done"}));
    site.install();
    let text = site.agent(&["plan", "home"]).await.success().stdout;
    assert!(text.contains("+ backup") && text.contains("pg_dump app → "), "{text}");
    let chart = site.agent(&["plan", "home", "--mermaid"]).await.success().stdout;
    assert!(chart.starts_with("flowchart TD\n"), "{chart}");
    std::fs::remove_dir(site.repository()).unwrap();
    let text = site.agent(&["backup", "home", "--dry-run"]).await.success().stdout;
    assert!(text.contains("- check-destination") && text.contains("- backup"), "{text}");
    assert!(text.contains("+ report"), "{text}");
    let unknown = site.agent(&["plan", "nothing"]).await;
    assert_eq!(unknown.code(), 2);
    assert!(unknown.stderr.contains("the server knows: home"), "{}", unknown.stderr);
    assert!(site.events().is_empty());
    site.agent(&["config", "check"]).await.success();
}

#[tokio::test]
async fn killed_before_an_archive_is_published_nothing_is_visible() {
    let site = Site::new(json!({"kind": "command", "command": "seq 1 1000"}));
    site.install();
    let root = site.root();
    let mut killed = command(&["agent", "backup", "home", "--dir", root.to_str().unwrap()]);
    let output = killed.env("HIGHWATER_FAULT", "archive.synced").output().await.unwrap();
    assert!(output.status.code().is_none(), "{output:?}");
    assert!(site.archives().is_empty());
    let journal: Vec<_> = std::fs::read_dir(root.join("runs")).unwrap().collect();
    assert_eq!(journal.len(), 1, "the open run is known");
    let ended = site.agent(&["backup", "home"]).await.success();
    assert!(ended.stdout.contains("succeeded"), "{ended:?}");
    assert_eq!(site.archives().len(), 1);
    let ends: Vec<Ended> = site
        .events()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::JobFinished(finished) => Some(finished.state),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [Ended::Interrupted, Ended::Succeeded], "the death is reported by the next start");
    assert_eq!(std::fs::read_dir(root.join("runs")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_signal_ends_a_backup_by_hand_and_it_is_reported() {
    let site = Site::new(json!({"kind": "command", "command": "echo begun >&2; sleep 300"}));
    site.install();
    let root = site.root();
    let running = program::start(&mut command(&["agent", "backup", "home", "--dir", root.to_str().unwrap()]));
    let started = || {
        let steps = site.events();
        let runs = |event: &Event| matches!(&event.fact, Fact::StepStarted(step) if step.step == "backup");
        steps.iter().any(runs).then_some(())
    };
    eventually("the backup runs", started).await;
    running.signal(nix::sys::signal::Signal::SIGTERM);
    let ended = tokio::time::timeout(Duration::from_secs(60), running.ended()).await.unwrap();
    assert_eq!(ended.code(), 130, "{ended:?}");
    let finished = site.events().into_iter().find_map(|event| match event.fact {
        Fact::JobFinished(finished) => Some(finished.state),
        _ => None,
    });
    assert_eq!(finished, Some(Ended::Interrupted));
}

#[tokio::test]
async fn whatever_a_death_leaves_one_run_has_one_end() {
    let site = Site::new(json!({"kind": "command", "command": "echo data"}));
    site.install();
    let root = site.root();
    let mut killed = command(&["agent", "backup", "home", "--dir", root.to_str().unwrap()]);
    let output = killed.env("HIGHWATER_FAULT", "journal.close").output().await.unwrap();
    assert!(output.status.code().is_none(), "{output:?}");
    site.agent(&["backup", "home"]).await.success();
    let ends = site.events().into_iter().filter_map(|event| match event.fact {
        Fact::JobFinished(finished) => Some((event.job, finished.state)),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 3, "told again, for nobody knows whether it was");
    assert_eq!(ends[0], ends[1]);
    assert!(ends.iter().all(|(_, state)| *state == Ended::Succeeded), "{ends:?}");
}
