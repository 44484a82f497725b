//! PG* variables, which stand behind a connection string and a service file.

use super::{KNOWN, Parameters};
use crate::db::DbError;
use crate::ground::config;

/// Variables that say where a server is; any other alone leaves the choice to the embedded one.
const PLACES: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"];

pub fn names_a_server() -> bool {
    PLACES.iter().any(|name| config::env(name).is_some())
}

pub fn add(parameters: &mut Parameters) -> Result<(), DbError> {
    for known in KNOWN {
        if let Some(variable) = known.variable
            && let Some(value) = config::env(variable)
        {
            parameters.add(known.name, value, variable)?;
        }
    }
    Ok(())
}
