//! Reading rollups.

mod command;
mod explain;
mod field;
mod live;
mod mark;
mod measure;
mod sketch;
mod zones;
