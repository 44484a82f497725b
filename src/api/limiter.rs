//! How many requests a caller may send: a bucket of tokens each, filled at the rate. It is this process's own count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;
use uuid::Uuid;

use super::refusal::Refusal;

/// Requests a second of one caller, unless the operator says otherwise.
pub const DEFAULT_RATE: u32 = 100;

/// A caller may send this many seconds' worth at once.
const BURST_SECONDS: f64 = 2.0;

/// Callers whose buckets are full again are forgotten when there are more than this.
const MOST: usize = 10_000;

/// The buckets of all callers.
pub struct Limiter {
    rate: f64,
    buckets: Mutex<HashMap<Uuid, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// A limiter of `rate` requests a second for each caller.
    pub fn new(rate: u32) -> Limiter {
        Limiter { rate: f64::from(rate.max(1)), buckets: Mutex::default() }
    }

    /// Lets a request through.
    ///
    /// # Errors
    ///
    /// 429 with the time after which one will be let through.
    pub fn admit(&self, caller: Uuid) -> Result<(), Refusal> {
        let most = self.rate * BURST_SECONDS;
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > MOST {
            let rate = self.rate;
            buckets.retain(|_, bucket| bucket.filled(rate, most, now) < most);
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { left: most, at: now });
        let filled = bucket.filled(self.rate, most, now);
        if filled < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - filled) / self.rate);
            let detail = format!("more than {} requests a second; wait and send it again", self.rate);
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, detail).later(wait));
        }
        *bucket = Bucket { left: filled - 1.0, at: now };
        Ok(())
    }
}

impl Bucket {
    fn filled(self, rate: f64, most: f64, now: Instant) -> f64 {
        (self.left + now.duration_since(self.at).as_secs_f64() * rate).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_gets_through_and_no_more_and_callers_do_not_share() {
        let limiter = Limiter::new(10);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let at_once = (0..100).filter(|_| limiter.admit(one).is_ok()).count();
        assert_eq!(at_once, 20);
        assert!(limiter.admit(other).is_ok());
        let mut later = 0;
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(50)).await;
            later += usize::from(limiter.admit(one).is_ok());
        }
        assert_eq!(later, 50);
    }
}
