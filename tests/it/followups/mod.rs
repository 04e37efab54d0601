//! The follow-ups that Rebound sends, on the embedded AWS: their rows, and what is stored when anything goes wrong.

mod crash;
mod look;
mod protect;
mod stops;
mod transitions;

pub(crate) use self::protect::{alerts_with, published_alerts};

use std::collections::BTreeMap;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::AwsEnvironment;
use rebound::metrics::Metrics;
use rebound::policy::followup::sending::{AnswerMeaning, BegunTry, SendAnswer};
use rebound::policy::followup::{AllowedRecipients, ProposedFollowup, Zone};
use rebound::policy::limits::FollowupPolicy;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::decisions::{DecidedFollowup, Decisions, Occurrence, StoredDecision};
use rebound::store::followups::{
    FollowupRow, FollowupSlot, FollowupStore, LastLook, NewFollowup, TryResult, read_facts,
};
use rebound::store::outbox::OutboxClaim;
use rebound::store::{Item, as_number, number, string, text};
use rebound::time::{UnixMillis, days, hours};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::time::Instant;

use crate::support::any_port;

const ANN: &str = "ann@example.com";
const EMAIL: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";
const HOLDER: &str = "act-1";
const REQUEST: &str = r#"{"from":"Bloom <hello@shop.example>","to":"ann@example.com","subject":"Bulbs"}"#;

/// Tuesday, 2026-11-24 at 13:30 UTC, outside of the quiet hours.
const NOW: UnixMillis = UnixMillis(1_795_527_000_000);

const ZONE: fn() -> Zone = Zone::default;

fn ann() -> Recipient {
    Recipient::parse(ANN).unwrap()
}

/// The store, with the fault proxy in front of DynamoDB.
struct FollowupHarness {
    aws: EmbeddedAws,
    proxy: FaultProxy,
    /// A client whose calls pass the faults.
    dynamodb: aws_sdk_dynamodb::Client,
    faults: Faults,
    metrics: Metrics,
}

impl FollowupHarness {
    async fn start() -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let faults = Faults::default();
        let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let proxy = FaultProxy::start(upstream, any_port(), Service::DynamoDb, faults.clone()).await.unwrap();
        let through_proxy = AwsEnvironment::read(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(proxy.url()),
            _ => aws.variable(name),
        });
        let dynamodb = through_proxy.unwrap().dynamodb();
        Self { aws, proxy, dynamodb, faults, metrics: Metrics::off() }
    }

    /// A stage with a follow-up that is due now, and with the lock of [`HOLDER`].
    async fn with_a_due_one() -> Self {
        let stage = Self::start().await;
        stage.decide(EMAIL, ANN, NOW).await;
        stage.lock(HOLDER).await;
        stage
    }

    fn table(&self, variable: &str) -> String {
        self.aws.variable(variable).unwrap()
    }

    fn calls(&self) -> RetryClient {
        RetryClient::new(self.dynamodb.clone(), Instant::now() + Duration::from_secs(60))
    }

    fn store(&self) -> FollowupStore {
        FollowupStore::new(self.calls(), self.aws.tables())
    }

    /// Stores the decision about a click at `at`, with its follow-up. Returns the follow-up's id.
    async fn decide(&self, email_id: &str, to: &str, at: UnixMillis) -> String {
        self.try_to_decide(email_id, to, at).await.unwrap()
    }

    async fn try_to_decide(&self, email_id: &str, to: &str, at: UnixMillis) -> Result<String, rebound::aws::CallError> {
        let recipient = Recipient::parse(to).unwrap();
        let decisions = Decisions::new(self.calls(), &self.aws.tables());
        let occurrence = Occurrence::new(email_id, "email.clicked", std::slice::from_ref(&recipient));
        let expires_at = at.plus(days(90));
        decisions.claim(&occurrence, "m1", at, Duration::from_secs(180), expires_at).await?;
        let facts = read_facts(&self.calls(), &self.table("RECIPIENTS_TABLE"), &recipient).await?;
        let id = occurrence.decision_id();
        let taken = ProposedFollowup { at, email_id: email_id.to_owned(), id: id.clone() };
        let slot = FollowupSlot { recipient: recipient.clone(), before: facts.followups, taken };
        let campaign = Campaign::new("spring").unwrap();
        let scheduled = NewFollowup::scheduled(email_id, &id, &recipient, &campaign, at, at, expires_at);
        let names = [to.to_owned()];
        let decided = StoredDecision { receipt: "{}".to_owned(), is_settled: false, owner: "m1".to_owned(), at };
        let followup = DecidedFollowup { slot: &slot, names: &names, scheduled: Some(&scheduled) };
        let stored = decisions.decide(&occurrence, &decided, Some(followup)).await?;
        assert!(matches!(stored, OutboxClaim::Settled(_)), "{stored:?}");
        Ok(id.replacen("decision", "followup", 1))
    }

    async fn lock(&self, holder: &str) {
        let lock = [
            ("kind", text("lock")),
            ("due", text("act")),
            ("holder", text(holder)),
            ("until", number(UnixMillis::now().plus(hours(1)).0)),
        ];
        self.put("AGENDA_TABLE", &lock).await;
    }

    async fn put(&self, table: &str, attributes: &[(&str, AttributeValue)]) {
        let item: Item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let put = self.aws.clients().dynamodb().put_item();
        put.table_name(self.table(table)).set_item(Some(item)).send().await.unwrap();
    }

    async fn scan(&self, table: &str) -> Vec<Item> {
        let scan = self.aws.clients().dynamodb().scan().table_name(self.table(table));
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// The only follow-up.
    async fn row(&self) -> FollowupRow {
        self.rows().await.pop().unwrap()
    }

    async fn rows(&self) -> Vec<FollowupRow> {
        self.scan("EVENTS_TABLE").await.iter().filter_map(FollowupRow::from_item).collect()
    }

    /// The entries of the follow-ups: kind and status.
    async fn entries(&self) -> Vec<String> {
        let agenda = self.scan("AGENDA_TABLE").await;
        let of_followups = agenda.iter().filter(|item| string(item, "kind").starts_with("followup"));
        let mut entries: Vec<String> =
            of_followups.map(|item| format!("{} {}", string(item, "kind"), string(item, "status"))).collect();
        entries.sort();
        entries
    }

    /// The kinds of the alerts that the next tick publishes.
    async fn waiting_alerts(&self) -> Vec<String> {
        let (agenda, events) = (self.scan("AGENDA_TABLE").await, self.scan("EVENTS_TABLE").await);
        let waiting = agenda.iter().filter(|item| string(item, "kind") == "publish");
        let row_of = |entry: &&Item| {
            let id = string(entry, "alert").to_owned();
            let of_it = |row: &&Item| string(row, "event") == format!("alert#{id}");
            assert!(events.iter().any(|row| of_it(&row)), "{id} has no row");
            id.rsplit_once('-').unwrap().0.to_owned()
        };
        let mut kinds: Vec<String> = waiting.collect::<Vec<_>>().iter().map(row_of).collect();
        kinds.sort();
        kinds
    }

    /// The number of places of Ann.
    async fn places(&self) -> usize {
        self.store().places(&ann()).await.unwrap().taken.len()
    }

    async fn handed_over(&self) -> i64 {
        let agenda = self.scan("AGENDA_TABLE").await;
        let of_days = agenda.iter().filter(|item| string(item, "kind") == "handed_over");
        of_days.filter_map(|item| item.get("count").and_then(as_number)).sum()
    }

    /// Makes the last look at the only follow-up.
    async fn look(&self, at: UnixMillis) -> TryResult {
        self.look_with(at, |_| {}).await.unwrap()
    }

    async fn look_with(
        &self,
        at: UnixMillis,
        change: impl FnOnce(&mut Setting),
    ) -> Result<TryResult, rebound::aws::CallError> {
        let mut setting = Setting::default();
        change(&mut setting);
        let (zone, policy) = (ZONE(), FollowupPolicy::default());
        let look = LastLook {
            now: at,
            real_now: UnixMillis::now(),
            holder: &setting.holder,
            next_request_at: UnixMillis::now().plus(Duration::from_millis(250)),
            per_day: setting.per_day,
            asked_with: &setting.asked_with,
            zone: &zone,
            policy: &policy,
            allowed: &setting.allowed,
            domain: Some("shop.example"),
        };
        self.store().begin_try(&self.row().await, REQUEST, &look).await
    }

    /// Begins a try at `at`, which must be possible.
    async fn begin(&self, at: UnixMillis) -> (FollowupRow, BegunTry) {
        match self.look(at).await {
            TryResult::Begun { row, begun, .. } => (*row, begun),
            other => panic!("no try began: {other:?}"),
        }
    }
}

/// Inputs of a last look.
struct Setting {
    holder: String,
    per_day: u32,
    asked_with: String,
    allowed: AllowedRecipients,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            holder: HOLDER.to_owned(),
            per_day: 200,
            asked_with: "0123456789abcdef".to_owned(),
            allowed: AllowedRecipients::All,
        }
    }
}

fn answer(meaning: AnswerMeaning, status: u16, name: &str) -> SendAnswer {
    SendAnswer { meaning, status: Some(status), name: name.to_owned() }
}

/// A value as text, with the fields of a map in order.
fn shown(value: AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => {
            let fields: BTreeMap<String, String> = map.into_iter().map(|(name, value)| (name, shown(value))).collect();
            format!("{fields:?}")
        }
        AttributeValue::L(list) => format!("{:?}", list.into_iter().map(shown).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// Everything that is stored, without random versions.
async fn everything(stage: &FollowupHarness) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for table in ["EVENTS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE"] {
        for mut item in stage.scan(table).await {
            item.remove("version");
            item.remove("until");
            item.remove("next_request_at");
            all.push(item.into_iter().map(|(name, value)| (name, shown(value))).collect());
        }
    }
    all.sort();
    all
}
