//! Cost of the metric lines: CloudWatch charges 0.50 US dollars per GB of logs.

use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use super::lines::conforms;
use super::story::everything;
use super::{Lines, read, sums};
use crate::protect::{NOW, after, receive};
use crate::support::{logged, secret};

/// Bytes that CloudWatch adds to each log event
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).
const OVERHEAD: usize = 26;

fn bytes(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + OVERHEAD).sum()
}

/// An ordinary event of an email, received at this time.
fn ordinary(n: i64, at: UnixMillis) -> SignedMessage {
    let kind = ["email.sent", "email.delivered", "email.delivered", "email.opened", "email.clicked"][n as usize % 5];
    let data = json!({ "email_id": format!("e{n}"), "to": ["ann@example.com"], "subject": "Bulbs" });
    let body = json!({ "type": kind, "created_at": at.to_text(), "data": data }).to_string();
    SignedMessage::new(format!("m{n}"), at.seconds(), body, &secret())
}

#[tokio::test]
async fn a_million_events_cost_less_than_two_cents_of_logs() {
    const EVENTS: i64 = 5_000;
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let lines = Lines::default();
    let receiver = aws.receiver().await.unwrap().with_metrics(lines.metrics());
    // Ten a second, in the time of the execution environment.
    let at = |n: i64| after(n * 100);
    let log = logged(async {
        for n in 0..EVENTS {
            assert_eq!(receive(&receiver, &ordinary(n, at(n)), at(n)).await, 200);
        }
    });
    let log = log.await;
    let written = lines.take();
    written.iter().for_each(|line| conforms(line));
    // The first ten, and then one for each minute of the 500 s.
    assert_eq!(written.len(), 10 + 8, "{written:#?}");
    // Less than a minute's metrics are not written yet.
    let reported = sums(&read(&written));
    assert!((EVENTS - 600..=EVENTS).contains(&(reported["Accepted"] as i64)), "{reported:#?}");
    let of_log: usize = log.lines().map(|line| line.len() + OVERHEAD).sum();
    let per_million = |bytes: usize| bytes as f64 / EVENTS as f64;
    let (metrics, all) = (per_million(bytes(&written)), per_million(bytes(&written) + of_log));
    eprintln!("a million events: {metrics:.1} MB of metrics, {all:.1} MB with the sample of the log");
    assert!(metrics < 5.0, "{metrics} MB");
    // One in a hundred is logged, at random. 30 MB cost 1.5 cents.
    assert!(all < 30.0, "{all} MB");
}

#[tokio::test]
async fn a_quiet_environment_writes_each_event_immediately() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let lines = Lines::default();
    let receiver = aws.receiver().await.unwrap().with_metrics(lines.metrics());
    for n in 0..20 {
        // Two within a second, every five minutes.
        let at = after(n / 2 * 300_000 + n % 2 * 1_000);
        assert_eq!(receive(&receiver, &ordinary(n, at), at).await, 200);
        let reported = read(&lines.take());
        assert_eq!(reported.len(), 1, "event {n}");
        assert_eq!((&reported[0]["Accepted"], &reported[0]["_aws"]["Timestamp"]), (&json!(1), &json!(at.0)));
    }
}

#[tokio::test]
async fn metrics_gathered_before_a_freeze_keep_their_time() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let lines = Lines::default();
    let receiver = aws.receiver().await.unwrap().with_metrics(lines.metrics());
    for n in 0..13 {
        assert_eq!(receive(&receiver, &ordinary(n, after(n)), after(n)).await, 200);
    }
    assert_eq!(lines.take().len(), 10);
    let later = after(20 * 60_000);
    assert_eq!(receive(&receiver, &ordinary(13, later), later).await, 200);
    let reported = read(&lines.take());
    let reported: Vec<_> = reported.iter().map(|line| (&line["_aws"]["Timestamp"], &line["Accepted"])).collect();
    assert_eq!(reported, [(&json!(after(12).0), &json!(3)), (&json!(later.0), &json!(1))]);
}

#[tokio::test]
async fn a_flood_of_forged_requests_does_not_raise_the_log_bill() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let lines = Lines::default();
    let receiver = aws.receiver().await.unwrap().with_metrics(lines.metrics());
    let mut forged = ordinary(0, NOW);
    forged.body.push(b' ');
    let mut unsigned = forged.clone();
    unsigned.headers.clear();
    // Five thousand in four minutes.
    let log = logged(async {
        for n in 0..5_000 {
            let message = if n % 2 == 0 { &forged } else { &unsigned };
            assert_eq!(receive(&receiver, message, after(n * 48)).await, 401);
        }
    });
    let log = log.await;
    let written = lines.take();
    assert!((10..=14).contains(&written.len()), "{}", written.len());
    let warned: Vec<&str> = log.lines().collect();
    assert!((10..=14).contains(&warned.len()), "{warned:#?}");
    // The last number of a line, which may be in colour.
    let left_out = |line: &&str| -> u64 {
        let mut numbers = line.rsplit(|c: char| !c.is_ascii_digit());
        numbers.find(|number| !number.is_empty()).unwrap().parse().unwrap()
    };
    let counted: u64 = warned.iter().map(left_out).sum::<u64>() + warned.len() as u64;
    assert!(counted > 3_700, "{counted}: a line says how many had none");
    // All are counted, except those of the last minute, which the next request reports.
    assert_eq!(receive(&receiver, &unsigned, after(600_000)).await, 401);
    let reported = sums(&read(&[written, lines.take()].concat()));
    assert_eq!((reported["SignatureFailures"], reported["Refused"], reported["Accepted"]), (2_500.0, 2_501.0, 0.0));
}

#[tokio::test]
async fn a_batch_of_protect_or_engage_leaves_one_small_line() {
    let lines = everything().await;
    let of = |metric: &str| -> Vec<&String> { lines.iter().filter(|line| line.contains(metric)).collect() };
    // A complaint or a bounce is a batch of its own; so is an open or a click, if there are few.
    for (metric, longest, most) in [("\"ProtectLag\":", 700, 400), ("\"EngageLag\":", 1_000, 750)] {
        let lines = of(metric);
        let bytes: usize = lines.iter().map(|line| line.len() + OVERHEAD).sum();
        let average = bytes / lines.len();
        eprintln!(
            "{metric} {} lines of {average} bytes, the longest of {:?}",
            lines.len(),
            lines.iter().map(|l| l.len()).max()
        );
        assert!(lines.iter().all(|line| line.len() <= longest), "{lines:#?}");
        assert!(average <= most, "{average}");
    }
}
