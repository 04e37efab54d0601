//! Text of an alert about a recipient that the event does not identify.

use serde_json::json;
use strum::IntoStaticStr;

use super::{AlertContext, capital, command};
use crate::message::alert::{Alert, AlertKind};
use crate::resend::recipient::Recipient;

/// Maximum number of addresses in a text.
const SHOWN: usize = 20;

/// Outcome that would suppress a recipient, if the event identified one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum UnclearOutcome {
    /// A hard bounce.
    #[strum(serialize = "bounced")]
    Bounced,
    /// A soft bounce.
    #[strum(serialize = "bounced softly")]
    BouncedSoftly,
    /// A complaint.
    #[strum(serialize = "complained")]
    Complained,
    /// Resend skipped the email.
    #[strum(serialize = "was skipped by Resend")]
    Skipped,
    /// A contact unsubscribed at Resend.
    #[strum(serialize = "unsubscribed at Resend")]
    Unsubscribed,
    /// A contact opted out of a topic at Resend.
    #[strum(serialize = "opted out of a topic at Resend")]
    OutOfTopic,
    /// An address was added to Resend's own suppression list.
    #[strum(serialize = "is on Resend's suppression list now")]
    Listed,
}

impl UnclearOutcome {
    fn as_str(self) -> &'static str {
        self.into()
    }

    const fn is_about_email(self) -> bool {
        !matches!(self, Self::Unsubscribed | Self::OutOfTopic | Self::Listed)
    }
}

/// Returns the alert for an outcome whose recipient is unknown: one of `possible`, or, if `possible` is empty, an
/// address that can't be parsed. `stack` is the stack's name, if it is known.
pub fn ambiguous(about: &AlertContext<'_>, what: UnclearOutcome, possible: &[Recipient], stack: Option<&str>) -> Alert {
    let mut alert = about.alert(AlertKind::AmbiguousBounce, &[what.as_str()], None);
    let names: Vec<&str> = possible.iter().take(SHOWN).map(Recipient::as_str).collect();
    let rest = possible.len().saturating_sub(SHOWN);
    let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
    let what_is = what.as_str();
    alert.title = match possible.len() {
        0 => format!("A recipient {what_is}, but the event does not say which one"),
        1 => format!("A recipient {what_is}, but the event does not say if it is {}", names.concat()),
        several => format!("One of {several} recipients {what_is}, but the event does not say which one"),
    };
    let subject = match what.is_about_email() {
        true => capital(&about.of_campaign()),
        false => "An event from Resend".to_owned(),
    };
    let happened = match possible.len() {
        0 => format!("{subject} names no valid address. A recipient {what_is}, but the event does not say which one."),
        1 => format!(
            "{subject} names the address {}, and others that are invalid. One of them {what_is}, but the event does not say which one.",
            names.concat()
        ),
        _ => format!(
            "{subject} was addressed to {}{rest}. One of them {what_is}, but the event does not say which one.",
            names.join(", ")
        ),
    };
    let done = match possible.len() {
        0 => "What was done: no address was suppressed.",
        _ => "What was done: no address was suppressed, because it is unknown which one is affected.",
    };
    let add = command(stack, "suppressions add ADDRESS --reason …");
    let advice = match (what.is_about_email(), possible.len()) {
        (true, 2..) => "send a separate email to each address, so that each event names its recipient.".to_owned(),
        (true, _) => {
            format!("find the email at Resend, under Emails, and suppress the right address with `{add}`.")
        }
        (false, _) => {
            format!("find the contact or suppression at Resend, and suppress the right address with `{add}`.")
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

    /// Alert ids are made of these words: other words would send the same alerts again.
    #[test]
    fn the_words_in_ids_never_change() {
        use UnclearOutcome::{Bounced, BouncedSoftly, Complained, Listed, OutOfTopic, Skipped, Unsubscribed};
        let all = [Bounced, BouncedSoftly, Complained, Skipped, Unsubscribed, OutOfTopic, Listed];
        let words = [
            "bounced",
            "bounced softly",
            "complained",
            "was skipped by Resend",
            "unsubscribed at Resend",
            "opted out of a topic at Resend",
            "is on Resend's suppression list now",
        ];
        assert_eq!(all.map(UnclearOutcome::as_str), words);
    }
}
