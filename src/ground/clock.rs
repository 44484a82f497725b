//! The local clock. It is for display and for file names only: watermarks, leases and ledgers are stamped by the
//! database, because a host's clock may lie.

use chrono::{DateTime, Utc};

/// The host's idea of the time, for people to read; never written where a decision rests on it.
#[expect(clippy::disallowed_methods, reason = "the one local clock")]
pub fn local_now() -> DateTime<Utc> {
    Utc::now()
}
