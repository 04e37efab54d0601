//! Reasons for rejecting an answer, as shown in a receipt.

use super::invisible::is_invisible;

/// Maximum number of characters of an answer that an error shows.
const EXCERPT_CHARS: usize = 60;

/// A short piece of external text that is safe to show: at most 60 characters, one line, without invisible characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Returns the beginning of a text. Invisible characters are removed; white space becomes a plain space.
    pub fn new(text: &str) -> Self {
        let mut seen = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|c| !c.is_control() && !is_invisible(*c));
        let mut shown: String = seen.by_ref().take(EXCERPT_CHARS - 1).collect();
        match (seen.next(), seen.next()) {
            (Some(last), None) => shown.push(last),
            (Some(_), Some(_)) => shown.push('…'),
            (None, _) => {}
        }
        Self(shown)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "“{}”", self.0)
    }
}

/// A reason for rejecting an answer of Claude.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// The body is not valid JSON.
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    /// An object has a duplicate key, so two readers could read different values.
    #[error("an object in the answer has a duplicate key")]
    DuplicateKey,
    /// The JSON is not a message.
    #[error("the answer is not a message of the Messages API: {0}")]
    NotAMessage(&'static str),
    /// The answer was cut off at the token limit.
    #[error("the answer is cut off at the token limit")]
    CutOff,
    /// Claude declined to answer.
    #[error("Claude declined to answer")]
    Declined,
    /// The answer ended without a tool call, or for an unknown reason.
    #[error("the answer stopped for the reason {0} and not for a tool call")]
    Stopped(Excerpt),
    /// The answer calls no tool.
    #[error("the answer calls no tool")]
    NoChoice,
    /// The answer calls several tools.
    #[error("the answer calls {0} tools, one is allowed")]
    SeveralChoices(usize),
    /// The content has a block of an unexpected kind.
    #[error("the answer has a block of the kind {0}, which is unexpected")]
    UnknownBlock(Excerpt),
    /// The tool does not exist.
    #[error("the answer calls {0}, an unknown tool")]
    UnknownTool(Excerpt),
    /// The tool's input is not an object.
    #[error("the input of {tool} is not an object")]
    InputNotAnObject {
        /// The tool.
        tool: &'static str,
    },
    /// A field is missing.
    #[error("{tool} is missing the field {field}")]
    MissingField {
        /// The tool.
        tool: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The input has an unknown field.
    #[error("{tool} has no field {field}")]
    UnknownField {
        /// The tool.
        tool: &'static str,
        /// The field's name.
        field: Excerpt,
    },
    /// A field has the wrong type.
    #[error("{field} must be {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// The recipient is not one of those offered.
    #[error("{0} is not one of the offered recipients")]
    NotARecipient(Excerpt),
    /// The campaign is not the email's.
    #[error("{0} is not the campaign of this email")]
    OtherCampaign(Excerpt),
    /// The delay is too short or too long.
    #[error("a delay of {} hours is not between 1 and {longest}", short(*.hours))]
    Delay {
        /// The delay in the answer, in hours.
        hours: f64,
        /// The maximum delay, in hours.
        longest: u32,
    },
    /// The interest is unknown.
    #[error("{0} is not an interest; use low, medium or high")]
    UnknownInterest(Excerpt),
    /// A text has forbidden content.
    #[error("the {field} {fault}")]
    Text {
        /// The field.
        field: &'static str,
        /// The error in the text.
        fault: TextError,
    },
}

/// Returns a number in a few characters, for any size.
fn short(number: f64) -> String {
    if (0.001..1e6).contains(&number.abs()) || number == 0.0 { format!("{number}") } else { format!("{number:e}") }
}

/// An error in a text. Its message continues after the name of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is too long.
    #[error("has {chars} characters, at most {most} are allowed")]
    TooLong {
        /// Number of characters.
        chars: usize,
        /// Maximum number of characters.
        most: usize,
    },
    /// The text has a control character. In a subject, a line break counts too.
    #[error("has the control character U+{0:04X}")]
    Control(u32),
    /// The text has an invisible character, or one that changes the reading direction.
    #[error("has U+{0:04X}, an invisible character")]
    Hidden(u32),
    /// The text has an `@`, possibly disguised.
    #[error("has an @, as in an address")]
    At,
    /// The text has markup or an HTML entity.
    #[error("has markup: {0}")]
    Markup(Excerpt),
    /// The text has a recipient token.
    #[error("has the recipient token {0}, which is not a name")]
    OwnToken(Excerpt),
    /// The text is percent-encoded several times.
    #[error("is percent-encoded too many times")]
    Encoded,
    /// The text has a disguised dot, such as `[.]`.
    #[error("has a disguised dot: {0}")]
    DisguisedDot(Excerpt),
    /// The text has a link whose scheme is not `http` or `https`, or a malformed link.
    #[error("has a link with a scheme other than http or https: {0}")]
    Scheme(Excerpt),
    /// The text has a link, or text that a mail program turns into one, to a host that is not in the email's own links.
    #[error("links to a host that the email itself does not link to: {0}")]
    ForeignHost(Excerpt),
}
