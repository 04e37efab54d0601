//! Decisions about a person who opened or clicked: the receipt, and the published notification.

pub mod receipt;
pub mod wording;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::answer::{Choice, Usage};
use crate::policy::followup::GuardResult;
use crate::policy::verdict::Verdict;
use crate::resend::campaign::Campaign;

/// Name of the tag that a follow-up email must carry, so that no decision is ever made about it. Its value is the id of
/// the email that it follows.
pub const FOLLOWUP_TAG: &str = "followup_of";

/// Name of the tag with the id of the follow-up itself, on emails that Rebound sends.
pub const FOLLOWUP_ID_TAG: &str = "followup";

/// A decision with everything that led to it. Its JSON form is the row's `payload`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The decision's id, the same at every repeat.
    pub id: String,
    /// Time of the decision, such as `2026-11-23T13:05:00.126Z`.
    pub at: String,
    /// The email.
    pub email_id: String,
    /// Type of the event: `email.opened` or `email.clicked`.
    pub event: String,
    /// Id of the webhook that reported the event.
    pub message: String,
    /// Time of the event.
    pub event_at: String,
    /// Recipients of the email, in the order of their tokens.
    pub recipients: Vec<String>,
    /// The campaign.
    pub campaign: Campaign,
    /// Human, machine or unsure.
    pub verdict: Verdict,
    /// Score from 0 (surely a machine) to 100 (surely a person).
    pub score: u8,
    /// Reasons for the verdict.
    pub reasons: Vec<String>,
    /// True for a click on an opt-out or preference link. Such a click shows no interest.
    #[serde(default)]
    pub opt_out_click: bool,
    /// Facts that Claude was given, or would have been given.
    pub facts: Value,
    /// Source of the choice, and its cost.
    pub asked: DecisionSource,
    /// The choice.
    pub choice: Choice,
    /// Result of each guard.
    pub guards: Vec<GuardResult>,
    /// Result of the decision.
    pub done: DecisionResult,
    /// The follow-up, if one is proposed.
    pub followup: Option<Followup>,
}

impl Receipt {
    /// Returns the person who opened or clicked, as text. Of several recipients it is not known which one it was.
    fn who(&self) -> String {
        let names = self.recipients.join(", ");
        if self.recipients.len() > 1 { format!("one of {names}") } else { names }
    }
}

/// Source of a choice, and its cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DecisionSource {
    /// Claude or the built-in rules.
    pub by: DecidedBy,
    /// Reason why Claude did not choose.
    pub because: Option<String>,
    /// Model of the Claude request.
    pub model: Option<String>,
    /// Tokens that the response reports.
    pub usage: Option<Usage>,
    /// Maximum cost in US dollars, including earlier attempts whose responses were lost.
    pub cost_usd: f64,
    /// Duration of the Claude request, in milliseconds.
    pub ms: u64,
    /// Number of Claude requests during this delivery of the queue message.
    pub tries: u32,
    /// Response text, shortened.
    pub answer: Option<String>,
    /// Rejected part of the response, with the reason.
    pub refused: Option<String>,
}

/// Claude or the built-in rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// Claude.
    Claude,
    /// The built-in rules.
    #[default]
    Rules,
}

/// Result of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "why")]
pub enum DecisionResult {
    /// A follow-up is proposed.
    FollowupProposed,
    /// A follow-up is scheduled: Rebound sends it.
    FollowupScheduled,
    /// The engagement is recorded and published.
    EngagementLogged,
    /// A person is asked to look.
    HandedToHuman,
    /// Nothing, with the reason.
    Nothing(String),
}

impl DecisionResult {
    /// Returns the message attribute `kind`, or `None` if nothing is published.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::FollowupProposed => Some("followup"),
            Self::FollowupScheduled => Some("followup_scheduled"),
            Self::EngagementLogged => Some("engagement"),
            Self::HandedToHuman => Some("handoff"),
            Self::Nothing(_) => None,
        }
    }
}

/// A follow-up: everything that a program needs to send it. Before it sends, it must check the suppression list again. One
/// that Rebound sends itself is published without `idempotency_key` and `tags`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followup {
    /// The recipient.
    pub recipient: String,
    /// `From` header of the original email, unchanged. `None` if it has line breaks or invisible characters.
    pub from: Option<String>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// Earliest time to send, such as `2026-11-24T08:00:00.000Z`.
    pub not_before: String,
    /// The campaign.
    pub campaign: Campaign,
    /// Value for the header `Idempotency-Key` of Resend's API, one per email and recipient.
    pub idempotency_key: String,
    /// Tags to send with the follow-up: the campaign, and the follow-up mark.
    pub tags: Vec<Tag>,
}

/// A tag in the form of Resend's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The tag's name.
    pub name: String,
    /// The tag's value.
    pub value: String,
}

impl Followup {
    /// Returns the idempotency key of the follow-up to an email and a recipient.
    pub fn idempotency_key(email_id: &str, recipient: &str) -> String {
        format!("rebound-followup-{}", crate::policy::ids::short_hash(&[email_id, recipient]))
    }

    /// Returns the tags of the follow-up to an email. A tag's value may contain ASCII letters, digits, `_` and `-`
    /// (<https://resend.com/docs/api-reference/emails/send-email>).
    pub fn tags(email_id: &str, campaign_tag: &str, campaign: &Campaign) -> Vec<Tag> {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let tag = |name: &str, value: &str| Tag {
            name: name.chars().map(allowed).take(256).collect(),
            value: value.chars().map(allowed).take(256).collect(),
        };
        vec![tag(campaign_tag, campaign.as_str()), tag(FOLLOWUP_TAG, email_id)]
    }

    /// Returns true if an email's id is the value of a tag as it is.
    pub fn is_tag_value(email_id: &str) -> bool {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !email_id.is_empty() && email_id.len() <= 256 && email_id.chars().all(allowed)
    }

    /// Returns the id of the follow-up of a decision: `followup-<hash>`.
    pub fn id(decision: &str) -> String {
        decision.replacen("decision", "followup", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_resend_takes() {
        let campaign = Campaign::new("spring sale/2026").unwrap();
        let tags = Followup::tags("e#1", "campaign", &campaign);
        assert_eq!((tags[0].name.as_str(), tags[0].value.as_str()), ("campaign", "spring_sale_2026"));
        assert_eq!((tags[1].name.as_str(), tags[1].value.as_str()), ("followup_of", "e_1"));
    }

    #[test]
    fn the_key_is_one_for_each_email_and_recipient() {
        let key = Followup::idempotency_key("e1", "ann@example.com");
        // Frozen: a later version must not let a follow-up be sent twice.
        assert_eq!(key, "rebound-followup-d352d2929351afce10148edf");
        assert_ne!(key, Followup::idempotency_key("e1", "bob@example.com"));
        assert!(key.len() <= 256);
    }
}
