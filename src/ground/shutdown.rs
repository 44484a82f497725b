//! SIGINT and SIGTERM as a value that work can look at or wait for.
//!
//! The first signal asks for a clean end: current slices finish or roll back. A second one asks for the end now.

use tokio::sync::watch;

/// How urgently the process was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    None,
    /// Stop taking new work; end what is in hand cleanly.
    Soon,
    /// Cancel what is in hand.
    Now,
}

/// A cheap handle on the request to end; clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    urgency: watch::Receiver<Urgency>,
}

/// The asking side of a [`Shutdown`].
#[derive(Debug)]
pub struct Trigger {
    urgency: watch::Sender<Urgency>,
}

/// A pair for callers that bring their own signals, and for tests.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Urgency::None);
    (Trigger { urgency: sender }, Shutdown { urgency: receiver })
}

impl Trigger {
    /// Raises the urgency by one step.
    pub fn raise(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Soon } else { Urgency::Now }
        });
    }
}

impl Shutdown {
    /// Listens for SIGINT and SIGTERM for the rest of the process's life.
    ///
    /// # Errors
    ///
    /// When the operating system refuses a signal handler.
    pub fn from_signals() -> std::io::Result<Shutdown> {
        use tokio::signal::unix::{SignalKind, signal};
        let (trigger, shutdown) = channel();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => trigger.raise(),
                    Some(()) = terminate.recv() => trigger.raise(),
                    else => return,
                }
            }
        });
        Ok(shutdown)
    }

    pub fn urgency(&self) -> Urgency {
        *self.urgency.borrow()
    }

    pub fn is_requested(&self) -> bool {
        self.urgency() > Urgency::None
    }

    /// Resolves once the urgency is at least `wanted`; never, if the asking side is gone.
    pub async fn at_least(&self, wanted: Urgency) {
        let mut receiver = self.urgency.clone();
        if receiver.wait_for(|urgency| *urgency >= wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
