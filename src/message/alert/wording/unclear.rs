//! The words of an alert about somebody whom an event does not name.

use serde_json::json;
use strum::IntoStaticStr;

use super::{About, capital};
use crate::message::alert::{Alert, Kind};
use crate::resend::recipient::Recipient;

/// How many addresses a text names.
const SHOWN: usize = 20;

/// What became of somebody whom the event does not name, and would have suppressed that person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Unclear {
    /// An email bounced, and never can be delivered.
    #[strum(serialize = "bounced")]
    Bounced,
    /// An email bounced, and may be delivered another time.
    #[strum(serialize = "bounced softly")]
    BouncedSoftly,
    /// An email was reported as spam.
    #[strum(serialize = "complained")]
    Complained,
    /// Resend did not send an email.
    #[strum(serialize = "was skipped by Resend")]
    Skipped,
    /// A contact unsubscribed at Resend.
    #[strum(serialize = "unsubscribed at Resend")]
    Unsubscribed,
    /// Resend's own suppression list has an address more.
    #[strum(serialize = "is on Resend's suppression list now")]
    Listed,
}

impl Unclear {
    fn as_str(self) -> &'static str {
        self.into()
    }

    const fn is_about_email(self) -> bool {
        !matches!(self, Self::Unsubscribed | Self::Listed)
    }
}

/// Somebody bounced, complained, was skipped or unsubscribed, and the event does not say who: one of these, or, where there are none,
/// somebody whose address can't be read.
pub fn ambiguous(about: &About<'_>, what: Unclear, possible: &[Recipient]) -> Alert {
    let mut alert = about.alert(Kind::AmbiguousBounce, &[what.as_str()], None);
    let names: Vec<&str> = possible.iter().take(SHOWN).map(Recipient::as_str).collect();
    let rest = possible.len().saturating_sub(SHOWN);
    let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
    let what_is = what.as_str();
    alert.title = match possible.len() {
        0 => format!("Somebody {what_is}, and the event does not say who"),
        1 => format!("Somebody {what_is}, and the event does not say whether it is {}", names.concat()),
        several => format!("One of {several} recipients {what_is}, and nobody knows which"),
    };
    let subject = match what.is_about_email() {
        true => capital(&about.of_campaign()),
        false => "An event of Resend's".to_owned(),
    };
    let happened = match possible.len() {
        0 => format!("{subject} has no address that can be read. Somebody {what_is}, and the event does not say who."),
        1 => format!(
            "{subject} has the address {}, and others that can't be read. One of them {what_is}, and the event does not say which.",
            names.concat()
        ),
        _ => format!(
            "{subject} was addressed to {}{rest}. One of them {what_is}, and the event does not say which.",
            names.join(", ")
        ),
    };
    let done = match possible.len() {
        0 => "What was done: nobody is suppressed.",
        _ => "What was done: nobody is suppressed, because that would silence people who did nothing.",
    };
    let advice = match (what.is_about_email(), possible.len()) {
        (true, 2..) => "send to each address by itself, so that an outcome names its recipient.",
        (true, _) => {
            "look the email up at Resend, under Emails, and suppress who it was: rebound suppressions add ADDRESS --reason …"
        }
        (false, _) => {
            "look the entry up at Resend, and suppress who it is: rebound suppressions add ADDRESS --reason …"
        }
    };
    let place = if what.is_about_email() { "Email" } else { "Entry" };
    alert.text =
        [happened, done.to_owned(), format!("What you can do: {advice}"), format!("{place}: {}", about.email_id)]
            .join("\n");
    if !what.is_about_email() {
        alert.email_id = None;
    }
    alert.figures.insert("recipients".to_owned(), json!(possible));
    alert
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alert's id is made of them: under another, people would be told again.
    #[test]
    fn the_words_are_what_they_were() {
        use Unclear::{Bounced, BouncedSoftly, Complained, Listed, Skipped, Unsubscribed};
        let all = [Bounced, BouncedSoftly, Complained, Skipped, Unsubscribed, Listed];
        let words = [
            "bounced",
            "bounced softly",
            "complained",
            "was skipped by Resend",
            "unsubscribed at Resend",
            "is on Resend's suppression list now",
        ];
        assert_eq!(all.map(Unclear::as_str), words);
    }
}
