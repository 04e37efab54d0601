//! The types of event that Resend is known to send.

/// Names each type once: the variant, its text, and the list of all of them come from the same line.
macro_rules! event_types {
    ($($variant:ident = $text:literal,)+) => {
        /// A type of event that this version knows (<https://resend.com/docs/dashboard/webhooks/event-types>).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is its text")]
        pub enum EventType {
            $($variant,)+
        }

        impl EventType {
            /// Every known type.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The type with exactly this text. `None` for one that this version does not know.
            pub fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The text in the event's `type` field.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

event_types! {
    EmailSent = "email.sent",
    EmailScheduled = "email.scheduled",
    EmailDelivered = "email.delivered",
    EmailDeliveryDelayed = "email.delivery_delayed",
    EmailComplained = "email.complained",
    EmailBounced = "email.bounced",
    EmailOpened = "email.opened",
    EmailClicked = "email.clicked",
    EmailReceived = "email.received",
    EmailFailed = "email.failed",
    EmailSuppressed = "email.suppressed",
    ContactCreated = "contact.created",
    ContactUpdated = "contact.updated",
    ContactDeleted = "contact.deleted",
    ContactTopicsUpdated = "contact.topics.updated",
    DomainCreated = "domain.created",
    DomainUpdated = "domain.updated",
    DomainDeleted = "domain.deleted",
    TopicCreated = "topic.created",
    TopicUpdated = "topic.updated",
    TopicDeleted = "topic.deleted",
    SuppressionAdded = "suppression.added",
    SuppressionRemoved = "suppression.removed",
    InboxCreated = "inbox.created",
    InboxUpdated = "inbox.updated",
    InboxDeleted = "inbox.deleted",
    InboxThreadCreated = "inbox.thread.created",
    InboxThreadFolderUpdated = "inbox.thread.folder.updated",
    InboxThreadAssigned = "inbox.thread.assigned",
    InboxThreadUnassigned = "inbox.thread.unassigned",
    InboxThreadLabelsUpdated = "inbox.thread.labels.updated",
    InboxEmailReceived = "inbox.email.received",
    InboxEmailSent = "inbox.email.sent",
    InboxDraftCreated = "inbox.draft.created",
    InboxDraftUpdated = "inbox.draft.updated",
    InboxDraftSent = "inbox.draft.sent",
    InboxDraftDeleted = "inbox.draft.deleted",
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
