//! What tests share: a database of their own each, and the program as a user runs it.

pub mod cluster;
pub mod database;
pub mod draw;
pub mod eventually;
pub mod http;
pub mod pooler;
pub mod program;
pub mod proxy;
pub mod scale;
pub mod small_disk;

pub use database::TestDb;
