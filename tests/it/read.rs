//! Reading rollups.

mod field;
mod live;
