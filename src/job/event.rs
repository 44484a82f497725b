//! Reports of hosts: merged into jobs, steps, records and slots so that neither order nor repetition nor delay matters.
//!
//! What flows in is a batch of [`crate::ground::wire::event::Event`]s; what flows out is a verdict for each. The merge
//! is pure and works on what [`apply`] has loaded: every group of columns that a report fills carries the [`stamp`] of
//! the report it came from, and the greatest stamp wins. A merge by greatest stamp is commutative, associative and
//! idempotent, so that no history has to be read again. Event, job, marks of the rollups and alarms are one transaction.

pub mod apply;
pub mod existing;
pub mod job;
pub mod moment;
pub mod names;
pub mod record;
pub mod stamp;
pub mod step;
