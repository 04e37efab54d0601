//! The embedded AWS in a process of its own: what is measured must not share the driver's time with it.
//!
//! The driver starts itself once more. That other process ends when its standard input is closed: when the driver ends, however it does.

use std::collections::BTreeMap;
use std::io::{Read, stdin};
use std::path::Path;
use std::process::Stdio;

use rebound::aws::AwsEnvironment;
use rebound::local::stack::{EmbeddedAws, Options};
use rebound::local::tls::{Certificate, Terminator};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;

/// What comes before the names of the variables that are others behind TLS.
const BEHIND_TLS: &str = "TLS_";

/// The last line: everything is there.
const READY: &str = "REBOUND_LOCAL=ready";

/// A function's environment.
pub(crate) type Variables = BTreeMap<String, String>;

/// The other process, as the driver sees it.
pub(crate) struct Elsewhere {
    _child: Child,
    _folder: tempfile::TempDir,
    plain: Variables,
    behind_tls: Variables,
}

impl Elsewhere {
    /// Starts it, with empty tables.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("aws").arg(folder.path()).env_clear().kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        let (mut plain, mut behind_tls) = (Variables::new(), Variables::new());
        loop {
            let line = lines.next_line().await?;
            let line = line.ok_or("the embedded AWS ended before it was ready; what it says is above")?;
            if line == READY {
                break;
            }
            let (name, value) = line.split_once('=').ok_or("the embedded AWS printed no environment")?;
            match name.strip_prefix(BEHIND_TLS) {
                Some(name) => behind_tls.insert(name.to_owned(), value.to_owned()),
                None => plain.insert(name.to_owned(), value.to_owned()),
            };
        }
        Ok(Self { _child: child, _folder: folder, plain, behind_tls })
    }

    /// The environment of a function that runs on it.
    pub(crate) fn variables(&self) -> &Variables {
        &self.plain
    }

    /// The same, with DynamoDB and Secrets Manager behind TLS.
    pub(crate) fn behind_tls(&self) -> Variables {
        self.with(&self.behind_tls)
    }

    /// The same, with DynamoDB there.
    pub(crate) fn with_dynamodb(&self, url: String) -> Variables {
        self.with(&Variables::from([("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url)]))
    }

    fn with(&self, others: &Variables) -> Variables {
        let mut variables = self.plain.clone();
        variables.extend(others.clone());
        variables
    }

    /// One variable.
    pub(crate) fn variable(&self, name: &str) -> Result<String, Failure> {
        Ok(self.plain.get(name).ok_or_else(|| format!("the embedded AWS has no {name}"))?.clone())
    }

    /// A client of its DynamoDB.
    pub(crate) fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, Failure> {
        Ok(AwsEnvironment::read(|name| self.plain.get(name).cloned())?.dynamodb())
    }
}

/// What the other process does.
pub(crate) async fn serve(folder: &Path) -> Result<(), Failure> {
    // In a file, where the engine's writes don't get slower with each one: see `local::dynamodb`.
    let options = Options { data: Some(folder.join("bench.db")), ..Options::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await?;
    for (name, value) in aws.variables() {
        println!("{name}={value}");
    }
    let (certificate, authorities) = (Certificate::new()?, folder.join("authorities.pem"));
    certificate.write(&authorities)?;
    println!("{BEHIND_TLS}SSL_CERT_FILE={}", authorities.display());
    let mut terminators = Vec::new();
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let terminator = Terminator::start(&aws.variable(name).unwrap_or_default(), &certificate).await?;
        println!("{BEHIND_TLS}{name}={}", terminator.url());
        terminators.push(terminator);
    }
    println!("{READY}");
    tokio::task::spawn_blocking(|| stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
