//! A stage for `act`, on the embedded AWS, with the local Resend, and one clock for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::act::{ActActivity, ActReport, Actor};
use rebound::aws::AwsEnvironment;
use rebound::message::decision::{DecisionResult, DecisionSource, Followup, Receipt};
use rebound::policy::answer::Choice;
use rebound::policy::followup::ProposedFollowup;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::decisions::{DecidedFollowup, Decisions, Occurrence, StoredDecision};
use rebound::store::followups::{FollowupRow, FollowupSlot, FollowupStore, NewFollowup, read_facts};
use rebound::store::outbox::OutboxClaim;
use rebound::store::{Item, as_number, number, string, text};
use rebound::time::{UnixMillis, days};
use rebound_dev::resend::LocalResend;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;
use tokio::time::Instant;

use super::any_port;

/// Tuesday, 2026-11-24 at 13:30 UTC, outside of the quiet hours.
pub(crate) const NOON: UnixMillis = UnixMillis(1_795_527_000_000);

/// The API key of full access.
pub(crate) const KEY: &str = "re_full";

pub(crate) const CONSENT_KEY: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct ActHarness {
    pub(crate) aws: EmbeddedAws,
    pub(crate) resend: LocalResend,
    /// One fault plan for DynamoDB, Resend and SNS.
    pub(crate) faults: Faults,
    proxies: [FaultProxy; 3],
    clock: Arc<AtomicI64>,
    variables: Vec<(String, String)>,
}

impl ActHarness {
    /// Starts at [`NOON`], with follow-ups sent, and a rate that a test never waits for.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let resend = LocalResend::start(KEY).await.unwrap();
        resend.limit(100_000);
        let clock = Arc::new(AtomicI64::new(NOON.0));
        let follows = Arc::clone(&clock);
        resend.follow_clock(move || UnixMillis(follows.load(Ordering::SeqCst)));
        let faults = Faults::default();
        let endpoint = |name: &str| aws.variable(name).unwrap();
        let (dynamodb, sns) = (endpoint("AWS_ENDPOINT_URL_DYNAMODB"), endpoint("AWS_ENDPOINT_URL_SNS"));
        let proxies = [
            FaultProxy::start(dynamodb, any_port(), Service::DynamoDb, faults.clone()).await.unwrap(),
            FaultProxy::start(resend.url(), any_port(), Service::Http, faults.clone()).await.unwrap(),
            FaultProxy::start(sns, any_port(), Service::Sns, faults.clone()).await.unwrap(),
        ];
        let defaults = [
            ("FOLLOWUPS", "send"),
            ("CONSENT_URL", "https://mail.example.com"),
            ("CONSENT_KEY", CONSENT_KEY),
            ("RESEND_API_KEY", KEY),
            ("RESEND_RATE", "1000"),
            ("FOLLOWUPS_PER_DAY", "100000"),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().chain(&defaults).map(owned).collect();
        Self { aws, resend, faults, proxies, clock, variables }
    }

    /// A variable of the functions, with the proxies in front of the services.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => return Some(self.proxies[0].url()),
            "RESEND_BASE_URL" => return Some(self.proxies[1].url()),
            "AWS_ENDPOINT_URL_SNS" => return Some(self.proxies[2].url()),
            _ => {}
        }
        let set = self.variables.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        set.or_else(|| self.aws.variable(name))
    }

    /// An actor as in the function, with other variables.
    pub(crate) fn actor_with(&self, variables: &[(&str, &str)]) -> Actor {
        Actor::from_environment(|name| {
            let set = variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            set.or_else(|| self.variable(name))
        })
        .unwrap()
    }

    pub(crate) fn actor(&self) -> Actor {
        self.actor_with(&[])
    }

    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.set_clock(self.now().plus(by));
    }

    pub(crate) fn set_clock(&self, at: UnixMillis) {
        self.clock.store(at.0, Ordering::SeqCst);
    }

    /// One run of a new execution environment.
    pub(crate) async fn act(&self) -> ActReport {
        self.run(&self.actor()).await
    }

    pub(crate) async fn run(&self, actor: &Actor) -> ActReport {
        actor.run(&|| self.now(), Instant::now() + rebound::act::BUDGET).await
    }

    /// A run each minute of the clock, until `until`; every 15 minutes after the first hour. A rest in the lock ends
    /// with the time that passes, since it goes by real time.
    pub(crate) async fn acts_for(&self, time: Duration) {
        let end = self.now().plus(time);
        let mut step = Duration::from_secs(60);
        while self.now() < end {
            self.act().await;
            self.advance(step);
            self.end_rests().await;
            step = (step * 2).min(Duration::from_secs(45 * 60));
        }
        self.act().await;
    }

    /// Lets the lock and its rests end: real time passes.
    pub(crate) async fn end_rests(&self) {
        let update = self.aws.clients().dynamodb().update_item().table_name(self.table("AGENDA_TABLE"));
        let update = update.key("kind", text("lock")).key("due", text("act"));
        let update =
            update.update_expression("REMOVE resting_until, push_resting_until, next_request_at, holder, #until");
        update.expression_attribute_names("#until", "until").send().await.unwrap();
    }

    pub(crate) fn table(&self, variable: &str) -> String {
        self.aws.variable(variable).unwrap()
    }

    fn calls(&self) -> RetryClient {
        // Beside the faults.
        RetryClient::new(self.aws.clients().dynamodb(), Instant::now() + Duration::from_secs(60))
    }

    pub(crate) fn store(&self) -> FollowupStore {
        FollowupStore::new(self.calls(), self.aws.tables())
    }

    /// Stores the decision to send a follow-up now. Returns the follow-up's id.
    pub(crate) async fn decide(&self, email_id: &str, to: &str) -> String {
        self.decide_with(self.calls(), email_id, to).await
    }

    /// The same, with the faults.
    pub(crate) async fn decide_through_proxy(&self, email_id: &str, to: &str) -> String {
        let aws = AwsEnvironment::read(|name| self.variable(name)).unwrap();
        let calls = RetryClient::new(aws.dynamodb(), Instant::now() + Duration::from_secs(60));
        self.decide_with(calls, email_id, to).await
    }

    async fn decide_with(&self, calls: RetryClient, email_id: &str, to: &str) -> String {
        let (at, recipient) = (self.now(), Recipient::parse(to).unwrap());
        let decisions = Decisions::new(calls.clone(), &self.aws.tables());
        let occurrence = Occurrence::new(email_id, "email.clicked", std::slice::from_ref(&recipient));
        let expires_at = at.plus(days(90));
        decisions.claim(&occurrence, "m1", at, Duration::from_secs(180), expires_at).await.unwrap();
        let facts = read_facts(&calls, &self.table("RECIPIENTS_TABLE"), &recipient).await.unwrap();
        let id = occurrence.decision_id();
        let taken = ProposedFollowup { at, email_id: email_id.to_owned(), id: id.clone() };
        let slot = FollowupSlot { recipient: recipient.clone(), before: facts.followups, taken };
        let campaign = Campaign::new("spring").unwrap();
        let scheduled = NewFollowup::scheduled(email_id, &id, &recipient, &campaign, at, at, expires_at);
        let names = [to.to_owned()];
        let receipt = receipt(&id, email_id, to, at);
        let decided = StoredDecision {
            receipt: serde_json::to_string(&receipt).unwrap(),
            is_settled: false,
            owner: "m1".to_owned(),
            at,
        };
        let followup = DecidedFollowup { slot: &slot, names: &names, scheduled: Some(&scheduled) };
        let stored = decisions.decide(&occurrence, &decided, Some(followup)).await.unwrap();
        assert!(matches!(stored, OutboxClaim::Settled(_)), "{stored:?}");
        Followup::id(&id)
    }

    pub(crate) async fn put(&self, table: &str, attributes: &[(&str, AttributeValue)]) {
        let item: Item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let put = self.aws.clients().dynamodb().put_item();
        put.table_name(self.table(table)).set_item(Some(item)).send().await.unwrap();
    }

    /// Suppresses an address.
    pub(crate) async fn suppress(&self, address: &str) {
        let reasons = AttributeValue::Ss(vec!["complaint".to_owned()]);
        let record =
            AttributeValue::M(Item::from([("at".to_owned(), number(1)), ("message_id".to_owned(), text("m"))]));
        self.put("SUPPRESSIONS_TABLE", &[("recipient", text(address)), ("reasons", reasons), ("complaint", record)])
            .await;
    }

    pub(crate) async fn scan(&self, table: &str) -> Vec<Item> {
        let scan = self.aws.clients().dynamodb().scan().table_name(self.table(table));
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    pub(crate) async fn rows(&self) -> Vec<FollowupRow> {
        self.scan("EVENTS_TABLE").await.iter().filter_map(FollowupRow::from_item).collect()
    }

    /// The only follow-up.
    pub(crate) async fn row(&self) -> FollowupRow {
        let mut rows = self.rows().await;
        assert_eq!(rows.len(), 1);
        rows.pop().unwrap()
    }

    pub(crate) async fn status(&self) -> FollowupStatus {
        self.row().await.state.status
    }

    /// The kinds of the stored alerts, sorted.
    pub(crate) async fn alerts(&self) -> Vec<String> {
        let rows = self.scan("EVENTS_TABLE").await;
        let alert = |row: &Item| {
            let id = string(row, "event").strip_prefix("alert#")?;
            Some(id.rsplit_once('-')?.0.to_owned())
        };
        let mut kinds: Vec<String> = rows.iter().filter_map(alert).collect();
        kinds.sort();
        kinds
    }

    /// The lock's item.
    pub(crate) async fn lock(&self) -> Item {
        let agenda = self.scan("AGENDA_TABLE").await;
        agenda.into_iter().find(|item| string(item, "kind") == "lock").unwrap_or_default()
    }

    pub(crate) async fn resting_until(&self) -> Option<i64> {
        self.lock().await.get("resting_until").and_then(as_number)
    }

    /// Each follow-up was accepted at most once, by what the local Resend says.
    pub(crate) fn none_twice(&self, why: &str) {
        let mut ids: Vec<String> = self.resend.accepted().iter().map(|email| tag(&email.request, "followup")).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{why}: a follow-up was accepted twice");
    }
}

/// The value of a tag in a request.
pub(crate) fn tag(request: &serde_json::Value, name: &str) -> String {
    let tags = request["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
}

pub(crate) fn sent(report: &ActReport) -> usize {
    report.count(|did| *did == ActActivity::Sent)
}

fn receipt(id: &str, email_id: &str, to: &str, at: UnixMillis) -> Receipt {
    let campaign = Campaign::new("spring").unwrap();
    let choice = Choice::HandToHuman { reason: "a test".to_owned() };
    Receipt {
        id: id.to_owned(),
        at: at.to_text(),
        email_id: email_id.to_owned(),
        event: "email.clicked".to_owned(),
        message: "m1".to_owned(),
        event_at: at.to_text(),
        recipients: vec![to.to_owned()],
        campaign: campaign.clone(),
        verdict: Verdict::Human,
        score: 0,
        reasons: Vec::new(),
        opt_out_click: false,
        facts: json!({}),
        asked: DecisionSource::default(),
        choice,
        guards: Vec::new(),
        done: DecisionResult::FollowupScheduled,
        followup: Some(Followup {
            recipient: to.to_owned(),
            from: Some("Northwind Garden <news@shop.example>".to_owned()),
            subject: "Re: Bulbs".to_owned(),
            text: "Hello.".to_owned(),
            not_before: at.to_text(),
            campaign,
            idempotency_key: String::new(),
            tags: Vec::new(),
        }),
    }
}
