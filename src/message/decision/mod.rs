//! What was decided about a person who opened or clicked: the receipt, and what is published of it.

pub mod receipt;
pub mod wording;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::answer::{Choice, Usage};
use crate::policy::followup::Answer;
use crate::policy::verdict::Verdict;
use crate::resend::campaign::Campaign;

/// The tag that the mail of a follow-up must carry, so that nothing is ever decided about it. Its value is the email's id that it follows.
pub const FOLLOWUP_TAG: &str = "followup_of";

/// A decision, with everything that led to it. As JSON, it is the row's `payload`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The decision's id: the same for every repeat.
    pub id: String,
    /// When it was decided, `2026-11-23T13:05:00.126Z`.
    pub at: String,
    /// The email.
    pub email_id: String,
    /// What happened: `email.opened` or `email.clicked`.
    pub event: String,
    /// Which message told of it.
    pub message: String,
    /// When it happened.
    pub event_at: String,
    /// Whom it is about, in the order of their tokens.
    pub recipients: Vec<String>,
    /// The campaign.
    pub campaign: Campaign,
    /// Who did it.
    pub verdict: Verdict,
    /// From 0, surely a machine, to 100, surely a person.
    pub score: u8,
    /// Why.
    pub reasons: Vec<String>,
    /// Whether it was a click on an opt-out or preference link, which is no interest.
    #[serde(default)]
    pub opt_out_click: bool,
    /// What Claude was shown, or would have been.
    pub facts: Value,
    /// Who chose, and what that took.
    pub asked: Asked,
    /// What was chosen.
    pub choice: Choice,
    /// What each guard said.
    pub guards: Vec<Answer>,
    /// What was done.
    pub done: Done,
    /// The follow-up, where one is proposed.
    pub followup: Option<Followup>,
}

/// Who chose, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Who chose in the end.
    pub by: By,
    /// Why it was not Claude.
    pub because: Option<String>,
    /// The model that was asked.
    pub model: Option<String>,
    /// The tokens of the answer, as it says.
    pub usage: Option<Usage>,
    /// What was paid, at most, for this answer and for tries before it whose answers were lost, in US dollars.
    pub cost_usd: f64,
    /// How long the answer took, in milliseconds.
    pub ms: u64,
    /// How often Claude was asked in this delivery of the message.
    pub tries: u32,
    /// The answer as it came, as far as it is worth keeping.
    pub answer: Option<String>,
    /// What of it was refused, and why.
    pub refused: Option<String>,
}

/// Who chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Claude.
    Claude,
    /// The written rules.
    #[default]
    Rules,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "why")]
pub enum Done {
    /// A follow-up is proposed.
    FollowupProposed,
    /// The interest is told.
    EngagementLogged,
    /// People are asked to look.
    HandedToHuman,
    /// Nothing, and why.
    Nothing(String),
}

impl Done {
    /// The message attribute `kind`; `None`: nothing is published.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::FollowupProposed => Some("followup"),
            Self::EngagementLogged => Some("engagement"),
            Self::HandedToHuman => Some("handoff"),
            Self::Nothing(_) => None,
        }
    }
}

/// All that another program needs to send the follow-up. It has to look at the suppressions once more when it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followup {
    /// To whom.
    pub recipient: String,
    /// The sender of the email that it follows, as it stands there; not one with line breaks or with what can't be seen.
    pub from: Option<String>,
    /// The subject.
    pub subject: String,
    /// The text, plain.
    pub text: String,
    /// Not before this moment, `2026-11-24T08:00:00.000Z`.
    pub not_before: String,
    /// The campaign.
    pub campaign: Campaign,
    /// For the header `Idempotency-Key` of Resend's API: one for each email and recipient.
    pub idempotency_key: String,
    /// The tags to send it with: the campaign, and what marks it as a follow-up.
    pub tags: Vec<Tag>,
}

/// A tag as Resend's API takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Followup {
    /// The key of the follow-up to an email and a recipient.
    pub fn idempotency_key(email_id: &str, recipient: &str) -> String {
        format!("rebound-followup-{}", crate::policy::ids::short_hash(&[email_id, recipient]))
    }

    /// The tags of the follow-up to an email. A tag's value may hold ASCII letters, digits, `_` and `-`
    /// (<https://resend.com/docs/api-reference/emails/send-email>).
    pub fn tags(email_id: &str, campaign_tag: &str, campaign: &Campaign) -> Vec<Tag> {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let tag = |name: &str, value: &str| Tag {
            name: name.chars().map(allowed).take(256).collect(),
            value: value.chars().map(allowed).take(256).collect(),
        };
        vec![tag(campaign_tag, campaign.as_str()), tag(FOLLOWUP_TAG, email_id)]
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
