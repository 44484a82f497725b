//! `highwater postgres`: the embedded server.

use crate::cli::Global;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_global: &Global, _args: Args, _shutdown: &Shutdown) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
