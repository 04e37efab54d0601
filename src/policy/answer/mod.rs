//! Allowed answers of Claude, and their check.
//!
//! An answer is external text: others can influence the facts that it is based on (the links and subjects of emails).
//! So it is checked as strictly as a stranger's text. An answer outside of the limits is rejected as a whole, and never
//! corrected. In doubt, it is rejected.
//!
//! ```text
//! body ── json ── message ── one tool call ── fields and types ── each value ──> Choice
//!           │        │              │                │                 │
//!           └────────┴──────────────┴────────────────┴─────────────────┴───────> AnswerError
//! ```

mod error;
mod invisible;
mod json;
mod links;
mod message;
mod normalize;
mod text;
mod tools;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr};

pub use self::error::{AnswerError, Excerpt, TextError};
pub(crate) use self::invisible::is_invisible;
pub use self::message::{Usage, sanitize, usage};
pub(crate) use self::normalize::views;
pub use self::text::{MESSAGE_CHARS, REASON_CHARS, SUBJECT_CHARS};
use self::text::{Rules, TextShape};
use self::tools::Tool;
pub use self::tools::tools;
use crate::resend::campaign::Campaign;

/// Returns true if a text may contain an address, however it is encoded.
pub fn may_name_an_address(text: &str) -> bool {
    normalize::views(text).is_none_or(|views| views.iter().any(|view| view.contains('@')))
}

/// The choice for an open or click.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Choice {
    /// Propose a follow-up to one recipient.
    ScheduleFollowup {
        /// Token of the recipient.
        to: RecipientToken,
        /// Subject: one line of plain text.
        subject: String,
        /// Plain text; lines end with `\n`.
        message: String,
        /// Time until the follow-up is sent, in hours from now.
        send_after_hours: f64,
        /// Reason, one line.
        reason: String,
    },
    /// Record the engagement, and send nothing.
    LogEngagement {
        /// Level of interest.
        interest: Interest,
        /// Reason, one line.
        reason: String,
    },
    /// Leave the decision to a person.
    HandToHuman {
        /// Reason, one line.
        reason: String,
    },
    /// Nothing.
    DoNothing {
        /// Reason, one line.
        reason: String,
    },
}

impl Choice {
    /// Returns the name in tables and receipts, which is also the name of Claude's tool.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ScheduleFollowup { .. } => Tool::ScheduleFollowup.as_str(),
            Self::LogEngagement { .. } => Tool::LogEngagement.as_str(),
            Self::HandToHuman { .. } => Tool::HandToHuman.as_str(),
            Self::DoNothing { .. } => Tool::DoNothing.as_str(),
        }
    }

    /// Returns the reason, one line.
    pub fn reason(&self) -> &str {
        match self {
            Self::ScheduleFollowup { reason, .. }
            | Self::LogEngagement { reason, .. }
            | Self::HandToHuman { reason }
            | Self::DoNothing { reason } => reason,
        }
    }
}

/// A person's level of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
pub enum Interest {
    /// Little interest.
    #[strum(serialize = "low")]
    Low,
    /// Some interest, or uncertain.
    #[strum(serialize = "medium")]
    Medium,
    /// Strong interest.
    #[strum(serialize = "high")]
    High,
}

impl Interest {
    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the interest with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A placeholder for a recipient's address in Claude requests, which contain no addresses: `r1`, `r2` and so on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecipientToken(String);

impl RecipientToken {
    /// Returns the token of the recipient at an index from 0: `r1` for the first.
    pub fn nth(index: usize) -> Self {
        Self(format!("r{}", index.saturating_add(1)))
    }

    /// Returns the token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecipientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Limits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits<'a> {
    /// Recipients offered to Claude.
    pub tokens: &'a [RecipientToken],
    /// The email's campaign.
    pub campaign: &'a Campaign,
    /// Hosts of the email's own links, in lower case: the only hosts that a text may link to.
    pub hosts: &'a BTreeSet<String>,
    /// Maximum delay of a follow-up, in hours.
    pub longest_delay_hours: u32,
}

/// Parses and checks the body of a 200 response of the Messages API. It must be one call of one of the [`tools()`],
/// with exactly its fields, and each field within the limits. Texts are returned trimmed, and messages with `\n` at the
/// ends of lines.
///
/// # Errors
/// Any other response is an error.
pub fn check(body: &[u8], bounds: &AnswerLimits<'_>) -> Result<Choice, AnswerError> {
    let call = message::call(body)?;
    let tool = Tool::named(&call.name).ok_or_else(|| AnswerError::UnknownTool(Excerpt::new(&call.name)))?;
    let input = Input::of(tool, &call.input, bounds)?;
    Ok(match tool {
        Tool::ScheduleFollowup => Choice::ScheduleFollowup {
            to: input.recipient()?,
            send_after_hours: input.in_campaign().and_then(|()| input.delay())?,
            subject: input.text("subject", TextShape::Line(SUBJECT_CHARS))?,
            message: input.text("message", TextShape::Lines(MESSAGE_CHARS))?,
            reason: input.reason()?,
        },
        Tool::LogEngagement => Choice::LogEngagement { interest: input.interest()?, reason: input.reason()? },
        Tool::HandToHuman => Choice::HandToHuman { reason: input.reason()? },
        Tool::DoNothing => Choice::DoNothing { reason: input.reason()? },
    })
}

/// A tool's input with exactly the tool's fields.
struct Input<'a> {
    tool: Tool,
    fields: &'a Map<String, Value>,
    bounds: &'a AnswerLimits<'a>,
}

impl<'a> Input<'a> {
    fn of(tool: Tool, input: &'a Value, bounds: &'a AnswerLimits<'a>) -> Result<Self, AnswerError> {
        let Value::Object(fields) = input else { return Err(AnswerError::InputNotAnObject { tool: tool.as_str() }) };
        if let Some(unknown) = fields.keys().find(|name| !tool.fields().contains(&name.as_str())) {
            return Err(AnswerError::UnknownField { tool: tool.as_str(), field: Excerpt::new(unknown) });
        }
        let input = Self { tool, fields, bounds };
        tool.fields().iter().try_for_each(|field| input.get(field).map(drop))?;
        Ok(input)
    }

    fn get(&self, field: &'static str) -> Result<&'a Value, AnswerError> {
        self.fields.get(field).ok_or(AnswerError::MissingField { tool: self.tool.as_str(), field })
    }

    fn string(&self, field: &'static str) -> Result<&'a str, AnswerError> {
        self.get(field)?.as_str().ok_or(AnswerError::WrongType { field, expected: "a string" })
    }

    fn recipient(&self) -> Result<RecipientToken, AnswerError> {
        let to = self.string("to")?;
        let offered = self.bounds.tokens.iter().find(|token| token.as_str() == to);
        offered.cloned().ok_or_else(|| AnswerError::NotARecipient(Excerpt::new(to)))
    }

    fn in_campaign(&self) -> Result<(), AnswerError> {
        let named = self.string("campaign_id")?;
        if named == self.bounds.campaign.as_str() {
            Ok(())
        } else {
            Err(AnswerError::OtherCampaign(Excerpt::new(named)))
        }
    }

    fn delay(&self) -> Result<f64, AnswerError> {
        let field = "send_after_hours";
        let hours = self.get(field)?.as_f64().ok_or(AnswerError::WrongType { field, expected: "a number" })?;
        let longest = self.bounds.longest_delay_hours;
        if (1.0..=f64::from(longest)).contains(&hours) { Ok(hours) } else { Err(AnswerError::Delay { hours, longest }) }
    }

    fn interest(&self) -> Result<Interest, AnswerError> {
        let named = self.string("interest")?;
        Interest::from_text(named).ok_or_else(|| AnswerError::UnknownInterest(Excerpt::new(named)))
    }

    fn reason(&self) -> Result<String, AnswerError> {
        // The reason is for the sender's team and may name a token.
        self.checked("reason", TextShape::Line(REASON_CHARS), &[])
    }

    fn text(&self, field: &'static str, shape: TextShape) -> Result<String, AnswerError> {
        self.checked(field, shape, self.bounds.tokens)
    }

    fn checked(&self, field: &'static str, shape: TextShape, tokens: &[RecipientToken]) -> Result<String, AnswerError> {
        let rules = Rules { tokens, hosts: self.bounds.hosts };
        rules.check(self.string(field)?, shape).map_err(|fault| AnswerError::Text { field, fault })
    }
}

#[cfg(test)]
mod tests;
