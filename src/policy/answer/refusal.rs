//! Why an answer is refused, in words that people read in a receipt.

use super::hidden::is_hidden;

/// The most characters of an answer that a refusal shows.
const EXCERPT_CHARS: usize = 60;

/// A short piece of outside text, fit to be shown: at most 60 characters, one line, and nothing in it that can't be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The beginning of a text. What can't be seen is left out; white space becomes a plain space.
    pub fn of(text: &str) -> Self {
        let mut seen =
            text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control() && !is_hidden(*c));
        let mut shown: String = seen.by_ref().take(EXCERPT_CHARS - 1).collect();
        match (seen.next(), seen.next()) {
            (Some(last), None) => shown.push(last),
            (Some(_), Some(_)) => shown.push('…'),
            (None, _) => {}
        }
        Self(shown)
    }

    /// The text that is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "“{}”", self.0)
    }
}

/// Why an answer of Claude's is not followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The body can't be read.
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    /// A key stands twice in an object, so two readers could read two things.
    #[error("a key stands twice in one object of the answer")]
    DuplicateKey,
    /// It is JSON, but of something else.
    #[error("the answer is not a message of the Messages API: {0}")]
    NotAMessage(&'static str),
    /// It ends where the tokens did.
    #[error("the answer is cut off: it reached its most tokens")]
    CutOff,
    /// Claude won't answer this.
    #[error("Claude declined to answer")]
    Declined,
    /// It ended without a tool call, or in a way that is not known.
    #[error("the answer stopped for the reason {0}, not to call a tool")]
    Stopped(Excerpt),
    /// Nothing is chosen.
    #[error("the answer calls no tool")]
    NoChoice,
    /// More than one thing is chosen.
    #[error("the answer calls {0} tools, one is allowed")]
    SeveralChoices(usize),
    /// Something in the content that was not asked for.
    #[error("the answer has a block of the kind {0}, which was not asked for")]
    UnknownBlock(Excerpt),
    /// A tool that there is not.
    #[error("the answer calls {0}, a tool that there is not")]
    UnknownTool(Excerpt),
    /// The tool's input is no object.
    #[error("the input of {tool} is not an object")]
    InputNotAnObject {
        /// The tool.
        tool: &'static str,
    },
    /// A field is missing.
    #[error("{tool} lacks the field {field}")]
    MissingField {
        /// The tool.
        tool: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field too many.
    #[error("{tool} has no field {field}")]
    UnknownField {
        /// The tool.
        tool: &'static str,
        /// What the field is called.
        field: Excerpt,
    },
    /// A field of another type.
    #[error("{field} must be {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Whom to write to is none of those offered.
    #[error("{0} is none of the recipients that were offered")]
    NotARecipient(Excerpt),
    /// It is about another campaign.
    #[error("{0} is not the campaign of this mail")]
    OtherCampaign(Excerpt),
    /// It is for too soon or too late.
    #[error("a delay of {} hours is not from 1 to {longest}", short(*.hours))]
    Delay {
        /// The hours that were answered.
        hours: f64,
        /// The most that are allowed.
        longest: u32,
    },
    /// The interest is none of the three.
    #[error("{0} is no interest: it is low, medium or high")]
    UnknownInterest(Excerpt),
    /// A text with something in it that is not allowed.
    #[error("the {field} {fault}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        fault: TextFault,
    },
}

/// A number in a few characters, however large it is.
fn short(number: f64) -> String {
    if (0.001..1e6).contains(&number.abs()) || number == 0.0 { format!("{number}") } else { format!("{number:e}") }
}

/// What is wrong with a text. It reads on after the name of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is too long.
    #[error("has {chars} characters, at most {most} are allowed")]
    TooLong {
        /// Its characters.
        chars: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// A control character: in a subject, a line break too.
    #[error("has the control character U+{0:04X}")]
    Control(u32),
    /// A character that can't be seen, or that turns the direction of the text.
    #[error("has U+{0:04X}, which can't be seen")]
    Hidden(u32),
    /// An `@`, in any disguise.
    #[error("has an @ in it, as an address does")]
    At,
    /// Markup or an HTML entity.
    #[error("has markup in it: {0}")]
    Markup(Excerpt),
    /// A name that only stands for a recipient here.
    #[error("has {0} in it, which stands for a recipient and is no name")]
    OwnToken(Excerpt),
    /// Percent-encoding of percent-encoding, and so on.
    #[error("is percent-encoded too many times over")]
    Encoded,
    /// A dot that is written to be put together again, such as `[.]`.
    #[error("has a disguised dot in it: {0}")]
    DisguisedDot(Excerpt),
    /// A link of another scheme than `http` or `https`, or a malformed one.
    #[error("has something of another scheme than http or https: {0}")]
    Scheme(Excerpt),
    /// Something that is, or that a mail program turns into, a link to a host that the mail itself has no link to.
    #[error("links to a host that the mail itself does not link to: {0}")]
    ForeignHost(Excerpt),
}
