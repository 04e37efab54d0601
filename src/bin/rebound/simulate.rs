//! `rebound simulate`.

use std::process::ExitCode;

use crate::Failure;
use crate::place::PlaceArguments;

/// Send a campaign's signed webhooks, and chaos, to any Rebound, and check what it makes of them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let _ = (arguments.place.find().await?, arguments.json);
    Err("not there yet".into())
}
