//! The events: one of each kind that engage handles, few enough to repeat them for each call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::{DecisionResult, Receipt};
use rebound::resend::recipient::Recipient;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::decisions::Occurrence;
use rebound::time::UnixMillis;
use rebound_dev::claude::{ClaudeBehaviour, RecordedRequest};
use serde_json::{Value, json};

use super::end::{End, published_id};
use super::queue::Queue;
use crate::engage::sending::SENDING;
use crate::engage::{EngageHarness, LINK, MINUTE, NOW, PHONE, StagedEmail, after, suppress};

/// US dollars: a few times the cost of all requests.
pub(super) const BUDGET_USD: f64 = 0.01;

/// Time after which an unhandled message is visible again.
const VISIBILITY: Duration = Duration::from_secs(12 * 60);

/// Maximum wait of a message that was returned to the queue.
const PUT_BACK: Duration = Duration::from_secs(15 * 60);

/// Events that engage processes together. A point runs its scenario alone, so each point costs the calls of one
/// scenario, and not of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// A follow-up is proposed, another is too early for the same person, and an open is only logged.
    Proposed,
    /// No follow-up is possible, or Claude wants none: the clicks of a machine, an email without a campaign.
    Nothing,
    /// The person is suppressed; Claude's answer is invalid; a human is asked after Claude was overloaded.
    Refused,
    /// Follow-ups are stored to be sent: mode `send`.
    Scheduled,
}

pub(super) struct Scene {
    scenario: Scenario,
    pub(super) stage: EngageHarness,
    queue: Queue,
    now: UnixMillis,
    /// The events and the suppressions, before they are processed.
    before: BTreeMap<String, Item>,
    pub(super) death: Option<CrashState>,
}

/// The state at the crash of the function.
pub(super) struct CrashState {
    /// The decisions that were published, but not yet marked as published.
    pub(super) not_noted: BTreeSet<String>,
    /// The emails with a decision, and the number of requests to Claude about each.
    pub(super) decided: BTreeMap<String, usize>,
    /// Their stored receipts.
    receipts: BTreeMap<String, Receipt>,
}

/// An email with this id and subject, which is all that Claude sees of it.
pub(super) fn mail(about: &str, to: &str) -> StagedEmail {
    StagedEmail { subject: about.to_owned(), ..StagedEmail::to(about, to) }
}

/// The events that are stored before the first message is delivered, and the batches of messages.
fn events(scenario: Scenario) -> (Vec<SignedMessage>, Vec<Vec<&'static str>>) {
    let at = after(-10 * MINUTE);
    let click = |mail: &StagedEmail| mail.clicked(&mail.email_id, at);
    let (mut events, read_by_people, batches) = match scenario {
        Scenario::Proposed => {
            let (followed, capped) = (mail("followed", "ann@example.com"), mail("capped", "ann@example.com"));
            let opened = mail("opened", "bob@example.com");
            let again = followed.clicked("followed-2", after(-9 * MINUTE));
            let events =
                vec![followed.clicked("followed-1", at), again, opened.opened_by("opened", at, PHONE), click(&capped)];
            let batches = vec![vec!["followed-1", "followed-2", "opened"], vec!["capped"]];
            (events, vec![followed, capped, opened], batches)
        }
        Scenario::Nothing => {
            let (nothing, scanned) = (mail("nothing", "dora@example.com"), mail("scanned", "gina@example.com"));
            let untagged = StagedEmail { tags: json!({}), ..mail("untagged", "hans@example.com") };
            let events = vec![
                scanned.clicked_by("scanned-1", at, PHONE, LINK),
                scanned.clicked_by("scanned-2", at, PHONE, "https://shop.example/crocuses"),
                click(&untagged),
                click(&nothing),
            ];
            (events, vec![nothing], vec![vec!["scanned-1", "scanned-2", "untagged", "nothing"]])
        }
        Scenario::Refused => {
            let (suppressed, refused) = (mail("suppressed", "eva@example.com"), mail("refused", "fred@example.com"));
            let handed = mail("handed", "carl@example.com");
            let events = [&suppressed, &refused, &handed].map(click).to_vec();
            (events, vec![suppressed, refused, handed], vec![vec!["suppressed", "refused"], vec!["handed"]])
        }
        Scenario::Scheduled => super::sending::events(),
    };
    events.extend(read_by_people.iter().map(StagedEmail::delivered));
    (events, batches)
}

/// Claude's response to a request: always the same, except that it is overloaded once.
fn answers(asked: &RecordedRequest, was_overloaded: &AtomicBool) -> ClaudeBehaviour {
    let tool = |name: &str, input: Value| ClaudeBehaviour::Tool(name.to_owned(), input);
    match about(&asked.body).as_str() {
        "handed" if !was_overloaded.swap(true, Ordering::SeqCst) => ClaudeBehaviour::Status(529, Some(3_600)),
        "handed" => tool("hand_to_human", json!({ "reason": "Odd." })),
        "nothing" => tool("do_nothing", json!({ "reason": "It is not worth it." })),
        "refused" => tool("hand_to_human", json!({ "reason": "Odd.", "and": "more" })),
        _ => ClaudeBehaviour::Default,
    }
}

/// The email of a request.
fn about(question: &Value) -> String {
    let facts: Value = serde_json::from_str(question["messages"][0]["content"].as_str().unwrap()).unwrap();
    facts["email"]["subject"].as_str().unwrap().to_owned()
}

/// Checks that every case of a scenario occurred.
pub(super) fn is_what_it_is_for(scenario: Scenario, end: &End, questions: &BTreeMap<String, usize>) {
    let of = |email: &str| end.decisions.iter().find(|(key, _)| key.starts_with(email)).map(|(_, decision)| decision);
    let done = |email: &str| of(email).map(|decision| &decision.done);
    let guards = |email: &str| of(email).map(|decision| decision.refused_by.clone()).unwrap_or_default();
    let verdicts = |verdict: &str| end.verdicts.values().filter(|found| found.contains(verdict)).count();
    let asked: Vec<(&str, usize)> = questions.iter().map(|(email, count)| (email.as_str(), *count)).collect();
    let counts = (end.verdicts.len(), end.decisions.len(), end.places.len(), end.published.len());
    match scenario {
        Scenario::Proposed => {
            assert_eq!(done("followed"), Some(&DecisionResult::FollowupProposed));
            assert_eq!(done("opened"), Some(&DecisionResult::EngagementLogged));
            assert_eq!(guards("capped"), ["gap"]);
            assert_eq!(counts, (4, 3, 1, 2));
            assert_eq!(asked, [("capped", 1), ("followed", 1), ("opened", 1)]);
        }
        Scenario::Nothing => {
            assert_eq!((done("nothing").is_some(), guards("nothing").len()), (true, 0));
            assert_eq!((verdicts("machine"), counts), (2, (4, 1, 0, 0)));
            assert_eq!(asked, [("nothing", 1)]);
        }
        Scenario::Refused => {
            assert_eq!(done("handed"), Some(&DecisionResult::HandedToHuman));
            assert_eq!(guards("suppressed"), ["suppressed"]);
            assert!(of("refused").is_some_and(|decision| decision.refused.is_some()));
            assert_eq!(counts, (3, 3, 0, 2));
            assert_eq!(asked, [("handed", 2), ("refused", 1), ("suppressed", 1)]);
        }
        Scenario::Scheduled => super::sending::is_what_it_is_for(end),
    }
}

impl Scene {
    /// Starts with all events stored and unprocessed.
    pub(super) async fn start(scenario: Scenario) -> Self {
        let budget = BUDGET_USD.to_string();
        let mut variables = vec![("CLAUDE_DAILY_BUDGET_USD", budget.as_str())];
        if scenario == Scenario::Scheduled {
            variables.extend(SENDING);
        } else {
            variables.push(("ANTHROPIC_API_KEY", "sk-ant-test"));
        }
        let stage = EngageHarness::with(&variables).await;
        let was_overloaded = AtomicBool::new(false);
        stage.claude.plan(move |asked| answers(asked, &was_overloaded));
        suppress(&stage, "eva@example.com").await;
        stage.receives(&events(scenario).0).await;
        if scenario == Scenario::Proposed {
            claimed_by_who_died(&stage, "opened", "bob@example.com").await;
        }
        let queue = Queue::of(&stage);
        let before = as_it_was(&stage).await;
        stage.faults.plan(|_| None);
        Self { scenario, stage, queue, now: NOW, before, death: None }
    }

    /// Delivers everything, batch after batch.
    pub(super) async fn all_of_it(&mut self) {
        for batch in events(self.scenario).1 {
            for delivery in self.stage.deliveries(&batch, 1).await {
                self.queue.send(&delivery.body).await;
            }
            self.deliver_all().await;
            self.now = self.now.plus(Duration::from_secs(60));
        }
        assert_eq!(as_it_was(&self.stage).await, self.before, "events and suppressions are only read");
        let receipts = self.stage.receipts().await;
        for (key, receipt) in self.death.iter().flat_map(|death| &death.receipts) {
            assert_eq!(receipts.get(key), Some(receipt), "what is decided stays as it is");
        }
    }

    /// Delivers the queue's messages until all are done, as Lambda does: the failed ones again when they are visible,
    /// after a crash the whole batch.
    async fn deliver_all(&mut self) {
        for _ in 0..10 {
            let batch = self.queue.receive(&self.stage).await;
            if batch.is_empty() {
                return;
            }
            let invocation = self.stage.delivers(&batch, self.now);
            let answer = if self.death.is_some() {
                Some(invocation.await)
            } else {
                tokio::select! {
                    answer = invocation => Some(answer),
                    () = self.stage.faults.killed() => None,
                }
            };
            match answer {
                None => {
                    self.dies().await;
                    self.queue.release(&batch).await;
                    self.now = self.now.plus(VISIBILITY);
                }
                Some(answer) => {
                    let again = |id: &str| answer.failures.iter().any(|failure| failure.id == id);
                    self.queue.delete(batch.iter().filter(|delivery| !again(&delivery.message_id))).await;
                    if answer != BatchResponse::default() {
                        self.now = self.now.plus(PUT_BACK);
                    }
                }
            }
        }
        panic!("a batch is never done");
    }

    async fn dies(&mut self) {
        // Calls in flight at the crash may still be applied.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let rows = self.stage.rows().await;
        let noted: BTreeSet<String> =
            rows.iter().filter(|row| row.contains_key("published_at")).filter_map(published_id).collect();
        let published = self.stage.published().into_iter().map(|one| one["id"].as_str().unwrap().to_owned());
        let questions = self.questions();
        let asked = |row: &Item| {
            let email = row["email_id"].as_s().unwrap().clone();
            (email.clone(), questions.get(&email).copied().unwrap_or_default())
        };
        self.death = Some(CrashState {
            not_noted: published.filter(|id| !noted.contains(id)).collect(),
            decided: rows.iter().filter(|row| row.contains_key("decided_at")).map(asked).collect(),
            receipts: self.stage.receipts().await,
        });
    }

    /// Number of requests to Claude about each email.
    pub(super) fn questions(&self) -> BTreeMap<String, usize> {
        let mut questions = BTreeMap::new();
        for asked in self.stage.claude.asked() {
            *questions.entry(about(&asked.body)).or_default() += 1;
        }
        questions
    }
}

/// A claim of a message that never returns.
async fn claimed_by_who_died(stage: &EngageHarness, email_id: &str, to: &str) {
    let occurrence = Occurrence::new(email_id, "email.opened", &[Recipient::parse(to).unwrap()]);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = stage.dynamodb.put_item().table_name(stage.aws.variable("EVENTS_TABLE").unwrap());
    let put = put.item("email_id", text(email_id)).item("event", text(&occurrence.sort_key()));
    let put = put.item("kind", text("decision")).item("id", text(&occurrence.decision_id()));
    let claimed_at = AttributeValue::N(after(-5 * MINUTE).0.to_string());
    put.item("carrier", text("gone")).item("claimed_at", claimed_at).send().await.unwrap();
}

/// The rows that only `receive` writes.
async fn as_it_was(stage: &EngageHarness) -> BTreeMap<String, Item> {
    let events = stage.rows().await.into_iter().filter(|row| row["kind"].as_s().unwrap() == "event");
    let events = events.map(|row| (row["event"].as_s().unwrap().clone(), row));
    let suppressions = stage.scan("SUPPRESSIONS_TABLE").await.into_iter();
    events.chain(suppressions.map(|item| (item["recipient"].as_s().unwrap().clone(), item))).collect()
}
