//! `rebound connect`: registers the webhook at Resend.

use std::process::ExitCode;

use rebound::time::UnixMillis;
use rebound_cli::operate::connect::probe::ProbeResult;
use rebound_cli::operate::connect::{ConnectError, Connected, WebhookChange, connect};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use rebound_cli::operate::target::Target;
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, sanitize};
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use crate::commands::suppressions::from_resend;
use crate::commands::target::TargetArguments;

/// Register the webhook at Resend, store its signing secret, and import Resend's suppression list.
///
/// The command verifies that the function uses the secret. It can be run again at any time: correct settings are not changed.
/// It needs a Resend API key with full access, in RESEND_API_KEY or in the secret that the stack's output OperatorKeysArn names.
/// --rotate gives the webhook a new signing secret without a gap: both secrets are valid for 24 hours. After that, run the command again: it
/// removes the old secret.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// URL of the webhook [default: the function URL of the target]
    #[arg(value_parser = rebound_dev::commands::values::url)]
    url: Option<String>,
    /// Give the webhook a new signing secret
    #[arg(long)]
    rotate: bool,
    /// Do not import Resend's suppression list
    #[arg(long)]
    no_import: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => target.lookup("REBOUND_FUNCTION_URL").await?,
    };
    let progress = output::steps();
    on_ctrl_c(|| "The changes so far, at Resend and here, stay. Run the command again to continue".to_owned());
    let connected =
        connect(&target, &url, arguments.rotate, UnixMillis::now(), |step| progress.set_message(step)).await;
    progress.finish_and_clear();
    let connected = match connected {
        Err(error @ ConnectError::NotThere { .. }) if !arguments.json => {
            eprintln!("rebound: {error}");
            return Ok(ExitCode::FAILURE);
        }
        Err(ConnectError::NotThere { url, why }) => {
            let connected = json!({ "url": url, "webhook": null, "done": null, "proof": ProbeResult::NotRebound(why) });
            println!("{:#}", json!({ "connected": connected, "imported": null, "not_imported": null }));
            return Ok(ExitCode::FAILURE);
        }
        connected => connected?,
    };
    let imported = if arguments.no_import {
        None
    } else {
        Some(from_resend::import_from_resend(&target, LiftedByHand::Stay).await)
    };
    let is_proved = connected.proof == ProbeResult::Proved;
    if arguments.json {
        let (report, why) = match &imported {
            Some(Ok(report)) => (Some(report), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        println!("{:#}", json!({ "connected": connected, "imported": report, "not_imported": why }));
    } else {
        print(&connected, &target);
        match imported {
            Some(Ok(report)) => {
                print!("Resend's suppression list: ");
                report.print();
            }
            Some(Err(why)) => println!("Resend's suppression list was not imported: {}", sanitize(&why.to_string())),
            None => {}
        }
    }
    Ok(if is_proved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(connected: &Connected, target: &Target) {
    let (url, webhook) = (sanitize(&connected.url), sanitize(&connected.webhook));
    match connected.done {
        WebhookChange::Created => println!("The webhook {webhook} was registered at Resend, for {url}"),
        WebhookChange::Updated => println!("The settings of the webhook {webhook} were corrected, for {url}"),
        WebhookChange::Unchanged => println!("The webhook {webhook} is already configured correctly, for {url}"),
    }
    if !connected.subscribed.is_empty() {
        println!("Subscribed to {}", sanitize(&connected.subscribed.join(", ")));
    }
    if !connected.not_offered.is_empty() {
        println!(
            "Resend does not offer {} to this team yet; email.suppressed reports the same",
            connected.not_offered.join(", ")
        );
    }
    if connected.rotated {
        println!(
            "The webhook has a new signing secret. The old secret is valid for 24 more hours; run {} after that to remove it.",
            target.command("connect")
        );
    } else if connected.secret_stored {
        println!("The signing secret was stored.");
    } else {
        println!("The signing secret was already stored.");
    }
    if !connected.others.is_empty() {
        println!("Other webhooks at Resend, not changed: {}", sanitize(&connected.others.join(", ")));
    }
    for unread in &connected.unread {
        println!("A webhook at Resend could not be read, and was not changed: {}", sanitize(unread));
    }
    match &connected.proof {
        ProbeResult::Proved => println!("The function uses this secret: it was verified."),
        ProbeResult::Wrong | ProbeResult::NoSecret => println!(
            "The function does not use the secret yet. Wait a minute and run the command again; if that does not help, run {}.",
            target.command("doctor")
        ),
        ProbeResult::NotRebound(why) => {
            println!("There is no Rebound at {url}: {}. Is it the stack's output WebhookUrl?", sanitize(why));
        }
    }
}
