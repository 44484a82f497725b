//! One run, from the claim to its end: the handler works until it is done, or until its lease is lost, its time is over,
//! or the worker wants to end now. A panic is a failure.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep};
use tracing::field::Empty;
use tracing::{Instrument, debug, info, warn};

use super::handler::{self, Context};
use super::job::Kind;
use super::lease::{Hold, Loss};
use super::outcome::Outcome;
use super::vitals::Vitals;
use crate::ground::shutdown::{Shutdown, Urgency};

/// Runs a claimed plan and hands its end over to be recorded. `abandon` asks to give it back now.
pub async fn execute(
    context: Context,
    abandon: Shutdown,
    ends: mpsc::UnboundedSender<(Hold, Outcome)>,
    vitals: Arc<Vitals>,
) {
    let began = Instant::now();
    let (claimed, hold) = (context.claimed.clone(), context.hold.clone());
    let span = tracing::info_span!(parent: None, "run", run = claimed.run.0, job = %claimed.job, scope = %claimed.scope, outcome = Empty, error = Empty);
    let work = handler::handle(context).instrument(span.clone());
    let outcome = guarded(work, &hold, claimed.timeout, &abandon).await;
    let took = began.elapsed();
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (job, scope, label) = (&claimed.job, &claimed.scope, outcome.label());
    vitals.count_run(job, label, took);
    span.record("outcome", label);
    match &outcome {
        Outcome::Failed(error) | Outcome::Crashed(error) => {
            span.record("error", error.as_str());
            warn!(run = %claimed.run, %job, %scope, outcome = label, elapsed_ms, attempts = claimed.attempts, error = %error, "{job} failed: {error}");
        }
        // Every minute and of every rollup: the ledger has it.
        Outcome::Done(_) if claimed.kind == Kind::Builtin => {
            debug!(run = %claimed.run, %job, %scope, elapsed_ms, "{job} done");
        }
        Outcome::Done(_) | Outcome::Stopped | Outcome::Recorded | Outcome::Lost => {
            info!(run = %claimed.run, %job, %scope, outcome = label, elapsed_ms, "{job} {label}");
        }
    }
    if outcome.word().is_none() {
        hold.end();
        return;
    }
    hold.ending();
    // No receiver: the worker has ended, and the lease will run out.
    let _ = ends.send((hold, outcome));
}

async fn guarded(
    work: impl Future<Output = Outcome> + Send + 'static,
    hold: &Hold,
    timeout: Duration,
    abandon: &Shutdown,
) -> Outcome {
    // A task of its own, so that a panic ends it and not the worker.
    let mut work = tokio::spawn(work);
    let (outcome, is_over) = tokio::select! {
        ended = &mut work => (ended.unwrap_or_else(panicked), true),
        loss = hold.lost() => {
            match loss {
                Loss::Taken => {}
                Loss::Unverified => warn!(run = %hold.run, "nobody could be asked whether run {} is still ours; it stops", hold.run),
            }
            (Outcome::Lost, false)
        }
        () = sleep(timeout) => {
            (Outcome::Failed(format!("timed out after {}", humantime::format_duration(timeout))), false)
        }
        () = abandon.at_least(Urgency::Soon) => (Outcome::Stopped, false),
    };
    if !is_over {
        work.abort();
        // Whatever it holds is let go before its end is recorded.
        let _ = work.await;
    }
    outcome
}

fn panicked(error: JoinError) -> Outcome {
    let words = match error.try_into_panic() {
        Ok(payload) => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(words), _) => (*words).to_owned(),
            (None, Some(words)) => words.clone(),
            (None, None) => "without words".to_owned(),
        },
        Err(cancelled) => cancelled.to_string(),
    };
    Outcome::Failed(format!("panicked: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::shutdown;
    use crate::scheduler::lease::{Holdings, RunId, Token};

    const HOUR: Duration = Duration::from_secs(3600);

    fn hold() -> (Holdings, Hold) {
        let holdings = Holdings::default();
        let hold = holdings.begin(RunId(1), Token(1), Instant::now());
        (holdings, hold)
    }

    // The old design wrote such a run down as a success when its heartbeat had failed first.
    #[tokio::test]
    async fn a_panic_is_a_failure_that_says_what_was_said() {
        let (_, shutdown) = shutdown::channel();
        let (_holdings, hold) = hold();
        let outcome = guarded(async { panic!("no {}", "luck") }, &hold, HOUR, &shutdown).await;
        assert_eq!(outcome, Outcome::Failed("panicked: no luck".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_takes_too_long_has_failed() {
        let (_trigger, shutdown) = shutdown::channel();
        let (holdings, hold) = hold();
        let beats = async {
            loop {
                holdings.renew(RunId(1), Token(1), Instant::now());
                sleep(Duration::from_secs(5)).await;
            }
        };
        let timeout = Duration::from_secs(60);
        let outcome = tokio::select! {
            outcome = guarded(std::future::pending(), &hold, timeout, &shutdown) => outcome,
            () = beats => unreachable!("beats for ever"),
        };
        assert_eq!(outcome, Outcome::Failed("timed out after 1m".to_owned()));
    }

    // The old design only wrote a line to its log, and let the handler go on beside its successor.
    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_cancels_the_handler() {
        let (_trigger, shutdown) = shutdown::channel();
        let (holdings, hold) = hold();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _alive = sender;
            std::future::pending().await
        };
        holdings.lose(RunId(1), Token(1));
        assert_eq!(guarded(work, &hold, HOUR, &shutdown).await, Outcome::Lost);
        assert!(receiver.await.is_err(), "the handler is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_run_gives_its_attempt_back() {
        let (trigger, shutdown) = shutdown::channel();
        let (_holdings, hold) = hold();
        trigger.raise();
        assert_eq!(guarded(std::future::pending(), &hold, HOUR, &shutdown).await, Outcome::Stopped);
    }
}
