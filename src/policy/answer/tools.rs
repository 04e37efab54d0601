//! Tools offered to Claude. Claude must call exactly one.

use serde_json::{Value, json};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::RecipientToken;
use super::text::{MESSAGE_CHARS, REASON_CHARS, SUBJECT_CHARS};

/// A tool that Claude may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, EnumString, VariantArray)]
pub(super) enum Tool {
    /// Propose a follow-up.
    #[strum(serialize = "schedule_followup")]
    ScheduleFollowup,
    /// Record the engagement only.
    #[strum(serialize = "log_engagement")]
    LogEngagement,
    /// Leave the decision to a person.
    #[strum(serialize = "hand_to_human")]
    HandToHuman,
    /// Do nothing.
    #[strum(serialize = "do_nothing")]
    DoNothing,
}

impl Tool {
    const ALL: &[Self] = Self::VARIANTS;

    /// Returns the tool's name in the request and the response.
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the tool with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// Returns the fields of the tool's input, all of them required.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::ScheduleFollowup => &["to", "subject", "message", "send_after_hours", "campaign_id", "reason"],
            Self::LogEngagement => &["interest", "reason"],
            Self::HandToHuman | Self::DoNothing => &["reason"],
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ScheduleFollowup => {
                "Propose one follow-up email to one recipient of this email. It is checked, and sent only if all checks pass."
            }
            Self::LogEngagement => "Record how interested the person seems to be, and send nothing.",
            Self::HandToHuman => "Leave the decision to a person, for instance because it is delicate or promising.",
            Self::DoNothing => "Do nothing: the event says nothing about a person's interest.",
        }
    }

    fn definition(self, tokens: &[RecipientToken]) -> Value {
        let properties: serde_json::Map<String, Value> =
            self.fields().iter().map(|field| ((*field).to_owned(), property(field, tokens))).collect();
        json!({
            "name": self.as_str(),
            "description": self.description(),
            "strict": true,
            "input_schema": {
                "type": "object",
                "properties": properties,
                "required": self.fields(),
                "additionalProperties": false,
            },
        })
    }
}

const PLAIN: &str = "no @, no markup, no emoji, and no link except to a host that the email itself links to";
const NO_TOKEN: &str = "and no recipient token (such as r1), because it is not a name";

fn property(field: &str, tokens: &[RecipientToken]) -> Value {
    let text = |description: String| json!({ "type": "string", "description": description });
    match field {
        "to" => {
            json!({ "type": "string", "enum": tokens, "description": "The token of the one recipient." })
        }
        "subject" => text(format!(
            "The subject, one line of 1 to {SUBJECT_CHARS} characters of plain text: {PLAIN}; {NO_TOKEN}."
        )),
        "message" => text(format!(
            "The whole text of the email, 1 to {MESSAGE_CHARS} characters of plain text. Line breaks are fine; {PLAIN}; {NO_TOKEN}."
        )),
        "send_after_hours" => json!({
            "type": "number",
            "description": "Number of hours from now until it is sent: at least 1, at most the maximum delay in the facts.",
        }),
        "campaign_id" => text("The campaign of this email, exactly as it was given.".to_owned()),
        "interest" => json!({
            "type": "string",
            "enum": ["low", "medium", "high"],
            "description": "How interested the person seems to be.",
        }),
        _ => text(format!("The reason, for the sender's team: one line of 1 to {REASON_CHARS} characters; {PLAIN}.")),
    }
}

/// Returns the tool definitions for `tools` of a request. Without tokens there is no recipient, so the tool that sends
/// is left out.
///
/// The definitions are strict, so that the API enforces the fields and their types. A strict schema has no lengths and
/// ranges, so the descriptions state them
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>). Everything is
/// checked again in the answer.
pub fn tools(tokens: &[RecipientToken]) -> Value {
    let offered = Tool::ALL.iter().copied().filter(|tool| !tokens.is_empty() || *tool != Tool::ScheduleFollowup);
    offered.map(|tool| tool.definition(tokens)).collect()
}
