//! Many follow-ups at once: the rate, two runs, and a pause of days.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use rebound::message::decision::Followup;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::decisions::Occurrence;
use rebound::store::followups::{Switch, SwitchOf};
use rebound::store::{Item, number, text};
use rebound::time::{hours, minutes};

use crate::support::act::{ActHarness, sent};

/// Requests a second that these tests allow.
const RATE: usize = 50;

/// Number of items in one write.
const BATCH: usize = 25;

/// A value with other texts.
fn replaced(value: &AttributeValue, names: &[(String, String)]) -> AttributeValue {
    let replace = |text: &String| names.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
    match value {
        AttributeValue::S(text) => AttributeValue::S(replace(text)),
        AttributeValue::Ss(texts) => AttributeValue::Ss(texts.iter().map(replace).collect()),
        other => other.clone(),
    }
}

impl ActHarness {
    /// Stores this many follow-ups that are due now, as [`Self::decide`] does, each to another recipient.
    async fn decide_many(&self, number: usize) {
        const EMAIL: &str = "template-email";
        const TO: &str = "template@example.com";
        let id_of = |email: &str, to: &str| {
            let recipient = Recipient::parse(to).unwrap();
            Occurrence::new(email, "email.clicked", std::slice::from_ref(&recipient)).decision_id()
        };
        let (id, decision) = (self.decide(EMAIL, TO).await, id_of(EMAIL, TO));
        let mut template: Vec<(String, Item)> = Vec::new();
        for table in ["EVENTS_TABLE", "AGENDA_TABLE", "RECIPIENTS_TABLE"] {
            let items = self.scan(table).await.into_iter();
            template.extend(items.map(|item| (self.table(table), item)));
        }
        let mut requests: Vec<(String, WriteRequest)> = Vec::new();
        for n in 1..number {
            let (email, to) = (format!("e{n}"), format!("p{n}@example.com"));
            let new = id_of(&email, &to);
            let names = [
                (id.clone(), Followup::id(&new)),
                (decision.clone(), new.clone()),
                (EMAIL.to_owned(), email),
                (TO.to_owned(), to),
            ];
            for (table, item) in &template {
                let item = item.iter().map(|(name, value)| (name.clone(), replaced(value, &names))).collect();
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                requests.push((table.clone(), WriteRequest::builder().put_request(put).build()));
            }
        }
        let dynamodb = self.aws.clients().dynamodb();
        for part in requests.chunks(BATCH) {
            let mut write = dynamodb.batch_write_item();
            for table in ["EVENTS_TABLE", "AGENDA_TABLE", "RECIPIENTS_TABLE"].map(|table| self.table(table)) {
                let ours: Vec<WriteRequest> =
                    part.iter().filter(|(of, _)| *of == table).map(|(_, request)| request.clone()).collect();
                if !ours.is_empty() {
                    write = write.request_items(table, ours);
                }
            }
            write.send().await.unwrap();
        }
    }

    /// Moves the clock on, if no follow-up is due now: on a busy machine a look may come too late for its request.
    async fn look_again(&self) {
        if self.count(FollowupStatus::Due).await == 0 {
            self.advance(minutes(1));
        }
    }

    async fn count(&self, status: FollowupStatus) -> usize {
        self.rows().await.iter().filter(|row| row.state.status == status).count()
    }
}

#[tokio::test]
async fn the_rate_is_never_passed_as_resend_counts_it() {
    let rate = RATE.to_string();
    let stage = ActHarness::with(&[("RESEND_RATE", &rate)]).await;
    stage.decide_many(200).await;
    while stage.count(FollowupStatus::Sent).await < 200 {
        stage.act().await;
        stage.look_again().await;
    }
    assert!(stage.resend.busiest_second() <= RATE, "{}", stage.resend.busiest_second());
    stage.none_twice("200 at once");
}

#[tokio::test]
async fn the_rate_holds_over_two_acts_and_a_lock_that_changes_hands() {
    let rate = RATE.to_string();
    let stage = ActHarness::with(&[("RESEND_RATE", &rate)]).await;
    stage.decide_many(120).await;
    let hands_over = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            // The lock is over in the middle of a run: whoever comes next takes it.
            let update = stage.aws.clients().dynamodb().update_item().table_name(stage.table("AGENDA_TABLE"));
            let update = update.key("kind", text("lock")).key("due", text("act"));
            let update = update.update_expression("SET #until = :past").expression_attribute_names("#until", "until");
            update.expression_attribute_values(":past", number(1)).send().await.unwrap();
        }
    };
    let acts = async |first: Duration| {
        let mut all = 0;
        tokio::time::sleep(first).await;
        while stage.count(FollowupStatus::Sent).await < 120 {
            all += sent(&stage.act().await);
            stage.look_again().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        all
    };
    let (one, two, ()) = tokio::join!(acts(Duration::ZERO), acts(Duration::from_millis(10)), hands_over);
    assert_eq!((one + two, stage.count(FollowupStatus::Sent).await), (120, 120), "{one} and {two}");
    assert!(stage.resend.busiest_second() <= RATE, "{}", stage.resend.busiest_second());
    stage.none_twice("two acts, and a lock that changes hands");
}

#[tokio::test]
async fn one_look_in_a_run_finds_a_campaign_paused() {
    let stage = ActHarness::start().await;
    stage.decide_many(20).await;
    let of = SwitchOf::Campaign(Campaign::new("spring").unwrap());
    let switch = Switch { of, at: stage.now(), by: "eva".to_owned(), reason: "wrong price".to_owned() };
    stage.store().pause(&switch).await.unwrap();
    stage.faults.count_capacity(true);
    assert_eq!(sent(&stage.act().await), 0);
    // A look has 14 items or more, at two units each or more.
    assert!(stage.faults.capacity().refused_units < 60.0, "{:?}", stage.faults.capacity());
    let later = stage.now().plus(minutes(15));
    assert!(stage.rows().await.iter().all(|row| row.state.entry_at == later && row.guards.len() == 1));
}

#[tokio::test]
async fn a_weekends_pause_with_5000_due_writes_nothing_for_an_email() {
    let stage = ActHarness::start().await;
    stage.decide_many(5_000).await;
    let switch = Switch { of: SwitchOf::All, at: stage.now(), by: "eva".to_owned(), reason: "weekend".to_owned() };
    stage.store().pause(&switch).await.unwrap();
    stage.faults.plan(|_| None);
    stage.faults.count_capacity(true);
    // One of some thousand runs is as the other.
    for _ in 0..3 {
        stage.faults.plan(|_| None);
        assert_eq!(sent(&stage.act().await), 0);
        stage.advance(hours(23));
    }
    let (calls, cost) = (stage.faults.counted().0, stage.faults.capacity());
    let said = format!("paused with 5,000 due: {calls} calls in a run, {cost:?} in three runs\n");
    std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
    assert!(calls <= 130 && cost.read_units / 3.0 <= 300.0, "{said}");
    assert!(
        stage.rows().await.iter().all(|row| row.state.history.len() == 1 && row.state.entry_at == row.state.not_before)
    );
}
