//! The keeper: the postmaster's parent, detached from whoever started it.
//!
//! It runs on the main thread of its process and nowhere else: the postmaster's parent-death signal comes at the end
//! of the thread that started it, and the main thread ends only with the process.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{dup2_stdin, dup2_stdout};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::greeting;
use super::initdb;
use super::lease;
use super::location::Location;
use super::lock::{self, Mode};
use super::plan::Plan;
use super::postmaster::Postmaster;
use super::record::Record;
use super::report::{Failure, Report};

/// Longest wait for the processes of an earlier cluster, whose keeper was killed: the kernel has asked its postmaster
/// for a fast shutdown.
const ORPHAN_LIMIT: Duration = Duration::from_secs(45);

/// Longest wait for a lock that others only look at.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Keeps the server until it is unused, or SIGTERM or SIGINT asks for its end, or it ends by itself.
///
/// Standard input is the locked file `start`, which is let go once the server is ready; standard error is the log.
/// Returns whether there was a server.
pub async fn keep(plan: Plan) -> bool {
    let location = Location::at(plan.root.clone());
    match serve(&plan, &location).await {
        Ok(()) => true,
        Err(failure) => {
            warn!(?failure, "there is no server");
            report(&Report::Failed(failure));
            false
        }
    }
}

async fn serve(plan: &Plan, location: &Location) -> Result<(), Failure> {
    let signals = |error: std::io::Error| Failure::Prepare(format!("cannot listen to signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    // Listening is ignoring: a closed terminal is no reason to end.
    let _hangup = signal(SignalKind::hangup()).map_err(signals)?;
    let mut stop_asked = std::pin::pin!(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });

    // In this order: whoever sees the keeper's lock free may start another keeper.
    hold_for_life(&location.keeper(), "another keeper to end", LOOK_LIMIT).await?;
    let record =
        write_record(plan, location).map_err(|error| Failure::file("write", &location.keeper(), &error))?;
    // Unlike the keeper's it is let go when this ends, so that no one sees it held and the keeper's free, which is
    // the mark of a keeper that was killed.
    let cluster = hold(&location.cluster(), "the processes of the last cluster to end", ORPHAN_LIMIT).await?;

    let start = async {
        initdb::prepare(plan, location, &cluster).await?;
        Postmaster::start(plan, location, &cluster).await
    };
    let mut postmaster = tokio::select! {
        started = start => started?,
        // What was begun ends by its parent-death signal.
        () = &mut stop_asked => return Err(Failure::Start("it was asked to stop".to_owned())),
    };
    // No child of ours inherits it: the postmaster was started before.
    let visitors = match greeting::listen(location) {
        Ok(visitors) => visitors,
        Err(error) => {
            postmaster.stop().await;
            return Err(Failure::file("make", &location.greeting(), &error));
        }
    };
    report(&Report::Ready);
    let lease_path = location.lease();
    let _lease = tokio::select! {
        // In this order: who asks after the server was asked to stop is not told that it goes on.
        biased;
        status = postmaster.ended() => {
            warn!("the postmaster ended by itself: {status}");
            return Ok(());
        }
        () = &mut stop_asked => {
            info!("stopping the server: asked to");
            None
        }
        never = greeting::greet(&visitors, &record) => match never {},
        unused = lease::unused(&lease_path, Duration::from_millis(plan.grace_ms)) => match unused {
            Ok(lease) => {
                info!("stopping the server: no one uses it");
                Some(lease)
            }
            Err(error) => {
                warn!(%error, "stopping the server: cannot watch the lease");
                None
            }
        },
    };
    drop(visitors);
    let _ = std::fs::remove_file(location.greeting());
    postmaster.stop().await;
    if plan.wipe_at_stop
        && let Err(error) = initdb::erase(location)
    {
        warn!(%error, "cannot remove the cluster");
    }
    Ok(())
}

/// Takes a lock that only the kernel releases, when the process is gone: whoever waits for it waits for that.
async fn hold_for_life(path: &Path, what: &'static str, limit: Duration) -> Result<&'static File, Failure> {
    hold(path, what, limit).await.map(|file| &*Box::leak(Box::new(file)))
}

async fn hold(path: &Path, what: &'static str, limit: Duration) -> Result<File, Failure> {
    let held = lock::hold(path, Mode::Exclusive, what, limit).await;
    held.map_err(|error| Failure::Prepare(error.to_string()))
}

fn write_record(plan: &Plan, location: &Location) -> std::io::Result<Record> {
    let pid = nix::unistd::getpid().as_raw();
    let record = Record { pid, version: plan.version.clone(), binaries: plan.binaries.clone() };
    std::fs::write(location.keeper(), serde_json::to_vec(&record)?)?;
    Ok(record)
}

/// Tells the starter, if it still lives, and lets go of what connects us with it: its pipe and its lock.
fn report(report: &Report) {
    let line = serde_json::to_string(report).expect("a report is plain data");
    let told = writeln!(std::io::stdout(), "{line}");
    if let Err(error) = told {
        info!(%error, "the process that wanted the server is gone");
    }
    let released = File::options().read(true).write(true).open("/dev/null").and_then(|null| {
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        Ok(())
    });
    if let Err(error) = released {
        warn!(%error, "cannot let go of the start lock");
    }
}
