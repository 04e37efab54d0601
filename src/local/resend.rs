//! Resend's API, as far as Rebound calls it (<https://resend.com/docs/api-reference/introduction>): webhooks, with their secrets and
//! their rotation, and suppressions, in pages.

mod requests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::samples::{SignedMessage, new_message_id};
use super::server::Server;
use super::uuid;
use crate::signature::SigningSecret;
use crate::time::UnixMillis;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It fails with this status before anything is done.
    Status(u16),
    /// It is done, and the connection is closed without an answer.
    LoseAnswer,
}

type Plan = Box<dyn FnMut(&str, &str) -> Option<Behaviour> + Send>;

/// A webhook.
#[derive(Clone, Debug)]
struct Hook {
    endpoint: String,
    events: Vec<String>,
    status: String,
    secret: String,
    /// The secrets before it, and until when they sign.
    old: Vec<(String, UnixMillis)>,
}

struct State {
    key: String,
    hooks: BTreeMap<String, Hook>,
    suppressions: Vec<Value>,
    recent: Vec<Instant>,
    /// Whether the list of suppressions is open to this team.
    has_suppressions: bool,
    tells_secrets: bool,
    calls: Vec<String>,
    delivered: Vec<Value>,
    plan: Option<Plan>,
    later: Duration,
    /// The signing secret of the next webhook; without it, a new one.
    next_secret: Option<String>,
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
        let state = Arc::new(Mutex::new(State {
            key: key.to_owned(),
            hooks: BTreeMap::new(),
            suppressions: Vec::new(),
            recent: Vec::new(),
            has_suppressions: true,
            tells_secrets: true,
            calls: Vec::new(),
            delivered: Vec::new(),
            plan: None,
            later: Duration::ZERO,
            next_secret: None,
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let reply = lock(&shared).handle(&request);
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
    pub fn plan(&self, plan: impl FnMut(&str, &str) -> Option<Behaviour> + Send + 'static) {
        self.state().plan = Some(Box::new(plan));
    }

    /// Gives the next webhook this signing secret, instead of a new one.
    pub fn sign_with(&self, secret: &str) {
        self.state().next_secret = Some(secret.to_owned());
    }

    /// The requests that came, `GET /webhooks` and so on.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Puts an address on the list.
    pub fn suppress(&self, email: &str, origin: &str, created_at: &str) {
        let entry = json!({
            "object": "suppression", "id": uuid(), "email": email, "origin": origin, "source_id": null, "created_at": created_at,
        });
        self.state().suppressions.push(entry);
    }

    /// Whether the list of suppressions, and events about it, are open to this team: they are in beta.
    pub fn open_suppressions(&self, are_open: bool) {
        self.state().has_suppressions = are_open;
    }

    /// Whether secrets are told when a webhook is asked for.
    pub fn tell_secrets(&self, are_told: bool) {
        self.state().tells_secrets = are_told;
    }

    /// Disables every webhook, as after five days of failures.
    pub fn disable_all(&self) {
        self.state().hooks.values_mut().for_each(|hook| hook.status = "disabled".to_owned());
    }

    /// Takes a type away from every webhook.
    pub fn unsubscribe(&self, event_type: &str) {
        self.state().hooks.values_mut().for_each(|hook| hook.events.retain(|event| event != event_type));
    }

    /// The endpoints of all webhooks, and what they are subscribed to.
    pub fn webhooks(&self) -> Vec<(String, Vec<String>, String)> {
        let state = self.state();
        state.hooks.values().map(|hook| (hook.endpoint.clone(), hook.events.clone(), hook.status.clone())).collect()
    }

    /// Lets its clock run on.
    pub fn pass(&self, span: Duration) {
        self.state().later += span;
    }

    /// Delivers an event to every webhook that wants it, signed as Svix signs. Answers the statuses.
    pub async fn deliver(&self, event_type: &str, body: &str) -> Vec<u16> {
        let (now, hooks) = {
            let state = self.state();
            let now = state.now();
            (
                now,
                state
                    .hooks
                    .values()
                    .filter(|hook| hook.events.iter().any(|event| event == event_type))
                    .cloned()
                    .collect::<Vec<_>>(),
            )
        };
        let mut statuses = Vec::new();
        for hook in hooks {
            let secrets = std::iter::once(&hook.secret)
                .chain(hook.old.iter().filter(|(_, until)| *until > now).map(|(old, _)| old));
            let secrets: Vec<SigningSecret> = secrets.filter_map(|secret| secret.parse().ok()).collect();
            let Some(first) = secrets.first() else { continue };
            let seconds = UnixMillis::now().seconds();
            let mut message = SignedMessage::new(new_message_id(), seconds, body, first);
            let signatures: Vec<String> =
                secrets.iter().map(|secret| secret.sign(&message.id, seconds, body.as_bytes())).collect();
            message.headers.insert("svix-signature".to_owned(), signatures.join(" "));
            let sent = message.request(&crate::web::client(), reqwest::Method::POST, &hook.endpoint).send().await;
            let status = sent.map_or(0, |answer| answer.status().as_u16());
            let word = if (200..300).contains(&status) { "success" } else { "failed" };
            let created_at = UnixMillis::now().to_text();
            let entry = json!({ "id": message.id, "type": event_type, "created_at": created_at, "status": word });
            self.state().delivered.insert(0, entry);
            statuses.push(status);
        }
        statuses
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
