//! Pauses between tries to reach the database: growing, bounded and spread out, so that a server that comes back is
//! not met by all workers at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// First and longest pause. Work is to go on within seconds of the server's return, so the longest is short.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Counts failures in a row and says how long to wait after each.
#[derive(Debug, Default)]
pub struct Pace {
    failures: u32,
}

impl Pace {
    /// The pause after one more failure: between half and all of a doubling span.
    pub fn pause(&mut self) -> Duration {
        let span = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = span / 2;
        half + half.mul_f64(fraction())
    }

    /// All is well again. Returns whether it was not.
    pub fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

/// A number of `[0, 1)` that differs from call to call and from process to process; good enough to spread pauses.
pub fn fraction() -> f64 {
    // A new RandomState has new keys, so that the hash of nothing is random.
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_anew() {
        let mut pace = Pace::default();
        for failure in 0..40_u32 {
            let span = FIRST.saturating_mul(1 << failure.min(10)).min(LONGEST);
            let pause = pace.pause();
            assert!(pause >= span / 2 && pause <= span, "{failure}: {pause:?}");
        }
        assert!(pace.reset());
        assert!(!pace.reset());
        assert!(pace.pause() <= FIRST);
    }
}
