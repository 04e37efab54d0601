//! The questions, in order.

use std::time::Duration;

use rebound::policy::followup::sending::{AnswerMeaning, PushMeaning, SendAnswer};
use rebound::resend::api::key::ResendKey;
use serde::Serialize;
use serde_json::{Value, json};
use strum::IntoStaticStr;

use crate::received::{self, HEADERS};
use crate::session::{Session, SessionError, text};

/// The API, the keys and the addresses of a run.
pub(crate) struct Plan {
    pub(crate) base_url: String,
    pub(crate) key: String,
    pub(crate) second_key: Option<String>,
    pub(crate) from: String,
    pub(crate) to: String,
    /// A received email.
    pub(crate) received: Option<String>,
    /// Time before each request.
    pub(crate) pause: Duration,
}

/// Result of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It is as the code assumes.
    #[strum(serialize = "as assumed")]
    Same,
    /// Nothing is documented, and the code is right either way.
    #[strum(serialize = "learned")]
    Learned,
    /// It is not as the code assumes.
    #[strum(serialize = "DIFFERS")]
    Differs,
    /// It was not asked, for the reason in `seen`.
    #[strum(serialize = "not asked")]
    NotAsked,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    fn of(is_same: bool) -> Self {
        if is_same { Self::Same } else { Self::Differs }
    }
}

/// A question with its answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) asked: &'static str,
    pub(crate) assumed: String,
    pub(crate) seen: String,
    #[serde(rename = "result")]
    pub(crate) verdict: Verdict,
}

fn finding(asked: &'static str, assumed: &str, seen: impl Into<String>, verdict: Verdict) -> Finding {
    Finding { asked, assumed: assumed.to_owned(), seen: seen.into(), verdict }
}

/// Asks everything.
///
/// # Errors
/// The very first email is not accepted.
pub(crate) async fn ask_all(plan: &Plan) -> Result<Vec<Finding>, SessionError> {
    let key = ResendKey::parse(&plan.key).ok_or(SessionError::NotAKey)?;
    let asker = Asker { session: Session::new(&plan.base_url, plan.pause)?, key, plan, run: fastrand::u64(..) };
    let mut findings = asker.same_key().await?;
    findings.extend(asker.after_a_refusal().await);
    findings.push(asker.second_key().await);
    findings.extend(asker.names_of_errors().await);
    findings.push(asker.sending_key().await);
    findings.push(asker.unknown_contact().await);
    findings.extend(received::findings(plan.received.as_deref()));
    Ok(findings)
}

struct Asker<'a> {
    session: Session,
    key: ResendKey,
    plan: &'a Plan,
    /// Keeps the keys of this run apart from those of every other.
    run: u64,
}

impl Asker<'_> {
    fn idempotency_key(&self, name: &str) -> String {
        format!("rebound-contract-{:016x}-{name}", self.run)
    }

    /// An email as `act` builds it.
    fn email(&self, subject: &str) -> Value {
        let headers: serde_json::Map<String, Value> =
            HEADERS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "from": self.plan.from,
            "to": [self.plan.to],
            "subject": subject,
            "text": "Sent by `make contract` of Rebound.",
            "headers": headers,
            "tags": [{ "name": "campaign", "value": "rebound-contract" }],
        })
    }

    async fn send(&self, name: &str, body: &Value) -> SendAnswer {
        self.session.send(&self.key, &self.idempotency_key(name), body).await
    }

    async fn same_key(&self) -> Result<Vec<Finding>, SessionError> {
        let body = self.email("Rebound's contract: one");
        let first = self.send("same", &body).await;
        let AnswerMeaning::Accepted { id } = &first.meaning else {
            return Err(SessionError::NotAccepted(text(&first)));
        };
        let again = self.send("same", &body).await;
        let other = self.send("same", &self.email("Rebound's contract: another body")).await;
        let is_same = matches!(&again.meaning, AnswerMeaning::Accepted { id: second } if second == id);
        let is_conflict = other.meaning == AnswerMeaning::KeyConflict;
        Ok(vec![
            finding("an email", "a success with an id", text(&first), Verdict::Same),
            finding("the same key and body again", "the same id", text(&again), Verdict::of(is_same)),
            finding(
                "the same key, another body",
                "409 invalid_idempotent_request",
                text(&other),
                Verdict::of(is_conflict),
            ),
        ])
    }

    /// A try that is refused, the same once more, and then the corrected email, all under one key.
    async fn after_a_refusal(&self) -> Vec<Finding> {
        let mut wrong = self.email("Rebound's contract: refused first");
        let right = wrong.clone();
        if let Some(wrong) = wrong.as_object_mut() {
            wrong.remove("subject");
        }
        let refused = self.send("refused", &wrong).await;
        let again = self.send("refused", &wrong).await;
        let corrected = self.send("refused", &right).await;
        let asked = "a refused key, and the corrected body";
        let assumed = "either: `act` takes a new key after a refusal";
        let learned = match (&refused.meaning, &corrected.meaning) {
            (refusal, _) if !refusal.is_definite_refusal() => None,
            (_, AnswerMeaning::Accepted { .. }) => Some("accepted: a refusal is not remembered"),
            (_, AnswerMeaning::KeyConflict) => Some("409: a refusal is remembered, with its body"),
            (_, AnswerMeaning::AboutThisEmail { .. }) => {
                Some("refused again: the response is remembered by its key alone")
            }
            _ => None,
        };
        let corrected = match learned {
            Some(learned) => finding(asked, assumed, learned, Verdict::Learned),
            None => finding(asked, assumed, text(&corrected), Verdict::Differs),
        };
        let is_refused = refused.meaning.is_definite_refusal() && again.meaning.is_definite_refusal();
        vec![
            finding(
                "a refused key and the same body again",
                "refused again, never accepted",
                format!("{}, then {}", text(&refused), text(&again)),
                Verdict::of(is_refused),
            ),
            corrected,
        ]
    }

    async fn second_key(&self) -> Finding {
        let asked = "one key of a request, with two API keys";
        let assumed = "either: a key is never used with another API key";
        let Some(second) = self.plan.second_key.as_deref().and_then(ResendKey::parse) else {
            return finding(asked, assumed, "no --second-key", Verdict::NotAsked);
        };
        let body = self.email("Rebound's contract: two API keys");
        let first = self.send("two", &body).await;
        let other = self.session.send(&second, &self.idempotency_key("two"), &body).await;
        match (&first.meaning, &other.meaning) {
            (AnswerMeaning::Accepted { id }, AnswerMeaning::Accepted { id: second }) if id == second => {
                finding(asked, assumed, "the same id: remembered for the team", Verdict::Learned)
            }
            (AnswerMeaning::Accepted { .. }, AnswerMeaning::Accepted { .. }) => {
                finding(asked, assumed, "another id: remembered for each API key", Verdict::Learned)
            }
            _ => finding(asked, assumed, format!("{}, then {}", text(&first), text(&other)), Verdict::NotAsked),
        }
    }

    /// Emails with one fault each, and requests with a wrong key.
    async fn names_of_errors(&self) -> Vec<Finding> {
        let with = |field: &str, value: Value| {
            let mut body = self.email("Rebound's contract: a fault");
            if let Some(body) = body.as_object_mut() {
                body.insert(field.to_owned(), value);
            }
            body
        };
        let mut without_to = self.email("Rebound's contract: a fault");
        if let Some(body) = without_to.as_object_mut() {
            body.remove("to");
        }
        let long = "k".repeat(300);
        let tag = json!([{ "name": "campaign", "value": "spring sale" }]);
        let mut findings = Vec::new();
        for (asked, idempotency_key, body) in [
            ("`from` is no address", self.idempotency_key("from"), with("from", json!("nobody"))),
            ("`to` is no address", self.idempotency_key("to"), with("to", json!(["nobody"]))),
            ("no `to`", self.idempotency_key("none"), without_to),
            ("a tag with a space", self.idempotency_key("tag"), with("tags", tag)),
            ("a key of 300 characters", long, self.email("Rebound's contract: a fault")),
        ] {
            let seen = self.session.send(&self.key, &idempotency_key, &body).await;
            let is_same = matches!(seen.meaning, AnswerMeaning::AboutThisEmail { .. });
            findings.push(finding(asked, "a refusal of this very email", text(&seen), Verdict::of(is_same)));
        }
        let unverified = with("from", json!("contract@unverified.rebound.invalid"));
        let seen = self.send("unverified", &unverified).await;
        let is_same = matches!(seen.meaning, AnswerMeaning::Otherwise { .. });
        let assumed = "a refusal that is not about the email: it is tried again";
        findings.push(finding("a domain that is not verified", assumed, text(&seen), Verdict::of(is_same)));
        if let Some(wrong) = ResendKey::parse("re_00000000_rebound_contract") {
            let seen = self.session.send(&wrong, &self.idempotency_key("key"), &self.email("Never sent")).await;
            let is_same = seen.meaning == AnswerMeaning::Key;
            findings.push(finding("an unknown API key", "a refusal of the key", text(&seen), Verdict::of(is_same)));
        }
        findings
    }

    /// A key that may only send, where one of the keys is such a key.
    async fn sending_key(&self) -> Finding {
        let (asked, assumed) = ("GET /domains with a key that may only send", "401 restricted_api_key");
        let second = self.plan.second_key.as_deref().and_then(ResendKey::parse);
        for key in std::iter::once(&self.key).chain(&second) {
            let seen = self.session.domains(key).await;
            if seen.status.is_some_and(|status| (200..300).contains(&status)) {
                continue;
            }
            let is_same = seen.status == Some(401) && seen.name == "restricted_api_key";
            return finding(asked, assumed, text(&seen), Verdict::of(is_same));
        }
        finding(asked, assumed, "each key has full access", Verdict::NotAsked)
    }

    async fn unknown_contact(&self) -> Finding {
        let (asked, assumed) =
            ("a contact that does not exist is unsubscribed", "404 not_found: nothing is to be done");
        match self.session.unsubscribe_nobody(&self.key).await {
            (PushMeaning::Key, _) => finding(asked, assumed, "the key may only send", Verdict::NotAsked),
            (meaning, seen) => finding(asked, assumed, seen, Verdict::of(meaning == PushMeaning::NoContact)),
        }
    }
}
