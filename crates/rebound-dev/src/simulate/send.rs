//! Sending the webhooks as Svix does, again when they are not taken; and what was answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rebound::aws::backoff::Backoff;
use rebound::resend::signature::SigningSecret;
use rebound::time::UnixMillis;
use reqwest::Client;
use serde_json::Value;

use super::chaos::{Chaos, Kind, Request, signed};
use super::story::{Message, Story};

/// How often a message is sent that is not taken.
const TRIES: u32 = 12;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long an answer may take: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many wrong answers are kept, of however many.
const MOST_WRONG: usize = 20;

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub secret: SigningSecret,
    /// What goes wrong on purpose.
    pub chaos: Vec<Chaos>,
    /// How many are under way at once.
    pub at_once: usize,
    /// How many are sent in a second; without it, as many as are taken.
    pub rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// How many requests there were of each kind.
    pub kinds: BTreeMap<&'static str, usize>,
    /// How often each answer was given: a status, and a word.
    pub answers: BTreeMap<String, usize>,
    /// How long the answers took, in microseconds, in no order.
    pub micros: Vec<u32>,
    /// How often something was sent again, because it was not taken, or not answered.
    pub retries: usize,
    /// How long all of it took.
    pub took: Duration,
    /// Answers that are not as they must be, in words; of many, some.
    pub wrong: Vec<String>,
    /// How many they are.
    pub wrong_answers: usize,
    /// Messages that were not taken in the end.
    pub not_taken: usize,
    /// How often each message was said to be stored now. Where an answer was lost, that may be never.
    stored: BTreeMap<(u32, u16), Stored>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    times: u8,
    unsure: bool,
}

impl Sent {
    /// The latency below which so many percent of the answers were, in milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).saturating_sub(1);
        sorted.get(index).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }

    fn is_wrong(&mut self, what: String) {
        self.wrong_answers += 1;
        if self.wrong.len() < MOST_WRONG {
            self.wrong.push(what);
        }
    }

    /// Looks at the answers of each message together: it must have been stored by exactly one of its requests.
    fn add_up(&mut self) {
        for ((email, message), stored) in std::mem::take(&mut self.stored) {
            if stored.times > 1 || (stored.times == 0 && !stored.unsure) {
                self.is_wrong(format!(
                    "message {message} of email {email} was said to be stored {} times",
                    stored.times
                ));
            }
        }
    }
}

/// One answer, or that there was none.
struct Answered {
    status: u16,
    body: Value,
    took: Duration,
}

/// Sends all requests. `done` hears of each.
pub async fn send(story: &Story, requests: &[Request], sending: &Sending, done: impl Fn()) -> Sent {
    let client = rebound::claude::web::builder().pool_max_idle_per_host(sending.at_once).timeout(TIMEOUT);
    let client = if sending.url.starts_with("http:") { client.tls_certs_only([]) } else { client };
    let client = client.build().unwrap_or_else(|_| rebound::claude::web::client());
    let sent = Mutex::new(Sent { micros: Vec::with_capacity(requests.len()), ..Sent::default() });
    let began = Instant::now();
    let (client, sent_ref, done) = (&client, &sent, &done);
    let sends = requests.iter().enumerate().map(|(index, request)| async move {
        if let Some(rate) = sending.rate {
            let due = began + Duration::from_secs_f64(index as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        one(story, request, sending, client, sent_ref).await;
        done();
    });
    stream::iter(sends).buffer_unordered(sending.at_once.max(1)).for_each(|()| async {}).await;
    let mut sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    sent.took = began.elapsed();
    sent.add_up();
    sent
}

/// Sends one, until it is answered.
async fn one(story: &Story, request: &Request, sending: &Sending, client: &Client, sent: &Mutex<Sent>) {
    let email = story.email(request.email);
    let Some(message) = email.messages.get(usize::from(request.message)) else { return };
    let lock = || sent.lock().unwrap_or_else(PoisonError::into_inner);
    *lock().kinds.entry(request.kind.as_str()).or_default() += 1;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut unsure = false;
    for attempt in 0..TRIES {
        if attempt > 0 {
            lock().retries += 1;
            let Ok(()) = backoff.wait().await else { break };
        }
        match post(request, message, sending, client).await {
            Some(Answered { status, .. }) if status == 429 || status >= 500 => {
                *lock().answers.entry(format!("{status}, to be sent again")).or_default() += 1;
                // A function that broke off may have stored it.
                unsure |= status >= 500;
            }
            Some(answered) => return note(request, message, &answered, unsure, &mut lock()),
            None => {
                *lock().answers.entry("no answer, to be sent again".to_owned()).or_default() += 1;
                unsure = true;
            }
        }
    }
    lock().not_taken += 1;
}

async fn post(request: &Request, message: &Message, sending: &Sending, client: &Client) -> Option<Answered> {
    // Each time it is signed afresh.
    let (signed, method) = signed(request, message, &sending.chaos, &sending.secret, UnixMillis::now());
    let posted = Instant::now();
    let answer = signed.request(client, method, &sending.url).send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Answered { status, body, took: posted.elapsed() })
}

/// Notes an answer, and whether it is what the contract says.
fn note(request: &Request, message: &Message, answered: &Answered, unsure: bool, sent: &mut Sent) {
    let text = |name: &str| answered.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (word, error, id) = (text("status"), text("error"), text("id"));
    let short = error.split([';', ':', ',']).next().unwrap_or_default();
    let label = if word.is_empty() { short } else { &word };
    *sent.answers.entry(format!("{} {label}", answered.status)).or_default() += 1;
    sent.micros.push(u32::try_from(answered.took.as_micros()).unwrap_or(u32::MAX));
    let stored_now = word == message.stored.as_str();
    let is_right = match request.kind {
        Kind::Proper | Kind::Again => {
            let stored = sent.stored.entry((request.email, request.message)).or_default();
            stored.times = stored.times.saturating_add(u8::from(stored_now));
            stored.unsure |= unsure;
            answered.status == 200 && id == message.id && (stored_now || word == "duplicate")
        }
        Kind::Stale => answered.status == 401 && error.starts_with("stale"),
        Kind::Tampered | Kind::WrongSecret => answered.status == 401 && error.starts_with("wrong signature"),
        Kind::NotPost => answered.status == 405,
    };
    if !is_right {
        let what = request.kind.as_str();
        sent.is_wrong(format!("{} ({what}) was answered {} {}", message.id, answered.status, answered.body));
    }
}
