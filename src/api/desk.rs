//! What the endpoints work with.

use std::sync::Arc;

use super::limiter::Limiter;
use super::ready::Readiness;
use crate::db::pool::Pool;
use crate::db::target::Target;
use crate::ground::shutdown::Shutdown;
use crate::scheduler::vitals::Vitals;

/// Connections for requests: most wait for the network and not for the database.
const CONNECTIONS: usize = 16;

/// Shared by all requests.
#[derive(Clone)]
pub struct Desk {
    pub vitals: Arc<Vitals>,
    pub ready: Arc<Readiness>,
    pub pool: Pool,
    pub limiter: Arc<Limiter>,
    /// Asks long polls to end.
    pub shutdown: Shutdown,
}

impl Desk {
    /// A desk for one database; nothing is connected yet.
    pub fn new(target: Arc<Target>, vitals: Arc<Vitals>, rate: u32, shutdown: Shutdown) -> Desk {
        Desk {
            vitals,
            pool: Pool::new(&target, "api", CONNECTIONS),
            ready: Arc::new(Readiness::new(target)),
            limiter: Arc::new(Limiter::new(rate)),
            shutdown,
        }
    }
}
