//! All data of the stub, and the routing of requests.

use std::time::Duration;

use aws_local::server::{CloseConnection, Reply};
use hyper::Request;
use hyper::body::Bytes;
use rebound::time::UnixMillis;

use super::Behaviour;
use super::contacts::Contacts;
use super::delivery::{Attempt, Delivery};
use super::door::Door;
use super::emails::Emails;
use super::http::{Answer, Ask, error, html, no_such};
use super::suppressions::Suppressions;
use super::webhooks::Webhooks;

pub(super) type Plan = Box<dyn FnMut(&str, &str) -> Option<Behaviour> + Send>;

pub(super) struct State {
    pub(super) door: Door,
    pub(super) webhooks: Webhooks,
    pub(super) suppressions: Suppressions,
    pub(super) contacts: Contacts,
    pub(super) emails: Emails,
    pub(super) calls: Vec<String>,
    pub(super) plan: Option<Plan>,
    /// Time by which the stub's clock is ahead.
    pub(super) later: Duration,
    /// True if failed deliveries get the status `pending`.
    pub(super) goes_on: bool,
}

impl State {
    pub(super) fn new(key: &str) -> Self {
        Self {
            door: Door::new(key),
            webhooks: Webhooks::default(),
            suppressions: Suppressions::default(),
            contacts: Contacts::default(),
            emails: Emails::default(),
            calls: Vec::new(),
            plan: None,
            later: Duration::ZERO,
            goes_on: false,
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis::now().plus(self.later)
    }

    /// Handles a request. Returns the response, and the deliveries that are to be posted now.
    pub(super) fn handle(&mut self, request: &Request<Bytes>) -> (Reply, Vec<Delivery>) {
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        self.calls.push(format!("{method} {path}"));
        let planned = self.plan.as_mut().and_then(|plan| plan(&method, &path));
        let answer = match &planned {
            Some(Behaviour::Status(status)) => error(*status, "application_error", "something went wrong on our side"),
            Some(Behaviour::Error { status, name, message }) => error(*status, name, message),
            Some(Behaviour::Html(status)) => html(*status, "This page does not come from the API"),
            Some(Behaviour::LoseAnswer) | None => self.answer(request),
        };
        let reply = if matches!(planned, Some(Behaviour::LoseAnswer)) { Err(CloseConnection) } else { Ok(answer) };
        (reply, std::mem::take(&mut self.webhooks.replays))
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Answer {
        if let Some(refused) = self.door.refuse(request) {
            return refused;
        }
        let ask = Ask::read(request, self.now());
        let answer = match ask.path.first().map(String::as_str) {
            Some("webhooks") => self.webhooks.answer(&ask),
            Some("suppressions") => self.suppressions.answer(&ask),
            Some("contacts") => self.contacts.answer(&ask),
            Some("emails") => self.emails.answer(&ask, &self.suppressions),
            _ => no_such("The requested endpoint"),
        };
        self.door.with_limit(answer)
    }

    /// Logs an attempt of a delivery.
    pub(super) fn delivered(&mut self, delivery: &Delivery, attempt: Attempt) {
        let hook = self.webhooks.all.iter_mut().find(|hook| hook.id == delivery.hook);
        if let Some(logged) = hook.and_then(|hook| hook.log.iter_mut().find(|logged| logged.id == delivery.event)) {
            logged.tries.insert(0, attempt);
        }
    }
}
