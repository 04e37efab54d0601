//! The options that name the target of a command: a stack, or `rebound dev`.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, FromArgMatches};
use rebound_cli::operate::target::flags::Flags;
use rebound_cli::operate::target::{STACK, Target, TargetOptions, is_local};
use rebound_dev::LOCAL_FILE;
use rebound_dev::commands::{CommandError, variable};

/// The variable that names the stack if no flag does.
const STACK_VARIABLE: &str = "REBOUND_STACK";

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetArguments {
    /// Name of the stack [default: the variable REBOUND_STACK, else `rebound`]
    #[arg(long, value_name = "NAME", value_parser = stack, conflicts_with = "local")]
    stack: Option<String>,
    /// Use `rebound dev` on this machine. If it writes another file than the default, name the file after an equals sign
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_FILE)]
    local: Option<PathBuf>,
    /// AWS profile of the credentials
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    profile: Option<String>,
    /// AWS region
    #[arg(long, value_name = "REGION", value_parser = region, conflicts_with = "local")]
    region: Option<String>,
}

/// Reads the name of a stack (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>).
fn stack(name: &str) -> Result<String, String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match name {
        _ if is_name => Ok(name.to_owned()),
        "" => Err(format!("the name is empty: name a stack, or omit the flag for `{STACK}`")),
        _ => Err("a stack name has letters, digits and hyphens, and begins with a letter".to_owned()),
    }
}

/// Reads a region. Only its form is checked: new regions appear every year.
fn region(name: &str) -> Result<String, String> {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] if words.len() >= 2 && words.iter().all(is_word) && number.parse::<u8>().is_ok() => {
            Ok(name.to_owned())
        }
        _ => Err("a region ends with a number, such as eu-west-1".to_owned()),
    }
}

impl TargetArguments {
    /// Returns the options of a whole command line, if its command has them.
    pub(crate) fn of(mut matches: &ArgMatches) -> Option<Self> {
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        Self::from_arg_matches(matches).ok()
    }

    /// Returns true if the target is `rebound dev` on this machine: by `--local`, or by its variables in the shell.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some() || variable("AWS_ENDPOINT_URL_DYNAMODB").is_some_and(|url| is_local(&url))
    }

    /// Returns true if `--local` is given.
    pub(crate) const fn names_local(&self) -> bool {
        self.local.is_some()
    }

    /// Returns the flags as they were given.
    pub(crate) fn flags(&self) -> Flags {
        let local = self.local.as_deref().map(|file| match file == Path::new(LOCAL_FILE) {
            true => "--local".to_owned(),
            false => format!("--local={}", file.display()),
        });
        let named = [("--stack", &self.stack), ("--profile", &self.profile), ("--region", &self.region)];
        let named = named.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value.clone()?]));
        Flags::new(local.into_iter().chain(named.flatten()))
    }

    /// Returns a command with the same target, for a hint: `` `rebound connect --local` ``.
    pub(crate) fn command(&self, command: &str) -> String {
        self.flags().command(command)
    }

    /// Finds the target. If it is on this machine, also checks that it runs.
    pub(crate) async fn find(&self) -> Result<Target, CommandError> {
        let from_shell = || variable(STACK_VARIABLE).filter(|name| self.local.is_none() && !name.trim().is_empty());
        let named = match (&self.stack, from_shell()) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => stack(name.trim()).map_err(|why| format!("{STACK_VARIABLE} is {name}: {why}"))?,
            (None, None) => STACK.to_owned(),
        };
        let options = TargetOptions {
            stack: named,
            local: self.local.clone(),
            profile: self.profile.clone(),
            region: self.region.clone(),
            flags: self.flags(),
        };
        // Variables that are not valid text belong to other programs.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let target = Target::find(&options, variables).await?;
        target.look().await?;
        Ok(target)
    }

    /// Returns these options, or `--local` if `url` is the function URL of the `rebound dev` that runs in this folder.
    pub(crate) fn at(&self, url: &str) -> Self {
        let is_named = self.local.is_some() || self.stack.is_some() || self.profile.is_some() || self.region.is_some();
        let line = format!("REBOUND_FUNCTION_URL={}", url.trim_end_matches('/'));
        let is_its = |text: String| text.lines().any(|known| known.trim_end_matches('/') == line);
        match !is_named && std::fs::read_to_string(LOCAL_FILE).is_ok_and(is_its) {
            true => Self { local: Some(LOCAL_FILE.into()), ..self.clone() },
            false => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_stack_or_region_is_refused_with_a_hint() {
        assert!(stack("rebound-2").is_ok());
        for wrong in ["", "my_stack", "2nd", "a b"] {
            assert!(stack(wrong).is_err(), "{wrong}");
        }
        for right in ["eu-west-1", "us-gov-east-1", "ap-southeast-12"] {
            assert!(region(right).is_ok(), "{right}");
        }
        for wrong in ["", "eu-west", "Frankfurt", "eu west 1", "eu-west-1a", "EU-WEST-1"] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }
}
