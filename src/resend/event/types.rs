//! The types of event that Resend is known to send.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// A type of event that this version knows (<https://resend.com/docs/dashboard/webhooks/event-types>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, EnumString, VariantArray)]
pub enum EventType {
    /// Resend has taken an email, and tries to deliver it.
    #[strum(serialize = "email.sent")]
    EmailSent,
    /// An email is to be sent later.
    #[strum(serialize = "email.scheduled")]
    EmailScheduled,
    /// The recipient's server has taken an email.
    #[strum(serialize = "email.delivered")]
    EmailDelivered,
    /// An email could not be delivered for now, and is tried again.
    #[strum(serialize = "email.delivery_delayed")]
    EmailDeliveryDelayed,
    /// The recipient called an email spam.
    #[strum(serialize = "email.complained")]
    EmailComplained,
    /// The recipient's server refused an email.
    #[strum(serialize = "email.bounced")]
    EmailBounced,
    /// The recipient opened an email, or something did.
    #[strum(serialize = "email.opened")]
    EmailOpened,
    /// The recipient followed a link in an email, or something did.
    #[strum(serialize = "email.clicked")]
    EmailClicked,
    /// Resend received an email.
    #[strum(serialize = "email.received")]
    EmailReceived,
    /// Resend could not send an email.
    #[strum(serialize = "email.failed")]
    EmailFailed,
    /// Resend did not send an email, because its suppression list has the recipient.
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
    /// A contact's subscriptions to topics were changed.
    #[strum(serialize = "contact.topics.updated")]
    ContactTopicsUpdated,
    /// A domain was added.
    #[strum(serialize = "domain.created")]
    DomainCreated,
    /// A domain was changed: its status, for instance.
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
    /// An address was put on Resend's suppression list.
    #[strum(serialize = "suppression.added")]
    SuppressionAdded,
    /// An address was taken off Resend's suppression list.
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
    /// A thread began in an inbox.
    #[strum(serialize = "inbox.thread.created")]
    InboxThreadCreated,
    /// A thread was moved to another folder.
    #[strum(serialize = "inbox.thread.folder.updated")]
    InboxThreadFolderUpdated,
    /// A thread was given to somebody.
    #[strum(serialize = "inbox.thread.assigned")]
    InboxThreadAssigned,
    /// A thread was taken from somebody.
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
    /// A draft was begun.
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
    /// Every known type.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The type with exactly this text. `None` for one that this version does not know.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// The text in the event's `type` field.
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
