//! Resend's API in memory, as far as Rebound and its tests call it (<https://resend.com/docs/api-reference/introduction>): webhooks, with
//! their secrets, their deliveries and the log of them; suppressions; contacts; and emails, with the memory of idempotency keys.
//!
//! - `access`: agents, keys and the rate.
//! - `http`: requests, answers and pages.
//! - `state`: all that it holds, and which of the following answers a request.
//! - `webhooks`, `delivery`, `suppressions`, `contacts`, `emails`: a part of the API each.

mod access;
mod contacts;
mod delivery;
mod emails;
mod http;
mod state;
mod suppressions;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_local::server::Server;
use rebound::resend::signed::new_message_id;
use serde_json::Value;

pub use self::access::SENDING_KEY;
use self::delivery::{LoggedEvent, WebhookDelivery};
use self::state::State;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResendBehaviour {
    /// It fails with this status before anything is done.
    Status(u16),
    /// It is refused with this error, before anything is done.
    Error {
        /// The status.
        status: u16,
        /// The error's name.
        name: String,
        /// Its message.
        message: String,
    },
    /// It is answered with a page, by whatever stands before the API.
    Html(u16),
    /// It is done, and the connection is closed without an answer.
    LoseAnswer,
}

/// A Resend in memory.
pub struct LocalResend {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for LocalResend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalResend({})", self.server.url())
    }
}

impl LocalResend {
    /// Starts one on any free port, for this key.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(key: &str) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(key)));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let (reply, deliveries) = lock(&shared).handle(&request);
            for delivery in deliveries {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { post(&shared, &delivery).await });
            }
            async move { reply }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What becomes of requests from now on, by method and path.
    pub fn plan(&self, plan: impl FnMut(&str, &str) -> Option<ResendBehaviour> + Send + 'static) {
        self.state().plan = Some(Box::new(plan));
    }

    /// Refuses a key that is unknown with this status and this name from now on. It is 401 `validation_error`, unless told otherwise.
    pub fn refuse_unknown_keys_with(&self, status: u16, name: &str) {
        self.state().access.unknown_key = (status, name.to_owned());
    }

    /// Answers so many requests a second from now on. It is 10, unless told otherwise.
    pub fn limit(&self, per_second: usize) {
        self.state().access.per_second = per_second;
    }

    /// Gives the next webhook this signing secret, instead of a new one.
    pub fn sign_with(&self, secret: &str) {
        self.state().webhooks.next_secret = Some(secret.to_owned());
    }

    /// The requests that came, `GET /webhooks` and so on.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The bodies of the emails that were accepted.
    pub fn emails(&self) -> Vec<Value> {
        self.state().emails.requests()
    }

    /// A contact, by its id or its address.
    pub fn contact(&self, id_or_email: &str) -> Option<Value> {
        self.state().contacts.find(id_or_email).cloned()
    }

    /// Puts an address on the list.
    pub fn suppress(&self, email: &str, origin: &str, created_at: &str) {
        self.state().suppressions.add(email, origin, created_at);
    }

    /// Opens the list of suppressions, and events about it, to this team, or closes both: they were in beta.
    pub fn open_suppressions(&self, are_open: bool) {
        let mut state = self.state();
        state.suppressions.is_closed = !are_open;
        state.webhooks.lacks_suppressions = !are_open;
    }

    /// Whether secrets are told when a webhook is asked for.
    pub fn expose_secrets(&self, are_told: bool) {
        self.state().webhooks.hides_secrets = !are_told;
    }

    /// Disables every webhook, as after five days of failures.
    pub fn disable_all(&self) {
        self.state().webhooks.all.iter_mut().for_each(|hook| hook.status = "disabled".to_owned());
    }

    /// Takes a type away from every webhook.
    pub fn unsubscribe(&self, event_type: &str) {
        let mut state = self.state();
        let events = state.webhooks.all.iter_mut().filter_map(|hook| hook.events.as_mut());
        events.for_each(|events| events.retain(|event| event != event_type));
    }

    /// Subscribes every webhook to every type, without a list of them.
    pub fn subscribe_to_all(&self) {
        self.state().webhooks.all.iter_mut().for_each(|hook| hook.events = None);
    }

    /// The endpoints of all webhooks, what they are subscribed to, and their status. Nothing, for those that are subscribed to all.
    pub fn webhooks(&self) -> Vec<(String, Vec<String>, String)> {
        let state = self.state();
        let hooks = state.webhooks.all.iter();
        hooks
            .map(|hook| (hook.endpoint.clone(), hook.events.clone().unwrap_or_default(), hook.status.clone()))
            .collect()
    }

    /// Lets its clock run on.
    pub fn advance_clock(&self, span: Duration) {
        self.state().later += span;
    }

    /// Sets what a failed delivery is from now on: still to be tried again, or failed for good. Nothing here tries it again by itself.
    pub fn keep_trying(&self, is_retried: bool) {
        self.state().is_retried = is_retried;
    }

    /// Delivers an event to every webhook that wants it, signed as Svix signs. Answers the statuses.
    pub async fn deliver(&self, event_type: &str, body: &str) -> Vec<u16> {
        let mut statuses = Vec::new();
        for delivery in self.log(event_type, body) {
            statuses.push(post(&self.state, &delivery).await);
        }
        statuses
    }

    /// Writes down an event for every webhook that wants it.
    fn log(&self, event_type: &str, body: &str) -> Vec<WebhookDelivery> {
        let mut state = self.state();
        let (now, is_retried) = (state.now(), state.is_retried);
        let wanting = state.webhooks.all.iter_mut().filter(|hook| hook.wants(event_type));
        let deliveries = wanting.filter_map(|hook| {
            let id = new_message_id();
            let (event_type, body) = (event_type.to_owned(), body.to_owned());
            let logged = LoggedEvent {
                id: id.clone(),
                event_type,
                created_at: now,
                body,
                attempts_made: Vec::new(),
                is_retried,
            };
            hook.log.insert(0, logged);
            WebhookDelivery::of(hook, &id, now)
        });
        deliveries.collect()
    }
}

/// Posts a delivery, and writes down what came of it. Answers the status.
async fn post(state: &Mutex<State>, delivery: &WebhookDelivery) -> u16 {
    let attempt = delivery.post().await;
    let status = attempt.status;
    lock(state).log_attempt(delivery, attempt);
    status
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
