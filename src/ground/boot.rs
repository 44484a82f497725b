//! This boot of the machine: its id, and a clock that counts from it and that nobody sets.

use nix::time::{ClockId, clock_gettime};

/// Where Linux keeps the id.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The id of this boot; without one (no Linux) the process's own, so that its offsets are never mixed with another's.
pub fn id() -> String {
    match std::fs::read_to_string(BOOT_ID) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => format!("process-{}", std::process::id()),
    }
}

/// Milliseconds since boot; goes on while the machine sleeps, and is not moved when somebody sets the time.
pub fn elapsed_ms() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_MONOTONIC;
    let now = clock_gettime(clock).expect("every system has this clock");
    now.tv_sec() * 1_000 + now.tv_nsec() / 1_000_000
}
