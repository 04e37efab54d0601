//! `rebound unsubscribe-link`: a link for an email of your own.

use std::process::ExitCode;

use rebound::policy::consent_link::{ConsentLink, unsubscribe_headers};
use rebound_cli::operate::unsubscribe::UnsubscribeLinks;
use rebound_dev::commands::{CommandError, variable};
use serde_json::{Map, json};

use crate::commands::suppressions::recipient;
use crate::commands::target::TargetArguments;

/// Print the link with which a recipient stops your email.
///
/// Put it into the text of the email, and set the two headers that --json prints: then Gmail and Yahoo show a button to
/// unsubscribe.
/// CONSENT_URL and CONSENT_KEY are used, if both are set. Otherwise they are looked up: in `rebound dev` with --local, else in the stack,
/// which needs cloudformation:DescribeStacks and secretsmanager:GetSecretValue.
/// The address can be read in the link.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address
    address: String,
    /// Resend's id of the email that has the link; stored with the opt-out
    #[arg(long, value_name = "ID")]
    email_id: Option<String>,
    /// Print JSON: the link, and the headers of the email
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let recipient = recipient(&arguments.address)?;
    let from_shell = |name| variable(name).filter(|text| !text.trim().is_empty() && !arguments.target.names_local());
    let links = match (from_shell("CONSENT_URL"), from_shell("CONSENT_KEY")) {
        (Some(url), Some(keys)) => UnsubscribeLinks::new(&url, &keys)?,
        _ => UnsubscribeLinks::of(&arguments.target.find().await?).await?,
    };
    let email_id = arguments.email_id.clone().filter(|id| !id.is_empty());
    let url = links.link(&ConsentLink { recipient, email_id })?;
    if arguments.json {
        let headers: Map<_, _> =
            unsubscribe_headers(&url).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        println!("{}", json!({ "url": url, "headers": headers }));
    } else {
        println!("{url}");
    }
    Ok(ExitCode::SUCCESS)
}
