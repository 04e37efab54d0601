//! The second part of a soak: the follow-ups that came of its clicks are sent, on a fast clock, while `rebound dev` is
//! killed, Resend fails, and recipients unsubscribe.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rebound::aws::AwsEnvironment;
use rebound::aws::tables::TableNames;
use rebound::message::decision::FOLLOWUP_ID_TAG;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::resend::recipient::Recipient;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::client::RetryClient;
use rebound::store::followups::{FollowupRow, FollowupStore};
use rebound::time::UnixMillis;
use rebound_dev::resend::{AcceptedEmail, LocalResend, ResendBehaviour};
use rebound_dev::runner::Clock;
use rebound_dev::simulate::verify::AFTER_A_STOP;
use rebound_dev::{CLOCK, LOCAL_SECRET};
use serde_json::json;

use crate::service::ServiceProcess;
use crate::{Arguments, BoxError};

/// Speed of the clock: the follow-ups, due after four hours, are due after two minutes.
const SPEED: f64 = 120.0;

/// Real time until the first follow-up is due, and in which recipients unsubscribe and kills happen.
const BEGIN: Duration = Duration::from_secs(110);
const SPREAD: Duration = Duration::from_secs(120);

/// Time in which all could be sent, and the minimum rate, in requests a second.
const SENDING: Duration = Duration::from_secs(60);
const MIN_RATE: f64 = 4.0;

/// Number of kills. After one, the lock of `act` is held for up to 55 s, and a try that was unclear ends after 23 hours
/// of the clock.
const KILLS: u32 = 3;

/// Fraction of the recipients who unsubscribe.
const STOPPED: f64 = 0.3;

/// Fraction of the requests whose answer is lost, and of those that fail.
const LOST: f64 = 0.1;
const FAILED: f64 = 0.1;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The result of sending.
#[derive(Debug, Default)]
pub(crate) struct FollowupResult {
    /// Follow-ups that were decided to be sent.
    pub(crate) decided: usize,
    /// Follow-ups by their status at the end.
    pub(crate) statuses: BTreeMap<&'static str, usize>,
    /// Emails that Resend accepted.
    pub(crate) accepted: usize,
    /// Recipients who unsubscribed meanwhile.
    pub(crate) stopped: usize,
    /// Of those, how many follow-ups were sent before.
    pub(crate) sent_before: usize,
    pub(crate) kills: u32,
    pub(crate) seconds: f64,
    pub(crate) faults: Vec<String>,
}

/// A recipient who unsubscribes: the time at which it happens, and at which the response came.
struct Stop {
    recipient: Recipient,
    due: Duration,
    stored: Option<Instant>,
}

/// Lets answers of Resend be lost, and requests fail.
pub(crate) fn make_unreliable(resend: &LocalResend, seed: u64) {
    resend.limit(100_000);
    let mut dice = fastrand::Rng::with_seed(seed);
    resend.plan(move |method, _| match (method, dice.f64()) {
        ("POST", dice) if dice < LOST => Some(ResendBehaviour::LoseAnswer),
        ("POST", dice) if dice < LOST + FAILED => Some(ResendBehaviour::Status(500)),
        _ => None,
    });
}

/// Sends all follow-ups, and compares them with what Resend accepted.
pub(crate) async fn send(
    arguments: &Arguments,
    service: &mut ServiceProcess,
    resend: &LocalResend,
) -> Result<FollowupResult, BoxError> {
    let open = store(service)?.open(usize::MAX).await?;
    let rows = store(service)?.rows(&open).await?;
    eprintln!("{} follow-ups are sent now", rows.len());
    service.kill().await?;
    service.speed_up(SPEED, (rows.len() as f64 / SENDING.as_secs_f64()).max(MIN_RATE));
    start(service, resend).await?;
    let mut dice = fastrand::Rng::with_seed(arguments.seed);
    let moment = |dice: &mut fastrand::Rng| BEGIN + SPREAD.mul_f64(dice.f64());
    let mut stops = Vec::new();
    for recipient in rows.iter().filter_map(|row| row.recipient.clone()) {
        if dice.f64() < STOPPED {
            stops.push(Stop { recipient, due: moment(&mut dice), stored: None });
        }
    }
    let kills = if arguments.kill_every > 0.0 { KILLS } else { 0 };
    let mut kills_due: Vec<Duration> = (0..kills).map(|_| moment(&mut dice)).collect();
    let (began, patience) = (Instant::now(), Duration::from_secs(arguments.patience));
    let http = rebound::web::client();
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let passed = began.elapsed();
        if kills_due.iter().any(|due| *due <= passed) {
            kills_due.retain(|due| *due > passed);
            service.kill().await?;
            start(service, resend).await?;
        }
        for stop in stops.iter_mut().filter(|stop| stop.stored.is_none() && stop.due <= passed) {
            unsubscribe(&http, service, stop).await?;
        }
        let is_over = stops.iter().all(|stop| stop.stored.is_some()) && passed > BEGIN + SPREAD;
        let is_settled = is_over && store(service)?.open(1).await?.is_empty();
        if is_settled || passed > BEGIN + SPREAD + patience {
            break;
        }
    }
    let rows = {
        let store = store(service)?;
        let mut now = Vec::new();
        for row in &rows {
            now.extend(store.find(&row.email_id, &row.id).await?);
        }
        now
    };
    let mut result = FollowupResult { decided: open.len(), kills, stopped: stops.len(), ..FollowupResult::default() };
    result.seconds = began.elapsed().as_secs_f64();
    compare(&rows, &resend.accepted(), &stops, &mut result);
    Ok(result)
}

/// Starts the service, and lets Resend have its clock.
async fn start(service: &mut ServiceProcess, resend: &LocalResend) -> Result<(), BoxError> {
    service.start().await?;
    let variables = rebound_dev::read_env_file(&service.env_file())?;
    let clock: Clock = variables.get(CLOCK).ok_or("the clock is not in the file")?.parse()?;
    resend.follow_clock(move || clock.now());
    Ok(())
}

fn store(service: &ServiceProcess) -> Result<FollowupStore, BoxError> {
    let variables = rebound_dev::read_env_file(&service.env_file())?;
    let tables = TableNames::read(|variable| variables.get(variable).cloned().ok_or(variable))?;
    let aws = AwsEnvironment::read(|name| variables.get(name).cloned())?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    Ok(FollowupStore::new(RetryClient::new(aws.dynamodb(), deadline), tables))
}

/// Posts the webhook of a contact who unsubscribed. If it is not accepted, it is posted again in the next turn.
async fn unsubscribe(http: &reqwest::Client, service: &ServiceProcess, stop: &mut Stop) -> Result<(), BoxError> {
    let (recipient, now) = (&stop.recipient, UnixMillis::now());
    let data = json!({ "id": new_message_id(), "email": recipient.as_str(), "unsubscribed": true });
    let body = json!({ "type": "contact.updated", "created_at": now.to_text(), "data": data }).to_string();
    let message = SignedMessage::new(new_message_id(), now.seconds(), body, &LOCAL_SECRET.parse()?);
    let sent = message.request(http, reqwest::Method::POST, &service.url()).send().await;
    if sent.is_ok_and(|response| response.status().is_success()) {
        stop.stored = Some(Instant::now());
    }
    Ok(())
}

fn compare(rows: &[FollowupRow], accepted: &[AcceptedEmail], stops: &[Stop], result: &mut FollowupResult) {
    let mut known: BTreeMap<&str, &AcceptedEmail> = BTreeMap::new();
    for email in accepted {
        let id = email.tag(FOLLOWUP_ID_TAG).unwrap_or_default();
        if known.insert(id, email).is_some() {
            result.faults.push(format!("{id} was accepted twice"));
        }
    }
    result.accepted = known.len();
    for row in rows {
        let (id, state) = (&row.id, &row.state);
        *result.statuses.entry(state.status.as_str()).or_default() += 1;
        let email = known.remove(id.as_str());
        match (state.status, email.is_some()) {
            (FollowupStatus::Sent, false) => result.faults.push(format!("{id} is sent, and was not accepted")),
            (FollowupStatus::Dropped, true) if !state.is_unclear() => {
                result.faults.push(format!("{id} was accepted, and is dropped"));
            }
            (status, _) if !status.is_settled() => result.faults.push(format!("{id} is still {}", status.as_str())),
            _ => {}
        }
        let stop = stops.iter().find(|stop| row.recipient.as_ref() == Some(&stop.recipient));
        let Some((email, stored)) = email.zip(stop.and_then(|stop| stop.stored)) else { continue };
        let after = email.moment.saturating_duration_since(stored);
        match after > AFTER_A_STOP {
            true => result.faults.push(format!("{id} was accepted {} s after a stop", after.as_secs())),
            false => result.sent_before += 1,
        }
    }
    result.faults.extend(known.keys().map(|id| format!("{id} was accepted, and has no row")));
}
