//! All that it holds, and which part answers a request.

use std::time::Duration;

use aws_local::server::{CloseConnection, Reply};
use hyper::Request;
use hyper::body::Bytes;
use rebound::time::UnixMillis;

use super::ResendBehaviour;
use super::access::AccessControl;
use super::contacts::Contacts;
use super::delivery::{Attempt, WebhookDelivery};
use super::emails::Emails;
use super::http::{ResendRequest, ResendResponse, error, html, no_such};
use super::suppressions::Suppressions;
use super::webhooks::Webhooks;

pub(super) type Plan = Box<dyn FnMut(&str, &str) -> Option<ResendBehaviour> + Send>;

pub(super) struct State {
    pub(super) access: AccessControl,
    pub(super) webhooks: Webhooks,
    pub(super) suppressions: Suppressions,
    pub(super) contacts: Contacts,
    pub(super) emails: Emails,
    pub(super) calls: Vec<String>,
    pub(super) plan: Option<Plan>,
    /// Time by which its clock is ahead.
    pub(super) later: Duration,
    /// True if a delivery that fails is tried again, some time.
    pub(super) is_retried: bool,
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
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis::now().plus(self.later)
    }

    /// Answers a request, and what is to be delivered now.
    pub(super) fn handle(&mut self, request: &Request<Bytes>) -> (Reply, Vec<WebhookDelivery>) {
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        self.calls.push(format!("{method} {path}"));
        let planned = self.plan.as_mut().and_then(|plan| plan(&method, &path));
        let answer = match &planned {
            Some(ResendBehaviour::Status(status)) => {
                error(*status, "application_error", "something went wrong on our side")
            }
            Some(ResendBehaviour::Error { status, name, message }) => error(*status, name, message),
            Some(ResendBehaviour::Html(status)) => html(*status, "This page is no answer of the API"),
            Some(ResendBehaviour::LoseAnswer) | None => self.answer(request),
        };
        let reply =
            if matches!(planned, Some(ResendBehaviour::LoseAnswer)) { Err(CloseConnection) } else { Ok(answer) };
        (reply, std::mem::take(&mut self.webhooks.replays))
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

    /// Writes down what came of a delivery.
    pub(super) fn log_attempt(&mut self, delivery: &WebhookDelivery, attempt: Attempt) {
        let hook = self.webhooks.all.iter_mut().find(|hook| hook.id == delivery.hook);
        if let Some(logged) = hook.and_then(|hook| hook.log.iter_mut().find(|logged| logged.id == delivery.event)) {
            logged.attempts_made.insert(0, attempt);
        }
    }
}
