//! The operator's commands, on the embedded AWS.

mod any_stop;
mod campaigns;
mod check;
pub(crate) mod connect;
mod doctor;
mod doctor_act;
mod doctor_consent;
mod followups;
mod forget;
mod hints;
mod hostile;
mod lists;
mod mistakes;
mod permissions;
mod replay;
mod restore;
mod scheduled;
mod sending;
mod simulate;
mod slips;
mod snippets;
mod stops;
mod suppressions;
mod tail;
mod timeline;
mod topics;
mod unsubscribe;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use rebound_cli::operate::suppressions::List;
use rebound_cli::operate::target::{Target, TargetArguments};
use rebound_dev::stack::EmbeddedAws;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// The place that an embedded AWS is.
pub(crate) async fn place(aws: &EmbeddedAws) -> Target {
    Target::find(&TargetArguments::default(), aws.variables().clone()).await.unwrap()
}

pub(crate) fn list(place: &Target) -> List {
    List {
        calls: place.calls(Duration::from_secs(60)),
        suppressions: place.table("SUPPRESSIONS_TABLE").to_owned(),
        events: place.table("EVENTS_TABLE").to_owned(),
    }
}

/// Exit code and output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandOutput {
    /// Each line of standard output, as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:#?}"))).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Time after which a command that should have nothing to wait for is taken to be in a loop. It says nothing about speed:
/// the machine may be busy.
const LOOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs a command that has nothing to wait for. Panics if it goes on for as long as a loop of attempts does.
pub(crate) async fn at_once(variables: &BTreeMap<String, String>, arguments: &[&str]) -> CommandOutput {
    let output = tokio::time::timeout(LOOP_TIMEOUT, command(variables, arguments, "")).await;
    output.unwrap_or_else(|_| panic!("{arguments:?} still runs after {LOOP_TIMEOUT:?}"))
}

/// Runs the real command with these variables and no others, and with this on standard input.
pub(crate) async fn command(variables: &BTreeMap<String, String>, arguments: &[&str], input: &str) -> CommandOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rebound"));
    command.args(arguments).env_clear().envs(variables).env("USER", "tester");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut running = command.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let input = input.to_owned();
    let write = async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let ((), output) = tokio::join!(write, running.wait_with_output());
    let output = output.unwrap();
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same, on an embedded AWS.
pub(crate) async fn rebound(aws: &EmbeddedAws, arguments: &[&str]) -> CommandOutput {
    command(aws.variables(), arguments, "").await
}

/// `rebound dev`, on free ports.
pub(crate) struct Dev {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
}

impl Dev {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with these variables of the shell.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), variables, &[]).await
    }

    /// The same, with its files in this folder, and with these options.
    pub(crate) async fn start_in(folder: tempfile::TempDir, variables: &[(&str, &str)], options: &[&str]) -> Self {
        let file = folder.path().join("dev.env");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rebound"));
        command.args([
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--dynamodb",
            "127.0.0.1:0",
            "--consent",
            "127.0.0.1:0",
            "--window",
            "0.2",
            "--redeliver",
            "0.3",
        ]);
        command.args(options).arg("--env-file").arg(&file).env_clear().envs(variables.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // The file of a `dev` that was killed before.
        let _ = std::fs::remove_file(&file);
        let child = command.kill_on_drop(true).spawn().unwrap();
        for _ in 0..600 {
            if std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
                return Self { child, folder };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`rebound dev` did not start within 30 s");
    }

    /// Kills it, and answers its folder.
    pub(crate) async fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().await.unwrap();
        self.folder
    }

    /// The variables that point the command at it.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.folder.path().join("dev.env")).unwrap();
        text.lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Runs the command on it.
    pub(crate) async fn rebound(&self, arguments: &[&str]) -> CommandOutput {
        command(&self.variables(), arguments, "").await
    }

    pub(crate) async fn place(&self) -> Target {
        let local = Some(self.folder.path().join("dev.env"));
        Target::find(&TargetArguments { local, ..TargetArguments::default() }, []).await.unwrap()
    }
}

#[tokio::test]
async fn the_help_of_every_command_has_a_purpose_and_details() {
    let all = command(&BTreeMap::new(), &["--help"], "").await.stdout;
    let commands = all.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let commands: Vec<&str> = commands.skip_while(|name| *name != "demo").take_while(|name| *name != "help").collect();
    for name in [
        "check",
        "suppressions",
        "timeline",
        "tail",
        "campaigns",
        "replay",
        "forget",
        "connect",
        "doctor",
        "simulate",
        "dev",
        "unsubscribe-link",
    ] {
        assert!(commands.contains(&name), "{name} of {commands:?}");
        let help = command(&BTreeMap::new(), &[name, "--help"], "").await.stdout;
        let (first, rest) = help.split_once("\n\n").unwrap();
        assert!(first.ends_with('.') && first.lines().count() <= 2, "{name}: {first}");
        assert!(!rest.starts_with("Usage:"), "{name} has a paragraph after its first line");
    }
}
