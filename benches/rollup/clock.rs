//! Timing on a machine with other things to do: wall time, and the processor time of the server beside it.

use std::time::{Duration, Instant};

use anyhow::Context;
use highwater::db::{Executor, Session};

use crate::place::Place;
use crate::report::median;

/// Processor time of one session's backend so far, in seconds.
async fn backend_seconds(session: &Session) -> anyhow::Result<f64> {
    let row = session.query_one(include_str!("sql/backend.sql"), &[]).await?;
    Ok(row.get::<_, i64>("nanoseconds") as f64 / NANOSECONDS)
}

const NANOSECONDS: f64 = 1e9;

/// A backend that has closed its connection needs a moment to end; the postmaster counts its time only then.
const EXIT_PAUSE: Duration = Duration::from_millis(200);

/// The kernel counts in hundredths of a second (`USER_HZ`) wherever Postgres runs on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// One measured run, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: f64,
    /// Of all backends that ended within it: work that no neighbour on the machine can add to, though it can slow it.
    pub processor: f64,
}

impl Took {
    /// The medians of both times.
    pub fn median(of: &[Took]) -> Took {
        Took {
            wall: median(of.iter().map(|took| took.wall).collect()),
            processor: median(of.iter().map(|took| took.processor).collect()),
        }
    }

    /// Of what one session does from now until [`Measured::end`], without the client's share of the processor.
    pub async fn measure(session: &Session) -> anyhow::Result<Measured> {
        Ok(Measured { processor: backend_seconds(session).await?, at: Instant::now() })
    }
}

/// A measurement of one session that has begun.
pub struct Measured {
    at: Instant,
    processor: f64,
}

impl Measured {
    pub async fn end(self, session: &Session) -> anyhow::Result<Took> {
        let wall = self.at.elapsed().as_secs_f64();
        Ok(Took { wall, processor: backend_seconds(session).await? - self.processor })
    }
}

/// Reads the processor time of ended backends.
pub struct Clock {
    postmaster: i32,
}

/// A measurement that has begun.
pub struct Begun {
    at: Instant,
    processor: f64,
}

impl Clock {
    pub async fn new(place: &Place) -> anyhow::Result<Clock> {
        let row = place.session().await?.query_one(include_str!("sql/postmaster.sql"), &[]).await?;
        Ok(Clock { postmaster: row.get("pid") })
    }

    pub async fn begin(&self) -> anyhow::Result<Begun> {
        tokio::time::sleep(EXIT_PAUSE).await;
        Ok(Begun { processor: self.processor()?, at: Instant::now() })
    }

    /// Ends a measurement whose connections are closed.
    pub async fn end(&self, begun: Begun) -> anyhow::Result<Took> {
        let wall = begun.at.elapsed().as_secs_f64();
        tokio::time::sleep(EXIT_PAUSE).await;
        Ok(Took { wall, processor: self.processor()? - begun.processor })
    }

    /// `cutime` and `cstime` of the postmaster, see proc(5); 0 when the server is on another machine.
    fn processor(&self) -> anyhow::Result<f64> {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.postmaster)) else {
            return Ok(0.0);
        };
        // The name before the last bracket may hold blanks; cutime is field 16, and 3 is the first one after it.
        let fields: Vec<&str> =
            stat.rsplit_once(')').context("a process without a name")?.1.split_whitespace().collect();
        let ticks = |field: usize| -> anyhow::Result<f64> {
            Ok(fields.get(field - 3).context("too few fields")?.parse()?)
        };
        Ok((ticks(16)? + ticks(17)?) / TICKS_PER_SECOND)
    }
}
