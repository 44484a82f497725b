//! Printing that outlives its reader: a closed pipe under `println!` is a panic, and must not end an upgrade half way.

/// A line on stdout: results. Nobody reading it is no error.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

/// A line on stderr: what a person should know meanwhile. Nobody reading it is no error.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

pub(crate) use {say, tell};
