//! Webhooks (<https://resend.com/docs/api-reference/webhooks/create-webhook>).

use std::time::Duration;

use aws_local::uuid;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use rebound::resend::signed::new_message_id;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use super::delivery::{LoggedEvent, WebhookDelivery};
use super::http::{Pages, ResendRequest, ResendResponse, created, invalid, missing, no_such, not_allowed, ok, page};

/// Time for which a rotated secret still signs.
const OLD_SIGNS: Duration = Duration::from_secs(24 * 60 * 60);

/// The event types (<https://resend.com/docs/dashboard/webhooks/event-types>), by resource.
const TYPES: [(&str, &str); 6] = [
    ("email", "sent scheduled delivered delivery_delayed complained bounced opened clicked received failed suppressed"),
    ("contact", "created updated deleted topics.updated"),
    ("domain", "created updated deleted"),
    ("topic", "created updated deleted"),
    ("suppression", "added removed"),
    (
        "inbox",
        "created updated deleted thread.created thread.folder.updated thread.assigned thread.unassigned \
         thread.labels.updated email.received email.sent draft.created draft.updated draft.sent draft.deleted",
    ),
];

/// A webhook.
#[derive(Clone, Debug)]
pub(super) struct ResendWebhook {
    pub(super) id: String,
    created_at: UnixMillis,
    pub(super) endpoint: String,
    /// The event types. `None`: all types.
    pub(super) events: Option<Vec<String>>,
    pub(super) status: String,
    pub(super) secret: String,
    /// The rotated secrets, each with the end of its validity.
    pub(super) old: Vec<(String, UnixMillis)>,
    /// The events of this webhook, the newest first.
    pub(super) log: Vec<LoggedEvent>,
}

impl ResendWebhook {
    pub(super) fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.is_enabled() && self.events.as_ref().is_none_or(|events| events.iter().any(|event| event == event_type))
    }

    /// Logs an event. Returns its delivery.
    pub(super) fn begin(
        &mut self,
        event_type: &str,
        body: &str,
        is_retried: bool,
        now: UnixMillis,
    ) -> Option<WebhookDelivery> {
        let id = new_message_id();
        let logged = LoggedEvent {
            id: id.clone(),
            event_type: event_type.to_owned(),
            created_at: now,
            body: body.to_owned(),
            attempts_made: Vec::new(),
            is_retried,
        };
        self.log.insert(0, logged);
        WebhookDelivery::of(self, &id, now)
    }

    fn json(&self) -> Value {
        let created_at = self.created_at.to_text();
        json!({
            "id": self.id, "endpoint": self.endpoint, "events": self.events, "status": self.status,
            "created_at": created_at,
        })
    }
}

/// All webhooks, the oldest first.
#[derive(Default)]
pub(super) struct Webhooks {
    pub(super) all: Vec<ResendWebhook>,
    /// True if suppression events are not available to this team.
    pub(super) lacks_suppressions: bool,
    /// True if a webhook in a response does not contain its secret.
    pub(super) hides_secrets: bool,
    /// The signing secret of the next webhook. `None`: a random one.
    pub(super) next_secret: Option<String>,
    /// Replays that were requested and are not posted yet.
    pub(super) replays: Vec<WebhookDelivery>,
    /// The webhook for events about accepted emails, which the API does not list. `None`: there are no such events.
    pub(super) report: Option<ResendWebhook>,
}

impl Webhooks {
    pub(super) fn answer(&mut self, api_request: &ResendRequest<'_>) -> ResendResponse {
        let path: Vec<&str> = api_request.path.iter().skip(1).map(String::as_str).collect();
        match (api_request.method, path.as_slice()) {
            (&Method::GET, []) => {
                let all: Vec<Value> = self.all.iter().map(ResendWebhook::json).collect();
                page(&all, api_request, Pages::Unlimited)
            }
            (&Method::POST, []) => self.create(api_request),
            (_, []) => not_allowed(),
            (method, [id, rest @ ..]) => {
                let Some(place) = self.all.iter().position(|hook| hook.id == *id) else { return no_such("Webhook") };
                self.one_webhook(api_request, method, place, rest)
            }
        }
    }

    fn one_webhook(
        &mut self,
        api_request: &ResendRequest<'_>,
        method: &Method,
        place: usize,
        rest: &[&str],
    ) -> ResendResponse {
        if (method, rest) == (&Method::DELETE, &[]) {
            let gone = self.all.remove(place);
            return ok(json!({ "object": "webhook", "id": gone.id, "deleted": true }));
        }
        let (hides, lacks) = (self.hides_secrets, self.lacks_suppressions);
        let Some(hook) = self.all.get_mut(place) else { return no_such("Webhook") };
        match (method, rest) {
            (&Method::GET, []) => {
                let secret = if hides { Value::Null } else { json!(hook.secret) };
                ok(with(hook.json(), &[("object", json!("webhook")), ("signing_secret", secret)]))
            }
            (&Method::PATCH, []) => match change(hook, api_request, lacks) {
                Ok(()) => ok(json!({ "object": "webhook", "id": hook.id })),
                Err(why) => invalid(&why),
            },
            (&Method::POST, ["signing-secret", "rotate"]) => {
                let old = std::mem::replace(&mut hook.secret, new_secret());
                hook.old.push((old, api_request.now.plus(OLD_SIGNS)));
                ok(json!({ "object": "webhook", "id": hook.id, "signing_secret": hook.secret }))
            }
            (&Method::GET, ["events"]) => {
                let log: Vec<Value> = hook.log.iter().map(LoggedEvent::json).collect();
                page(&log, api_request, Pages::ForwardOnly)
            }
            (method, ["events", event, rest @ ..]) => {
                let Some(logged) = hook.log.iter().find(|logged| logged.id == *event) else {
                    return no_such("Webhook event");
                };
                match (method, rest) {
                    (&Method::GET, []) => ok(logged.whole()),
                    (&Method::GET, ["attempts"]) => page(&logged.attempts(), api_request, Pages::ForwardOnly),
                    (&Method::POST, ["replay"]) if !hook.is_enabled() => {
                        invalid("The webhook is disabled. Enable it before replaying events.")
                    }
                    (&Method::POST, ["replay"]) => {
                        let id = logged.id.clone();
                        self.replays.extend(WebhookDelivery::of(hook, &id, api_request.now));
                        ok(json!({ "object": "webhook_event", "id": id }))
                    }
                    _ => not_allowed(),
                }
            }
            _ => not_allowed(),
        }
    }

    /// Creates the webhook for events about accepted emails.
    pub(super) fn report_to(&mut self, endpoint: &str, secret: &str, now: UnixMillis) {
        self.report = Some(ResendWebhook {
            id: uuid(),
            created_at: now,
            endpoint: endpoint.to_owned(),
            events: None,
            status: "enabled".to_owned(),
            secret: secret.to_owned(),
            old: Vec::new(),
            log: Vec::new(),
        });
    }

    /// The webhooks for an event about an accepted email. An endpoint that a listed webhook has, too, gets it once.
    pub(super) fn for_reports(&mut self, event_type: &str) -> impl Iterator<Item = &mut ResendWebhook> {
        let mut wanting: Vec<&mut ResendWebhook> = self.all.iter_mut().filter(|hook| hook.wants(event_type)).collect();
        let report = self.report.as_mut();
        wanting.extend(report.filter(|report| wanting.iter().all(|hook| hook.endpoint != report.endpoint)));
        wanting.into_iter()
    }

    /// The webhook with this id.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut ResendWebhook> {
        self.all.iter_mut().chain(self.report.as_mut()).find(|hook| hook.id == id)
    }

    fn create(&mut self, api_request: &ResendRequest<'_>) -> ResendResponse {
        let Some(endpoint) = api_request.text("endpoint") else { return missing("endpoint") };
        if !endpoint.starts_with("http") {
            return invalid("The `endpoint` field must be a URL");
        }
        let Some(events) = api_request.body.get("events") else { return missing("events") };
        let events = match events_of(events, self.lacks_suppressions) {
            Ok(events) => events,
            Err(why) => return invalid(&why),
        };
        let hook = ResendWebhook {
            id: uuid(),
            created_at: api_request.now,
            endpoint: endpoint.to_owned(),
            events: Some(events),
            status: "enabled".to_owned(),
            secret: self.next_secret.take().unwrap_or_else(new_secret),
            old: Vec::new(),
            log: Vec::new(),
        };
        let answer = created(json!({ "object": "webhook", "id": hook.id, "signing_secret": hook.secret }));
        self.all.push(hook);
        answer
    }
}

fn change(hook: &mut ResendWebhook, api_request: &ResendRequest<'_>, lacks_suppressions: bool) -> Result<(), String> {
    let events = api_request.body.get("events").map(|events| events_of(events, lacks_suppressions)).transpose()?;
    let status = api_request.text("status");
    if status.is_some_and(|status| !["enabled", "disabled"].contains(&status)) {
        return Err("The `status` field must be `enabled` or `disabled`".to_owned());
    }
    hook.endpoint = api_request.text("endpoint").unwrap_or(&hook.endpoint).to_owned();
    hook.status = status.unwrap_or(&hook.status).to_owned();
    hook.events = events.or_else(|| hook.events.take());
    Ok(())
}

fn events_of(events: &Value, lacks_suppressions: bool) -> Result<Vec<String>, String> {
    let events = events.as_array().filter(|events| !events.is_empty()).ok_or("The `events` field must not be empty")?;
    let is_known = |event: &str| {
        let Some((family, rest)) = event.split_once('.') else { return false };
        let of_family = TYPES.iter().find(|(known, _)| *known == family);
        let is_open = !(lacks_suppressions && family == "suppression");
        is_open && of_family.is_some_and(|(_, types)| types.split_whitespace().any(|known| known == rest))
    };
    let read = |event: &Value| match event.as_str() {
        Some(event) if is_known(event) => Ok(event.to_owned()),
        other => Err(format!("Invalid event type: {}", other.unwrap_or("not a string"))),
    };
    events.iter().map(read).collect()
}

/// The object with more fields. Fields that are null are omitted.
pub(super) fn with(mut object: Value, fields: &[(&str, Value)]) -> Value {
    if let Some(object) = object.as_object_mut() {
        let fields = fields.iter().filter(|(_, value)| !value.is_null());
        object.extend(fields.map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    object
}

fn new_secret() -> String {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(24).collect();
    format!("whsec_{}", STANDARD.encode(bytes))
}
