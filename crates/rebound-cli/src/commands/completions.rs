//! `rebound completions`: what a shell completes.

use std::process::ExitCode;

use clap_complete::{Shell, generate};
use rebound_dev::commands::CommandError;
use rebound_dev::output;

/// Print what makes your shell complete commands and flags.
///
/// bash: `source <(rebound completions bash)` in ~/.bashrc. zsh: `rebound completions zsh > "${fpath[1]}/_rebound"`. fish: `rebound completions
/// fish > ~/.config/fish/completions/rebound.fish`. PowerShell: `rebound completions powershell | Out-String | Invoke-Expression` in $PROFILE.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, mut command: clap::Command) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "rebound", &mut script);
    output::write_as_it_is(std::io::stdout(), &String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}
