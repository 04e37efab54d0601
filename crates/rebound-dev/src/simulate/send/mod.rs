//! Sends the webhooks as Svix does, with retries, and checks the responses.

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

/// Maximum number of attempts to send a webhook.
const MAX_ATTEMPTS: u32 = 12;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Maximum time until the response: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Time without any response after which sending stops. A busy machine may refuse single connections.
const MAX_SILENCE: Duration = Duration::from_millis(1_500);

/// Maximum number of unexpected responses that are kept.
const MAX_WRONG_KEPT: usize = 20;

/// The target, and the options of sending.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// The function URL.
    pub url: String,
    /// The signing secret.
    pub secret: SigningSecret,
    /// The deliberate faults.
    pub chaos: Vec<Chaos>,
    /// Maximum number of concurrent requests.
    pub at_once: usize,
    /// Requests per second. `None`: as fast as possible.
    pub rate: Option<f64>,
    /// True if the functions are killed during the run: a time without a response does not stop sending.
    pub deaths: bool,
}

/// The results of sending.
#[derive(Clone, Debug, Default)]
pub struct SendReport {
    /// Number of requests of each kind.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Number of responses with each status and word.
    pub answers: BTreeMap<String, usize>,
    /// Response times in microseconds, unordered.
    pub micros: Vec<u32>,
    /// Number of retries, after an error or without a response.
    pub retries: usize,
    /// Duration of the whole run.
    pub took: Duration,
    /// Unexpected responses as text, at most 20.
    pub wrong: Vec<String>,
    /// Number of unexpected responses.
    pub wrong_answers: usize,
    /// Number of webhooks that were not accepted after all attempts.
    pub not_taken: usize,
    /// Number of responses for each webhook that report it as newly stored. It may be 0 if a response was lost.
    stored: BTreeMap<(u32, u16), StoreCount>,
}

/// The state that all requests share.
struct SendRun<'a> {
    scenario: &'a Scenario,
    options: &'a SendOptions,
    client: Client,
    sent: Mutex<SendReport>,
    heard: Mutex<ResponseTimes>,
}

/// The times of the last responses.
struct ResponseTimes {
    /// Time of the last response.
    answered: Instant,
    /// Time of the last response that did not ask for a retry.
    taken: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct StoreCount {
    times: u8,
    unsure: bool,
}

impl SendReport {
    /// A percentile of the response times, in milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).saturating_sub(1);
        sorted.get(index).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }

    /// Number of webhooks that are stored.
    fn taken(&self) -> usize {
        self.stored.len()
    }

    fn record_wrong(&mut self, what: String) {
        self.wrong_answers += 1;
        if self.wrong.len() < MAX_WRONG_KEPT {
            self.wrong.push(what);
        }
    }

    /// Checks that exactly one of each webhook's requests stored it.
    fn add_up(&mut self) {
        for ((email, message), stored) in std::mem::take(&mut self.stored) {
            if stored.times > 1 || (stored.times == 0 && !stored.unsure) {
                self.record_wrong(format!(
                    "webhook {message} of email {email} was reported as stored {} times",
                    stored.times
                ));
            }
        }
    }
}

/// Sends all requests. `done` is called once per request.
///
/// # Errors
/// The cause for which every further request would fail. Then nothing more is sent.
pub async fn send(
    scenario: &Scenario,
    requests: &[Request],
    options: &SendOptions,
    done: impl Fn(),
) -> Result<SendReport, Box<Stopped>> {
    let client = rebound::web::builder().pool_max_idle_per_host(options.at_once).timeout(TIMEOUT);
    let client = if options.url.starts_with("http:") { client.tls_certs_only([]) } else { client };
    let client = client.build().unwrap_or_else(|_| rebound::web::client());
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

    /// Sends one request until there is a response that does not ask for a retry.
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
                    *self.sent().answers.entry(format!("{}, retried", answered.status)).or_default() += 1;
                    self.later(&answered)?;
                    // A function that failed may have stored it.
                    unsure |= answered.status >= 500;
                }
                Some(answered) => {
                    self.explained(request, &answered)?;
                    note(request, message, &answered, unsure, &mut self.sent());
                    return Ok(());
                }
                None => {
                    *self.sent().answers.entry("no response, retried".to_owned()).or_default() += 1;
                    self.silent()?;
                    unsure = true;
                }
            }
        }
        self.sent().not_taken += 1;
        Ok(())
    }

    /// Records that there was no response. Fails if there has been none for a while.
    fn silent(&self) -> Result<(), SendError> {
        let is_over = !self.options.deaths && self.heard().answered.elapsed() > MAX_SILENCE;
        if is_over { Err(SendError::Nobody(self.options.url.clone())) } else { Ok(()) }
    }

    /// Records a response that asks for a retry. Fails if a retry does not help.
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

    /// Records a response. Fails if it shows that no valid webhook will be accepted.
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

/// Records a response, and checks it against the contract.
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
        sent.record_wrong(format!("{} ({what}): the response is {} {}", message.id, answered.status, answered.body));
    }
}
