//! Text of an alert about a complaint: the recipient, the email, and the state of the address on the suppression list
//! after the write.

use super::{AlertContext, CampaignSnapshot, campaign, command};
use crate::message::alert::{Alert, AlertKind};
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// State of a recipient who complained on the suppression list, after the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// The address is suppressed, for these reasons.
    Suppressed(Vec<String>),
    /// The recipient asked to be erased, and gets no email.
    Forgotten,
    /// The address is not suppressed: a change that is newer than the complaint lifted it.
    Lifted {
        /// Time of the lift.
        at: UnixMillis,
        /// Id of the webhook, or description of the operator's change, that lifted the complaint.
        by: String,
    },
    /// The address is not suppressed: the list has no active reason.
    NotSuppressed,
}

impl AddressState {
    /// Returns one or more sentences about what was done, with commands on the stack of this name.
    fn summary(&self, stack: Option<&str>) -> String {
        // Without the address: others chose it, and a shell would run what is in it.
        let add = command(stack, "suppressions add ADDRESS --reason …");
        match self {
            Self::Suppressed(reasons) => format!(
                "The address is suppressed ({}): programs that read the suppression list no longer send to it.",
                reasons.join(", ")
            ),
            Self::Forgotten => "The address was erased on request, and stays suppressed.".to_owned(),
            Self::Lifted { at, by } => format!(
                "The address can receive email: a newer change lifted the complaint (at {}, by {by}). For details, run `{}`. To suppress it again, run `{add}`.",
                at.to_text(),
                command(stack, "suppressions show ADDRESS")
            ),
            Self::NotSuppressed => format!(
                "The address can receive email: it has no active reason on the suppression list. To suppress it again, run `{add}`."
            ),
        }
    }
}

/// Returns the alert for a complaint by `who`, whose state on the suppression list is `listed`. `stack` is the stack's
/// name, if it is known.
pub fn complaint(
    about: &AlertContext<'_>,
    (who, listed): (&Recipient, &AddressState),
    snapshot: Option<&CampaignSnapshot>,
    stack: Option<&str>,
) -> Alert {
    let mut alert = about.alert(AlertKind::Complaint, &[who.as_str()], Some(who));
    let campaign = about.campaign.map(|campaign| format!(", campaign {campaign}")).unwrap_or_default();
    alert.title = format!("Complaint: {who}{campaign}");
    let mut lines = vec![
        format!("{who} reported {} as spam.", about.of_campaign()),
        format!("What was done: {}", listed.summary(stack)),
    ];
    if let Some(snapshot) = snapshot {
        lines.push(campaign::sending_advice(&snapshot.state));
        lines.push(snapshot.summary());
        alert.figures = snapshot.figures();
    }
    lines.push(
        "What you can do: find out how this person came onto your list, and make sure that the email shows clearly how to unsubscribe."
            .to_owned(),
    );
    lines.push(format!("Email: {}", about.email_id));
    alert.text = lines.join("\n");
    alert
}
