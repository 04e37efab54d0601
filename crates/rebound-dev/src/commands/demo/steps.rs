//! The requests of the demo, with the expected results.

use std::collections::BTreeMap;

use rebound::resend::signature::{SigningSecret, TOLERANCE_SECONDS};
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::row::{MAX_BODY_BYTES, RowKind};
use serde_json::{Value, json};

use crate::commands::CommandError;
use crate::{LOCAL_SECRET, samples};

/// One request, with the expected response and row.
pub(super) struct Step {
    pub(super) what: String,
    pub(super) method: &'static str,
    pub(super) message: SignedMessage,
    pub(super) status: u16,
    /// The expected `status` in the response; for a rejection, the beginning of its `error`.
    pub(super) answer: &'static str,
    /// The kind of the row that is stored for the webhook, by this request or by an earlier one.
    pub(super) stored_as: Option<RowKind>,
}

impl Step {
    pub(super) fn answers(&self, body: &str) -> bool {
        let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
        if self.status == 200 {
            return body == json!({ "status": self.answer, "id": self.message.id });
        }
        body.get("error").and_then(Value::as_str).is_some_and(|error| error.starts_with(self.answer))
    }

    /// Returns true if this request itself must store a row.
    pub(super) fn is_first_to_be_stored(&self) -> bool {
        self.stored_as.is_some() && self.answer != "duplicate"
    }
}

/// Every request of the demo, signed at `now`, in seconds since the epoch.
pub(super) fn all(now: i64) -> Result<Vec<Step>, CommandError> {
    let secret: SigningSecret = LOCAL_SECRET.parse()?;
    let sign = |body: &[u8]| SignedMessage::new(new_message_id(), now, body, &secret);
    let sample =
        |event_type: &str| samples::body(event_type).ok_or_else(|| format!("there is no sample of {event_type}"));
    let handled = |what: &str, message| Step {
        what: what.to_owned(),
        method: "POST",
        message,
        status: 200,
        answer: "handled",
        stored_as: Some(RowKind::Event),
    };
    let refused =
        |what: &str, status, answer, message| Step { status, answer, stored_as: None, ..handled(what, message) };

    let mut steps = Vec::new();
    for event_type in samples::types() {
        steps.push(handled(event_type, sign(sample(event_type)?)));
    }

    let complaint = steps.iter().find(|step| step.what == "email.complained").map(|step| step.message.clone());
    let again = complaint.ok_or("there is no sample of email.complained")?;
    steps.push(Step { answer: "duplicate", ..handled("the same complaint, sent again", again) });

    let mut forged = sign(sample("email.delivered")?);
    forged.body = String::from_utf8_lossy(&forged.body).replace("maya.lindqvist", "mallory").into_bytes();
    steps.push(refused("a forgery: the body was changed", 401, "wrong signature", forged));

    let stale = SignedMessage::new(new_message_id(), now - 2 * TOLERANCE_SECONDS, sample("email.delivered")?, &secret);
    steps.push(refused("ten minutes old, correctly signed", 401, "stale", stale));

    let mut unsigned = sign(sample("email.delivered")?);
    unsigned.headers.remove("svix-signature");
    steps.push(refused("without a signature", 401, "missing header", unsigned));

    let unknown = br#"{"type":"email.teleported","created_at":"2026-11-20T09:00:00.000Z","data":{"email_id":"e-1"}}"#;
    steps.push(Step { answer: "ignored", ..handled("an unknown event type", sign(unknown)) });

    steps.push(handled(
        "a bounce of one of three, named",
        sign(&bounce(json!(["smtp; 550 5.1.1 <bob@example.com>: unknown user"]))),
    ));
    steps.push(handled("a bounce of one of three, not named", sign(&bounce(Value::Null))));

    let quarantined = |what, body: &[u8]| Step {
        answer: "quarantined",
        stored_as: Some(RowKind::Quarantine),
        ..handled(what, sign(body))
    };
    steps.push(quarantined("signed, but not an event", br#"{"hello":"world"}"#));

    steps.push(refused("over 1 MiB", 413, "the body is over", sign(&vec![b' '; MAX_BODY_BYTES + 1])));
    steps.push(Step { method: "GET", ..refused("a GET", 405, "send a POST", sign(b"")) });
    Ok(steps)
}

/// A hard bounce of an email to three people.
fn bounce(diagnostic_code: Value) -> Vec<u8> {
    let to = ["alice@example.com", "Bob <bob@example.com>", "carol@example.com"];
    let bounce =
        json!({ "type": "Permanent", "subType": "General", "message": "rejected", "diagnosticCode": diagnostic_code });
    let data = json!({ "email_id": "7b1d3f5a-0c2e-4864-9b8d-1e3f5a7c9b0d", "to": to, "bounce": bounce });
    json!({ "type": "email.bounced", "created_at": "2026-11-20T09:00:09.000Z", "data": data }).to_string().into_bytes()
}

/// The expected recipients in the suppressions table at the end, with their active reasons. Two have no active reason: theirs was
/// lifted. The table keeps lifted reasons for a while, so that an older event can't restore them.
pub(super) fn expected_suppressions() -> BTreeMap<String, Vec<&'static str>> {
    let expected: [(&str, &[&str]); 8] = [
        ("back.again@example.com", &[]),
        ("bob@example.com", &["hard_bounce"]),
        ("gone@example.net", &["provider"]),
        ("lena.okafor@example.com", &[]),
        ("old.address@example.net", &["hard_bounce"]),
        ("priya.nair@example.org", &["complaint"]),
        ("ravi.menon@example.org", &["unsubscribed"]),
        ("spamtrap@example.org", &["provider"]),
    ];
    expected.into_iter().map(|(recipient, reasons)| (recipient.to_owned(), reasons.to_vec())).collect()
}
