//! Drives a walk: begins what may begin, tells of every beginning and end, stops what takes too long or was cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::build::Graph;
use super::walk::{End, Walk};

/// An action that was told to stop is given up after this long: twice what a program gets between SIGTERM and SIGKILL,
/// and some.
const GIVEN_UP: Duration = Duration::from_secs(15);

/// Why an action is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Somebody cancelled the run.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
    /// Another attempt may be under way.
    Lost,
    /// The agent ends.
    Ending,
}

/// A request to stop, to look at or to wait for; clones share it.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<Option<Why>>);

impl Cancel {
    /// A request that can be made once.
    pub fn channel() -> (watch::Sender<Option<Why>>, Cancel) {
        let (sender, receiver) = watch::channel(None);
        (sender, Cancel(receiver))
    }

    /// Whether it was made.
    pub fn get(&self) -> Option<Why> {
        *self.0.borrow()
    }

    /// Resolves when it is made; never, if nobody can make it any more.
    pub async fn requested(&self) -> Why {
        let mut receiver = self.0.clone();
        if let Ok(why) = receiver.wait_for(Option::is_some).await
            && let Some(why) = *why
        {
            return why;
        }
        std::future::pending().await
    }
}

/// What is known of an action that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    pub exit_code: Option<i32>,
    /// The end of what it printed.
    pub log_tail: Option<String>,
    pub bytes_added: Option<u64>,
}

impl From<End> for Outcome {
    fn from(end: End) -> Outcome {
        Outcome { end, exit_code: None, log_tail: None, bytes_added: None }
    }
}

/// One thing that is told about a run, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Began { name: String },
    Ended { name: String, outcome: Outcome },
}

/// Whoever does the actions.
#[async_trait]
pub trait Perform: Send + Sync + 'static {
    /// Does one action; ends soon after `cancel` is requested.
    async fn perform(&self, name: &str, cancel: &Cancel) -> Outcome;

    /// Hears of every beginning and end, in their order; the walk waits meanwhile.
    async fn told(&self, step: Step);
}

/// Runs a graph to its end. `capacity` says how many may hold a resource at once; one, if it is not said.
pub async fn run<P: Perform>(
    graph: &Graph,
    capacity: BTreeMap<String, usize>,
    performer: &Arc<P>,
    cancel: &Cancel,
) -> BTreeMap<String, End> {
    let mut walk = Walk::begin(graph, capacity);
    let mut tasks: JoinSet<(usize, Outcome)> = JoinSet::new();
    let mut stops: BTreeMap<usize, watch::Sender<Option<Why>>> = BTreeMap::new();
    let mut tasks_of: HashMap<tokio::task::Id, usize> = HashMap::new();
    let mut is_cut = false;
    loop {
        for place in walk.start() {
            let action = &graph.actions()[place];
            performer.told(Step::Began { name: action.name.clone() }).await;
            let (stop, own) = Cancel::channel();
            stops.insert(place, stop.clone());
            let (performer, name, timeout) = (Arc::clone(performer), action.name.clone(), action.timeout);
            let task =
                tasks.spawn(async move { (place, bounded(&*performer, &name, timeout, stop, own).await) });
            tasks_of.insert(task.id(), place);
        }
        for (place, reason) in walk.take_skipped() {
            let name = graph.actions()[place].name.clone();
            performer.told(Step::Ended { name, outcome: End::Skipped(reason).into() }).await;
        }
        if walk.is_over() {
            break;
        }
        let joined = tokio::select! {
            joined = tasks.join_next() => joined,
            why = cancel.requested(), if !is_cut => {
                is_cut = true;
                for place in walk.cancel() {
                    if let Some(stop) = stops.get(&place) {
                        stop.send_replace(Some(why));
                    }
                }
                continue;
            }
        };
        match joined {
            Some(Ok((place, outcome))) => {
                stops.remove(&place);
                let name = graph.actions()[place].name.clone();
                walk.end(place, outcome.end.clone());
                performer.told(Step::Ended { name, outcome }).await;
            }
            Some(Err(error)) => {
                tracing::error!(error = %error, "an action ended with a panic");
                if let Some(place) = tasks_of.remove(&error.id()) {
                    stops.remove(&place);
                    let end = End::Failed("the agent failed in the middle of it".to_owned());
                    walk.end(place, end.clone());
                    let name = graph.actions()[place].name.clone();
                    performer.told(Step::Ended { name, outcome: end.into() }).await;
                }
            }
            None => break,
        }
    }
    let ends = graph.actions().iter().enumerate();
    ends.filter_map(|(place, action)| Some((action.name.clone(), walk.end_of(place)?.clone()))).collect()
}

/// One action under its time limit, and given up when it does not stop.
async fn bounded<P: Perform>(
    performer: &P,
    name: &str,
    timeout: Option<Duration>,
    stop: watch::Sender<Option<Why>>,
    cancel: Cancel,
) -> Outcome {
    let work = performer.perform(name, &cancel);
    tokio::pin!(work);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let limit = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let why = tokio::select! {
        outcome = &mut work => return outcome,
        () = limit => {
            stop.send_replace(Some(Why::TimedOut));
            Why::TimedOut
        }
        why = cancel.requested() => why,
    };
    match tokio::time::timeout(GIVEN_UP, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let words = match why {
                Why::TimedOut => "did not stop when its time was over",
                Why::Cancelled | Why::Lost | Why::Ending => "did not stop when the run was cut short",
            };
            End::Failed(format!("{name} {words}")).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::action::Action;
    use super::*;

    #[derive(Default)]
    struct Scribe {
        told: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Perform for Scribe {
        async fn perform(&self, name: &str, cancel: &Cancel) -> Outcome {
            match name {
                "fails" => End::Failed("no".to_owned()).into(),
                "panics" => panic!("planted"),
                "waits" => match cancel.requested().await {
                    Why::TimedOut => End::Failed("timed out".to_owned()).into(),
                    Why::Cancelled | Why::Lost | Why::Ending => End::Failed("cancelled".to_owned()).into(),
                },
                "deaf" => std::future::pending().await,
                _ => End::Succeeded.into(),
            }
        }

        async fn told(&self, step: Step) {
            let line = match step {
                Step::Began { name } => format!("{name} began"),
                Step::Ended { name, outcome } => match outcome.end {
                    End::Skipped(reason) => format!("{name} skipped: {reason}"),
                    End::Failed(reason) => format!("{name} failed: {reason}"),
                    End::Succeeded | End::Warned(_) => format!("{name} ended"),
                },
            };
            self.told.lock().unwrap().push(line);
        }
    }

    async fn told(actions: Vec<Action>, cancel: &Cancel) -> Vec<String> {
        let scribe = Arc::new(Scribe::default());
        run(&Graph::build(actions).unwrap(), BTreeMap::new(), &scribe, cancel).await;
        scribe.told.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn every_action_is_told_of_once_also_after_a_panic() {
        let (_keep, cancel) = Cancel::channel();
        let actions = vec![
            Action::new("panics"),
            Action::new("needs").needs("panics"),
            Action::new("after").after("needs"),
        ];
        let lines = told(actions, &cancel).await;
        let expected = [
            "panics began",
            "panics failed: the agent failed in the middle of it",
            "needs skipped: panics failed",
            "after began",
            "after ended",
        ];
        let mut sorted = lines.clone();
        sorted.sort();
        let mut wanted = expected.map(str::to_owned).to_vec();
        wanted.sort();
        assert_eq!(sorted, wanted, "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_stops_an_action_and_a_deaf_one_is_given_up() {
        let (_keep, cancel) = Cancel::channel();
        let limit = Some(Duration::from_secs(2));
        let actions = vec![Action::new("waits").within(limit), Action::new("deaf").within(limit)];
        let lines = told(actions, &cancel).await;
        assert!(lines.contains(&"waits failed: timed out".to_owned()), "{lines:?}");
        assert!(
            lines.contains(&"deaf failed: deaf did not stop when its time was over".to_owned()),
            "{lines:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_run_stops_what_it_may_and_closes() {
        let (sender, cancel) = Cancel::channel();
        let actions = vec![
            Action::new("waits"),
            Action::new("next").needs("waits"),
            Action::new("close").after("waits").closes(),
        ];
        let run = told(actions, &cancel);
        let stop = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send_replace(Some(Why::Cancelled));
        };
        let (lines, ()) = tokio::join!(run, stop);
        let expected = [
            "waits began",
            "waits failed: cancelled",
            "close began",
            "next skipped: waits failed",
            "close ended",
        ];
        let mut sorted = lines.clone();
        sorted.sort();
        let mut wanted = expected.map(str::to_owned).to_vec();
        wanted.sort();
        assert_eq!(sorted, wanted, "{lines:?}");
    }
}
