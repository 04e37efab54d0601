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
use self::stop::REFUSED_FOR;
pub use self::stop::{SendError, Stopped};
use super::chaos::{Chaos, Kind, Request};
use super::story::{Message, Story};

/// How often a message is sent that is not taken.
const TRIES: u32 = 12;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long an answer may take: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Time without any answer, after which it is certain that nobody answers. One connection may be refused by a busy machine.
const SILENCE: Duration = Duration::from_millis(1_500);

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
    /// True where the functions are being killed: then nobody answers for a while, and that is no reason to stop.
    pub deaths: bool,
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

/// All that the requests share.
struct Shared<'a> {
    story: &'a Story,
    sending: &'a Sending,
    client: Client,
    sent: Mutex<Sent>,
    heard: Mutex<Heard>,
}

/// The last signs of life.
struct Heard {
    /// When anything was answered.
    answered: Instant,
    /// When anything but "later" was answered.
    taken: Instant,
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

    /// Number of messages that were stored, or had been before.
    fn taken(&self) -> usize {
        self.stored.len()
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

/// Sends all requests. `done` hears of each.
///
/// # Errors
/// A failure that explains itself: with it, nothing more is sent.
pub async fn send(
    story: &Story,
    requests: &[Request],
    sending: &Sending,
    done: impl Fn(),
) -> Result<Sent, Box<Stopped>> {
    let client = rebound::claude::web::builder().pool_max_idle_per_host(sending.at_once).timeout(TIMEOUT);
    let client = if sending.url.starts_with("http:") { client.tls_certs_only([]) } else { client };
    let client = client.build().unwrap_or_else(|_| rebound::claude::web::client());
    let began = Instant::now();
    let shared = Shared {
        story,
        sending,
        client,
        sent: Mutex::new(Sent { micros: Vec::with_capacity(requests.len()), ..Sent::default() }),
        heard: Mutex::new(Heard { answered: began, taken: began }),
    };
    let (shared_ref, done) = (&shared, &done);
    let sends = requests.iter().enumerate().map(|(index, request)| async move {
        if let Some(rate) = sending.rate {
            let due = began + Duration::from_secs_f64(index as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        shared_ref.one(request).await?;
        done();
        Ok(())
    });
    let ended = stream::iter(sends).buffer_unordered(sending.at_once.max(1)).try_for_each(|()| async { Ok(()) }).await;
    let mut sent = shared.sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Err(why) = ended {
        return Err(Box::new(Stopped { why, taken: sent.taken() }));
    }
    sent.took = began.elapsed();
    sent.add_up();
    Ok(sent)
}

impl Shared<'_> {
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one, until it is answered.
    async fn one(&self, request: &Request) -> Result<(), SendError> {
        let email = self.story.email(request.email);
        let Some(message) = email.messages.get(usize::from(request.message)) else { return Ok(()) };
        *self.sent().kinds.entry(request.kind.as_str()).or_default() += 1;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut unsure = false;
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.sent().retries += 1;
                let Ok(()) = backoff.wait().await else { break };
            }
            match post(request, message, self.sending, &self.client).await {
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
        let is_over = !self.sending.deaths && self.heard().answered.elapsed() > SILENCE;
        if is_over { Err(SendError::Nobody(self.sending.url.clone())) } else { Ok(()) }
    }

    /// Notes an answer that asks to send it again; an error, if that will not help.
    fn later(&self, answered: &Answered) -> Result<(), SendError> {
        let mut heard = self.heard();
        heard.answered = Instant::now();
        if self.sending.deaths {
            return Ok(());
        }
        let (url, error) = (self.sending.url.clone(), answered.text("error"));
        if error.contains("secret is not set") {
            return Err(SendError::NoSecret(url));
        }
        let is_over = heard.taken.elapsed() > REFUSED_FOR;
        if is_over { Err(SendError::TakesNothing { url, status: answered.status, error }) } else { Ok(()) }
    }

    /// Notes an answer; an error, if it says of a proper message that none will be taken.
    fn explained(&self, request: &Request, answered: &Answered) -> Result<(), SendError> {
        let now = Instant::now();
        *self.heard() = Heard { answered: now, taken: now };
        if request.kind.is_refused() || (answered.status == 200 && !answered.text("id").is_empty()) {
            return Ok(());
        }
        let (url, error) = (self.sending.url.clone(), answered.text("error"));
        Err(match answered.status {
            401 if error.starts_with("wrong signature") => SendError::AnotherSecret(url),
            401 if error.starts_with("stale") => SendError::Clock { url, error },
            status => SendError::NotRebound { url, status },
        })
    }
}

/// Notes an answer, and whether it is what the contract says.
fn note(request: &Request, message: &Message, answered: &Answered, unsure: bool, sent: &mut Sent) {
    let (word, error, id) = (answered.text("status"), answered.text("error"), answered.text("id"));
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
