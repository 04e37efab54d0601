//! `rebound replay`: processes stored events again.

use std::process::ExitCode;
use std::time::Duration;

use rebound::resend::recipient::Recipient;
use rebound::time::UnixMillis;
use rebound_cli::operate::replay::effects::ReplayEffects;
use rebound_cli::operate::replay::select::{QUARANTINE, Selection};
use rebound_cli::operate::replay::{On, ReplayFunction, ReplayReport, replay};
use rebound_cli::operate::target::flags::quoted;
use rebound_dev::commands::CommandError;
use rebound_dev::commands::values::event_type;
use rebound_dev::output::{self, count, count_were, sanitize};
use rebound_dev::overlay::Overlay;
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use crate::commands::log::Log;
use crate::commands::target::TargetArguments;
use crate::commands::time::{check_received, time};
use crate::commands::timeline::WEBHOOK_ID;

/// Maximum number of lines that are shown of a list.
const MAX_SHOWN: usize = 20;

/// Process stored events again, with the same code. What was counted, published or decided before stays as it is.
///
/// The code of protect runs in this process, with the settings of the deployed function: it counts, sets brakes and sends alerts.
/// It sends opens and clicks to the queue of engage. With --function engage, the command only sends opens and clicks to this queue.
/// --dry-run runs the same code on a copy of the data, shows what would be new, and writes nothing.
///
/// The command makes one Query for each email. Without ids of emails, it reads the whole events table.
/// It needs the permissions of protect's role, and dynamodb:Scan on the events table. For protect's settings it also needs
/// lambda:GetFunctionConfiguration and cloudformation:DescribeStacks, unless CAMPAIGN_TAG or POLICY is set in the shell.
/// docs/operations.md lists these permissions as a policy.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Ids of emails, or other partition keys of the events table
    emails: Vec<String>,
    /// Only events of this type, such as email.complained, or quarantine for unreadable webhooks; can be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = stored_type)]
    types: Vec<String>,
    /// Only events that were received at this time or later, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixMillis>,
    /// Only events that were received before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixMillis>,
    /// Every stored event
    #[arg(long)]
    all: bool,
    /// The function that processes the events
    #[arg(long, value_name = "FUNCTION", default_value = "protect", value_parser = ["protect", "engage"])]
    function: String,
    /// Show what would be new, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Reads the type of a stored event.
fn stored_type(text: &str) -> Result<String, String> {
    if text == QUARANTINE { Ok(text.to_owned()) } else { event_type(text).map(|known| known.as_str().to_owned()) }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if let Some(address) = arguments.emails.iter().find(|id| Recipient::parse(id).is_some()) {
        let address = sanitize(address);
        let timeline = arguments.target.command(&format!("timeline --address {}", quoted(&address)));
        return Err(format!("{address} is an address, not the id of an email: {timeline} lists the ids").into());
    }
    check_received(arguments.since, arguments.until)?;
    let selection = Selection {
        partitions: arguments.emails.clone(),
        types: arguments.types.clone(),
        since: arguments.since,
        until: arguments.until,
    };
    let is_bounded = !(selection.partitions.is_empty() && selection.types.is_empty())
        || selection.since.is_some()
        || selection.until.is_some();
    if !is_bounded && !arguments.all {
        return Err("which events? Name emails, --type, --since or --until; or --all for every event".into());
    }
    let function = if arguments.function == "engage" { ReplayFunction::Engage } else { ReplayFunction::Protect };
    if let Some(of_no_use) = arguments.types.iter().find(|event_type| !function.handles_type(event_type)) {
        let handles = match function {
            ReplayFunction::Engage => "it handles email.opened and email.clicked",
            ReplayFunction::Protect => "it only stores them",
        };
        return Err(
            format!("{} does nothing about events of the type {of_no_use}: {handles}", arguments.function).into()
        );
    }
    let target = arguments.target.find().await?;
    let calls = target.calls(Duration::from_secs(6 * 3_600));
    let progress = output::counting("rows read");
    let read = |rows: usize| progress.inc(rows as u64);
    let rows = selection.rows(&calls, target.table("EVENTS_TABLE"), function, read).await?;
    progress.finish_and_clear();
    let unknown = selection.without_rows(&rows);
    for id in &unknown {
        let is_webhooks = id.starts_with(WEBHOOK_ID);
        let hint = if is_webhooks {
            "this is the id of a webhook; the id of the email is in its body, as email_id"
        } else {
            "is it the email id from Resend?"
        };
        eprintln!("rebound: no event of {} is stored that {} processes; {hint}", sanitize(id), arguments.function);
    }
    if !unknown.is_empty() && rows.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let copy = match arguments.dry_run {
        true => Some(Overlay::start(target.aws().dynamodb(), |variable| target.table(variable).to_owned()).await?),
        false => None,
    };
    let on = copy.as_ref().map_or(On::Target, |copy| On::Copy(copy.variables()));
    let progress = output::progress(rows.len() as u64, "events");
    if !arguments.dry_run {
        let (bar, of) = ((*progress).clone(), rows.len());
        on_ctrl_c(move || {
            let at = bar.position();
            format!("{at} of {of} events were processed; their results stay. Run the command again for the rest")
        });
    }
    let log = Log::default();
    let _logging = tracing::dispatcher::set_default(&log.dispatch());
    let report = replay(&target, &rows, function, on, |events| progress.inc(events as u64)).await?;
    progress.finish_and_clear();
    let causes: Vec<String> = report.why.clone().into_iter().chain(log.causes()).collect();
    if arguments.json {
        let ReplayReport { handled, left_over, effects, .. } = &report;
        causes.iter().for_each(|cause| eprintln!("rebound: {}", sanitize(cause)));
        println!(
            "{:#}",
            json!({ "dry_run": arguments.dry_run, "handled": handled, "left_over": left_over, "new": effects })
        );
    } else {
        print(arguments, &report, &causes);
    }
    Ok(if report.left_over.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(arguments: &Arguments, report: &ReplayReport, causes: &[String]) {
    let would = if arguments.dry_run { "would be " } else { "" };
    let verb = if arguments.dry_run { "checked" } else { "processed again" };
    println!("{} {verb}, by {}.", count(report.handled, "event"), arguments.function);
    let effects = &report.effects;
    if effects.is_nothing_new() {
        println!("Nothing {would}new.");
    }
    let some = |what: &str, all: Vec<String>| {
        if all.is_empty() {
            return;
        }
        println!("{what}, {} in all:", all.len());
        for one in all.iter().take(MAX_SHOWN) {
            println!("  {}", sanitize(one));
        }
        if all.len() > MAX_SHOWN {
            println!("  … and {} more (--json shows all)", all.len() - MAX_SHOWN);
        }
    };
    let ReplayEffects { published, folded, suppressions, counted, brakes, poison, handed_on } = effects.clone();
    some(&format!("alerts {would}published"), published);
    some(&format!("alerts {would}grouped into digests"), folded.into_iter().collect());
    some(&format!("suppressions {would}changed"), suppressions.into_iter().collect());
    some(
        &format!("numbers {would}counted"),
        counted.into_iter().map(|(what, number)| format!("{what} {number:+}")).collect(),
    );
    some(
        &format!("brakes {would}set"),
        brakes.into_iter().map(|(campaign, status)| format!("{campaign}: {status}")).collect(),
    );
    some(&format!("events that can't be processed {would}recorded"), poison.into_iter().collect());
    if handed_on > 0 {
        println!("opens and clicks {would}sent to engage, which makes one decision per occurrence: {handed_on}");
    }
    for event in report.left_over.iter().take(MAX_SHOWN) {
        println!("LEFT OVER {}", sanitize(event));
    }
    if !report.left_over.is_empty() {
        for cause in causes {
            println!("BECAUSE {}", sanitize(cause));
        }
        let again = "Remove the cause, then run the command again: finished events do not change.";
        println!("{} left over. {again}", count_were(report.left_over.len(), "event"));
    }
}
