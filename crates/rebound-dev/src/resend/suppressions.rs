//! The suppression list (<https://resend.com/docs/api-reference/suppressions/list-suppressions>).

use aws_local::uuid;
use hyper::Method;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use super::http::{
    Pages, ResendRequest, ResendResponse, created, invalid, missing, moment, no_such, not_allowed, ok, page,
};
use super::webhooks::with;

/// Maximum number of addresses in a batch.
const BATCH: usize = 100;

#[derive(Default)]
pub(super) struct Suppressions {
    /// The entries, in the format of the list.
    all: Vec<Value>,
    /// True if the list is not available to this team: it was in beta.
    pub(super) is_closed: bool,
}

impl Suppressions {
    /// Adds an address to the list unless it is there. Returns the entry's id.
    pub(super) fn add(&mut self, email: &str, origin: &str, created_at: &str) -> String {
        if let Some(known) = self.find(email) {
            return text(known, "id").to_owned();
        }
        let id = uuid();
        let entry = json!({ "id": id, "email": email, "origin": origin, "source_id": null, "created_at": created_at });
        self.all.push(entry);
        id
    }

    pub(super) fn has(&self, email: &str) -> bool {
        self.find(email).is_some()
    }

    fn find(&self, id_or_email: &str) -> Option<&Value> {
        self.all.iter().find(|entry| is(entry, id_or_email))
    }

    fn remove(&mut self, id_or_email: &str) -> Option<Value> {
        let place = self.all.iter().position(|entry| is(entry, id_or_email))?;
        let gone = self.all.remove(place);
        Some(json!({ "object": "suppression", "id": text(&gone, "id"), "deleted": true }))
    }

    fn add_now(&mut self, email: &str, now: UnixMillis) -> Value {
        let id = self.add(email, "manual", &moment(now));
        json!({ "object": "suppression", "id": id })
    }

    pub(super) fn answer(&mut self, api_request: &ResendRequest<'_>) -> ResendResponse {
        if self.is_closed {
            return no_such("The requested endpoint");
        }
        let path: Vec<&str> = api_request.path.iter().skip(1).map(String::as_str).collect();
        match (api_request.method, path.as_slice()) {
            (&Method::GET, []) => {
                let origin = api_request.query.get("origin");
                let of_origin = |entry: &&Value| origin.is_none_or(|origin| text(entry, "origin") == origin);
                page(&self.all.iter().filter(of_origin).cloned().collect::<Vec<_>>(), api_request, Pages::Default)
            }
            (&Method::POST, []) => match api_request.text("email") {
                Some(email) => created(self.add_now(email, api_request.now)),
                None => missing("email"),
            },
            (&Method::POST, ["batch", "add"]) => {
                let emails = api_request.texts("emails");
                if !(1..=BATCH).contains(&emails.len()) {
                    return invalid("The `emails` field must have between 1 and 100 items");
                }
                let added: Vec<Value> = emails.iter().map(|email| self.add_now(email, api_request.now)).collect();
                created(json!({ "data": added }))
            }
            (&Method::POST, ["batch", "remove"]) => {
                let (emails, ids) = (api_request.texts("emails"), api_request.texts("ids"));
                let which = if ids.is_empty() {
                    emails
                } else if emails.is_empty() {
                    ids
                } else {
                    Vec::new()
                };
                if !(1..=BATCH).contains(&which.len()) {
                    return invalid("Either the `emails` or the `ids` field must have between 1 and 100 items");
                }
                let removed: Vec<Value> = which.iter().filter_map(|which| self.remove(which)).collect();
                ok(json!({ "data": removed }))
            }
            (&Method::GET, [which]) => match self.find(which) {
                Some(entry) => ok(with(entry.clone(), &[("object", json!("suppression"))])),
                None => no_such("Suppression"),
            },
            (&Method::DELETE, [which]) => self.remove(which).map_or_else(|| no_such("Suppression"), ok),
            _ => not_allowed(),
        }
    }
}

fn is(entry: &Value, id_or_email: &str) -> bool {
    text(entry, "id") == id_or_email || text(entry, "email").eq_ignore_ascii_case(id_or_email)
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}
