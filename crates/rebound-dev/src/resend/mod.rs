//! A stub of Resend's API, with the parts that Rebound and its tests call (<https://resend.com/docs/api-reference/introduction>): webhooks
//! with secrets, deliveries and their log; suppressions; contacts; emails with idempotency keys.
//!
//! - `access`: access control: user agents, keys, the rate limit.
//! - `http`: requests, responses and pages.
//! - `state`: all data, and the routing of requests.
//! - `webhooks`, `delivery`, `suppressions`, `contacts`, `emails`: the parts of the API.

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
    /// The request takes effect, and the connection is closed without a response.
    LoseAnswer,
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

    /// Logs an event for every webhook that is subscribed to it.
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
