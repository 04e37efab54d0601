//! Emails and idempotency keys (<https://resend.com/docs/dashboard/emails/idempotency-keys>).

use std::time::Instant;

use aws_local::uuid;
use hyper::Method;
use serde_json::{Value, json};

use super::http::{
    Pages, ResendRequest, ResendResponse, error, invalid, missing, moment, no_such, not_allowed, ok, page,
};
use super::memory::IdempotencyKeys;
use super::sent::AcceptedEmail;
use super::suppressions::Suppressions;
use super::webhooks::with;

/// Maximum number of characters of an idempotency key; maximum number of recipients of an email.
const MAX_KEY_LENGTH: usize = 256;
const MAX_RECIPIENTS: usize = 50;

#[derive(Default)]
pub(super) struct Emails {
    /// The accepted emails, the newest first: each in the format of the list, and with its request.
    all: Vec<(Value, Value)>,
    pub(super) keys: IdempotencyKeys,
    /// The accepted emails, the oldest first.
    pub(super) accepted: Vec<AcceptedEmail>,
    /// Events about accepted emails that are not delivered yet: type and body.
    pub(super) events: Vec<(&'static str, String)>,
}

impl Emails {
    /// The bodies of the requests, the oldest first.
    pub(super) fn requests(&self) -> Vec<Value> {
        self.all.iter().rev().map(|(_, request)| request.clone()).collect()
    }

    pub(super) fn answer(&mut self, api_request: &ResendRequest<'_>, suppressions: &Suppressions) -> ResendResponse {
        let path: Vec<&str> = api_request.path.iter().skip(1).map(String::as_str).collect();
        match (api_request.method, path.as_slice()) {
            (&Method::POST, []) => self.send(api_request, suppressions),
            (&Method::GET, []) => {
                page(&self.all.iter().map(|(email, _)| email.clone()).collect::<Vec<_>>(), api_request, Pages::Default)
            }
            (&Method::GET, [id]) => {
                match self.all.iter().find(|(email, _)| email.get("id").and_then(Value::as_str) == Some(id)) {
                    Some((email, request)) => ok(whole(email, request)),
                    None => no_such("Email"),
                }
            }
            _ => not_allowed(),
        }
    }

    fn send(&mut self, api_request: &ResendRequest<'_>, suppressions: &Suppressions) -> ResendResponse {
        if api_request.idempotency_key.is_some_and(|key| !(1..=MAX_KEY_LENGTH).contains(&key.chars().count())) {
            return error(400, "invalid_idempotency_key", "The idempotency key must be between 1 and 256 characters.");
        }
        if let Some(known) = self.keys.find(api_request) {
            return known;
        }
        let answer = match refused(api_request) {
            Some(refused) => refused,
            None => self.accept(api_request, suppressions),
        };
        self.keys.remember(api_request, &answer);
        answer
    }

    fn accept(&mut self, api_request: &ResendRequest<'_>, suppressions: &Suppressions) -> ResendResponse {
        let (id, to) = (uuid(), addresses(api_request.body.get("to")));
        let last_event = if to.iter().any(|to| suppressions.has(to)) {
            "suppressed"
        } else if api_request.body.get("scheduled_at").is_some() {
            "scheduled"
        } else {
            "sent"
        };
        let email = json!({
            "id": id, "message_id": format!("<{id}@email.amazonses.com>"), "to": to, "from": api_request.body.get("from"),
            "created_at": moment(api_request.now), "subject": api_request.body.get("subject"), "cc": null, "bcc": null, "reply_to": null,
            "last_event": last_event, "scheduled_at": api_request.body.get("scheduled_at"),
        });
        self.all.insert(0, (email, api_request.body.clone()));
        let accepted = AcceptedEmail {
            id: id.clone(),
            request: api_request.body.clone(),
            idempotency_key: api_request.idempotency_key.map(str::to_owned),
            at: api_request.now,
            moment: Instant::now(),
        };
        self.events.extend(accepted.events(last_event));
        self.accepted.push(accepted);
        ok(json!({ "id": id }))
    }
}

/// The error response to an invalid email; else `None`.
fn refused(api_request: &ResendRequest<'_>) -> Option<ResendResponse> {
    if let Some(field) = ["from", "subject"].into_iter().find(|field| api_request.text(field).is_none()) {
        return Some(missing(field));
    }
    let count = |field: &str| addresses(api_request.body.get(field)).len();
    if count("to") == 0 {
        return Some(missing("to"));
    }
    if count("to") + count("cc") + count("bcc") > MAX_RECIPIENTS {
        return Some(invalid("The `to` field must not have more than 50 items."));
    }
    let is_word = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let mut tags = api_request.body.get("tags").and_then(Value::as_array).into_iter().flatten();
    let has_word = |tag: &Value, field: &str| tag.get(field).is_some_and(is_word);
    if tags.any(|tag| !has_word(tag, "name") || !has_word(tag, "value")) {
        return Some(invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes."));
    }
    None
}

/// The addresses in a string or a list.
fn addresses(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) if !one.is_empty() => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// An email in the format of a single email: with texts and tags, and with empty lists where the list of emails has null.
fn whole(email: &Value, request: &Value) -> Value {
    let several = |field: &str| json!(addresses(request.get(field)));
    let text = |field: &str| request.get(field).cloned().unwrap_or_default();
    let mut whole = with(
        email.clone(),
        &[
            ("object", json!("email")),
            ("cc", several("cc")),
            ("bcc", several("bcc")),
            ("reply_to", several("reply_to")),
            ("tags", request.get("tags").cloned().unwrap_or_else(|| json!([]))),
        ],
    );
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(["html", "text"].map(|field| (field.to_owned(), text(field))));
    }
    whole
}
