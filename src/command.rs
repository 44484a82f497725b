//! One file per subcommand: flags, one call, printing. No SQL, no decisions.

pub mod migrate;
pub mod postgres;
