//! `rebound dev`: the whole service in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use rebound::local::stack::{EmbeddedAws, Options, serve_function_url};

use crate::{Failure, variable};

/// Run the whole service in this process, on an embedded AWS.
///
/// It honours the environment variables of the functions. Where AWS_ENDPOINT_URL_DYNAMODB or
/// AWS_ENDPOINT_URL_SECRETS_MANAGER is set, that one is used instead of the embedded one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the function URL listens
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the embedded DynamoDB listens
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    dynamodb: SocketAddr,
    /// Keep the tables in this file; without it they are in memory
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Seconds that an open or a click settles before it is decided about; without effect until that is built
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    settle: u64,
    /// Start only the embedded AWS, for functions that run elsewhere, and print their environment
    #[arg(long)]
    aws_only: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !arguments.aws_only {
        rebound::logging::init(variable);
    }
    let options = Options { dynamodb: arguments.dynamodb, data: arguments.data.clone() };
    let aws = EmbeddedAws::start(&options, variable).await?;
    let mut function_url = None;
    if arguments.aws_only {
        // What the shell has, the functions have from the shell: a secret of its own is not to be copied to a file.
        for (name, value) in aws.variables().iter().filter(|(name, value)| variable(name).as_ref() != Some(*value)) {
            println!("{name}={value}");
        }
        println!("REBOUND_LOCAL=ready");
    } else {
        let server = serve_function_url(arguments.listen, aws.receiver().await?).await?;
        let address = |name: &str| aws.variable(name).unwrap_or_default();
        println!("function URL     {}/", server.url());
        println!("DynamoDB         {}", address("AWS_ENDPOINT_URL_DYNAMODB"));
        println!("Secrets Manager  {}", address("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
        println!("tables           {} {}", address("EVENTS_TABLE"), address("SUPPRESSIONS_TABLE"));
        let secret = match (variable("RESEND_WEBHOOK_SECRET"), &aws.secrets_manager) {
            (Some(_), _) => "RESEND_WEBHOOK_SECRET, from the environment",
            (None, Some(_)) => rebound::local::LOCAL_SECRET,
            (None, None) => "the one that WEBHOOK_SECRET_ARN names",
        };
        println!("signing secret   {secret}");
        println!("\nIn another terminal: rebound sample email.bounced --post {}/", server.url());
        println!("Ctrl-C stops it.");
        function_url = Some(server);
    }
    tokio::signal::ctrl_c().await?;
    drop(function_url);
    Ok(ExitCode::SUCCESS)
}
