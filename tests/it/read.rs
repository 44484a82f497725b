//! Reading rollups.

mod command;
mod field;
mod live;
mod mark;
mod zones;
