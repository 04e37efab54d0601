//! Claude slow, overloaded, broken or unreachable: through the queue and its poller, by the template's mapping, nothing
//! is lost or decided twice, and the receipts say who decided.

mod asking;
mod meanwhile;

use std::sync::Arc;
use std::time::Duration;

use aws_local::feeder::Invoke;
use aws_local::poller::{Poller, PollerStats};
use aws_local::sam::QueueMapping;
use aws_local::sqs::QueueDepth;
use futures_util::future::join_all;
use lambda_runtime::{Context, LambdaEvent};
use rebound::aws::queue::{EngageMessage, Queue};
use rebound::engage::Engager;
use rebound::message::decision::{DecidedBy, Receipt};
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::claude::ClaudeBehaviour;
use rebound_dev::runner::{poll, timeout_of};
use rebound_dev::stack::{ENGAGE_DEAD_LETTERS, ENGAGE_QUEUE};
use rebound_dev::template::template;
use tokio::time::{Instant, timeout};

use super::{EngageHarness, PHONE, StagedEmail};
use crate::support::{hand_over, now, secret};

/// Far longer than anything here takes on a busy machine.
const GENEROUS: Duration = Duration::from_secs(180);

/// An email of two hours ago, by the real clock, which the function uses.
fn mail(number: usize) -> StagedEmail {
    let created_at = UnixMillis::now().minus(Duration::from_secs(2 * 60 * 60));
    StagedEmail { created_at, ..StagedEmail::to(&format!("e{number}"), &format!("ann{number}@example.com")) }
}

fn minutes_ago(minutes: u64) -> UnixMillis {
    UnixMillis::now().minus(Duration::from_secs(60 * minutes))
}

/// Receives these events now.
async fn arrive(stage: &EngageHarness, messages: Vec<SignedMessage>) {
    for message in messages {
        let message = SignedMessage::new(message.id, now(), message.body, &secret());
        assert_eq!(hand_over(&stage.receiver, &message, GENEROUS).await.0, 200);
    }
}

/// Receives an open and a click of each of this number of emails, and puts them into the queue.
async fn happen(stage: &EngageHarness, mails: usize) {
    let mut engagements = Vec::new();
    for number in 0..mails {
        let mail = mail(number);
        let (open, click) = (format!("o{number}"), format!("c{number}"));
        let opened = mail.opened_by(&open, minutes_ago(20), PHONE);
        arrive(stage, vec![mail.delivered(), opened, mail.clicked(&click, minutes_ago(10))]).await;
        for event in [format!("email.opened#{open}"), format!("email.clicked#{click}")] {
            engagements.push(EngageMessage { email_id: mail.email_id.clone(), event });
        }
    }
    let client = stage.aws.clients().sqs();
    let queue = Queue::new(client, stage.aws.variable("ENGAGE_QUEUE_URL").unwrap());
    for batch in engagements.chunks(10) {
        queue.send(batch, Instant::now() + GENEROUS).await.unwrap();
    }
}

/// Invokes an engager as Lambda does.
fn in_process(engager: Arc<Engager>) -> Invoke {
    let timeout = timeout_of("engage").unwrap();
    Arc::new(move |event| {
        let engager = Arc::clone(&engager);
        Box::pin(async move {
            let mut context = Context::default();
            context.deadline = UnixMillis::now().plus(timeout).0.unsigned_abs();
            engager.handle(LambdaEvent::new(event, context)).await.map_err(|error| error.to_string())
        })
    })
}

/// Delivers the queue's messages to `invoke`, with this concurrency.
async fn polled(stage: &EngageHarness, at_once: usize, invoke: Invoke) -> Poller {
    let mappings = template().unwrap().queue_mappings().unwrap();
    let engage = mappings.into_iter().find(|mapping| mapping.function == "engage").unwrap();
    let mapping = QueueMapping { concurrency: Some(at_once), ..engage };
    poll(&stage.aws, &[mapping], |_| Arc::clone(&invoke)).await.unwrap().remove(0)
}

/// Handles this number of opens and of clicks while `plan` controls Claude, and checks the general properties.
async fn decided(variables: &[(&str, &str)], mails: usize, plan: Plan) -> (EngageHarness, Vec<Receipt>, PollerStats) {
    let stage = EngageHarness::with(&[&[("ANTHROPIC_API_KEY", "sk-ant-test")], variables].concat()).await;
    stage.claude.plan(plan);
    happen(&stage, mails).await;
    let poller = polled(&stage, 1, in_process(Arc::clone(&stage.engager))).await;
    timeout(GENEROUS, poller.idle()).await.expect("all are decided in the end");
    let sqs = stage.aws.sqs.as_ref().unwrap();
    assert_eq!((sqs.counts(ENGAGE_QUEUE), sqs.messages(ENGAGE_DEAD_LETTERS).len()), (QueueDepth::default(), 0));
    assert_eq!(super::harm::open_reservations(&stage).await, 0);
    let receipts: Vec<Receipt> = stage.receipts().await.into_values().collect();
    assert_eq!(receipts.len(), 2 * mails, "each open and each click is decided");
    let mut reported: Vec<String> = stage.published().iter().map(|reported| reported["id"].to_string()).collect();
    let all = reported.len();
    reported.sort_unstable();
    reported.dedup();
    assert_eq!(all, reported.len(), "nothing is published twice");
    assert_eq!(all, receipts.iter().filter(|receipt| receipt.done.kind().is_some()).count(), "nor not at all");
    let figures = poller.stats();
    (stage, receipts, figures)
}

type Plan = Box<dyn Fn(&rebound_dev::claude::RecordedRequest) -> ClaudeBehaviour + Send + Sync>;

/// Returns this failure for the first `questions` requests.
fn at_first(failure: ClaudeBehaviour, questions: usize) -> Plan {
    Box::new(move |asked| if asked.index < questions { failure.clone() } else { ClaudeBehaviour::Default })
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_decides_everything_if_it_is_back_in_time() {
    let slowly = ClaudeBehaviour::Default.after(Duration::from_millis(300));
    // Number of failed requests: as many as two or three invocations send before they give up.
    let outages = [
        ("slow", slowly, 1_000, false),
        ("slow, and then overloaded", ClaudeBehaviour::Status(529, None).after(Duration::from_millis(300)), 7, true),
        ("overloaded", ClaudeBehaviour::Status(529, None), 7, true),
        ("an error", ClaudeBehaviour::Status(500, None), 7, true),
        ("unavailable", ClaudeBehaviour::Status(503, None), 7, true),
        ("a gateway's page", ClaudeBehaviour::Raw(502, "text/html".to_owned(), b"<html>Bad gateway".to_vec()), 7, true),
        ("too many requests, for a second", ClaudeBehaviour::Status(429, Some(1)), 4, true),
        ("too many requests, for an hour", ClaudeBehaviour::Status(429, Some(3_600)), 4, true),
        ("reset", ClaudeBehaviour::Reset, 7, true),
    ];
    let each = outages.map(async |(name, failure, questions, comes_again)| {
        let (stage, receipts, figures) = decided(&[], 3, at_first(failure, questions)).await;
        for receipt in receipts {
            assert_eq!(receipt.asked.by, DecidedBy::Claude, "{name}: {receipt:#?}");
        }
        let failed = if comes_again { questions } else { 0 };
        assert_eq!(
            stage.claude.asked().len(),
            failed + 6,
            "{name}: each is asked until there is an answer, and no more"
        );
        assert_eq!(figures.failures > 0, comes_again, "{name}: some are put back into the queue: {figures:?}");
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_claude_the_rules_decide_and_the_receipts_say_why() {
    let outages = [
        ("overloaded", ClaudeBehaviour::Status(529, Some(0)), "Claude answered 529, overloaded_error"),
        ("an error", ClaudeBehaviour::Status(500, Some(0)), "Claude answered 500, api_error"),
        ("unavailable", ClaudeBehaviour::Status(503, None), "Claude answered 503"),
        (
            "too many requests, for an hour",
            ClaudeBehaviour::Status(429, Some(3_600)),
            "Claude answered 429, rate_limit_error",
        ),
        ("reset", ClaudeBehaviour::Reset, "the connection to Claude was lost"),
    ];
    let policy = [("POLICY", r#"{"claude": {"deliveries": 3}}"#)];
    let each = outages.map(async |(name, failure, why)| {
        let (_, receipts, figures) = decided(&policy, 2, Box::new(move |_| failure.clone())).await;
        for Receipt { asked, .. } in receipts {
            let because = asked.because.clone().unwrap_or_default();
            assert!(because.contains("in 3 deliveries") && because.contains(why), "{name}: {because}");
            assert_eq!((asked.by, asked.refused), (DecidedBy::Rules, None), "{name}");
        }
        assert_eq!(figures.messages, 3 * 4, "{name}: each is delivered three times, and not once more");
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_errors_are_decided_by_the_rules_immediately() {
    let page = |status, body: &str| ClaudeBehaviour::Raw(status, "text/html".to_owned(), body.as_bytes().to_vec());
    let outages = [
        ("a wrong key", ClaudeBehaviour::Status(401, None), "401, authentication_error"),
        ("a key that may not", ClaudeBehaviour::Status(403, None), "403, permission_error"),
        ("no money", ClaudeBehaviour::Status(402, None), "402, billing_error"),
        ("another path", ClaudeBehaviour::Status(404, None), "404, not_found_error"),
        ("a bad request", ClaudeBehaviour::Status(400, None), "400, invalid_request_error"),
        ("moved", page(302, ""), "302"),
        ("another's page", page(200, "<html>Welcome to our hotel's network"), "refused"),
        ("an empty page", page(200, ""), "refused"),
        ("a page of another status", page(204, ""), "204"),
    ];
    let each = outages.map(async |(name, failure, why)| {
        let (stage, receipts, figures) = decided(&[], 1, Box::new(move |_| failure.clone())).await;
        for Receipt { asked, .. } in receipts {
            let because = asked.because.unwrap_or_default();
            assert!(asked.by == DecidedBy::Rules && because.contains(why), "{name}: {because}");
            assert_eq!(asked.refused.is_some(), why == "refused", "{name}: {:?}", asked.refused);
        }
        assert_eq!((stage.claude.asked().len(), figures.messages), (2, 2), "{name}: nothing is tried again");
    });
    join_all(each).await;
}
