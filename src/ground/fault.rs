//! Places where a test may kill the process, to see what a crash leaves. Debug builds only: a release has none of them.

/// Kills this process, as SIGKILL does, when the environment's `HIGHWATER_FAULT` is `place`, or `place:N` at the N-th
/// time that it is passed. In a release it is nothing.
#[cfg(debug_assertions)]
pub fn point(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = super::config::env("HIGHWATER_FAULT")?;
        Some(match text.rsplit_once(':') {
            Some((place, count)) => (place.to_owned(), count.parse().ok()?),
            None => (text, 1),
        })
    });
    if let Some((name, count)) = wanted
        && name == place
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        // No destructor, no flush: the kernel is all that remains.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_place: &str) {}
