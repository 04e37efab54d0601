//! Time from a complaint's POST to its alert, and of an opt-out's POST to its answer, in the service as `rebound dev` runs it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_local::feeder;
use aws_local::sns::Published;
use indicatif::ProgressBar;
use rebound::message::alert::{Alert, AlertKind};
use rebound::policy::consent_link::{ConsentLink, ConsentPurpose};
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::time::UnixMillis;
use rebound_dev::output::{Column, Table, count};
use rebound_dev::runner::{Clock, feed, protect_invoker, schedule, serve_consent, serve_function_url, timeout_of};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use rebound_dev::{LOCAL_CONSENT_KEY, LOCAL_SECRET};
use serde_json::json;
use tokio::sync::broadcast::Receiver;

use crate::BoxError;

/// Fewer than the number of alerts sent one by one in an hour.
const OF_A_CAMPAIGN: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of complaints to post, and of opt-outs
    #[arg(long, default_value_t = 100)]
    complaints: usize,
    /// Maximum pause between two complaints, in milliseconds
    #[arg(long, default_value_t = 100)]
    pause: u64,
    /// Maximum batching window of the stream's mappings, in seconds, as of `rebound dev`
    #[arg(long, default_value_t = 1.0)]
    window: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Time from the start of a POST to its response, and to the alert.
#[derive(Default)]
struct Measured {
    answered: Vec<Duration>,
    reported: Vec<Duration>,
    opted_out: Vec<Duration>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let options = LocalAwsOptions { data: Some(folder.path().join("rebound.db")), ..LocalAwsOptions::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await?;
    let clock = Clock::new(1.0);
    let server = serve_function_url(SocketAddr::from(([127, 0, 0, 1], 0)), aws.receiver().await?, clock).await?;
    let protect = protect_invoker(Arc::new(aws.protector()?), clock, timeout_of("protect")?);
    let longest_window = Some(Duration::from_secs_f64(arguments.window));
    let feeding = feeder::FeederOptions { longest_window, ..feeder::FeederOptions::default() };
    let _feeder = feed(&aws, feeding, |_| Arc::clone(&protect)).await?;
    let of_protect = |function: &str| (function == "protect").then(|| Arc::clone(&protect));
    let _schedules = schedule(clock, Some(Duration::from_secs(5)), of_protect)?;

    let secret: SigningSecret = LOCAL_SECRET.parse()?;
    let client = rebound::web::client();
    let mut published = aws.sns.as_ref().ok_or("the environment names another SNS")?.subscribe();
    let mut measured = Measured::default();
    let progress = ProgressBar::new(arguments.complaints as u64);
    for index in 0..arguments.complaints {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=arguments.pause))).await;
        let email_id = format!("0b6f3d52-9c1e-4a77-8f0d-{index:012x}");
        let message = SignedMessage::new(
            new_message_id(),
            UnixMillis::now().seconds(),
            complaint(&email_id, index).into_bytes(),
            &secret,
        );
        let request = message.request(&client, reqwest::Method::POST, &format!("{}/", server.url()));
        let posted = Instant::now();
        let answer = request.send().await?.error_for_status()?;
        measured.answered.push(posted.elapsed());
        drop(answer);
        tokio::time::timeout(Duration::from_secs(30), alert_about(&email_id, &mut published)).await??;
        measured.reported.push(posted.elapsed());
        progress.inc(1);
    }
    progress.finish_and_clear();
    measured.opted_out = opt_outs(&aws, arguments, clock).await?;
    print(arguments, measured);
    Ok(())
}

/// Posts one-click unsubscriptions, each of another recipient.
async fn opt_outs(aws: &EmbeddedAws, arguments: &Arguments, clock: Clock) -> Result<Vec<Duration>, BoxError> {
    let server = serve_consent(SocketAddr::from(([127, 0, 0, 1], 0)), aws.consent().await?, clock).await?;
    let (keys, client) = (LOCAL_CONSENT_KEY.parse()?, rebound::web::client());
    let mut answered = Vec::new();
    for index in 0..arguments.complaints {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=arguments.pause))).await;
        let recipient = Recipient::parse(&format!("reader-{index}@example.com")).ok_or("this is no address")?;
        let token = ConsentLink { recipient, email_id: None }.sign(ConsentPurpose::OptOut, &keys)?;
        let request = client.post(format!("{}/u/{}", server.url(), token.as_str()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let posted = Instant::now();
        request.body("List-Unsubscribe=One-Click").send().await?.error_for_status()?.text().await?;
        answered.push(posted.elapsed());
    }
    Ok(answered)
}

fn complaint(email_id: &str, index: usize) -> String {
    json!({
        "type": "email.complained",
        "created_at": UnixMillis::now().to_text(),
        "data": {
            "email_id": email_id,
            "created_at": UnixMillis::now().minus(Duration::from_secs(3_600)).to_text(),
            "to": [format!("recipient-{index}@example.com")],
            "tags": { "campaign": format!("campaign-{}", index / OF_A_CAMPAIGN) },
        },
    })
    .to_string()
}

/// Waits for the complaint's own alert, not that of the brake.
async fn alert_about(email_id: &str, published: &mut Receiver<Published>) -> Result<(), BoxError> {
    loop {
        let message = published.recv().await?;
        let alert: Alert = serde_json::from_str(&message.for_protocol("lambda"))?;
        if alert.kind == AlertKind::Complaint && alert.email_id.as_deref() == Some(email_id) {
            return Ok(());
        }
    }
}

fn print(arguments: &Arguments, measured: Measured) {
    let figures = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1));
        [50, 90, 100].map(|percent| at(percent).map_or(0.0, |time| time.as_secs_f64() * 1_000.0))
    };
    let rows = BTreeMap::from([
        ("POST to answer", figures(measured.answered)),
        ("POST to alert", figures(measured.reported)),
        ("opt-out to answer", figures(measured.opted_out)),
    ]);
    if arguments.json {
        let named = |[median, p90, worst]: &[f64; 3]| json!({ "median_ms": median, "p90_ms": p90, "worst_ms": worst });
        let rows: BTreeMap<_, _> = rows.iter().map(|(name, figures)| (*name, named(figures))).collect();
        println!("{:#}", json!({ "complaints": arguments.complaints, "figures": rows }));
        return;
    }
    table(arguments.complaints, &rows).print();
}

fn table(complaints: usize, rows: &BTreeMap<&str, [f64; 3]>) -> Table {
    let head = Column::text(format!("{}, ms", count(complaints, "complaint")));
    let mut table = Table::new(std::iter::once(head).chain(["median", "p90", "worst"].map(Column::number)));
    for (name, [median, p90, worst]) in rows {
        table.add([(*name).to_owned(), format!("{median:.1}"), format!("{p90:.1}"), format!("{worst:.1}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_latencies_is_good_at_every_width() {
        let rows = BTreeMap::from([("POST to answer", [12.3, 45.6, 1_234.5])]);
        let table = table(1, &rows);
        assert_eq!(table.faults(), Vec::<String>::new());
        assert!(table.render(80, false).contains("1 complaint, ms"));
    }
}
