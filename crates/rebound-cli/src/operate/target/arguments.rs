//! The options that select the target: every hint that names a command repeats them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, FromArgMatches};

use super::flags::quoted;
use super::{LOCAL_FILE, STACK, Target, TargetError, is_local};

/// The variable that names the stack if no flag does.
const STACK_VARIABLE: &str = "REBOUND_STACK";

/// The options that select the target of a command, as they were given.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArguments {
    /// Name of the stack [default: the variable REBOUND_STACK, else `rebound`]
    #[arg(long, value_name = "NAME", value_parser = stack, conflicts_with = "local")]
    pub stack: Option<String>,
    /// Use `rebound dev` on this machine. If it writes another file than the default, name the file after an equals sign
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_FILE)]
    pub local: Option<PathBuf>,
    /// AWS profile of the credentials
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    pub profile: Option<String>,
    /// AWS region
    #[arg(long, value_name = "REGION", value_parser = region, conflicts_with = "local")]
    pub region: Option<String>,
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
    pub fn of(mut matches: &ArgMatches) -> Option<Self> {
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        Self::from_arg_matches(matches).ok()
    }

    /// Returns true if the target is `rebound dev` on this machine: by `--local`, or by its variables in the shell.
    pub fn is_local(&self) -> bool {
        self.local.is_some() || std::env::var("AWS_ENDPOINT_URL_DYNAMODB").is_ok_and(|url| is_local(&url))
    }

    /// Returns true if `--local` is given.
    pub const fn names_local(&self) -> bool {
        self.local.is_some()
    }

    /// Returns a command with the same target, as it is typed and as it is quoted in a sentence: `` `rebound connect
    /// --local` ``.
    ///
    /// A hint without these options would name another target: `rebound connect` is about the real stack, and `rebound
    /// connect --local` is not. So a hint is never a text that names a command, but comes from here.
    pub fn command(&self, command: &str) -> String {
        let local = self.local.as_deref().map(|file| match file == Path::new(LOCAL_FILE) {
            true => "--local".to_owned(),
            false => format!("--local={}", file.display()),
        });
        let named = [("--stack", &self.stack), ("--profile", &self.profile), ("--region", &self.region)];
        let named = named.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value.clone()?]));
        let words = local.into_iter().chain(named.flatten());
        let flags: String = words.map(|word| format!(" {}", quoted(&word))).collect();
        format!("`rebound {command}{flags}`")
    }

    /// Returns the name of the stack: by `--stack`, else by the variable, which `--local` ignores, else the default.
    pub(super) fn stack_name(&self, variables: &BTreeMap<String, String>) -> Result<String, TargetError> {
        let from_shell = || variables.get(STACK_VARIABLE).filter(|_| self.local.is_none());
        match (&self.stack, from_shell()) {
            (Some(name), _) => Ok(name.clone()),
            (None, Some(name)) => stack(name.trim()).map_err(|why| TargetError::InvalidStack {
                variable: STACK_VARIABLE,
                name: name.clone(),
                why,
            }),
            (None, None) => Ok(STACK.to_owned()),
        }
    }

    /// Finds the target, with the variables of the shell. If it is on this machine, also checks that it runs.
    pub async fn find(&self) -> Result<Target, TargetError> {
        // Variables that are not valid text belong to other programs.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let target = Target::find(self, variables).await?;
        target.look().await?;
        Ok(target)
    }

    /// Returns these options, or `--local` if `url` is the function URL of the `rebound dev` that runs in this folder.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
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

    #[test]
    fn a_command_carries_the_flags_and_a_shell_reads_them_back() {
        let none = TargetArguments::default();
        assert_eq!(none.command("doctor"), "`rebound doctor`");
        let elsewhere =
            TargetArguments { stack: Some("staging".into()), region: Some("eu-west-1".into()), ..none.clone() };
        assert_eq!(elsewhere.command("connect"), "`rebound connect --stack staging --region eu-west-1`");
        let odd = TargetArguments { local: Some("it's here/dev.env".into()), ..none };
        assert_eq!(odd.command("doctor"), r"`rebound doctor '--local=it'\''s here/dev.env'`");
    }

    #[test]
    fn the_variable_names_the_stack_unless_a_flag_does() {
        let variables = |name: &str| BTreeMap::from([(STACK_VARIABLE.to_owned(), name.to_owned())]);
        let arguments = TargetArguments::default();
        assert_eq!(arguments.stack_name(&BTreeMap::new()).unwrap(), STACK);
        assert_eq!(arguments.stack_name(&variables("staging")).unwrap(), "staging");
        let error = arguments.stack_name(&variables("my_stack")).unwrap_err().to_string();
        assert!(error.starts_with("REBOUND_STACK is my_stack: a stack name has letters"), "{error}");
        let local = TargetArguments { local: Some(LOCAL_FILE.into()), ..arguments.clone() };
        assert_eq!(local.stack_name(&variables("staging")).unwrap(), STACK);
        let named = TargetArguments { stack: Some("live".to_owned()), ..arguments };
        assert_eq!(named.stack_name(&variables("staging")).unwrap(), "live");
    }
}
