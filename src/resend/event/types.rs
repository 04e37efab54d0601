//! Event types that Resend is known to send.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// An event type that this version knows (<https://resend.com/docs/dashboard/webhooks/event-types>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, EnumString, VariantArray)]
pub enum EventType {
    /// Resend accepted an email and tries to deliver it.
    #[strum(serialize = "email.sent")]
    EmailSent,
    /// An email is scheduled to be sent later.
    #[strum(serialize = "email.scheduled")]
    EmailScheduled,
    /// The recipient's server accepted an email.
    #[strum(serialize = "email.delivered")]
    EmailDelivered,
    /// An email could not be delivered yet; Resend retries.
    #[strum(serialize = "email.delivery_delayed")]
    EmailDeliveryDelayed,
    /// The recipient reported an email as spam.
    #[strum(serialize = "email.complained")]
    EmailComplained,
    /// The recipient's server rejected an email.
    #[strum(serialize = "email.bounced")]
    EmailBounced,
    /// An email was opened, by a person or a machine.
    #[strum(serialize = "email.opened")]
    EmailOpened,
    /// A link in an email was followed, by a person or a machine.
    #[strum(serialize = "email.clicked")]
    EmailClicked,
    /// Resend received an email.
    #[strum(serialize = "email.received")]
    EmailReceived,
    /// Resend could not send an email.
    #[strum(serialize = "email.failed")]
    EmailFailed,
    /// Resend skipped an email, because the recipient is on Resend's suppression list.
    #[strum(serialize = "email.suppressed")]
    EmailSuppressed,
    /// A contact was added.
    #[strum(serialize = "contact.created")]
    ContactCreated,
    /// A contact was changed.
    #[strum(serialize = "contact.updated")]
    ContactUpdated,
    /// A contact was removed.
    #[strum(serialize = "contact.deleted")]
    ContactDeleted,
    /// A contact's topic subscriptions changed.
    #[strum(serialize = "contact.topics.updated")]
    ContactTopicsUpdated,
    /// A domain was added.
    #[strum(serialize = "domain.created")]
    DomainCreated,
    /// A domain changed, for instance its status.
    #[strum(serialize = "domain.updated")]
    DomainUpdated,
    /// A domain was removed.
    #[strum(serialize = "domain.deleted")]
    DomainDeleted,
    /// A topic was added.
    #[strum(serialize = "topic.created")]
    TopicCreated,
    /// A topic was changed.
    #[strum(serialize = "topic.updated")]
    TopicUpdated,
    /// A topic was removed.
    #[strum(serialize = "topic.deleted")]
    TopicDeleted,
    /// An address was added to Resend's suppression list.
    #[strum(serialize = "suppression.added")]
    SuppressionAdded,
    /// An address was removed from Resend's suppression list.
    #[strum(serialize = "suppression.removed")]
    SuppressionRemoved,
    /// An inbox was added.
    #[strum(serialize = "inbox.created")]
    InboxCreated,
    /// An inbox was changed.
    #[strum(serialize = "inbox.updated")]
    InboxUpdated,
    /// An inbox was removed.
    #[strum(serialize = "inbox.deleted")]
    InboxDeleted,
    /// A thread was started in an inbox.
    #[strum(serialize = "inbox.thread.created")]
    InboxThreadCreated,
    /// A thread was moved to another folder.
    #[strum(serialize = "inbox.thread.folder.updated")]
    InboxThreadFolderUpdated,
    /// A thread was assigned to a person.
    #[strum(serialize = "inbox.thread.assigned")]
    InboxThreadAssigned,
    /// A thread was unassigned.
    #[strum(serialize = "inbox.thread.unassigned")]
    InboxThreadUnassigned,
    /// A thread's labels were changed.
    #[strum(serialize = "inbox.thread.labels.updated")]
    InboxThreadLabelsUpdated,
    /// An inbox received an email.
    #[strum(serialize = "inbox.email.received")]
    InboxEmailReceived,
    /// An email was sent from an inbox.
    #[strum(serialize = "inbox.email.sent")]
    InboxEmailSent,
    /// A draft was created.
    #[strum(serialize = "inbox.draft.created")]
    InboxDraftCreated,
    /// A draft was changed.
    #[strum(serialize = "inbox.draft.updated")]
    InboxDraftUpdated,
    /// A draft was sent.
    #[strum(serialize = "inbox.draft.sent")]
    InboxDraftSent,
    /// A draft was removed.
    #[strum(serialize = "inbox.draft.deleted")]
    InboxDraftDeleted,
}

impl EventType {
    /// All known types.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the type with exactly this text, or `None` if this version does not know it.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns the text of the event's `type` field.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_37_types_are_known_by_their_text() {
        assert_eq!(EventType::ALL.len(), 37);
        for known in EventType::ALL {
            assert_eq!(EventType::from_text(known.as_str()), Some(*known));
        }
        assert_eq!(EventType::from_text("email.teleported"), None);
        assert_eq!(EventType::from_text("EMAIL.SENT"), None);
    }
}
