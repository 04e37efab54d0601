//! The embedded AWS in a separate process, so that it does not use the driver's CPU time.
//!
//! The driver starts itself a second time. The other process ends when its standard input is closed: when the driver
//! ends, for whatever reason.

use std::collections::BTreeMap;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_local::tls::{Certificate, Terminator};
use rebound::aws::AwsEnvironment;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::BoxError;

/// Prefix of the variables that differ behind TLS.
const BEHIND_TLS: &str = "TLS_";

/// Linux's in-memory file system.
const IN_MEMORY: &str = "/dev/shm";

/// Required free space there, in KB: a million events take 2.6 million.
const ROOM: u64 = 4_000_000;

/// Last line of the output: the process is ready.
const READY: &str = "REBOUND_LOCAL=ready";

/// The environment variables of a function.
pub(crate) type Variables = BTreeMap<String, String>;

/// The other process.
pub(crate) struct AwsProcess {
    /// Dropping this closes the process's standard input.
    _child: Child,
    data: PathBuf,
    plain: Variables,
    behind_tls: Variables,
}

impl AwsProcess {
    /// Starts the process, with empty tables in a file in this folder.
    pub(crate) async fn start(data: Option<&Path>) -> Result<Self, BoxError> {
        let data = data.map_or_else(data_folder, Path::to_owned);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("aws").arg(&data).env_clear();
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
        Ok(Self { _child: child, data, plain, behind_tls })
    }

    /// Path of its file.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The environment variables of a function that uses it.
    pub(crate) fn variables(&self) -> &Variables {
        &self.plain
    }

    /// The variables with DynamoDB and Secrets Manager behind TLS.
    pub(crate) fn behind_tls(&self) -> Variables {
        self.with(&self.behind_tls)
    }

    /// The variables with another URL of DynamoDB.
    pub(crate) fn with_dynamodb(&self, url: String) -> Variables {
        self.with(&Variables::from([("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url)]))
    }

    fn with(&self, others: &Variables) -> Variables {
        let mut variables = self.plain.clone();
        variables.extend(others.clone());
        variables
    }

    /// Returns one variable.
    pub(crate) fn variable(&self, name: &str) -> Result<String, BoxError> {
        Ok(self.plain.get(name).ok_or_else(|| format!("the embedded AWS has no {name}"))?.clone())
    }

    /// Creates a client of its DynamoDB.
    pub(crate) fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, BoxError> {
        Ok(AwsEnvironment::read(|name| self.plain.get(name).cloned())?.dynamodb())
    }
}

/// Chooses a folder in memory if there is one with enough space: otherwise the engine waits for the disk at each write,
/// which would dominate the measurement. Else the folder for temporary files.
fn data_folder() -> PathBuf {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let is_large = |kilobytes: &str| kilobytes.parse::<u64>().is_ok_and(|kilobytes| kilobytes >= ROOM);
    // In a container it is often limited to 64 MB. Without a limit it may take half of the memory.
    let mounts = read("/proc/mounts");
    let mut mount = mounts.lines().filter(|line| line.split(' ').nth(1) == Some(IN_MEMORY));
    let has_room = mount.next().is_some_and(|line| {
        let mut options = line.split(' ').nth(3).unwrap_or_default().split(',');
        let size = options.find_map(|option| option.strip_prefix("size="));
        size.is_none_or(|size| is_large(size.trim_end_matches('k')))
    });
    let memory = read("/proc/meminfo");
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let is_free = available.is_some_and(|size| is_large(size.trim().trim_end_matches(" kB")));
    if has_room && is_free { PathBuf::from(IN_MEMORY) } else { std::env::temp_dir() }
}

/// Runs the other process, with its files in a new folder in `data`, which it deletes at the end.
pub(crate) async fn serve(data: &Path) -> Result<(), BoxError> {
    let failed = |error| format!("{}: {error}; name another folder with --data", data.display());
    let folder = tempfile::Builder::new().prefix("rebound-bench-").tempdir_in(data).map_err(failed)?;
    // In a file: a long bench may store more than fits in memory.
    let options = LocalAwsOptions { data: Some(folder.path().join("bench.db")), ..LocalAwsOptions::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await?;
    for (name, value) in aws.variables() {
        println!("{name}={value}");
    }
    let (certificate, authorities) = (Certificate::new()?, folder.path().join("authorities.pem"));
    certificate.write_after(rebound::aws::AMAZON_ROOTS, &authorities)?;
    println!("{BEHIND_TLS}SSL_CERT_FILE={}", authorities.display());
    let mut terminators = Vec::new();
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let terminator = Terminator::start(&aws.variable(name).unwrap_or_default(), &certificate).await?;
        println!("{BEHIND_TLS}{name}={}", terminator.url());
        terminators.push(terminator);
    }
    println!("{READY}");
    let mut closed = tokio::task::spawn_blocking(|| stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        closed = &mut closed => drop(closed?),
        // Ctrl-C reaches the driver too, which ends then.
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    drop(folder);
    // The reading thread cannot be stopped in another way.
    std::process::exit(0)
}
