//! The email of a follow-up: the body of `POST /emails`. Pure code; the same input gives the same bytes.

use serde::Serialize;

use crate::message::decision::{FOLLOWUP_ID_TAG, Followup, Receipt, Tag};
use crate::policy::consent_link::{
    ConsentKeys, ConsentLink, ConsentPurpose, ConsentUrl, TokenTooLong, unsubscribe_headers,
};
use crate::resend::event::Event;
use crate::resend::recipient::Recipient;
use crate::store::Item;
use crate::store::decisions::StoredDecision;
use crate::store::row::payload;
use crate::store::string;

/// Content of the answered email's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnsweredEmail {
    /// The follow-up that was decided.
    pub followup: Option<Followup>,
    /// Its `Message-ID`, as a webhook reported it.
    pub message_id: Option<String>,
    /// The recipient's address, as its `to` has it.
    pub address: Option<String>,
}

/// Parts of every follow-up that come from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Letterhead<'a> {
    /// `CONSENT_URL`.
    pub consent_url: &'a ConsentUrl,
    /// The keys that sign the links.
    pub keys: &'a ConsentKeys,
    /// `FOLLOWUP_REPLY_TO`.
    pub reply_to: Option<&'a str>,
    /// `SENDER_ADDRESS`.
    pub sender_address: Option<&'a str>,
    /// Name of the tag with the campaign.
    pub campaign_tag: &'a str,
}

/// An email that can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// The decision is gone, or has no follow-up.
    #[error("its decision is gone, or can't be read")]
    NoDecision,
    /// The answered email names no sender.
    #[error("the email that it answers names no usable sender")]
    NoSender,
    /// No link can be made.
    #[error("it can have no unsubscribe link: {0}")]
    Link(#[from] TokenTooLong),
    /// The request can't be written as JSON.
    #[error("it can't be written as JSON")]
    Json,
}

/// The request, with its fields in this order.
#[derive(Serialize)]
struct EmailRequest<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    subject: &'a str,
    text: String,
    headers: serde_json::Map<String, serde_json::Value>,
    tags: Vec<Tag>,
}

impl AnsweredEmail {
    /// Reads the rows of an email's partition, for this decision and recipient.
    pub fn read(rows: &[Item], decision: &str, recipient: &Recipient) -> Self {
        let mut read = Self::default();
        for row in rows {
            if string(row, "kind") == "decision" && string(row, "id") == decision {
                let stored = StoredDecision::from_item(row);
                let receipt = stored.and_then(|stored| serde_json::from_str::<Receipt>(&stored.receipt).ok());
                read.followup = receipt.and_then(|receipt| receipt.followup);
            }
            if string(row, "kind") != "event" || !string(row, "event").starts_with("email.") {
                continue;
            }
            let body = payload(row);
            let Some(Ok(event)) = body.as_deref().map(Event::read) else { continue };
            read.message_id = read.message_id.or_else(|| event.rfc_message_id());
            read.address = read.address.or_else(|| event.address_of(recipient));
        }
        read
    }
}

/// Returns true if a decision is claimed in these rows, but not made: a follow-up's row is stored with its decision, so
/// the rest of that transaction is not visible yet.
pub fn is_undecided(rows: &[Item], decision: &str) -> bool {
    let is_it = |row: &&Item| string(row, "kind") == "decision" && string(row, "id") == decision;
    rows.iter().find(is_it).is_some_and(|row| StoredDecision::from_item(row).is_none())
}

/// Builds the body of the request for the follow-up `id` to the email `email_id`.
pub fn request_body(
    email_id: &str,
    id: &str,
    recipient: &Recipient,
    answered: &AnsweredEmail,
    letterhead: &Letterhead<'_>,
) -> Result<String, EmailError> {
    let followup = answered.followup.as_ref().ok_or(EmailError::NoDecision)?;
    let from = followup.from.as_deref().ok_or(EmailError::NoSender)?;
    let link = ConsentLink { recipient: recipient.clone(), email_id: Some(email_id.to_owned()) };
    let token = link.sign(ConsentPurpose::OptOut, letterhead.keys)?;
    let link = letterhead.consent_url.link(ConsentPurpose::OptOut, &token);
    let mut text = format!("{}\n\n-- \nUnsubscribe: {link}", followup.text.trim_end());
    if let Some(address) = letterhead.sender_address {
        text.push('\n');
        text.push_str(address);
    }
    let mut headers = serde_json::Map::new();
    for (name, value) in unsubscribe_headers(&link) {
        headers.insert(name.to_owned(), value.into());
    }
    if let Some(message_id) = &answered.message_id {
        for name in ["In-Reply-To", "References"] {
            headers.insert(name.to_owned(), message_id.clone().into());
        }
    }
    let mut tags = Followup::tags(email_id, letterhead.campaign_tag, &followup.campaign);
    tags.push(Tag { name: FOLLOWUP_ID_TAG.to_owned(), value: id.to_owned() });
    let request = EmailRequest {
        from,
        to: answered.address.as_deref().unwrap_or(recipient.as_str()),
        reply_to: letterhead.reply_to,
        subject: &followup.subject,
        text,
        headers,
        tags,
    };
    serde_json::to_string(&request).map_err(|_| EmailError::Json)
}

/// Returns the domain of the sender in a request's body.
pub fn sender_domain(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let sender = Recipient::parse(body.get("from")?.as_str()?)?;
    sender.as_str().rsplit_once('@').map(|(_, domain)| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resend::campaign::Campaign;

    fn answered() -> AnsweredEmail {
        AnsweredEmail {
            followup: Some(Followup {
                recipient: "ann@example.com".to_owned(),
                from: Some("Northwind Garden <news@shop.example>".to_owned()),
                subject: "Re: Bulbs".to_owned(),
                text: "Hello.\nTulips?\n".to_owned(),
                not_before: String::new(),
                campaign: Campaign::new("spring sale").unwrap(),
                idempotency_key: String::new(),
                tags: Vec::new(),
            }),
            message_id: Some("<0100@email.amazonses.com>".to_owned()),
            address: Some("Ann@Example.com".to_owned()),
        }
    }

    fn build(answered: &AnsweredEmail, reply_to: Option<&str>, address: Option<&str>) -> Result<Value, EmailError> {
        let keys = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let url = "https://mail.example.com".parse().unwrap();
        let letterhead =
            Letterhead { consent_url: &url, keys: &keys, reply_to, sender_address: address, campaign_tag: "campaign" };
        let ann = Recipient::parse("ann@example.com").unwrap();
        let body = request_body("e-1", "followup-1", &ann, answered, &letterhead)?;
        Ok(serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn the_email_has_a_link_in_its_text_and_in_its_headers_and_is_threaded() {
        let body = build(&answered(), Some("shop@shop.example"), Some("1 Garden Row, Bloomville")).unwrap();
        let headers = &body["headers"];
        let link = headers["List-Unsubscribe"].as_str().unwrap().trim_matches(['<', '>']).to_owned();
        assert!(link.starts_with("https://mail.example.com/u/"), "{link}");
        assert_eq!(headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
        assert_eq!(
            (&headers["In-Reply-To"], &headers["References"]),
            (&json!("<0100@email.amazonses.com>"), &headers["In-Reply-To"])
        );
        let text = format!("Hello.\nTulips?\n\n-- \nUnsubscribe: {link}\n1 Garden Row, Bloomville");
        assert_eq!(body["text"], text);
        assert_eq!(
            (&body["from"], &body["to"], &body["reply_to"], &body["subject"]),
            (
                &json!("Northwind Garden <news@shop.example>"),
                &json!("Ann@Example.com"),
                &json!("shop@shop.example"),
                &json!("Re: Bulbs")
            )
        );
        let tags = json!([
            { "name": "campaign", "value": "spring_sale" },
            { "name": "followup_of", "value": "e-1" },
            { "name": "followup", "value": "followup-1" },
        ]);
        assert_eq!(body["tags"], tags);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let body = build(&AnsweredEmail { message_id: None, address: None, ..answered() }, None, None).unwrap();
        assert_eq!((&body["to"], body.get("reply_to")), (&json!("ann@example.com"), None));
        assert_eq!(body["headers"].as_object().unwrap().len(), 2);
        assert!(body["text"].as_str().unwrap().lines().last().unwrap().starts_with("Unsubscribe: "));
    }

    #[test]
    fn without_a_decision_or_a_sender_there_is_no_email() {
        assert_eq!(build(&AnsweredEmail::default(), None, None), Err(EmailError::NoDecision));
        let mut nobody = answered();
        nobody.followup.as_mut().unwrap().from = None;
        assert_eq!(build(&nobody, None, None), Err(EmailError::NoSender));
    }

    #[test]
    fn the_domain_of_the_sender_is_read_from_the_request() {
        let body = build(&answered(), None, None).unwrap().to_string();
        assert_eq!(sender_domain(&body).as_deref(), Some("shop.example"));
        assert_eq!((sender_domain("{}"), sender_domain("x")), (None, None));
    }
}
