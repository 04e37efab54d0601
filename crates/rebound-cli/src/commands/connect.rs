//! `rebound connect`: the webhook at Resend.

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

use crate::commands::place::TargetArguments;
use crate::commands::suppressions::from_resend;

/// Register the webhook at Resend, put its signing secret in place, and take over whom Resend suppresses.
///
/// It proves that the function has the secret. It is safe to run again: what is as it must be stays as it is. It needs a key of Resend's API with full access, in RESEND_API_KEY or
/// in the secret that the stack's output OperatorKeysArn names.
/// --rotate gives the webhook a new secret without a gap: for 24 hours both are good; a later run drops the old one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The webhook's URL; without it, that of the stack
    #[arg(value_parser = rebound_dev::commands::values::url)]
    url: Option<String>,
    /// Give the webhook a new signing secret
    #[arg(long)]
    rotate: bool,
    /// Don't take over whom Resend suppresses
    #[arg(long)]
    no_import: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let place = arguments.place.find().await?;
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => place.lookup("REBOUND_FUNCTION_URL").await?,
    };
    let progress = output::steps();
    on_ctrl_c(|| "What was done, at Resend and here, stays. Run it again: it goes on from there".to_owned());
    let connected = connect(&place, &url, arguments.rotate, UnixMillis::now(), |step| progress.set_message(step)).await;
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
    let imported =
        if arguments.no_import { None } else { Some(from_resend::take_over(&place, LiftedByHand::Stay).await) };
    let is_proved = connected.proof == ProbeResult::Proved;
    if arguments.json {
        let (report, why) = match &imported {
            Some(Ok(report)) => (Some(report), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        println!("{:#}", json!({ "connected": connected, "imported": report, "not_imported": why }));
    } else {
        print(&connected, &place);
        match imported {
            Some(Ok(report)) => {
                print!("Resend's own list: ");
                report.print();
            }
            Some(Err(why)) => println!("Resend's own list was not taken over: {}", sanitize(&why.to_string())),
            None => {}
        }
    }
    Ok(if is_proved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(connected: &Connected, place: &Target) {
    let (url, webhook) = (sanitize(&connected.url), sanitize(&connected.webhook));
    match connected.done {
        WebhookChange::Created => println!("The webhook {webhook} is registered at Resend, for {url}"),
        WebhookChange::Updated => println!("The webhook {webhook} was brought into order, for {url}"),
        WebhookChange::Unchanged => println!("The webhook {webhook} is as it must be, for {url}"),
    }
    if !connected.subscribed.is_empty() {
        println!("Subscribed to {}", sanitize(&connected.subscribed.join(", ")));
    }
    if !connected.not_offered.is_empty() {
        println!(
            "Resend does not offer {} to this team yet; email.suppressed tells of the same",
            connected.not_offered.join(", ")
        );
    }
    if connected.rotated {
        println!(
            "It has a new signing secret. The old one is good for 24 hours; run {} after that to drop it.",
            place.command("connect")
        );
    } else if connected.secret_stored {
        println!("Its signing secret is in place.");
    } else {
        println!("The signing secret was in place already.");
    }
    if !connected.others.is_empty() {
        println!("Other webhooks at Resend, left alone: {}", sanitize(&connected.others.join(", ")));
    }
    for unread in &connected.unread {
        println!("A webhook at Resend can't be read, and was left alone: {}", sanitize(unread));
    }
    match &connected.proof {
        ProbeResult::Proved => println!("The function has proved that it has the secret."),
        ProbeResult::Wrong | ProbeResult::NoSecret => println!(
            "The function does not have the secret yet. Wait a minute and run it again; if that does not help, {} looks further.",
            place.command("doctor")
        ),
        ProbeResult::NotRebound(why) => {
            println!("There is no Rebound at {url}: {}. Is it the stack's output WebhookUrl?", sanitize(why));
        }
    }
}
