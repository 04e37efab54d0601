//! Sending the webhooks as Svix does, again when they are not taken; and what was answered.

mod post;
mod stop;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use rebound::aws::backoff::Backoff;
use rebound::resend::signature::SigningSecret;
use reqwest::Client;

use self::post::{Answered, post};
use self::stop::MAX_RETRY_TIME;
pub use self::stop::{SendError, Stopped};
use super::chaos::{Chaos, Request, RequestKind};
use super::scenario::{Scenario, SimulatedWebhook};

/// How often a message is sent that is not taken.
const MAX_ATTEMPTS: u32 = 12;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How long an answer may take: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Time without any answer, after which it is certain that nobody answers. One connection may be refused by a busy machine.
const MAX_SILENCE: Duration = Duration::from_millis(1_500);

/// How many wrong answers are kept, of however many.
const MAX_WRONG_KEPT: usize = 20;

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct SendOptions {
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
    /// True where the functions are being killed: then nobody answers for a while, and that is no reason to stop.
    pub deaths: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct SendReport {
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
    stored: BTreeMap<(u32, u16), StoreCount>,
}

/// All that the requests share.
struct SendRun<'a> {
    scenario: &'a Scenario,
    options: &'a SendOptions,
    client: Client,
    sent: Mutex<SendReport>,
    heard: Mutex<ResponseTimes>,
}

/// The last signs of life.
struct ResponseTimes {
    /// When anything was answered.
    answered: Instant,
    /// When anything but "later" was answered.
    taken: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct StoreCount {
    times: u8,
    unsure: bool,
}

impl SendReport {
    /// The latency below which so many percent of the answers were, in milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).saturating_sub(1);
        sorted.get(index).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }

    /// Number of messages that were stored, or had been before.
    fn taken(&self) -> usize {
        self.stored.len()
    }

    fn record_wrong(&mut self, what: String) {
        self.wrong_answers += 1;
        if self.wrong.len() < MAX_WRONG_KEPT {
            self.wrong.push(what);
        }
    }

    /// Looks at the answers of each message together: it must have been stored by exactly one of its requests.
    fn add_up(&mut self) {
        for ((email, message), stored) in std::mem::take(&mut self.stored) {
            if stored.times > 1 || (stored.times == 0 && !stored.unsure) {
                self.record_wrong(format!(
                    "message {message} of email {email} was said to be stored {} times",
                    stored.times
                ));
            }
        }
    }
}

/// Sends all requests. `done` hears of each.
///
/// # Errors
/// A failure that explains itself: with it, nothing more is sent.
pub async fn send(
    scenario: &Scenario,
    requests: &[Request],
    options: &SendOptions,
    done: impl Fn(),
) -> Result<SendReport, Box<Stopped>> {
    let client = rebound::claude::web::builder().pool_max_idle_per_host(options.at_once).timeout(TIMEOUT);
    let client = if options.url.starts_with("http:") { client.tls_certs_only([]) } else { client };
    let client = client.build().unwrap_or_else(|_| rebound::claude::web::client());
    let began = Instant::now();
    let shared = SendRun {
        scenario,
        options,
        client,
        sent: Mutex::new(SendReport { micros: Vec::with_capacity(requests.len()), ..SendReport::default() }),
        heard: Mutex::new(ResponseTimes { answered: began, taken: began }),
    };
    let (shared_ref, done) = (&shared, &done);
    let sends = requests.iter().enumerate().map(|(index, request)| async move {
        if let Some(rate) = options.rate {
            let due = began + Duration::from_secs_f64(index as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        shared_ref.one(request).await?;
        done();
        Ok(())
    });
    let ended = stream::iter(sends).buffer_unordered(options.at_once.max(1)).try_for_each(|()| async { Ok(()) }).await;
    let mut sent = shared.sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Err(why) = ended {
        return Err(Box::new(Stopped { why, taken: sent.taken() }));
    }
    sent.took = began.elapsed();
    sent.add_up();
    Ok(sent)
}

impl SendRun<'_> {
    fn sent(&self) -> MutexGuard<'_, SendReport> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, ResponseTimes> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one, until it is answered.
    async fn one(&self, request: &Request) -> Result<(), SendError> {
        let email = self.scenario.email(request.email);
        let Some(message) = email.messages.get(usize::from(request.message)) else { return Ok(()) };
        *self.sent().kinds.entry(request.kind.as_str()).or_default() += 1;
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let mut unsure = false;
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                self.sent().retries += 1;
                let Ok(()) = backoff.wait().await else { break };
            }
            match post(request, message, self.options, &self.client).await {
                Some(answered) if answered.is_later() => {
                    *self.sent().answers.entry(format!("{}, to be sent again", answered.status)).or_default() += 1;
                    self.later(&answered)?;
                    // A function that broke off may have stored it.
                    unsure |= answered.status >= 500;
                }
                Some(answered) => {
                    self.explained(request, &answered)?;
                    note(request, message, &answered, unsure, &mut self.sent());
                    return Ok(());
                }
                None => {
                    *self.sent().answers.entry("no answer, to be sent again".to_owned()).or_default() += 1;
                    self.silent()?;
                    unsure = true;
                }
            }
        }
        self.sent().not_taken += 1;
        Ok(())
    }

    /// Notes that there was no answer; an error, if there has been none for a while.
    fn silent(&self) -> Result<(), SendError> {
        let is_over = !self.options.deaths && self.heard().answered.elapsed() > MAX_SILENCE;
        if is_over { Err(SendError::Nobody(self.options.url.clone())) } else { Ok(()) }
    }

    /// Notes an answer that asks to send it again; an error, if that will not help.
    fn later(&self, answered: &Answered) -> Result<(), SendError> {
        let mut heard = self.heard();
        heard.answered = Instant::now();
        if self.options.deaths {
            return Ok(());
        }
        let (url, error) = (self.options.url.clone(), answered.text("error"));
        if error.contains("secret is not set") {
            return Err(SendError::NoSecret(url));
        }
        let is_over = heard.taken.elapsed() > MAX_RETRY_TIME;
        if is_over { Err(SendError::TakesNothing { url, status: answered.status, error }) } else { Ok(()) }
    }

    /// Notes an answer; an error, if it says of a proper message that none will be taken.
    fn explained(&self, request: &Request, answered: &Answered) -> Result<(), SendError> {
        let now = Instant::now();
        *self.heard() = ResponseTimes { answered: now, taken: now };
        if request.kind.is_refused() || (answered.status == 200 && !answered.text("id").is_empty()) {
            return Ok(());
        }
        let (url, error) = (self.options.url.clone(), answered.text("error"));
        Err(match answered.status {
            401 if error.starts_with("wrong signature") => SendError::AnotherSecret(url),
            401 if error.starts_with("stale") => SendError::Clock { url, error },
            status => SendError::NotRebound { url, status },
        })
    }
}

/// Notes an answer, and whether it is what the contract says.
fn note(request: &Request, message: &SimulatedWebhook, answered: &Answered, unsure: bool, sent: &mut SendReport) {
    let (word, error, id) = (answered.text("status"), answered.text("error"), answered.text("id"));
    let short = error.split([';', ':', ',']).next().unwrap_or_default();
    let label = if word.is_empty() { short } else { &word };
    *sent.answers.entry(format!("{} {label}", answered.status)).or_default() += 1;
    sent.micros.push(u32::try_from(answered.took.as_micros()).unwrap_or(u32::MAX));
    let stored_now = word == message.stored.as_str();
    let is_right = match request.kind {
        RequestKind::Proper | RequestKind::Again => {
            let stored = sent.stored.entry((request.email, request.message)).or_default();
            stored.times = stored.times.saturating_add(u8::from(stored_now));
            stored.unsure |= unsure;
            answered.status == 200 && id == message.id && (stored_now || word == "duplicate")
        }
        RequestKind::Stale => answered.status == 401 && error.starts_with("stale"),
        RequestKind::Tampered | RequestKind::WrongSecret => {
            answered.status == 401 && error.starts_with("wrong signature")
        }
        RequestKind::NotPost => answered.status == 405,
    };
    if !is_right {
        let what = request.kind.as_str();
        sent.record_wrong(format!("{} ({what}) was answered {} {}", message.id, answered.status, answered.body));
    }
}
