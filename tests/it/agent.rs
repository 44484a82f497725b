//! The agent: its outbox and its runs. No test here needs a database.

mod backup;
mod duty;
mod field;
mod outbox;
mod outbox_kill;
mod outbox_shelf;
mod replay;
mod server;
mod site;
