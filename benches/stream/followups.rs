//! `bench-stream followups`: many follow-ups due at once. How fast `act` sends them, what each costs, and what the
//! rate is as Resend counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use clap::Args;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rebound::act::{ActActivity, Actor, BUDGET};
use rebound::aws::AwsEnvironment;
use rebound::message::decision::{DecisionResult, DecisionSource, Followup, Receipt};
use rebound::policy::answer::Choice;
use rebound::policy::followup::ProposedFollowup;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::decisions::{DecidedFollowup, Decisions, Occurrence, StoredDecision};
use rebound::store::followups::{FollowupSlot, Followups, NewFollowup};
use rebound::time::{UnixMillis, days};
use rebound_dev::resend::{LocalResend, ResendBehaviour};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;
use tokio::time::Instant;

use crate::BoxError;

/// Tuesday, 2026-11-24 at 13:30 UTC, outside of the quiet hours.
const NOON: UnixMillis = UnixMillis(1_795_527_000_000);

const KEY: &str = "re_full";

/// Number of decisions that are stored concurrently.
const MAX_CONCURRENT: usize = 16;

/// Follow-ups that are due at once.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Number of follow-ups
    #[arg(long, default_value_t = 5_000)]
    followups: usize,
    /// `RESEND_RATE`
    #[arg(long, default_value_t = 4)]
    rate: u32,
    /// Time that Resend takes for an answer, in milliseconds
    #[arg(long, default_value_t = 80)]
    answer_ms: u64,
    /// Maximum number of runs, each as long as in the function
    #[arg(long, default_value_t = 1)]
    runs: u32,
}

/// Sends for some runs, and prints the figures.
pub(crate) async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await?;
    let resend = LocalResend::start(KEY).await?;
    resend.limit(usize::MAX);
    let answer = Duration::from_millis(arguments.answer_ms);
    resend.plan(move |method, _| (method == "POST").then_some(ResendBehaviour::AnswerLate(answer)));
    let faults = Faults::default();
    let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").ok_or("DynamoDB has no address")?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = FaultProxy::start(upstream, any_port, Service::DynamoDb, faults.clone()).await?;
    let variables: BTreeMap<&str, String> = BTreeMap::from([
        ("FOLLOWUPS", "send".to_owned()),
        ("CONSENT_URL", "https://mail.example.com".to_owned()),
        ("CONSENT_KEY", "0123456789abcdef0123456789abcdef".to_owned()),
        ("RESEND_API_KEY", KEY.to_owned()),
        ("RESEND_BASE_URL", resend.url()),
        ("RESEND_RATE", arguments.rate.to_string()),
        ("FOLLOWUPS_PER_DAY", "1000000".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", proxy.url()),
    ]);
    let variable = |name: &str| variables.get(name).cloned().or_else(|| aws.variable(name));

    let store = &Decide::new(&aws)?;
    let all = stream::iter(0..arguments.followups).map(|n| store.followup(n));
    all.buffer_unordered(MAX_CONCURRENT).try_collect::<Vec<()>>().await?;
    println!(
        "{} follow-ups are due; RESEND_RATE={}; Resend answers after {answer:?}",
        arguments.followups, arguments.rate
    );

    faults.plan(|_| None);
    faults.count_capacity(true);
    let (mut sent, mut runs, mut time) = (0, 0, Duration::ZERO);
    while runs < arguments.runs && sent < arguments.followups {
        runs += 1;
        let actor = Actor::from_environment(variable)?;
        let began = Instant::now();
        let report = actor.run(&|| NOON, began + BUDGET).await;
        if let Some(error) = report.errors.first() {
            return Err(format!("a run failed: {error}").into());
        }
        sent += report.count(|did| *did == ActActivity::Sent);
        time += began.elapsed();
    }
    let (calls, cost) = (faults.calls(), faults.capacity());
    let mut by_operation: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *by_operation.entry(&call.operation).or_default() += 1;
    }
    let each = |count: f64| if sent == 0 { 0.0 } else { count / sent as f64 };
    let per_run = sent as f64 / f64::from(runs.max(1));
    let accepted = resend.accepted();
    let different: BTreeSet<&str> = accepted.iter().filter_map(|email| email.request.get("to")?.as_str()).collect();
    println!("Resend accepted {} emails, to {} people", accepted.len(), different.len());
    println!(
        "sent {sent} in {runs} runs of {:.1} s together: {:.2} a second while a run lasts",
        time.as_secs_f64(),
        sent as f64 / time.as_secs_f64()
    );
    println!(
        "a run each minute: {per_run:.0} a minute; all {} in {:.0} minutes",
        arguments.followups,
        (arguments.followups as f64 / per_run.max(1.0)).ceil()
    );
    println!("busiest second, as Resend counts: {} requests", resend.busiest_second());
    println!("calls to DynamoDB for each one sent: {:.1}", each(calls.len() as f64));
    for (operation, count) in by_operation {
        println!("  {operation}: {:.2}", each(count as f64));
    }
    println!("units for each one sent: {:.1} write, {:.1} read", each(cost.write_units), each(cost.read_units));
    Ok(())
}

/// Stores decisions with their follow-ups, as `engage` does.
struct Decide {
    decisions: Decisions,
    campaign: Campaign,
}

impl Decide {
    fn new(aws: &EmbeddedAws) -> Result<Self, BoxError> {
        let dynamodb = AwsEnvironment::read(|name| aws.variable(name))?.dynamodb();
        let calls = RetryClient::new(dynamodb, Instant::now() + Duration::from_secs(3_600));
        let campaign = Campaign::new("spring").ok_or("a campaign")?;
        Ok(Self { decisions: Decisions::new(calls, &aws.tables()), campaign })
    }

    async fn followup(&self, number: usize) -> Result<(), BoxError> {
        let (email_id, to) = (format!("e{number}"), format!("p{number}@example.com"));
        let recipient = Recipient::parse(&to).ok_or("an address")?;
        let occurrence = Occurrence::new(&email_id, "email.clicked", std::slice::from_ref(&recipient));
        let (id, expires_at) = (occurrence.decision_id(), NOON.plus(days(90)));
        self.decisions.claim(&occurrence, "m1", NOON, Duration::from_secs(180), expires_at).await?;
        let taken = ProposedFollowup { at: NOON, email_id: email_id.clone(), id: id.clone() };
        let slot = FollowupSlot { recipient: recipient.clone(), before: Followups::default(), taken };
        let scheduled = NewFollowup::scheduled(&email_id, &id, &recipient, &self.campaign, NOON, NOON, expires_at);
        let receipt = serde_json::to_string(&self.receipt(&id, &email_id, &to))?;
        let decided = StoredDecision { receipt, is_settled: false, owner: "m1".to_owned(), at: NOON };
        let followup = DecidedFollowup { slot: &slot, names: &[to], scheduled: Some(&scheduled) };
        self.decisions.decide(&occurrence, &decided, Some(followup)).await?;
        Ok(())
    }

    fn receipt(&self, id: &str, email_id: &str, to: &str) -> Receipt {
        Receipt {
            id: id.to_owned(),
            at: NOON.to_text(),
            email_id: email_id.to_owned(),
            event: "email.clicked".to_owned(),
            message: "m1".to_owned(),
            event_at: NOON.to_text(),
            recipients: vec![to.to_owned()],
            campaign: self.campaign.clone(),
            verdict: Verdict::Human,
            score: 0,
            reasons: Vec::new(),
            opt_out_click: false,
            facts: json!({}),
            asked: DecisionSource::default(),
            choice: Choice::HandToHuman { reason: "a measurement".to_owned() },
            guards: Vec::new(),
            done: DecisionResult::FollowupScheduled,
            followup: Some(Followup {
                recipient: to.to_owned(),
                from: Some("Northwind Garden <news@shop.example>".to_owned()),
                subject: "Re: Bulbs".to_owned(),
                text: "Hello.".to_owned(),
                not_before: NOON.to_text(),
                campaign: self.campaign.clone(),
                idempotency_key: String::new(),
                tags: Vec::new(),
            }),
        }
    }
}
