//! Nothing that Claude answers can do harm, nor anything that others write into the emails in its requests.

mod answers;
mod bounds;
mod disguises;
mod injection;
mod shown;

use aws_local::sns::Published;
use rebound::aws::queue::{EngageMessage, QueueMessage};
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::{DecidedBy, DecisionResult, Receipt};
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::row::payload_text;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::{Value, json};

use super::{MINUTE, Stage, StagedEmail, after, suppress};

/// The expected result of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// A follow-up is proposed.
    Proposed,
    /// The answer is rejected, and the receipt contains this word.
    Refused(&'static str),
    /// A guard refuses with this word.
    Guarded(&'static str),
}

/// An answer, with its expected result.
pub(super) struct Case {
    name: String,
    answer: ClaudeBehaviour,
    expected: Expected,
}

pub(super) fn case(name: impl Into<String>, answer: ClaudeBehaviour, expected: Expected) -> Case {
    Case { name: name.into(), answer, expected }
}

/// The tool call of a valid follow-up, with these fields changed.
pub(super) fn followup(changes: &Value) -> ClaudeBehaviour {
    ClaudeBehaviour::Tool("schedule_followup".to_owned(), followup_input(changes))
}

pub(super) fn followup_input(changes: &Value) -> Value {
    let mut input = json!({
        "to": "r1",
        "subject": "Your bulbs",
        "message": "Shall we help you to choose?",
        "send_after_hours": 4,
        "campaign_id": "spring",
        "reason": "A person clicked.",
    });
    for (name, value) in changes.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

/// A stage with a budget for all cases, and a suppressed recipient.
pub(super) async fn stage() -> Stage {
    let stage = Stage::with(&[("ANTHROPIC_API_KEY", KEY), ("CLAUDE_DAILY_BUDGET_USD", "1000")]).await;
    suppress(&stage, SUPPRESSED).await;
    stage
}

const SUPPRESSED: &str = "bob@example.com";

pub(super) const KEY: &str = "sk-ant-api03-not-to-be-logged";

/// An email to two recipients, of whom the second is suppressed.
pub(super) fn mail(number: usize) -> StagedEmail {
    let to = vec![format!("ann{number}@example.com"), SUPPRESSED.to_owned()];
    StagedEmail { to, ..StagedEmail::to(&format!("e{number}"), "") }
}

/// The result of a click.
pub(super) struct ClickResult {
    pub(super) again: BatchResponse,
    pub(super) receipt: Option<Receipt>,
    pub(super) published: Vec<Published>,
    pub(super) log: String,
}

/// Clicks a link in an email, with Claude's planned answer.
pub(super) async fn clicked(stage: &Stage, mail: &StagedEmail, click: SignedMessage) -> ClickResult {
    let id = click.id.clone();
    stage.receives(&[mail.delivered(), click]).await;
    let engagement = EngageMessage { email_id: mail.email_id.clone(), event: format!("email.clicked#{id}") };
    let delivery = QueueMessage {
        message_id: format!("sqs-{id}"),
        receipt_handle: "handle".to_owned(),
        body: serde_json::to_string(&engagement).unwrap(),
        deliveries: 1,
    };
    let before = stage.aws.sns.as_ref().unwrap().messages().len();
    let mut again = BatchResponse::default();
    let delivers = async { again = stage.delivers(&[delivery], super::NOW).await };
    let log = crate::support::logged(delivers).await;
    let published = stage.aws.sns.as_ref().unwrap().messages().split_off(before);
    ClickResult { again, receipt: receipt(stage, mail).await, published, log }
}

async fn receipt(stage: &Stage, mail: &StagedEmail) -> Option<Receipt> {
    let table = stage.aws.variable("EVENTS_TABLE").unwrap();
    let query = stage.dynamodb.query().table_name(table).key_condition_expression("email_id = :id");
    let id = aws_sdk_dynamodb::types::AttributeValue::S(mail.email_id.clone());
    let rows: Vec<Item> = query.expression_attribute_values(":id", id).send().await.unwrap().items.unwrap();
    let mut decided = rows.iter().filter(|row| row.contains_key("decided_at"));
    let receipt = decided.next().map(|row| serde_json::from_str(&payload_text(row)).unwrap());
    assert!(decided.next().is_none(), "one decision for {}", mail.email_id);
    receipt
}

/// Number of reservations that are not settled.
pub(super) async fn open_reservations(stage: &Stage) -> usize {
    let agenda = stage.scan("AGENDA_TABLE").await;
    let days = agenda.iter().filter(|item| item["kind"].as_s().unwrap() == "spent");
    days.filter_map(|day| day.get("open")?.as_ss().ok()).map(Vec::len).sum()
}

/// The default sender.
pub(super) const FROM: &str = "Northwind Garden <news@shop.example>";

/// Returns the faults of the result of a click, whatever the answer.
pub(super) fn harm(mail: &StagedEmail, from: &str, became: &ClickResult) -> Vec<String> {
    let mut harm = Vec::new();
    if became.again != BatchResponse::default() {
        harm.push("the message is not done".to_owned());
    }
    if became.published.len() > 1 {
        harm.push(format!("published {} times", became.published.len()));
    }
    for published in &became.published {
        harm.extend(bounds::faults(published, mail, from, &[SUPPRESSED.to_owned()]));
    }
    let log = bounds::plain(&became.log);
    for never in ["@", "mallory", "evil", "bulbs", "iphone", "203.0.113.24", "utm_source", KEY, "ignore"] {
        if log.contains(never) {
            harm.push(format!("{never} is logged: {}", became.log));
        }
    }
    match &became.receipt {
        None => harm.push("nothing was decided".to_owned()),
        Some(receipt) => {
            let is_followup = receipt.done == DecisionResult::FollowupProposed;
            let reported = became.published.iter().any(|published| published.attributes["kind"] == "followup");
            if (is_followup, is_followup) != (reported, receipt.followup.is_some()) {
                harm.push(format!("decided and published are two things: {receipt:#?}"));
            }
        }
    }
    harm
}

/// Tries all of these, and panics with all faults.
pub(super) async fn try_all(cases: Vec<Case>) {
    let stage = stage().await;
    let (all, mut wrong) = (cases.len(), Vec::new());
    for (number, Case { name, answer, expected }) in cases.into_iter().enumerate() {
        stage.claude.plan(move |_| answer.clone());
        let mail = mail(number);
        let became = clicked(&stage, &mail, mail.clicked(&format!("c{number}"), after(-10 * MINUTE))).await;
        let mut faults = harm(&mail, FROM, &became);
        faults.extend(became.receipt.as_ref().and_then(|receipt| unexpected(receipt, expected)));
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert_eq!(stage.claude.asked().len(), all, "each was asked about once");
    assert_eq!(open_reservations(&stage).await, 0, "reservations are open");
    assert!(wrong.is_empty(), "{} of {all} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn unexpected(receipt: &Receipt, expected: Expected) -> Option<String> {
    let asked = &receipt.asked;
    let holds = |text: &Option<String>, word: &str| text.as_ref().is_some_and(|text| text.contains(word));
    let is_so = match expected {
        Expected::Proposed => receipt.done == DecisionResult::FollowupProposed && asked.by == DecidedBy::Claude,
        Expected::Refused(word) => {
            asked.by == DecidedBy::Rules && holds(&asked.refused, word) && holds(&asked.because, "refused")
        }
        Expected::Guarded(word) => {
            asked.by == DecidedBy::Claude && matches!(&receipt.done, DecisionResult::Nothing(why) if why.contains(word))
        }
    };
    (!is_so).then(|| format!("not {expected:?}: {:?}, {asked:?}", receipt.done))
}
