//! All tests against a real Postgres: one binary, so that they link once; one file per subject.

mod command_line;
mod demo;
mod embedded;
mod floors;
mod isolation;
mod migrate_database;
mod migrate_files;
mod migrate_history;
mod migrate_hook;
mod migrate_index;
mod migrate_lock;
mod migrate_pooler;
mod migrate_statement;
mod read;
mod readme;
mod rollup;
mod rollup_census;
mod scheduler_claim;
mod scheduler_cost;
mod scheduler_plan;
mod scheduler_site;
mod scheduler_states;
mod scheduler_worker;
mod sql_files;
mod states;
mod support;
