//! Thousands of clicks: stored, queued, delivered as Lambda does; and the checks after they are handled.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder::Invoke;
use aws_local::poller::PollerStats;
use aws_local::sqs::QueueDepth;
use aws_sdk_dynamodb::types::{PutRequest, StreamSpecification, WriteRequest};
use rebound::aws::queue::{BATCH, EngageMessage, Queue, QueueMessage};
use rebound::claude::price::Price;
use rebound::config::EngageConfig;
use rebound::engage::Engager;
use rebound::message::decision::{DecidedBy, Receipt};
use rebound::policy::answer::Usage;
use rebound::policy::money::NanoUsd;
use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::row::{Row, RowMeta, payload_text};
use rebound_dev::claude::ClaudeBehaviour;
use rebound_dev::runner::poll;
use rebound_dev::stack::{ENGAGE_DEAD_LETTERS, ENGAGE_QUEUE};
use rebound_dev::template::template;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{EngageHarness, MINUTE, NOW, StagedEmail, after};

/// Emails with several recipients each. For each recipient, Resend sends events of its own, delivered and clicked, with
/// the same email id.
pub(super) fn clicked(emails: usize, people: usize) -> (Vec<SignedMessage>, Vec<SignedMessage>) {
    let numbers = (0..emails).flat_map(|email| (0..people).map(move |person| (email, person)));
    let both = numbers.map(|(email, person)| {
        let mail = StagedEmail::to(&format!("e{email}"), &format!("person-{email}-{person}@example.com"));
        let delivered_at = mail.created_at.plus(Duration::from_secs(1));
        let delivered = mail.event(&format!("d-{email}-{person}"), "email.delivered", delivered_at, &Value::Null);
        (delivered, mail.clicked(&format!("c-{email}-{person}"), after(-10 * MINUTE)))
    });
    both.unzip()
}

/// The row of an event, as `receive` makes it.
fn row(message: &SignedMessage) -> Row {
    let stamp = RowMeta { received_at: NOW, retention_days: 90 };
    let id = MessageId::from_verified(message.id.clone());
    Row::event(&Event::read(&message.body).unwrap(), &id, &message.body, stamp).unwrap()
}

/// Stores these events.
pub(super) async fn stored(stage: &EngageHarness, messages: &[SignedMessage]) {
    let (dynamodb, table) = (stage.aws.clients().dynamodb(), stage.aws.variable("EVENTS_TABLE").unwrap());
    for some in messages.chunks(25) {
        let put = |message| {
            let put = PutRequest::builder().set_item(Some(row(message).item().clone())).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        };
        let write = dynamodb.batch_write_item().request_items(&table, some.iter().map(put).collect());
        assert!(write.send().await.unwrap().unprocessed_items.unwrap_or_default().is_empty());
    }
}

/// Sends these opens and clicks to the queue, as `protect` does.
pub(super) async fn queued(stage: &EngageHarness, messages: &[SignedMessage]) {
    let queue = Queue::new(stage.aws.clients().sqs(), stage.aws.variable("ENGAGE_QUEUE_URL").unwrap());
    let engagement = |message| {
        let row = row(message);
        let text = |name: &str| row.item()[name].as_s().unwrap().clone();
        EngageMessage { email_id: text("email_id"), event: text("event") }
    };
    for ten in messages.chunks(BATCH) {
        let ten: Vec<EngageMessage> = ten.iter().map(engagement).collect();
        queue.send(&ten, Instant::now() + Duration::from_secs(30)).await.unwrap();
    }
}

/// Delivers the queue's messages by the template's mapping, optionally with another concurrency, until it is empty.
pub(super) async fn drained(stage: &EngageHarness, concurrency: Option<usize>, invoke: &Invoke) -> PollerStats {
    let mut mappings = template().unwrap().queue_mappings().unwrap();
    mappings.retain(|mapping| mapping.function == "engage");
    for mapping in &mut mappings {
        mapping.concurrency = concurrency.or(mapping.concurrency);
    }
    let pollers = poll(&stage.aws, &mappings, |_| Arc::clone(invoke)).await.unwrap();
    timeout(Duration::from_secs(1_200), pollers[0].idle()).await.expect("the backlog drains");
    let sqs = stage.aws.sqs.as_ref().unwrap();
    assert_eq!((pollers.len(), sqs.counts(ENGAGE_QUEUE)), (1, QueueDepth::default()));
    assert_eq!(sqs.messages(ENGAGE_DEAD_LETTERS), Vec::<String>::new());
    pollers[0].stats()
}

async fn handled(engager: &Engager, event: &Value) -> Result<Value, String> {
    let deliveries = QueueMessage::read_all(event).map_err(|error| error.to_string())?;
    let answer = engager.batch(&deliveries, NOW, Instant::now() + Duration::from_secs(110)).await;
    Ok(serde_json::to_value(answer).unwrap())
}

/// All invocations with one engager, as in the process of `make dev`.
pub(super) fn together(engager: Arc<Engager>) -> Invoke {
    Arc::new(move |event| {
        let engager = Arc::clone(&engager);
        Box::pin(async move { handled(&engager, &event).await })
    })
}

/// Each invocation in an execution environment of its own, as on Lambda: they share nothing. A free one is reused.
pub(super) fn apart(make: impl Fn() -> Engager + Send + Sync + 'static) -> Invoke {
    let (make, free) = (Arc::new(make), Arc::new(Mutex::new(Vec::<Engager>::new())));
    Arc::new(move |event| {
        let (make, free) = (Arc::clone(&make), Arc::clone(&free));
        Box::pin(async move {
            let engager = free.lock().unwrap().pop();
            let engager = engager.unwrap_or_else(|| make());
            let answer = handled(&engager, &event).await;
            free.lock().unwrap().push(engager);
            answer
        })
    })
}

/// A stage whose Claude responds after a varying time.
pub(super) struct CrowdStage {
    pub(super) stage: EngageHarness,
}

impl CrowdStage {
    /// Starts with these variables. Its events table has no stream, because none is read here.
    pub(super) async fn with(variables: &[(&str, &str)], ms: RangeInclusive<u64>) -> Self {
        let stage = EngageHarness::with(&[&[("ANTHROPIC_API_KEY", "k")], variables].concat()).await;
        let update = stage.aws.clients().dynamodb().update_table();
        let no_stream = StreamSpecification::builder().stream_enabled(false).build().unwrap();
        let update = update.table_name(stage.aws.variable("EVENTS_TABLE").unwrap()).stream_specification(no_stream);
        update.send().await.unwrap();
        stage.claude.plan(move |_| ClaudeBehaviour::Default.after(Duration::from_millis(fastrand::u64(ms.clone()))));
        Self { stage }
    }

    /// Creates engagers like the stage's, without the proxies, which only cost time here.
    pub(super) fn engagers(&self) -> impl Fn() -> Engager + Send + Sync + 'static {
        let (aws, base_url) = (self.stage.aws.clients().clone(), self.stage.claude.url());
        let config = EngageConfig { base_url, ..self.stage.engager.config().clone() };
        move || Engager::new(&aws, config.clone()).unwrap()
    }
}

/// Cost of the answers, by their own usage data.
fn answered(stage: &EngageHarness) -> NanoUsd {
    let tokens = stage.claude.answered_tokens();
    let usage = Usage {
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
    };
    let config = stage.engager.config();
    Price::for_model(&config.model, &config.policy.claude).cost(&usage)
}

/// The day's sum in the table, and the number of open reservations.
pub(super) async fn spent(stage: &EngageHarness) -> (NanoUsd, usize) {
    let agenda = stage.scan("AGENDA_TABLE").await;
    let Some(day) = agenda.iter().find(|item| item["kind"].as_s().unwrap() == "spent") else {
        return (NanoUsd(0), 0);
    };
    let open = day.get("open").map_or(0, |open| open.as_ss().unwrap().len());
    (NanoUsd(day["nanos"].as_n().unwrap().parse().unwrap()), open)
}

pub(super) fn is(row: &Item, kind: &str) -> bool {
    row["kind"].as_s().unwrap() == kind
}

/// Requires a verdict on each click, and one decision per occurrence, published once: by Claude, or by the rules once
/// the budget is exhausted. Returns the number of Claude's decisions.
pub(super) async fn decided_once(stage: &EngageHarness, clicks: usize) -> usize {
    let rows = stage.rows().await;
    assert_eq!(rows.iter().filter(|row| is(row, "verdict")).count(), clicks);
    let decisions: Vec<&Item> = rows.iter().filter(|row| is(row, "decision")).collect();
    assert_eq!(decisions.len(), clicks);
    assert!(decisions.iter().all(|row| row.contains_key("decided_at") && row.contains_key("published_at")));
    let receipts: Vec<Receipt> =
        decisions.iter().map(|row| serde_json::from_str(&payload_text(row)).unwrap()).collect();
    let published: Vec<Value> = stage.published();
    // `followup-…`, `engagement-…`: the decision's id, except for its result.
    let after = |id: &str| id.split_once('-').unwrap().1.to_owned();
    let ids: BTreeSet<String> = published.iter().map(|notice| after(notice["id"].as_str().unwrap())).collect();
    assert!(ids == receipts.iter().map(|receipt| after(&receipt.id)).collect());
    assert_eq!((published.len(), ids.len()), (clicks, clicks));

    let by_claude = receipts.iter().filter(|receipt| receipt.asked.by == DecidedBy::Claude).count();
    for receipt in receipts.iter().filter(|receipt| receipt.asked.by == DecidedBy::Rules) {
        let because = receipt.asked.because.as_deref().unwrap();
        assert!(because.starts_with("today's budget of ") && because.ends_with(" is spent"), "{because}");
    }
    let reported: f64 = receipts.iter().map(|receipt| receipt.asked.cost_usd).sum();
    let (spent, open) = spent(stage).await;
    assert_eq!((NanoUsd((reported * 1e9).round() as i64), open), (spent, 0), "the sum is that of the receipts");
    assert_eq!(stage.claude.answered_tokens().answers, by_claude as u64, "nobody is asked about twice");
    by_claude
}

/// Requires that the budget was kept, and used.
pub(super) async fn kept_to_the_budget(stage: &EngageHarness) {
    let (budget, (spent, _), answered) = (stage.engager.config().daily_budget, spent(stage).await, answered(stage));
    assert!(answered <= spent && spent <= budget, "{answered:?} {spent:?} {budget:?}");
    assert!(answered.0 >= budget.0 / 10 * 8, "{answered:?} of {budget:?}");
}
