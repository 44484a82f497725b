//! What tests share: a database of their own each, and the program as a user runs it.

pub mod database;
pub mod eventually;
pub mod program;

pub use database::TestDb;
