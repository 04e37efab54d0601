//! The embedded AWS in a process of its own: what is measured must not share the driver's time with it.
//!
//! The driver starts itself once more. That other process ends when its standard input is closed: when the driver ends, however it does.

use std::collections::BTreeMap;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_local::tls::{Certificate, Terminator};
use rebound::aws::AwsEnvironment;
use rebound_dev::stack::{EmbeddedAws, Options};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;

/// What comes before the names of the variables that are others behind TLS.
const BEHIND_TLS: &str = "TLS_";

/// Linux's folder in memory.
const IN_MEMORY: &str = "/dev/shm";

/// How many KB must be free there: a million events take 2.6 million.
const ROOM: u64 = 4_000_000;

/// The last line: everything is there.
const READY: &str = "REBOUND_LOCAL=ready";

/// A function's environment.
pub(crate) type Variables = BTreeMap<String, String>;

/// The other process, as the driver sees it.
pub(crate) struct Elsewhere {
    /// Its standard input is closed when this is dropped.
    _child: Child,
    data: PathBuf,
    plain: Variables,
    behind_tls: Variables,
}

impl Elsewhere {
    /// Starts it, with empty tables in a file in this folder.
    pub(crate) async fn start(data: Option<&Path>) -> Result<Self, Failure> {
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

    /// Where its file is.
    pub(crate) fn data(&self) -> &Path {
        &self.data
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

/// A folder in memory, where there is one with room: the engine waits for the disk at each write, and that would be most of what is
/// measured. Else the one for temporary files.
fn data_folder() -> PathBuf {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let is_large = |kilobytes: &str| kilobytes.parse::<u64>().is_ok_and(|kilobytes| kilobytes >= ROOM);
    // A container's is often limited to 64 MB. One without a limit may take half of the memory.
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

/// What the other process does, with its files in a new folder in `data`, which it takes away again.
pub(crate) async fn serve(data: &Path) -> Result<(), Failure> {
    let failed = |error| format!("{}: {error}; name another folder with --data", data.display());
    let folder = tempfile::Builder::new().prefix("rebound-bench-").tempdir_in(data).map_err(failed)?;
    // In a file, where the engine's writes don't get slower with each one: see `local::dynamodb`.
    let options = Options { data: Some(folder.path().join("bench.db")), ..Options::in_memory() };
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
        // Of the driver too, which ends then.
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    drop(folder);
    // The thread that reads could not be ended otherwise.
    std::process::exit(0)
}
