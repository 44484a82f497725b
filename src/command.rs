//! One file per subcommand: flags, one call, printing. No SQL, no decisions.

pub mod postgres;
