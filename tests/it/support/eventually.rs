//! Waiting for what no signal announces.

use std::time::{Duration, Instant};

/// Longest wait for a condition; far above what it takes, for the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` finds something.
///
/// # Panics
///
/// After [`DEADLINE`], naming `what`.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
