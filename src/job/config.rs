//! What a host is told about itself, with the revision that any edit of it raises.

use super::JobError;
use crate::db::Executor;
use crate::ground::wire::config::Config;
use crate::ground::wire::id::HostId;

/// A host's config, in one statement and hence of one moment.
///
/// # Errors
///
/// [`JobError::UnknownHost`] for a host that is not there or retired.
pub async fn read(db: &impl Executor, host: HostId) -> Result<Config, JobError> {
    let row = db.query_opt(include_str!("../../sql/job/config.sql"), &[&host.0]).await?;
    let row = row.ok_or_else(|| JobError::UnknownHost { host: host.to_string() })?;
    serde_json::from_value(row.get("config"))
        .map_err(|error| JobError::Invalid(format!("the config of host {host} cannot be told: {error}")))
}
