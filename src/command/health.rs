//! `highwater health`: asks a running worker whether it is ready; for containers, which have no other client.

use crate::api::probe;
use crate::command::say::{say, tell};
use crate::ground::exit::Exit;

/// Ask a worker on this machine whether it is ready
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 ready; 1 not ready, or nobody answers.")]
pub struct Args {
    /// What to ask
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9187/readyz?verbose")]
    url: String,
}

/// Runs the command.
///
/// # Errors
///
/// None: what goes wrong is the answer.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match probe::get(&args.url).await {
        Ok((200, body)) => {
            say!("{}", body.trim_end());
            Ok(Exit::Done)
        }
        Ok((_, body)) => {
            say!("{}", body.trim_end());
            Ok(Exit::Unexpected)
        }
        Err(reason) => {
            tell!("error: {reason}");
            Ok(Exit::Unexpected)
        }
    }
}
