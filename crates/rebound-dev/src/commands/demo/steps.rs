//! What the demo posts, and what must come of it.

use std::collections::BTreeMap;

use rebound::resend::signature::{SigningSecret, TOLERANCE_SECONDS};
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::row::{MAX_BODY_BYTES, RowKind};
use serde_json::{Value, json};

use crate::commands::CommandError;
use crate::{LOCAL_SECRET, samples};

/// One request, and what must come of it.
pub(super) struct Step {
    pub(super) what: String,
    pub(super) method: &'static str,
    pub(super) message: SignedMessage,
    pub(super) status: u16,
    /// The `status` in the answer, or, for a refusal, what its `error` begins with.
    pub(super) answer: &'static str,
    /// What the message is stored as in the end, whichever request did it.
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

    /// Whether a row must be there because of this very request.
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
    steps.push(Step { answer: "duplicate", ..handled("the same complaint again", again) });

    let mut forged = sign(sample("email.delivered")?);
    forged.body = String::from_utf8_lossy(&forged.body).replace("maya.lindqvist", "mallory").into_bytes();
    steps.push(refused("a forgery: the body was changed", 401, "wrong signature", forged));

    let stale = SignedMessage::new(new_message_id(), now - 2 * TOLERANCE_SECONDS, sample("email.delivered")?, &secret);
    steps.push(refused("ten minutes old, correctly signed", 401, "stale", stale));

    let mut unsigned = sign(sample("email.delivered")?);
    unsigned.headers.remove("svix-signature");
    steps.push(refused("without a signature", 401, "missing header", unsigned));

    let unknown = br#"{"type":"email.teleported","created_at":"2026-11-20T09:00:00.000Z","data":{"email_id":"e-1"}}"#;
    steps.push(Step { answer: "ignored", ..handled("a type that nobody knows yet", sign(unknown)) });

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
    steps.push(quarantined("signed, but no event", br#"{"hello":"world"}"#));

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

/// Everybody that the suppressions table must hold in the end, with the reasons that stand. Two hold none: what they had
/// was lifted, which is remembered for a while, so that an older event can't bring it back.
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
