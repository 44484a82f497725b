//! The `highwater` program: parses the command line, runs one command, turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(highwater::cli::main().code())
}
