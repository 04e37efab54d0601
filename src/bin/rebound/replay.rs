//! `rebound replay`.

use std::process::ExitCode;

use crate::Failure;
use crate::place::PlaceArguments;

/// Handle stored events again; what happened does not happen again.
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
