//! A stub of Resend's API, with the parts that Rebound and its tests call (<https://resend.com/docs/api-reference/introduction>): webhooks
//! with secrets, deliveries and their log; suppressions; contacts; emails with idempotency keys.
//!
//! - `access`: access control: user agents, keys, the rate limit.
//! - `http`: requests, responses and pages.
//! - `state`: all data, and the routing of requests.
//! - `memory`: idempotency keys. `sent`: the accepted emails, and the events about them.
//! - `webhooks`, `delivery`, `suppressions`, `contacts`, `emails`: the parts of the API.

mod access;
mod contacts;
mod delivery;
mod emails;
mod http;
mod memory;
mod sent;
mod state;
mod suppressions;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_local::server::{CloseConnection, Reply, Server};
use hyper::Request;
use hyper::body::Bytes;
use rebound::time::UnixMillis;
use serde_json::Value;

pub use self::access::SENDING_KEY;
use self::delivery::WebhookDelivery;
pub use self::memory::KeyMemory;
pub use self::sent::AcceptedEmail;
use self::state::State;

/// The planned reaction to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResendBehaviour {
    /// The request fails with this status and has no effect.
    Status(u16),
    /// The request is rejected with this error and has no effect.
    Error {
        /// The status.
        status: u16,
        /// The name of the error.
        name: String,
        /// The error's message.
        message: String,
    },
    /// The response is an HTML page, as from a proxy in front of the API.
    Html(u16),
    /// The request is one too many, with this `retry-after` in seconds. It has no effect.
    TooFast(u32),
    /// The request takes effect, and the connection is closed without a response.
    LoseAnswer,
    /// The request takes effect, and the response comes after this time.
    AnswerLate(Duration),
    /// The request takes effect after this time, whether the client still waits or not.
    EffectLate(Duration),
}

/// The stub of Resend's API, in memory.
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
    /// Starts a stub on any free port, for this key.
    ///
    /// # Errors
    /// The stub can't listen on this machine.
    pub async fn start(key: &str) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(key)));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let shared = Arc::clone(&shared);
            // In a task of its own: what a request does happens whether the client waits for it or not.
            let task = tokio::spawn(async move { handle(&shared, &request).await });
            async move { task.await.unwrap_or(Err(CloseConnection)) }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// The URL of the stub.
    pub fn url(&self) -> String {
        self.server.url()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sets the reaction to the following requests, by method and path. `None` from `plan`: the usual response.
    pub fn plan(&self, plan: impl FnMut(&str, &str) -> Option<ResendBehaviour> + Send + 'static) {
        self.state().plan = Some(Box::new(plan));
    }

    /// Sets status and error name for an unknown key. The default is 401 `validation_error`.
    pub fn refuse_unknown_keys_with(&self, status: u16, name: &str) {
        self.state().access.unknown_key = (status, name.to_owned());
    }

    /// Sets the maximum requests per second. The default is 10.
    pub fn limit(&self, per_second: usize) {
        self.state().access.per_second = per_second;
    }

    /// Sets the signing secret of the next webhook that is created, instead of a random one.
    pub fn sign_with(&self, secret: &str) {
        self.state().webhooks.next_secret = Some(secret.to_owned());
    }

    /// The requests so far, such as `GET /webhooks`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The request bodies of the accepted emails.
    pub fn emails(&self) -> Vec<Value> {
        self.state().emails.requests()
    }

    /// The contact with this id or address.
    pub fn contact(&self, id_or_email: &str) -> Option<Value> {
        self.state().contacts.find(id_or_email).cloned()
    }

    /// Adds an address to the suppression list.
    pub fn suppress(&self, email: &str, origin: &str, created_at: &str) {
        self.state().suppressions.add(email, origin, created_at);
    }

    /// Turns the suppression list and its events on or off for this team: they were in beta.
    pub fn open_suppressions(&self, are_open: bool) {
        let mut state = self.state();
        state.suppressions.is_closed = !are_open;
        state.webhooks.lacks_suppressions = !are_open;
    }

    /// Sets whether a webhook in a response contains its secret.
    pub fn expose_secrets(&self, are_told: bool) {
        self.state().webhooks.hides_secrets = !are_told;
    }

    /// Disables every webhook, as after five days of failures.
    pub fn disable_all(&self) {
        self.state().webhooks.all.iter_mut().for_each(|hook| hook.status = "disabled".to_owned());
    }

    /// Removes an event type from every webhook.
    pub fn unsubscribe(&self, event_type: &str) {
        let mut state = self.state();
        let events = state.webhooks.all.iter_mut().filter_map(|hook| hook.events.as_mut());
        events.for_each(|events| events.retain(|event| event != event_type));
    }

    /// Subscribes every webhook to every type, without a list of types.
    pub fn subscribe_to_all(&self) {
        self.state().webhooks.all.iter_mut().for_each(|hook| hook.events = None);
    }

    /// Endpoint, event types and status of each webhook. The types are empty if the webhook is subscribed to all.
    pub fn webhooks(&self) -> Vec<(String, Vec<String>, String)> {
        let state = self.state();
        let hooks = state.webhooks.all.iter();
        hooks
            .map(|hook| (hook.endpoint.clone(), hook.events.clone().unwrap_or_default(), hook.status.clone()))
            .collect()
    }

    /// Moves the stub's clock on.
    pub fn advance_clock(&self, span: Duration) {
        self.state().later += span;
    }

    /// Sets the status of the following failed deliveries: `pending` or `failed`. The stub makes no retry by itself.
    pub fn keep_trying(&self, is_retried: bool) {
        self.state().is_retried = is_retried;
    }

    /// Delivers an event to every webhook that is subscribed to it, with Svix's signature. Returns the statuses.
    pub async fn deliver(&self, event_type: &str, body: &str) -> Vec<u16> {
        let mut statuses = Vec::new();
        for delivery in self.log(event_type, body) {
            statuses.push(post(&self.state, &delivery).await);
        }
        statuses
    }

    fn log(&self, event_type: &str, body: &str) -> Vec<WebhookDelivery> {
        self.state().log(event_type, body)
    }

    /// Sets the stub's clock, by which keys are remembered and events happen.
    pub fn follow_clock(&self, clock: impl Fn() -> UnixMillis + Send + 'static) {
        self.state().clock = Some(Box::new(clock));
    }

    /// Sets what is remembered about idempotency keys.
    pub fn remember_keys(&self, memory: KeyMemory) {
        self.state().emails.keys.memory = memory;
    }

    /// Creates a webhook for every type, signed with this secret, and delivers to it the events about each email that is accepted from
    /// now on.
    pub fn report_to(&self, endpoint: &str, secret: &str) {
        let mut state = self.state();
        let now = state.now();
        state.webhooks.add(endpoint, secret, now);
        state.reports_emails = true;
    }

    /// The accepted emails, the oldest first.
    pub fn accepted(&self) -> Vec<AcceptedEmail> {
        self.state().emails.accepted.clone()
    }

    /// The largest number of requests with a key within a second of real time.
    pub fn busiest_second(&self) -> usize {
        sent::busiest_second(&self.state().keyed_requests)
    }
}

/// Handles a request, in the time that is planned for it.
async fn handle(state: &Arc<Mutex<State>>, request: &Request<Bytes>) -> Reply {
    let planned = lock(state).begin(request);
    if let Some(ResendBehaviour::EffectLate(late)) = planned {
        tokio::time::sleep(late).await;
    }
    let (reply, deliveries) = lock(state).handle(request, planned.as_ref());
    for delivery in deliveries {
        let state = Arc::clone(state);
        tokio::spawn(async move { post(&state, &delivery).await });
    }
    if let Some(ResendBehaviour::AnswerLate(late)) = planned {
        tokio::time::sleep(late).await;
    }
    reply
}

/// Posts a delivery, and logs the attempt. Returns the status.
async fn post(state: &Mutex<State>, delivery: &WebhookDelivery) -> u16 {
    let attempt = delivery.post().await;
    let status = attempt.status;
    lock(state).log_attempt(delivery, attempt);
    status
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
