//! The fence of rollup work that a run does in several steps.

use futures_util::future::BoxFuture;

use crate::rollup::RollupError;
use crate::rollup::watch::Fence;
use crate::scheduler::handler::Context;

/// Asks between steps whether the lease is still ours. The step in hand is one transaction under the locks of its own
/// slices, and right whoever makes it, so that nothing is lost by ending after it.
pub struct LeaseFence {
    context: Context,
}

impl LeaseFence {
    pub fn of(context: &Context) -> LeaseFence {
        LeaseFence { context: context.clone() }
    }
}

impl Fence for LeaseFence {
    fn check(&self) -> BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(async {
            let session = self.context.sessions.take().await?;
            let is_held = self.context.is_held(&*session).await?;
            self.context.sessions.put(session).await;
            if is_held { Ok(()) } else { Err(RollupError::LockLost) }
        })
    }
}
