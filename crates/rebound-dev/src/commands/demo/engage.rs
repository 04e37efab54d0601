//! The third part: the verdicts about opens and clicks, and the decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_local::feeder::FeederOptions;
use rebound::engage::Engager;
use rebound::message::decision::{DecidedBy, DecisionResult, Receipt};
use rebound::store::Item;
use rebound::store::row::payload_text;
use rebound::time::UnixMillis;
use serde::Serialize;
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::emails::{DemoEmail, with};
use super::environment::{DemoEnvironment, is_hopeless, string, until_idle};
use crate::claude::ClaudeStub;
use crate::commands::CommandError;
use crate::runner::{Clock, engage_invoker, poll, queue_mappings, timeout_of};

/// The maker of decisions: the built-in rules, the stub, or Claude.
#[derive(Clone, Copy, IntoStaticStr)]
pub(super) enum DemoDecider<'a> {
    /// The built-in rules, without a Claude request.
    #[strum(serialize = "the built-in rules")]
    Rules,
    /// The local stub of Claude.
    #[strum(serialize = "a local stub of Claude with fixed answers")]
    Stub(&'a ClaudeStub),
    /// Claude, with the shell's key.
    #[strum(serialize = "Claude")]
    Claude,
}

impl DemoDecider<'_> {
    const fn campaign(self) -> &'static str {
        match self {
            Self::Rules => "tulip-news",
            Self::Stub(_) => "rose-news",
            Self::Claude => "lily-news",
        }
    }

    fn as_str(self) -> &'static str {
        self.into()
    }

    /// An engager that uses this decider.
    fn engager(self, env: &DemoEnvironment) -> Result<Engager, CommandError> {
        let variable = |name: &str| match (self, name) {
            (Self::Rules, "ANTHROPIC_API_KEY") => None,
            (Self::Stub(_), "ANTHROPIC_API_KEY") => Some("local".to_owned()),
            (Self::Stub(claude), "ANTHROPIC_BASE_URL") => Some(claude.url()),
            (Self::Claude, name) if name.starts_with("ANTHROPIC_") => crate::commands::variable(name),
            _ => env.aws.variable(name),
        };
        Ok(Engager::from_environment(variable)?)
    }
}

/// Maximum time until the queue is empty.
const TIMEOUT: Duration = Duration::from_secs(300);

pub(super) const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
                     Mobile/15E148 Safari/604.1";
const DESKTOP: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const GMAIL: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const APPLE: &str = "Mozilla/5.0";

/// One open or click: reader, event type, seconds after delivery, user agent, IP address, link, and the expected verdict.
struct Act(&'static str, &'static str, i64, &'static str, &'static str, &'static str, &'static str);

const ACTS: [Act; 14] = [
    Act("ann", "clicked", 1_500, PHONE, "203.0.113.24", "tulips", "human"),
    Act("ann", "clicked", 1_800, PHONE, "203.0.113.24", "prices", "human"),
    Act("ben", "opened", 1_200, GMAIL, "66.249.84.1", "", "human"),
    Act("cleo", "opened", 1_300, APPLE, "17.58.101.2", "", "unsure"),
    Act("dan", "clicked", 40, DESKTOP, "40.94.26.1", "tulips", "machine"),
    Act("dan", "clicked", 40, DESKTOP, "40.94.26.1", "prices", "machine"),
    Act("dan", "clicked", 40, DESKTOP, "40.94.26.1", "about", "machine"),
    Act("dan", "clicked", 2_000, DESKTOP, "198.51.100.7", "tulips", "human"),
    Act("eve", "clicked", 1_600, PHONE, "203.0.113.99", "tulips", "human"),
    Act("finn", "clicked", 1_400, "", "203.0.113.50", "tulips", "unsure"),
    Act("gus", "clicked", 900, "curl/8.11.1", "192.0.2.7", "tulips", "machine"),
    Act("hana", "opened", 1, DESKTOP, "192.0.2.80", "", "machine"),
    Act("ivo", "clicked", 1, PHONE, "192.0.2.81", "tulips", "machine"),
    Act("june", "clicked", 1_100, PHONE, "203.0.113.77", "tulips", "human"),
];

/// An open or a click, and its verdict.
#[derive(Debug, Serialize)]
pub(super) struct ClassifiedEvent {
    pub(super) who: String,
    pub(super) what: &'static str,
    pub(super) seconds: i64,
    pub(super) verdict: String,
    pub(super) score: String,
    pub(super) reasons: Vec<String>,
    pub(super) not_decided: Option<String>,
}

/// A decision about an open or a click.
#[derive(Debug, Serialize)]
pub(super) struct DemoDecision {
    pub(super) who: String,
    pub(super) event: String,
    pub(super) by: DecidedBy,
    pub(super) chosen: &'static str,
    pub(super) reason: String,
    pub(super) done: DecisionResult,
}

/// The verdicts and decisions of one campaign, with one decider.
#[derive(Debug, Serialize)]
pub(super) struct EngageReport {
    pub(super) who_decides: &'static str,
    pub(super) campaign: &'static str,
    pub(super) judged: Vec<ClassifiedEvent>,
    pub(super) decisions: Vec<DemoDecision>,
    /// The receipt of the decision about Ann's click.
    pub(super) receipt: Option<Receipt>,
    /// Number of opens and clicks in the whole demo so far; then the verdicts about them, and the decisions.
    pub(super) opens_and_clicks: usize,
    pub(super) verdicts: usize,
    pub(super) decided: usize,
    /// Number of decisions that were published so far.
    pub(super) published: usize,
    /// Number of items that changed when every queue message was delivered again; then the number of publications.
    pub(super) changed_by_repetition: usize,
    pub(super) published_by_repetition: usize,
}

/// Posts a campaign's opens and clicks, runs `engage` until the queue is empty, and then delivers every message again.
pub(super) async fn show(env: &mut DemoEnvironment, who: DemoDecider<'_>) -> Result<EngageReport, CommandError> {
    let campaign = who.campaign();
    let feeder = env.feed(FeederOptions::default()).await?;
    post_events(env, campaign).await?;
    env.settle(&feeder).await?;
    drop(feeder);
    let engager = Arc::new(who.engager(env)?);
    empty_queue(env, &engager, Clock::new(1.0)).await?;

    let rows = env.scan("EVENTS_TABLE").await?;
    let judged = verdicts(env, &rows, campaign);
    let receipts = receipts(&rows)?;
    let decided = receipts.len();
    let own: BTreeMap<String, Receipt> =
        receipts.into_iter().filter(|(_, receipt)| receipt.campaign.as_str() == campaign).collect();
    check(env, &own, who);

    let (before, known) = (env.everything().await?, env.published().len());
    env.requeue_all().await?;
    empty_queue(env, &engager, Clock::new(1.0)).await?;
    let after = env.everything().await?;
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&String> = keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
    let repeated = env.published().len() - known;
    let well = changed.is_empty() && repeated == 0;
    env.check(well, format!("delivered again: {repeated} published, and changed: {changed:?}"));

    let begins = |row: &Item, kinds: &[&str]| kinds.iter().any(|kind| string(row, "event").starts_with(kind));
    let count = |kinds: &[&str]| rows.iter().filter(|row| begins(row, kinds)).count();
    let (opens_and_clicks, verdicts) = (count(&["email.opened#", "email.clicked#"]), count(&["verdict#"]));
    env.check(opens_and_clicks == verdicts, format!("{opens_and_clicks} opens and clicks, {verdicts} verdicts"));
    let decisions = own.values().map(|receipt| DemoDecision {
        who: receipt.recipients.join(", "),
        event: receipt.event.clone(),
        by: receipt.asked.by,
        chosen: receipt.choice.as_str(),
        reason: receipt.choice.reason().to_owned(),
        done: receipt.done.clone(),
    });
    Ok(EngageReport {
        who_decides: who.as_str(),
        campaign,
        judged,
        decisions: decisions.collect(),
        receipt: own.values().find(|receipt| receipt.recipients == [address("ann")]).cloned(),
        opens_and_clicks,
        verdicts,
        decided,
        published: env.decisions().len(),
        changed_by_repetition: changed.len(),
        published_by_repetition: repeated,
    })
}

/// Posts one delivered email for each reader, an hour old, and the opens and clicks of it.
async fn post_events(env: &mut DemoEnvironment, campaign: &'static str) -> Result<(), CommandError> {
    let delivered = UnixMillis::now().minus(Duration::from_secs(3_600));
    let email = |who: &str| DemoEmail {
        id: format!("{campaign}-{who}"),
        to: address(who),
        campaign: Some(campaign),
        created: delivered.minus(Duration::from_secs(2)),
    };
    let people: BTreeSet<&str> = ACTS.iter().map(|act| act.0).collect();
    let mut events: Vec<(String, Value)> = people
        .iter()
        .map(|who| (format!("msg_{campaign}_{who}"), email(who).event("email.delivered", delivered)))
        .collect();
    for (index, act) in ACTS.iter().enumerate() {
        events.push((message(campaign, index), act.event(&email(act.0), delivered)));
    }
    // Eve reported another email as spam afterwards.
    let other = DemoEmail::alone(&format!("{campaign}-another-email"), &address("eve"), delivered);
    events.push((format!("msg_{campaign}_complaint"), other.event("email.complained", delivered)));
    env.post_as(events).await
}

fn address(who: &str) -> String {
    format!("{who}@readers.example")
}

/// The id of the webhook of an open or a click.
fn message(campaign: &str, index: usize) -> String {
    format!("msg_{campaign}_act_{index}")
}

impl Act {
    fn event(&self, email: &DemoEmail, delivered: UnixMillis) -> Value {
        let Self(_, what, seconds, agent, ip, link, _) = self;
        let at = UnixMillis(delivered.0 + seconds * 1_000);
        let mut said = json!({ "ipAddress": ip, "timestamp": at.to_text(), "userAgent": agent });
        if let (false, Some(said)) = (link.is_empty(), said.as_object_mut()) {
            said.insert("link".to_owned(), format!("https://northwindgarden.example/{link}?to={}", email.to).into());
        }
        let name = if *what == "clicked" { "click" } else { "open" };
        with(email.event(&format!("email.{what}"), at), name, said)
    }
}

/// Runs `engage` with the time of `clock` until the queue is empty.
pub(super) async fn empty_queue(
    env: &DemoEnvironment,
    engager: &Arc<Engager>,
    clock: Clock,
) -> Result<(), CommandError> {
    let invoke = engage_invoker(Arc::clone(engager), clock, timeout_of("engage")?);
    let pollers = poll(&env.aws, &queue_mappings(&env.aws)?, |_| Arc::clone(&invoke)).await?;
    for poller in &pollers {
        let fails_at_all = || is_hopeless(poller.stats().invocations, poller.stats().failures);
        until_idle("engage", poller.idle(), fails_at_all, TIMEOUT).await?;
    }
    Ok(())
}

/// Checks each verdict of the campaign, and returns them.
fn verdicts(env: &mut DemoEnvironment, rows: &[Item], campaign: &'static str) -> Vec<ClassifiedEvent> {
    let mut judged = Vec::new();
    for (index, act) in ACTS.iter().enumerate() {
        let key = format!("verdict#email.{}#{}", act.1, message(campaign, index));
        let Some(row) = rows.iter().find(|row| string(row, "event") == key) else {
            env.check(false, format!("{key} is missing"));
            continue;
        };
        let verdict = string(row, "verdict").to_owned();
        env.check(verdict == act.6, format!("{} {} after {} s: {verdict}, not {}", act.0, act.1, act.2, act.6));
        let reasons = row.get("reasons").and_then(|list| list.as_l().ok());
        judged.push(ClassifiedEvent {
            who: address(act.0),
            what: act.1,
            seconds: act.2,
            verdict,
            score: row.get("score").and_then(|score| score.as_n().ok()).cloned().unwrap_or_default(),
            reasons: reasons.into_iter().flatten().filter_map(|reason| reason.as_s().ok().cloned()).collect(),
            not_decided: Some(string(row, "not_decided").to_owned()).filter(|why| !why.is_empty()),
        });
    }
    judged
}

/// Every decision's receipt, by the keys of its row.
fn receipts(rows: &[Item]) -> Result<BTreeMap<String, Receipt>, CommandError> {
    let decided = rows.iter().filter(|row| row.contains_key("decided_at"));
    let read = |row: &Item| {
        let key = format!("{} {}", string(row, "email_id"), string(row, "event"));
        serde_json::from_str(&payload_text(row)).map(|receipt| (key, receipt))
    };
    Ok(decided.map(read).collect::<Result<_, _>>()?)
}

/// Checks the decisions. For the stub and the built-in rules, the proposed follow-ups must match exactly.
fn check(env: &mut DemoEnvironment, receipts: &BTreeMap<String, Receipt>, who: DemoDecider<'_>) {
    let about: BTreeSet<String> = receipts.values().flat_map(|receipt| receipt.recipients.clone()).collect();
    let expected: BTreeSet<String> = ["ann", "ben", "dan", "eve", "finn", "june"].map(address).into();
    env.check(
        about == expected && receipts.len() == about.len(),
        format!("there are decisions about {about:?}, not one about each of {expected:?}"),
    );
    let proposed: BTreeSet<String> =
        receipts.values().filter_map(|receipt| Some(receipt.followup.as_ref()?.recipient.clone())).collect();
    env.check(!proposed.contains(&address("eve")), "a follow-up was proposed to a recipient who complained");
    let of_campaign = |decision: &Value| decision.get("campaign").and_then(Value::as_str) == Some(who.campaign());
    let recipient = |decision: Value| Some(decision.pointer("/followup/recipient")?.as_str()?.to_owned());
    let published: Vec<String> = env.decisions().into_iter().filter(of_campaign).filter_map(recipient).collect();
    let once = published.len() == proposed.len() && published.iter().all(|who| proposed.contains(who));
    env.check(once, format!("proposed to {proposed:?}, but published to {published:?}"));
    let exact: Option<BTreeSet<String>> = match who {
        DemoDecider::Rules => Some(BTreeSet::new()),
        DemoDecider::Stub(_) => Some(["ann", "dan", "june"].map(address).into()),
        DemoDecider::Claude => None,
    };
    let well = exact.as_ref().is_none_or(|exact| *exact == proposed);
    env.check(well, format!("{} proposed follow-ups to {proposed:?}, not to {exact:?}", who.as_str()));
}
