//! Recipients that an event is about.

use crate::resend::event::{Event, EventRecipients};
use crate::resend::recipient::Recipient;

/// Recipients that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AffectedRecipients {
    /// Exactly these recipients.
    Known(Vec<Recipient>),
    /// One of these recipients, or a recipient without a valid address. The others must not be suppressed for the
    /// outcome of one, so a person has to look.
    Unclear(Vec<Recipient>),
}

impl AffectedRecipients {
    /// Returns the recipients that an email's outcome is about: the only one in `to`, or, of several, those that the
    /// receiving server's reply mentions. If the reply mentions a recipient in `cc` or `bcc`, the outcome is about that
    /// one and not about `to`. Other addresses in the reply, such as the target of a forward, got no email from Resend
    /// and are ignored.
    pub fn by_outcome(event: &Event<'_>) -> Self {
        let diagnostics = event.diagnostics();
        let named = |all: Vec<Recipient>| -> Vec<Recipient> {
            all.into_iter().filter(|one| diagnostics.iter().any(|text| one.is_mentioned_in(text))).collect()
        };
        let mut meant = if diagnostics.is_empty() { Vec::new() } else { named(event.copied()) };
        match event.recipients() {
            EventRecipients::One(one) if meant.is_empty() => Self::Known(vec![one]),
            to => {
                let to = to.into_vec();
                meant.extend(named(to.clone()));
                if meant.is_empty() { Self::Unclear(to) } else { Self::Known(meant) }
            }
        }
    }

    /// Returns the recipients that a contact, or an entry of Resend's own suppression list, is about.
    pub fn by_contact(event: &Event<'_>) -> Self {
        match event.contact() {
            EventRecipients::One(one) => Self::Known(vec![one]),
            to => Self::Unclear(to.into_vec()),
        }
    }

    /// Returns all recipients with valid addresses that the event may be about.
    pub fn possible(self) -> Vec<Recipient> {
        match self {
            Self::Known(all) | Self::Unclear(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn concerned(data: Value) -> AffectedRecipients {
        let body = json!({ "type": "email.bounced", "data": data }).to_string();
        AffectedRecipients::by_outcome(&Event::read(body.as_bytes()).unwrap())
    }

    fn all(addresses: &[&str]) -> Vec<Recipient> {
        addresses.iter().map(|address| Recipient::parse(address).unwrap()).collect()
    }

    fn known(addresses: &[&str]) -> AffectedRecipients {
        AffectedRecipients::Known(all(addresses))
    }

    fn unclear(addresses: &[&str]) -> AffectedRecipients {
        AffectedRecipients::Unclear(all(addresses))
    }

    #[test]
    fn the_recipient_in_to_is_found_in_every_shape() {
        for to in [
            json!(["ann@example.com"]),
            json!("ann@example.com"),
            json!("Ann <ann@example.com>"),
            json!({ "email": "ann@example.com", "name": "Ann" }),
            json!([{ "address": "Ann <ann@example.com>" }]),
            json!([["ann@example.com"]]),
            json!(["ann@example.com (x)"]),
            json!(["Team: ann@example.com;"]),
            json!(["ann@example.com, ANN@example.com."]),
        ] {
            assert_eq!(concerned(json!({ "to": to })), known(&["ann@example.com"]), "{to}");
        }
        assert_eq!(concerned(json!({ "to": ["\"ann lee\"@example.com"] })), known(&["\"ann lee\"@example.com"]));
        for to in [json!([]), json!(null), json!({}), json!(7), json!(["x"]), json!([{ "name": "Ann" }]), json!("")] {
            assert_eq!(concerned(json!({ "to": to })), unclear(&[]), "{to}");
        }
        assert_eq!(concerned(json!({})), unclear(&[]));
        let two = unclear(&["one@example.com", "two@example.com"]);
        for to in [
            json!(["one@example.com, two@example.com"]),
            json!("All: one@example.com, two@example.com;"),
            json!([{ "email": "one@example.com" }, { "email": "two@example.com" }]),
            json!({ "email": ["one@example.com", "two@example.com"] }),
        ] {
            assert_eq!(concerned(json!({ "to": to })), two, "{to}");
        }
        assert_eq!(concerned(json!({ "to": ["one@example.com", null] })), unclear(&["one@example.com"]));
    }

    #[test]
    fn of_several_recipients_the_reply_mentions_the_right_one() {
        let about = |code: &str| {
            concerned(json!({ "to": ["one@example.com, two@bücher.example"], "bounce": { "diagnosticCode": code } }))
        };
        assert_eq!(about("550 <two@bücher.example> unknown"), known(&["two@bücher.example"]));
        assert_eq!(about("550 <TWO@xn--bcher-kva.example> unknown"), known(&["two@bücher.example"]));
        assert_eq!(about("550 <three@forward.example> unknown"), unclear(&["one@example.com", "two@bücher.example"]));
    }

    #[test]
    fn an_outcome_is_about_a_copy_recipient_that_the_reply_mentions() {
        let about = |to: Value, code: Value| {
            concerned(json!({
                "to": to, "cc": "Bob <bob@example.com>", "bcc": [{ "email": "carl@example.com" }],
                "bounce": { "diagnosticCode": code },
            }))
        };
        let ann = || json!(["ann@example.com"]);
        assert_eq!(about(ann(), json!("550 <bob@example.com> unknown")), known(&["bob@example.com"]));
        assert_eq!(about(ann(), json!(["550 <Carl@example.com> unknown"])), known(&["carl@example.com"]));
        assert_eq!(about(json!(null), json!("550 <bob@example.com> unknown")), known(&["bob@example.com"]));
        assert_eq!(
            about(ann(), json!(["550 <bob@example.com> unknown", "550 <ann@example.com> unknown"])),
            known(&["bob@example.com", "ann@example.com"]),
            "each one mentioned"
        );
        for code in [json!(null), json!("550 user unknown"), json!("550 <eve@forward.example> unknown")] {
            assert_eq!(about(ann(), code.clone()), known(&["ann@example.com"]), "{code}");
        }
    }
}
