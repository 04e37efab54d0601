//! The part about `act`: it sends two follow-ups, one of them after the night, and none after a no.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use aws_local::feeder::FeederOptions;
use rebound::act::{Actor, BUDGET};
use rebound::engage::Engager;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::store::followups::FollowupRow;
use rebound::time::{UnixMillis, hours, minutes};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::emails::{DemoEmail, with};
use super::engage::{PHONE, empty_queue};
use super::environment::DemoEnvironment;
use crate::claude::ClaudeStub;
use crate::commands::CommandError;
use crate::resend::{LocalResend, ResendBehaviour};
use crate::runner::{Clock, serve_consent};

const CAMPAIGN: &str = "crocus-news";

/// The API key of the stub of Resend.
const KEY: &str = "local";

/// Who clicks, and the time of day of the decision. The stub of Claude wants each follow-up sent four hours later.
const CLICKS: [(&str, Duration); 4] = [
    ("kim", minutes(16 * 60)),
    ("lou", minutes(16 * 60)),
    ("mia", minutes(16 * 60 + 10)),
    ("nik", minutes(16 * 60 + 50)),
];

/// A follow-up after a step, as its row says.
#[derive(Debug, Serialize)]
pub(super) struct FollowupStep {
    /// Time of day, UTC.
    pub(super) at: String,
    pub(super) what: &'static str,
    pub(super) recipient: String,
    pub(super) status: &'static str,
    /// The reason in the last line of its history.
    pub(super) because: String,
}

/// The result of the whole part.
#[derive(Debug, Serialize)]
pub(super) struct FollowupReport {
    pub(super) steps: Vec<FollowupStep>,
    /// The recipients of the emails that Resend accepted, in order.
    pub(super) accepted: Vec<String>,
    /// The request for the first of them.
    pub(super) request: Value,
}

/// The function `act`, the stub of Resend, and their clock.
struct ActDemo {
    clock: Arc<AtomicI64>,
    resend: LocalResend,
    actor: Actor,
    steps: Vec<FollowupStep>,
}

/// Lets four people click, and follows what is sent to them until the next morning.
pub(super) async fn show(env: &mut DemoEnvironment, claude: &ClaudeStub) -> Result<FollowupReport, CommandError> {
    let midnight = midnight_before_afternoon(UnixMillis::now());
    let at = |time: Duration| midnight.plus(time);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let opt_out = minutes(20 * 60 + 17);
    let consent = serve_consent(any, env.aws.consent().await?, Clock::starting_at(at(opt_out), 1.0)).await?;
    let resend = LocalResend::start(KEY).await?;
    let clock = Arc::new(AtomicI64::new(midnight.0));
    let follows = Arc::clone(&clock);
    resend.follow_clock(move || UnixMillis(follows.load(Ordering::SeqCst)));
    let variable = |name: &str| match name {
        "FOLLOWUPS" => Some("send".to_owned()),
        "CONSENT_URL" => Some(consent.url()),
        "RESEND_BASE_URL" => Some(resend.url()),
        "RESEND_API_KEY" => Some(KEY.to_owned()),
        "ANTHROPIC_API_KEY" => Some("local".to_owned()),
        "ANTHROPIC_BASE_URL" => Some(claude.url()),
        _ => env.aws.variable(name),
    };
    let engager = Arc::new(Engager::from_environment(variable)?);
    let actor = Actor::from_environment(variable)?;
    let mut demo = ActDemo { clock, resend, actor, steps: Vec::new() };

    decide(env, &engager, midnight).await?;
    for (who, decided) in CLICKS {
        let row = demo.note(env, at(decided), "the decision after a click", who).await?;
        let due = at(decided + hours(4));
        // The clock of the decision goes on.
        let well = row.is_some_and(|row| {
            row.state.status == FollowupStatus::Due && (due..due.plus(minutes(5))).contains(&row.state.not_before)
        });
        env.check(well, format!("the follow-up to {who} is not due four hours after its decision"));
    }

    let other = DemoEmail::alone(&format!("{CAMPAIGN}-another-email"), &address("lou"), UnixMillis::now());
    env.post(vec![other.event("email.complained", UnixMillis::now())]).await?;
    let evening = at(minutes(20 * 60 + 5));
    demo.act(evening).await;
    let kim = demo.note(env, evening, "act, 5 minutes after it is due", "kim").await?;
    env.check(is(kim, FollowupStatus::Sent), "the first follow-up is not sent");
    let lou = demo.note(env, evening, "act, after a complaint", "lou").await?;
    env.check(is_dropped(lou, false), "a follow-up to a recipient who complained is not dropped");

    let failing = AtomicBool::new(true);
    demo.resend.plan(move |method, _| {
        let fails = method == "POST" && failing.swap(false, Ordering::SeqCst);
        fails.then_some(ResendBehaviour::Status(500))
    });
    let first_try = at(minutes(20 * 60 + 15));
    demo.act(first_try).await;
    let mia = demo.note(env, first_try, "act: Resend answers 500", "mia").await?;
    let request = mia.as_ref().and_then(|row| row.request.clone()).unwrap_or_default();
    env.check(is(mia, FollowupStatus::Sending), "a try without a clear answer is not kept for another one");
    let link = link(&request).ok_or("the follow-up has no unsubscribe link")?;
    let opted_out = rebound::web::client().post(link).body("List-Unsubscribe=One-Click").send().await?.status();
    env.check(opted_out == 200, format!("the response to an opt-out is {opted_out}"));
    let second_try = at(minutes(20 * 60 + 20));
    demo.act(second_try).await;
    let mia = demo.note(env, second_try, "act, after she unsubscribed", "mia").await?;
    env.check(is_dropped(mia, true), "a follow-up is not dropped after an opt-out between two tries");

    let night = at(hours(22));
    demo.act(night).await;
    let nik = demo.note(env, night, "act, late: the night has begun", "nik").await?;
    let morning = at(hours(24 + 8));
    let well = nik.is_some_and(|row| row.state.status == FollowupStatus::Due && row.state.entry_at == morning);
    env.check(well, "at night, a follow-up is not postponed until the quiet hours end");
    demo.act(morning).await;
    let nik = demo.note(env, morning, "act, in the morning", "nik").await?;
    env.check(is(nik, FollowupStatus::Sent), "a follow-up that was postponed for the night is not sent");
    demo.report(env)
}

impl ActDemo {
    /// Runs `act` at this time.
    async fn act(&self, now: UnixMillis) {
        self.clock.store(now.0, Ordering::SeqCst);
        // Its errors show in the rows, which are checked.
        let _ = self.actor.run(&|| now, Instant::now() + BUDGET).await;
    }

    /// Reads a recipient's follow-up, and notes it for the report.
    async fn note(
        &mut self,
        env: &DemoEnvironment,
        at: UnixMillis,
        what: &'static str,
        who: &str,
    ) -> Result<Option<FollowupRow>, CommandError> {
        let rows = env.email(&format!("{CAMPAIGN}-{who}")).await?;
        let (row, recipient) = (rows.iter().find_map(FollowupRow::from_item), address(who));
        if let Some(row) = &row {
            let because = row.state.history.last().map(|line| line.why.clone()).unwrap_or_default();
            let at = at.to_text().get(11..16).unwrap_or_default().to_owned();
            self.steps.push(FollowupStep { at, what, recipient, status: row.state.status.as_str(), because });
        }
        Ok(row)
    }

    /// Checks what Resend accepted: each email that was sent once, threaded, with an unsubscribe link, and no other.
    fn report(self, env: &mut DemoEnvironment) -> Result<FollowupReport, CommandError> {
        let emails = self.resend.emails();
        let to = |email: &Value| email.get("to").and_then(Value::as_str).unwrap_or_default().to_owned();
        let accepted: Vec<String> = emails.iter().map(to).collect();
        let expected = ["kim", "nik"].map(address);
        env.check(accepted == expected, format!("Resend accepted emails to {accepted:?}, not to {expected:?}"));
        for (email, who) in emails.iter().zip(["kim", "nik"]) {
            let header = |name: &str| email.get("headers").and_then(|headers| headers.get(name)?.as_str());
            let answers = Some(message_id(who));
            let threaded = ["In-Reply-To", "References"].iter().all(|name| header(name) == answers.as_deref());
            env.check(threaded, format!("the follow-up to {who} is not in the thread of the email that it answers"));
            let can_stop = header("List-Unsubscribe-Post") == Some("List-Unsubscribe=One-Click");
            env.check(can_stop, format!("the follow-up to {who} has no one-click unsubscribe link"));
        }
        let request = emails.into_iter().next().ok_or("Resend accepted no follow-up")?;
        Ok(FollowupReport { steps: self.steps, accepted, request })
    }
}

/// Posts an email, delivered and clicked, for each person, and lets `engage` decide at their times.
async fn decide(env: &mut DemoEnvironment, engager: &Arc<Engager>, midnight: UnixMillis) -> Result<(), CommandError> {
    let delivered = UnixMillis::now().minus(hours(1));
    let clicked = delivered.plus(minutes(25));
    let feeder = env.feed(FeederOptions::default()).await?;
    for together in CLICKS.chunk_by(|one, next| one.1 == next.1) {
        let mut events = Vec::new();
        for (who, _) in together {
            let created = delivered.minus(Duration::from_secs(2));
            let id = format!("{CAMPAIGN}-{who}");
            let email = DemoEmail { id, to: address(who), campaign: Some(CAMPAIGN), created };
            let arrived = email.event("email.delivered", delivered);
            events.push(with(arrived, "message_id", message_id(who).into()));
            let click = json!({
                "ipAddress": "203.0.113.24", "timestamp": clicked.to_text(), "userAgent": PHONE,
                "link": "https://northwindgarden.example/crocuses",
            });
            events.push(with(email.event("email.clicked", clicked), "click", click));
        }
        env.post(events).await?;
        env.settle(&feeder).await?;
        let decided = together.first().map(|(_, decided)| midnight.plus(*decided)).unwrap_or(midnight);
        empty_queue(env, engager, Clock::starting_at(decided, 1.0)).await?;
    }
    Ok(())
}

/// The midnight (UTC) of the day whose 16:00 comes next.
fn midnight_before_afternoon(now: UnixMillis) -> UnixMillis {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let (midnight, passed) = (now.0 - now.0.rem_euclid(DAY), now.0.rem_euclid(DAY));
    UnixMillis(if passed < 16 * 60 * 60 * 1_000 { midnight } else { midnight + DAY })
}

fn address(who: &str) -> String {
    format!("{who}@readers.example")
}

/// The `Message-ID` of the email to this person.
fn message_id(who: &str) -> String {
    format!("<{CAMPAIGN}-{who}@email.amazonses.com>")
}

/// The unsubscribe link in a request.
fn link(request: &str) -> Option<String> {
    let request: Value = serde_json::from_str(request).ok()?;
    let header = request.get("headers")?.get("List-Unsubscribe")?.as_str()?;
    Some(header.trim_matches(['<', '>']).to_owned())
}

fn is(row: Option<FollowupRow>, status: FollowupStatus) -> bool {
    row.is_some_and(|row| row.state.status == status)
}

/// True if it is dropped because of a suppression, and, if `unclear`, with a try that may have been accepted.
fn is_dropped(row: Option<FollowupRow>, unclear: bool) -> bool {
    row.is_some_and(|row| {
        let state = row.state;
        state.status == FollowupStatus::Dropped
            && state.reason == Some(DropReason::Suppressed)
            && state.is_unclear() == unclear
    })
}
