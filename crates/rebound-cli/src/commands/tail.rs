//! `rebound tail`: webhooks and their effects, live.

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use rebound::policy::count::count;
use rebound::resend::campaign::Campaign;
use rebound::resend::event::EventType;
use rebound::resend::recipient::Recipient;
use rebound_cli::operate::tail::{Filter, KINDS, Tail, TailLine, TailUpdate};
use rebound_cli::operate::target::Target;
use rebound_dev::commands::CommandError;
use rebound_dev::output::{hanging, moment, sanitize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::commands::target::TargetArguments;
use crate::commands::timeline::as_json;

/// Pause between two reads of the stream of `rebound dev`.
const NEAR_PAUSE: Duration = Duration::from_millis(200);

/// Pause between two reads of the stream of a stack. It is long because the stream already has two readers.
const PAUSE: Duration = Duration::from_secs(2);

/// First and maximum pause after AWS throttled a read of the stream.
const SLOWED_PAUSES: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// Maximum time of failing reads before the command ends. A laptop may lose its network for a moment.
const FAILING: Duration = Duration::from_secs(30);

/// Maximum time of failing reads with `rebound dev`, where a lost connection means that it has ended.
const NEAR_FAILING: Duration = Duration::from_secs(2);

/// Price of one read of the stream, in US dollars, in us-east-1: <https://aws.amazon.com/dynamodb/pricing/on-demand/>. The first 2.5 million
/// reads in a month are free.
const USD_A_READ: f64 = 0.02 / 100_000.0;

/// Length of the longest common name of a line type.
const KIND: usize = 22;

/// Show new webhooks and their effects, live, one per line.
///
/// There is one line for each webhook, with its effect on the suppression list. There is also one line for each count, brake, suppression for soft
/// bounces, verdict, decision, alert and change by an operator.
/// The output begins now, and Ctrl-C ends it. `rebound timeline` shows earlier events.
///
/// The command reads the stream of the events table every two seconds (dynamodb:DescribeTable, DescribeStream, GetShardIterator, GetRecords).
/// AWS charges 0.02 dollars for 100,000 reads; 2.5 million reads per month are free.
/// It also looks up details in the other tables (dynamodb:GetItem, Query): three calls every five seconds for each campaign with new webhooks.
/// AWS supports two readers of a stream, and protect already has two. If AWS throttles the stream, tail waits, and protect may be slower
/// for a moment. So do not run tail for days. It does not change what the functions log.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only lines of these types, separated by commas: event types, or counted, brake, suppressed, verdict, decision, alert, quarantine,
    /// poison, audit
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',', value_parser = types(), hide_possible_values = true)]
    types: Vec<String>,
    /// Only lines about this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Only lines about this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

fn types() -> PossibleValuesParser {
    PossibleValuesParser::new(EventType::ALL.iter().map(|known| known.as_str()).chain(KINDS))
}

/// Number of webhooks and lines so far.
#[derive(Default)]
struct Shown {
    webhooks: usize,
    lines: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let named = |name: &String| Campaign::new(name).ok_or("this is not a valid campaign name");
    let read = |text: &String| Recipient::parse(text).ok_or("this is not an address; write it as ann@example.com");
    let filter = Filter {
        types: arguments.types.clone(),
        campaign: arguments.campaign.as_ref().map(named).transpose()?,
        recipient: arguments.address.as_ref().map(read).transpose()?,
    };
    let target = arguments.target.find().await?;
    let mut tail = Tail::start(&target, filter).await?;
    eprintln!("{}", begin(&target, tail.shards()));
    let mut so_far = Shown::default();
    let ended = tokio::select! {
        ended = follow(arguments.json, &target, &mut tail, &mut so_far) => ended,
        signal = tokio::signal::ctrl_c() => signal.map_err(CommandError::from),
    };
    let (webhooks, lines) = (count(so_far.webhooks, "webhook"), count(so_far.lines, "line"));
    eprintln!("Ended: {webhooks} came in, {lines} shown.");
    ended.map(|()| ExitCode::SUCCESS)
}

/// Returns the text that is printed once, before the first line.
fn begin(target: &Target, shards: usize) -> String {
    let ends = "Ctrl-C ends it";
    if target.is_local() {
        return format!("New webhooks and their effects, from now on. {ends}.");
    }
    let reads = shards as f64 * 3_600.0 / PAUSE.as_secs_f64();
    format!(
        "New webhooks of {} and their effects, from now on. {ends}.\nIt reads {} of the stream every {} s: at most {:.4} dollars per \
         hour, and the lookups. protect reads the stream too: if AWS throttles both, tail waits.",
        target.stack(),
        count(shards, "shard"),
        PAUSE.as_secs(),
        reads * USD_A_READ,
    )
}

/// Reads the stream until reads have failed for too long.
async fn follow(json: bool, target: &Target, tail: &mut Tail<'_>, so_far: &mut Shown) -> Result<(), CommandError> {
    let (pause, may_fail) = if target.is_local() { (NEAR_PAUSE, NEAR_FAILING) } else { (PAUSE, FAILING) };
    let [first, longest] = SLOWED_PAUSES;
    let mut slowed_pause = first;
    let mut failing: Option<Instant> = None;
    loop {
        match tail.look().await {
            Ok(seen) => {
                if failing.take().is_some() {
                    eprintln!("The stream can be read again.");
                }
                print(json, &seen, so_far);
                match &seen.slowed {
                    Some(why) => {
                        eprintln!(
                            "AWS throttles the readers of the stream; the next read is in {} s: {}",
                            slowed_pause.as_secs(),
                            sanitize(why)
                        );
                        sleep(slowed_pause).await;
                        slowed_pause = (slowed_pause * 2).min(longest);
                    }
                    None => {
                        slowed_pause = first;
                        sleep(pause).await;
                    }
                }
            }
            Err(error) => {
                let since = *failing.get_or_insert_with(|| {
                    eprintln!("{}; trying again for {} s", sanitize(&error.to_string()), may_fail.as_secs());
                    Instant::now()
                });
                if since.elapsed() >= may_fail {
                    return Err(error.into());
                }
                sleep(pause).await;
            }
        }
    }
}

fn print(json: bool, seen: &TailUpdate, so_far: &mut Shown) {
    so_far.webhooks += seen.webhooks;
    so_far.lines += seen.lines.len();
    for line in &seen.lines {
        if json {
            println!("{}", line_json(line));
        } else {
            let (first, text) = words(line);
            hanging(&first, &text);
        }
    }
}

fn line_json(line: &TailLine) -> serde_json::Value {
    let mut fields = as_json(&line.entry);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("campaign".to_owned(), json!(line.campaign));
    }
    fields
}

/// Returns a line for people: its time and type, and the rest.
fn words(line: &TailLine) -> (String, String) {
    let entry = &line.entry;
    let at = moment(entry.received_at.unwrap_or(entry.at));
    let time = at.split_once(' ').map_or(at.as_str(), |(_, time)| time);
    let first = format!("{time}  {:KIND$}  ", sanitize(&entry.what));
    let campaign = line.campaign.as_ref().map(|campaign| sanitize(campaign.as_str()));
    let is_of_list = matches!(entry.what.as_str(), "suppressed" | "audit");
    let about = match campaign {
        Some(campaign) if campaign == entry.about => format!("  [campaign {campaign}]"),
        Some(campaign) => format!("  [{}, campaign {campaign}]", sanitize(&entry.about)),
        None if entry.about.is_empty() || is_of_list => String::new(),
        None => format!("  [{}]", sanitize(&entry.about)),
    };
    (first, format!("{}{about}", sanitize(&entry.text)))
}

#[cfg(test)]
mod tests {
    use rebound::time::UnixMillis;
    use rebound_cli::operate::timeline::TimelineEntry;
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_line_says_when_what_and_about_which_email_and_campaign() {
        let at = UnixMillis::parse("2026-11-23T13:05:00Z").unwrap();
        let entry = |what: &str, about: &str| TimelineEntry {
            at,
            received_at: Some(at.plus(Duration::from_secs(2))),
            what: what.to_owned(),
            text: "to ann@example.com: a\nb".to_owned(),
            about: about.to_owned(),
            fields: Map::new(),
        };
        let said = |what: &str, about: &str, campaign: Option<&str>| {
            let (first, text) =
                words(&TailLine { entry: entry(what, about), campaign: campaign.and_then(Campaign::new) });
            first + &text
        };
        let email = said("email.sent", "e1", Some("launch"));
        assert_eq!(email, "13:05:02  email.sent              to ann@example.com: a b  [e1, campaign launch]");
        assert!(said("counted", "launch", Some("launch")).ends_with("  [campaign launch]"));
        assert!(said("email.sent", "e1", None).ends_with("  [e1]"));
        assert!(said("suppressed", "ann@example.com", None).ends_with(": a b"));
    }
}
