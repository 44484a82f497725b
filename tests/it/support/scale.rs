//! How much of a test is run: a little by default, all that is promised under `make soak`.

use highwater::ground::config;

/// Asks for the long form.
const VARIABLE: &str = "HIGHWATER_SOAK";

/// The first number, or the second one when the suite is soaked.
pub fn scaled(ci: usize, soak: usize) -> usize {
    if config::env(VARIABLE).is_some() { soak } else { ci }
}
