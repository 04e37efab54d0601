//! Contacts (<https://resend.com/docs/api-reference/contacts/create-contact>).

use aws_local::uuid;
use hyper::Method;
use serde_json::{Value, json};

use super::http::{Pages, ResendRequest, ResendResponse, created, missing, moment, no_such, not_allowed, ok, page};
use super::webhooks::with;

/// The fields that a request may set.
const FIELDS: [&str; 3] = ["first_name", "last_name", "unsubscribed"];

#[derive(Default)]
pub(super) struct Contacts {
    /// The contacts, as they are listed.
    all: Vec<Value>,
}

impl Contacts {
    pub(super) fn find(&self, id_or_email: &str) -> Option<&Value> {
        self.all.iter().find(|contact| is(contact, id_or_email))
    }

    pub(super) fn answer(&mut self, api_request: &ResendRequest<'_>) -> ResendResponse {
        let path: Vec<&str> = api_request.path.iter().skip(1).map(String::as_str).collect();
        match (api_request.method, path.as_slice()) {
            (&Method::GET, []) => page(&self.all, api_request, Pages::Default),
            (&Method::POST, []) => self.upsert(api_request),
            (&Method::GET, [which]) => match self.find(which) {
                Some(contact) => ok(with(contact.clone(), &[("object", json!("contact")), ("properties", json!({}))])),
                None => no_such("Contact"),
            },
            (&Method::PATCH, [which]) => match self.all.iter_mut().find(|contact| is(contact, which)) {
                Some(contact) => {
                    set(contact, api_request);
                    ok(json!({ "object": "contact", "id": contact.get("id") }))
                }
                None => no_such("Contact"),
            },
            // Answered alike for a contact that never was, and with what was asked for.
            (&Method::DELETE, [which]) => {
                self.all.retain(|contact| !is(contact, which));
                ok(json!({ "object": "contact", "contact": which, "deleted": true }))
            }
            _ => not_allowed(),
        }
    }

    /// Makes a contact, or makes one anew that is there: under the same id, and what is not said goes back to how it begins. So it
    /// subscribes people again.
    fn upsert(&mut self, api_request: &ResendRequest<'_>) -> ResendResponse {
        let Some(email) = api_request.text("email") else { return missing("email") };
        let known = self.find(email).and_then(|contact| contact.get("id")?.as_str()).map(str::to_owned);
        let id = known.unwrap_or_else(uuid);
        self.all.retain(|contact| !is(contact, &id));
        let mut contact = json!({
            "id": id, "email": email, "first_name": null, "last_name": null, "unsubscribed": false,
            "created_at": moment(api_request.now),
        });
        set(&mut contact, api_request);
        self.all.push(contact);
        created(json!({ "object": "contact", "id": id }))
    }
}

fn set(contact: &mut Value, api_request: &ResendRequest<'_>) {
    if let Some(contact) = contact.as_object_mut() {
        for (name, value) in FIELDS.iter().filter_map(|name| Some((*name, api_request.body.get(*name)?))) {
            contact.insert(name.to_owned(), value.clone());
        }
    }
}

fn is(contact: &Value, id_or_email: &str) -> bool {
    let has = |field: &str| contact.get(field).and_then(Value::as_str);
    has("id") == Some(id_or_email) || has("email").is_some_and(|email| email.eq_ignore_ascii_case(id_or_email))
}
