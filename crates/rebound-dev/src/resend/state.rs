//! All data of the stub, and the routing of requests.

use std::time::{Duration, Instant};

use aws_local::server::{CloseConnection, Reply};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use hyper::{Method, Request};
use rebound::resend::signed::new_message_id;
use rebound::time::UnixMillis;

use super::ResendBehaviour;
use super::access::AccessControl;
use super::contacts::Contacts;
use super::delivery::{Attempt, LoggedEvent, WebhookDelivery};
use super::emails::Emails;
use super::http::{ResendRequest, ResendResponse, error, html, no_such};
use super::suppressions::Suppressions;
use super::webhooks::Webhooks;

pub(super) type Plan = Box<dyn FnMut(&str, &str) -> Option<ResendBehaviour> + Send>;

pub(super) type Clock = Box<dyn Fn() -> UnixMillis + Send>;

pub(super) struct State {
    pub(super) access: AccessControl,
    pub(super) webhooks: Webhooks,
    pub(super) suppressions: Suppressions,
    pub(super) contacts: Contacts,
    pub(super) emails: Emails,
    pub(super) calls: Vec<String>,
    pub(super) plan: Option<Plan>,
    /// Time by which the stub's clock is ahead.
    pub(super) later: Duration,
    /// True if failed deliveries get the status `pending`.
    pub(super) is_retried: bool,
    /// The stub's clock; `None`: real time.
    pub(super) clock: Option<Clock>,
    /// True if events about accepted emails are delivered.
    pub(super) reports_emails: bool,
    /// Times of the requests with a key.
    pub(super) keyed_requests: Vec<Instant>,
}

impl State {
    pub(super) fn new(key: &str) -> Self {
        Self {
            access: AccessControl::new(key),
            webhooks: Webhooks::default(),
            suppressions: Suppressions::default(),
            contacts: Contacts::default(),
            emails: Emails::default(),
            calls: Vec::new(),
            plan: None,
            later: Duration::ZERO,
            is_retried: false,
            clock: None,
            reports_emails: false,
            keyed_requests: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.as_ref().map_or_else(UnixMillis::now, |clock| clock()).plus(self.later)
    }

    /// Notes a request, and returns the planned reaction to it.
    pub(super) fn begin(&mut self, request: &Request<Bytes>) -> Option<ResendBehaviour> {
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        self.calls.push(format!("{method} {path}"));
        if request.headers().contains_key(AUTHORIZATION) {
            self.keyed_requests.push(Instant::now());
        }
        self.plan.as_mut().and_then(|plan| plan(&method, &path))
    }

    /// Handles a request. Returns the response, and the deliveries that are to be posted now.
    pub(super) fn handle(
        &mut self,
        request: &Request<Bytes>,
        planned: Option<&ResendBehaviour>,
    ) -> (Reply, Vec<WebhookDelivery>) {
        let failure = match planned {
            Some(ResendBehaviour::Status(status)) => {
                Some(error(*status, "application_error", "something went wrong on our side"))
            }
            Some(ResendBehaviour::Error { status, name, message }) => Some(error(*status, name, message)),
            Some(ResendBehaviour::Html(status)) => Some(html(*status, "This page does not come from the API")),
            Some(ResendBehaviour::TooFast(seconds)) => {
                let mut limited = error(429, "rate_limit_exceeded", "Too many requests.");
                limited.headers_mut().insert(RETRY_AFTER, (*seconds).into());
                Some(limited)
            }
            Some(ResendBehaviour::LoseAnswer | ResendBehaviour::AnswerLate(_) | ResendBehaviour::EffectLate(_))
            | None => None,
        };
        let answer = match failure {
            Some(failure) => self.fail(request, failure),
            None => self.answer(request),
        };
        let reply =
            if matches!(planned, Some(ResendBehaviour::LoseAnswer)) { Err(CloseConnection) } else { Ok(answer) };
        let mut deliveries = std::mem::take(&mut self.webhooks.replays);
        for (event_type, body) in std::mem::take(&mut self.emails.events) {
            if self.reports_emails {
                deliveries.extend(self.log(event_type, &body));
            }
        }
        (reply, deliveries)
    }

    /// Fails a request, unless its idempotency key is known already.
    fn fail(&mut self, request: &Request<Bytes>, failure: ResendResponse) -> ResendResponse {
        let api_request = ResendRequest::read(request, self.now());
        if (api_request.method, request.uri().path()) != (&Method::POST, "/emails") {
            return failure;
        }
        let is_remembered =
            failure.headers().get("content-type").is_some_and(|kind| kind != "text/html; charset=UTF-8");
        if is_remembered {
            self.emails.keys.remember_error(&api_request, &failure);
        }
        failure
    }

    /// Logs an event for every webhook that is subscribed to it.
    pub(super) fn log(&mut self, event_type: &str, body: &str) -> Vec<WebhookDelivery> {
        let (now, is_retried) = (self.now(), self.is_retried);
        let wanting = self.webhooks.all.iter_mut().filter(|hook| hook.wants(event_type));
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

    fn answer(&mut self, request: &Request<Bytes>) -> ResendResponse {
        if let Some(refused) = self.access.refuse(request) {
            return refused;
        }
        let api_request = ResendRequest::read(request, self.now());
        let answer = match api_request.path.first().map(String::as_str) {
            Some("webhooks") => self.webhooks.answer(&api_request),
            Some("suppressions") => self.suppressions.answer(&api_request),
            Some("contacts") => self.contacts.answer(&api_request),
            Some("emails") => self.emails.answer(&api_request, &self.suppressions),
            _ => no_such("The requested endpoint"),
        };
        self.access.with_limit(answer)
    }

    /// Logs an attempt of a delivery.
    pub(super) fn log_attempt(&mut self, delivery: &WebhookDelivery, attempt: Attempt) {
        let hook = self.webhooks.all.iter_mut().find(|hook| hook.id == delivery.hook);
        if let Some(logged) = hook.and_then(|hook| hook.log.iter_mut().find(|logged| logged.id == delivery.event)) {
            logged.attempts_made.insert(0, attempt);
        }
    }
}
