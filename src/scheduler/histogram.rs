//! Durations counted in buckets, as Prometheus takes them.

use std::time::Duration;

/// Upper bounds of the buckets in seconds: from what a statement on a local server takes to what nobody should wait for.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Durations, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; BOUNDS.len()],
    /// Above all bounds too.
    pub count: u64,
    pub seconds: f64,
}

impl Histogram {
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.seconds += seconds;
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
    }

    /// Each bound with how many durations were no longer than it.
    pub fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        BOUNDS.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulated_and_what_is_above_all_is_counted() {
        let mut histogram = Histogram::default();
        for ms in [1, 2, 3, 60_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let found: Vec<(f64, u64)> = histogram.cumulated().collect();
        assert_eq!(found[..4], [(0.001, 1), (0.0025, 2), (0.005, 3), (0.01, 3)]);
        assert_eq!((found.last().unwrap().1, histogram.count), (3, 4));
        assert!((histogram.seconds - 60.006).abs() < 1e-9);
    }
}
