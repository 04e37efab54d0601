//! All data of the stub, and the routing of requests.

use std::time::{Duration, Instant};

use aws_local::server::{CloseConnection, Reply};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use hyper::{Method, Request};
use rebound::time::UnixMillis;

use super::ResendBehaviour;
use super::access::AccessControl;
use super::contacts::Contacts;
use super::delivery::{Attempt, WebhookDelivery};
use super::emails::Emails;
use super::http::{Pages, ResendRequest, ResendResponse, error, html, no_such, page};
use super::suppressions::ListedSuppressions;
use super::webhooks::{ResendWebhook, Webhooks};

pub(super) type Plan = Box<dyn FnMut(&str, &str) -> Option<ResendBehaviour> + Send>;

pub(super) type Clock = Box<dyn Fn() -> UnixMillis + Send>;

pub(super) struct ResendState {
    pub(super) access: AccessControl,
    pub(super) webhooks: Webhooks,
    pub(super) suppressions: ListedSuppressions,
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
    /// Times of the requests with a key.
    pub(super) keyed_requests: Vec<Instant>,
}

impl ResendState {
    pub(super) fn new(key: &str) -> Self {
        Self {
            access: AccessControl::new(key),
            webhooks: Webhooks::default(),
            suppressions: ListedSuppressions::default(),
            contacts: Contacts::default(),
            emails: Emails::default(),
            calls: Vec::new(),
            plan: None,
            later: Duration::ZERO,
            is_retried: false,
            clock: None,
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
        let now = self.now();
        for (event_type, body) in std::mem::take(&mut self.emails.events) {
            if self.webhooks.report.is_some() {
                let wanting = self.webhooks.for_reports(event_type);
                let begin = |hook: &mut ResendWebhook| Some(hook.begin(event_type, &body, true, now)?.repeated());
                deliveries.extend(wanting.filter_map(begin));
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
        wanting.filter_map(|hook| hook.begin(event_type, body, is_retried, now)).collect()
    }

    fn answer(&mut self, request: &Request<Bytes>) -> ResendResponse {
        if (request.method(), request.uri().path()) == (&Method::GET, "/") {
            return self.emails.accepted_page(&ResendRequest::read(request, self.now()));
        }
        if let Some(refused) = self.access.refuse(request) {
            return refused;
        }
        let api_request = ResendRequest::read(request, self.now());
        let answer = match api_request.path.first().map(String::as_str) {
            Some("webhooks") => self.webhooks.answer(&api_request),
            Some("suppressions") => self.suppressions.answer(&api_request),
            Some("contacts") => self.contacts.answer(&api_request),
            // No domain is kept here: a key of full access can read the list, and no other can.
            Some("domains") if api_request.method == Method::GET => page(&[], &api_request, Pages::Default),
            Some("emails") => self.emails.answer(&api_request, &self.suppressions),
            _ => no_such("The requested endpoint"),
        };
        self.access.with_limit(answer)
    }

    /// Logs an attempt of a delivery. Returns the time of the next one, if the stub makes one.
    pub(super) fn log_attempt(&mut self, delivery: &WebhookDelivery, attempt: Attempt) -> Option<UnixMillis> {
        let logged = self.webhooks.find(&delivery.hook)?.log.iter_mut().find(|logged| logged.id == delivery.event)?;
        logged.attempts_made.insert(0, attempt);
        logged.next_attempt().filter(|_| delivery.is_repeated)
    }

    /// The same delivery, signed now.
    pub(super) fn signed_again(&mut self, delivery: &WebhookDelivery) -> Option<WebhookDelivery> {
        let now = self.now();
        Some(WebhookDelivery::of(self.webhooks.find(&delivery.hook)?, &delivery.event, now)?.repeated())
    }
}
