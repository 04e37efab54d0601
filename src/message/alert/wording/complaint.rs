//! The words about a complaint: who, of which email, and what the list says of the address after the write.

use super::{About, Standing, campaign};
use crate::message::alert::{Alert, Kind};
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// What the suppression list says of somebody who complained, as it is after the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The address is suppressed, for these reasons.
    Suppressed(Vec<String>),
    /// The person asked to be forgotten, and gets no email.
    Forgotten,
    /// The address is not suppressed: the complaint was lifted, by a change that is newer than it.
    Lifted {
        /// When it was lifted.
        at: UnixMillis,
        /// Which webhook, or which change of an operator's, lifted it.
        by: String,
    },
    /// The address is not suppressed: the list has no reason.
    NotSuppressed,
}

impl Listed {
    /// What was done, in a sentence or two.
    fn words(&self) -> String {
        match self {
            Self::Suppressed(reasons) => format!(
                "The address is suppressed ({}): it gets no more mail from whoever reads the suppressions.",
                reasons.join(", ")
            ),
            Self::Forgotten => {
                "The person asked to be forgotten, so nothing more is kept: the address gets no mail.".to_owned()
            }
            Self::Lifted { at, by } => format!(
                "The address may get mail again: the complaint was lifted later than it happened, at {} by {by}. `rebound suppressions show` has the rest; `rebound suppressions add` suppresses it again.",
                at.to_text()
            ),
            Self::NotSuppressed => {
                "The address may get mail again: the list has no reason against it any more. `rebound suppressions add` suppresses it again.".to_owned()
            }
        }
    }
}

/// Somebody called a mail spam: who, and what the list says of them.
pub fn complaint(about: &About<'_>, (who, listed): (&Recipient, &Listed), standing: Option<Standing<'_>>) -> Alert {
    let mut alert = about.alert(Kind::Complaint, &[who.as_str()], Some(who));
    let campaign = about.campaign.map(|campaign| format!(", campaign {campaign}")).unwrap_or_default();
    alert.title = format!("Complaint: {who}{campaign}");
    let mut lines =
        vec![format!("{who} reported {} as spam.", about.of_campaign()), format!("What was done: {}", listed.words())];
    if let Some(standing) = standing {
        lines.push(campaign::obey(standing.state));
        lines.push(standing.words());
        alert.figures = standing.figures();
    }
    lines.push(
        "What you can do: see how this person came onto the list, and whether the mail says clearly how to leave it."
            .to_owned(),
    );
    lines.push(format!("Email: {}", about.email_id));
    alert.text = lines.join("\n");
    alert
}
