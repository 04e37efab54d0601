//! `rebound replay`: stored events, handled again.

use std::process::ExitCode;
use std::time::Duration;

use rebound::resend::recipient::Recipient;
use rebound::time::UnixMillis;
use rebound_cli::operate::replay::effects::Effects;
use rebound_cli::operate::replay::select::{QUARANTINE, Selection};
use rebound_cli::operate::replay::{Function, On, ReplayReport, replay};
use rebound_cli::operate::target::flags::quoted;
use rebound_dev::commands::CommandError;
use rebound_dev::commands::values::event_type;
use rebound_dev::output::{self, count, count_were, sanitize};
use rebound_dev::overlay::Overlay;
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use crate::commands::log::Log;
use crate::commands::place::TargetArguments;
use crate::commands::timeline::{WEBHOOK_ID, check_received, time};

/// How many of many things are shown.
const MOST: usize = 20;

/// Handle stored events again, through the same code; what happened does not happen again.
///
/// protect counts, brakes and alerts here, in this process, with the settings of the deployed function; opens and clicks it hands on to
/// engage, through the queue. With --function engage, that is all that is done. What was counted, published or decided before stays as it
/// is. --dry-run runs the same code on a copy of what it touches, and says what would be new; it writes nothing.
///
/// Emails take a Query each; without any, the whole table of events is read. It needs the permissions of protect's role, dynamodb:Scan on
/// the table of events, and, for protect's settings, lambda:GetFunctionConfiguration and cloudformation:DescribeStacks, unless CAMPAIGN_TAG
/// or POLICY is set here. docs/operations.md has them as a policy.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The emails' ids, or the ids of what else events are about
    emails: Vec<String>,
    /// Only events of this type, such as email.complained, or quarantine for what could not be read; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = stored_type)]
    types: Vec<String>,
    /// Only events that were received from then on, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixMillis>,
    /// Only events that were received before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixMillis>,
    /// Every event that there is
    #[arg(long)]
    all: bool,
    /// Who handles them
    #[arg(long, value_name = "FUNCTION", default_value = "protect", value_parser = ["protect", "engage"])]
    function: String,
    /// Say what would be new, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: TargetArguments,
}

/// The type of a stored event.
fn stored_type(text: &str) -> Result<String, String> {
    if text == QUARANTINE { Ok(text.to_owned()) } else { event_type(text).map(|known| known.as_str().to_owned()) }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if let Some(address) = arguments.emails.iter().find(|id| Recipient::parse(id).is_some()) {
        let address = sanitize(address);
        let timeline = arguments.place.command(&format!("timeline --address {}", quoted(&address)));
        return Err(format!("{address} is an address, and not an email's id: {timeline} has the ids").into());
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
        return Err("which events? Name emails, a --type, --since or --until; or --all for every one".into());
    }
    let function = if arguments.function == "engage" { Function::Engage } else { Function::Protect };
    if let Some(of_no_use) = arguments.types.iter().find(|event_type| !function.handles_type(event_type)) {
        let handles = match function {
            Function::Engage => "it handles email.opened and email.clicked",
            Function::Protect => "they are stored, and nothing follows from them",
        };
        return Err(
            format!("{} does nothing about events of the type {of_no_use}: {handles}", arguments.function).into()
        );
    }
    let place = arguments.place.find().await?;
    let calls = place.calls(Duration::from_secs(6 * 3_600));
    let progress = output::counting("rows read");
    let read = |rows: usize| progress.inc(rows as u64);
    let rows = selection.rows(&calls, place.table("EVENTS_TABLE"), function, read).await?;
    progress.finish_and_clear();
    let unknown = selection.without_rows(&rows);
    for id in &unknown {
        let is_webhooks = id.starts_with(WEBHOOK_ID);
        let hint = if is_webhooks {
            "that is a webhook's id; the email's is in its body, as email_id"
        } else {
            "is it the id that Resend gave the email?"
        };
        eprintln!("rebound: nothing is stored of {} that {} handles; {hint}", sanitize(id), arguments.function);
    }
    if !unknown.is_empty() && rows.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let copy = match arguments.dry_run {
        true => Some(Overlay::start(place.aws().dynamodb(), |variable| place.table(variable).to_owned()).await?),
        false => None,
    };
    let on = copy.as_ref().map_or(On::Target, |copy| On::Copy(copy.variables()));
    let progress = output::progress(rows.len() as u64, "events");
    if !arguments.dry_run {
        let (bar, of) = ((*progress).clone(), rows.len());
        on_ctrl_c(move || {
            let at = bar.position();
            format!("{at} of {of} events were handled again, and what was done stays. Run it again: it does the rest")
        });
    }
    let log = Log::default();
    let _logging = tracing::dispatcher::set_default(&log.dispatch());
    let report = replay(&place, &rows, function, on, |events| progress.inc(events as u64)).await?;
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
    let verb = if arguments.dry_run { "looked at" } else { "handled again" };
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
        for one in all.iter().take(MOST) {
            println!("  {}", sanitize(one));
        }
        if all.len() > MOST {
            println!("  … and {} more (--json has them all)", all.len() - MOST);
        }
    };
    let Effects { published, folded, suppressions, counted, brakes, poison, handed_on } = effects.clone();
    some(&format!("alerts {would}published"), published);
    some(&format!("alerts {would}folded into digests"), folded.into_iter().collect());
    some(&format!("suppressions {would}changed"), suppressions.into_iter().collect());
    some(
        &format!("numbers {would}counted"),
        counted.into_iter().map(|(what, number)| format!("{what} {number:+}")).collect(),
    );
    some(
        &format!("brakes {would}set"),
        brakes.into_iter().map(|(campaign, status)| format!("{campaign}: {status}")).collect(),
    );
    some(&format!("events that can't be handled {would}recorded"), poison.into_iter().collect());
    if handed_on > 0 {
        println!("opens and clicks {would}handed on to engage, which decides about each happening once: {handed_on}");
    }
    for event in report.left_over.iter().take(MOST) {
        println!("LEFT OVER {}", sanitize(event));
    }
    if !report.left_over.is_empty() {
        for cause in causes {
            println!("BECAUSE {}", sanitize(cause));
        }
        let again = "When the cause is gone, run it again: what was done before stays as it is.";
        println!("{} left over. {again}", count_were(report.left_over.len(), "event"));
    }
}
