//! A candidate for a decision.

use super::timeline::EmailRows;
use crate::policy::answer::RecipientToken;
use crate::policy::followup::GuardResult;
use crate::policy::rules::EngagementSummary;
use crate::policy::verdict::ScoredVerdict;
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::store::decisions::Occurrence;
use crate::time::UnixMillis;

/// An open or click that a decision is made about.
pub(super) struct Candidate {
    pub(super) occurrence: Occurrence,
    pub(super) event: EventDetails,
    pub(super) recipients: Vec<Recipient>,
    pub(super) campaign: Campaign,
    pub(super) scored: ScoredVerdict,
    /// The guards that it passed before the choice was made.
    pub(super) passed: Vec<GuardResult>,
    /// The input of the built-in rules.
    pub(super) engaged: EngagementSummary,
    /// Time until which it blocks follow-ups, if it is a click on an opt-out or preference link.
    pub(super) opts_out: Option<UnixMillis>,
    /// Time until which the newest such click in the email's own rows blocks them.
    pub(super) opted_out_until: Option<UnixMillis>,
    /// The email's rows, from which the facts for Claude are built.
    pub(super) email: EmailRows,
}

/// The open or click itself.
pub(super) struct EventDetails {
    /// `email.opened` or `email.clicked`.
    pub(super) event_type: &'static str,
    pub(super) message: MessageId,
    pub(super) at: UnixMillis,
    /// The sender of the email. `None` if it contains invisible characters.
    pub(super) from: Option<String>,
}

impl Candidate {
    /// The recipient tokens, in the order of the recipients.
    pub(super) fn tokens(&self) -> Vec<RecipientToken> {
        (0..self.recipients.len()).map(RecipientToken::nth).collect()
    }
}
