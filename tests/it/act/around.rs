//! Functions beside `act`: the webhooks of the emails that were sent, and the tick of `protect`.

use std::collections::BTreeSet;

use rebound::aws::stream::BatchResponse;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::protect::Protector;
use rebound::receive::Receiver;
use rebound::resend::signed::SignedMessage;
use rebound::store::followups::FollowupRow;
use rebound::store::{Item, string};
use rebound::time::hours;
use rebound_dev::resend::AcceptedEmail;
use serde_json::{Value, json};

use crate::support::act::{ActHarness, tag};
use crate::support::protect::{deliver, receive, record, soon};
use crate::support::secret;

/// Number of times that a batch is delivered until it must be done.
const DELIVERIES: usize = 5;

impl ActHarness {
    /// `protect`, of a new execution environment.
    pub(super) fn protector(&self) -> Protector {
        Protector::from_environment(|name| self.variable(name)).unwrap()
    }

    /// A tick. What it could not do is left to the next one.
    pub(super) async fn tick(&self, protector: &Protector) {
        protector.tick(self.now(), soon()).await;
    }

    /// The webhooks of what Resend accepted within the last hour are stored, and their records come until they are
    /// done.
    pub(super) async fn webhooks(&self, protector: &Protector) {
        let receiver = Receiver::from_environment(|name| self.aws.variable(name)).await.unwrap();
        let mut new = self.resend.accepted();
        new.retain(|email| email.at > self.now().minus(hours(1)));
        for email in &new {
            assert_eq!(receive(&receiver, &sent_event(email, self), self.now()).await, 200);
        }
        let rows = self.scan("EVENTS_TABLE").await;
        let is_new =
            |row: &&Item| new.iter().any(|email| string(row, "event") == format!("email.sent#sent-{}", email.id));
        let records: Vec<Value> = rows.iter().filter(is_new).map(record).collect();
        for _ in 0..DELIVERIES {
            if deliver(protector, &records, self.now()).await == BatchResponse::default() {
                return;
            }
        }
        panic!("the batch is never done");
    }

    /// The ids of the published alerts.
    pub(super) fn published(&self) -> BTreeSet<String> {
        let messages = self.aws.sns.as_ref().unwrap().messages();
        let id = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].as_str().unwrap().to_owned();
        messages.iter().map(|message| id(&message.for_protocol("lambda"))).collect()
    }

    /// Number of times that Resend accepted a follow-up.
    pub(super) fn accepted(&self, id: &str) -> usize {
        self.resend.accepted().iter().filter(|email| tag(&email.request, "followup") == id).count()
    }

    /// Each follow-up was accepted at most once; what was not is dropped or unknown; nothing is silent, and nothing is
    /// left to do. Returns the rows.
    pub(super) async fn judge(&self, why: &str) -> Vec<FollowupRow> {
        let events = self.scan("EVENTS_TABLE").await;
        let rows: Vec<FollowupRow> = events.iter().filter_map(FollowupRow::from_item).collect();
        let published = self.published();
        let alerts: Vec<&str> = events.iter().filter_map(|row| string(row, "event").strip_prefix("alert#")).collect();
        for id in &alerts {
            assert!(published.contains(*id), "{why}: {id} was never published");
        }
        for row in &rows {
            let (state, accepted) = (&row.state, self.accepted(&row.id));
            assert!(accepted <= 1, "{why}: accepted {accepted} times, {state:?}");
            let of_email = |kind: &str| {
                let is_alert = |event: &str| event.strip_prefix("alert#").is_some_and(|id| id.starts_with(kind));
                events.iter().any(|item| string(item, "email_id") == row.email_id && is_alert(string(item, "event")))
            };
            match (state.status, &state.reason) {
                (FollowupStatus::Sent, _) => assert_eq!(accepted, 1, "{why}: it says that it was sent, {state:?}"),
                (FollowupStatus::Unknown, _) => {
                    assert!(of_email("send_unknown"), "{why}: unknown in silence, {alerts:?}")
                }
                (FollowupStatus::Dropped, Some(DropReason::TooLate | DropReason::Refused(_))) => {
                    assert!(alerts.iter().any(|id| id.starts_with("send_failed")), "{why}: dropped in silence");
                    assert!(accepted == 0 || state.is_unclear(), "{why}: accepted, and dropped, {state:?}");
                }
                (FollowupStatus::Dropped, _) => {
                    assert!(accepted == 0 || state.is_unclear(), "{why}: accepted, and dropped, {state:?}");
                }
                (FollowupStatus::Waiting | FollowupStatus::Due | FollowupStatus::Sending, _) => {
                    panic!("{why}: left open, {state:?}")
                }
            }
        }
        let agenda = self.scan("AGENDA_TABLE").await;
        let left = |kind: &str| agenda.iter().filter(|item| string(item, "kind") == kind).count();
        assert_eq!((left("followup"), left("publish"), left("push")), (0, 0, 0), "{why}: left in the agenda");
        assert_eq!(left("followup_done"), rows.len(), "{why}: one entry for each row");
        rows
    }
}

/// The webhook that an email was sent.
fn sent_event(email: &AcceptedEmail, stage: &ActHarness) -> SignedMessage {
    let at = email.at.to_text();
    let tags: serde_json::Map<String, Value> = ["campaign", "followup_of", "followup"]
        .map(|name| (name.to_owned(), tag(&email.request, name).into()))
        .into_iter()
        .collect();
    let data = json!({
        "email_id": email.id, "created_at": at, "from": email.request["from"], "to": [email.request["to"]],
        "subject": email.request["subject"], "tags": tags,
    });
    let body = json!({ "type": "email.sent", "created_at": at, "data": data }).to_string();
    SignedMessage::new(format!("sent-{}", email.id), stage.now().seconds(), body, &secret())
}
