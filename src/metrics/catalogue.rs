//! Catalogue of all metrics. A metric's name appears only here.

use crate::message::alert;
use crate::message::decision::{DecidedBy, DecisionResult};
use crate::policy::brake::Status;
use crate::policy::followup::sending::{AnswerMeaning, DropReason};
use crate::policy::suppression::Reason;
use crate::policy::verdict::Verdict;
use crate::resend::event::EventType;

/// Unit of a metric, with CloudWatch's names
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Time in milliseconds.
    Milliseconds,
    /// Time in seconds.
    Seconds,
    /// Percent.
    Percent,
    /// US dollars. CloudWatch has no unit for money.
    UsDollars,
}

impl Unit {
    /// Returns CloudWatch's name, or `None` if CloudWatch has no such unit.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Count => Some("Count"),
            Self::Milliseconds => Some("Milliseconds"),
            Self::Seconds => Some("Seconds"),
            Self::Percent => Some("Percent"),
            Self::UsDollars => None,
        }
    }
}

/// Function that writes a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitter {
    /// `receive`: collected in each execution environment.
    Receive,
    /// `protect`: one line for each batch or tick with something to report.
    Protect,
    /// `engage`, a line for each batch.
    Engage,
    /// `consent`: collected in each execution environment.
    Consent,
    /// `act`: one line for each run with something to report.
    Act,
}

/// Defines each metric once: its name (the variant), its unit, the function that writes it, and its description.
macro_rules! metrics {
    ($($metric:ident, $unit:ident, $emitter:ident, $tells:literal;)+) => {
        /// A metric. All metrics have the one dimension `Stack`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $tells] $metric,)+
        }

        impl Metric {
            /// All metrics.
            pub const ALL: &[Self] = &[$(Self::$metric,)+];

            /// Returns the name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$metric => stringify!($metric),)+
                }
            }

            /// Returns the unit.
            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$metric => Unit::$unit,)+
                }
            }

            /// Returns the function that writes the metric.
            pub const fn emitter(self) -> Emitter {
                match self {
                    $(Self::$metric => Emitter::$emitter,)+
                }
            }

            /// Returns the description.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$metric => $tells,)+
                }
            }
        }
    };
}

metrics! {
    // Result of each request. Accepted is in every line of receive, as a 0 too: alarms compare other metrics with it.
    Accepted, Count, Receive, "Webhooks answered with 200: new, duplicate, ignored or quarantined.";
    Duplicates, Count, Receive, "Webhooks answered with 200 that were already stored.";
    Ignored, Count, Receive, "Webhooks answered with 200 whose type this version does not know; they are stored too.";
    Quarantined, Count, Receive, "Webhooks answered with 200 that are stored raw, because they can't be parsed as events.";
    SignatureFailures, Count, Receive, "Signed requests with a wrong signature, or with a timestamp that is too old or too new.";
    Refused, Count, Receive, "Requests that are not signed webhooks: headers missing, not POST, or too large.";
    NotStored, Count, Receive, "Webhooks answered with 503: a temporary failure to store them, or no signing secret yet.";
    AcknowledgeLatency, Milliseconds, Receive, "Time that receive took for a webhook answered with 200.";

    // New stored events, by type. Types without a metric of their own count as Other.
    EventsSent, Count, Receive, "email.sent, stored.";
    EventsDelivered, Count, Receive, "email.delivered, stored.";
    EventsDelayed, Count, Receive, "email.delivery_delayed, stored.";
    EventsBounced, Count, Receive, "email.bounced, stored.";
    EventsComplained, Count, Receive, "email.complained, stored.";
    EventsOpened, Count, Receive, "email.opened, stored.";
    EventsClicked, Count, Receive, "email.clicked, stored.";
    EventsFailed, Count, Receive, "email.failed, stored.";
    EventsSkipped, Count, Receive, "email.suppressed, stored: Resend skipped the send.";
    EventsOfContacts, Count, Receive, "contact.…, stored.";
    EventsOfSuppressions, Count, Receive, "suppression.…, stored.";
    EventsOfDomains, Count, Receive, "domain.…, stored.";
    EventsOther, Count, Receive, "Events of any other type, stored.";

    // New suppressions, by reason: one for each event and recipient.
    SuppressedComplaint, Count, Receive, "Recipients suppressed because of a complaint.";
    SuppressedHardBounce, Count, Receive, "Recipients suppressed because of a hard bounce.";
    SuppressedUnsubscribed, Count, Receive, "Recipients suppressed because they unsubscribed at Resend.";
    SuppressedProvider, Count, Receive, "Recipients suppressed because Resend suppresses them.";
    SuppressedSoftBounce, Count, Protect, "Recipients suppressed because of too many soft bounces.";

    // Unsubscribe links.
    OptOuts, Count, Consent, "Recipients who opted out through a link.";
    WrongLinks, Count, Consent, "Requests whose unsubscribe link is not valid: answered with 404.";
    OptOutsNotStored, Count, Consent, "Requests answered with 503: DynamoDB or the key of the links is not available.";

    ProtectLag, Seconds, Protect, "Age of the oldest event of a batch, since it was received.";
    ComplaintRate, Percent, Protect, "Complaints per delivered email in 24 hours or 7 days, of the campaign with the highest rate. 0 \
        if the campaign is too small for a rate.";
    BrakesSlowed, Count, Protect, "Campaigns that were slowed.";
    BrakesPaused, Count, Protect, "Campaigns that were paused.";
    BrakesOpened, Count, Protect, "Campaigns that were reopened.";

    // Published alerts, by kind.
    AlertsComplaint, Count, Protect, "Alerts about a complaint.";
    AlertsBrake, Count, Protect, "Alerts about a changed brake.";
    AlertsDelay, Count, Protect, "Alerts about a delayed email.";
    AlertsAmbiguousBounce, Count, Protect, "Alerts about a bounce or complaint whose recipient is unknown.";
    AlertsFailed, Count, Protect, "Alerts about emails that Resend could not send.";
    AlertsDomain, Count, Protect, "Alerts about a domain that is no longer verified.";
    AlertsQuarantine, Count, Protect, "Alerts about a webhook that could not be parsed or processed.";
    AlertsLifted, Count, Protect, "Alerts about webhooks that lifted many suppressions.";
    FollowupsOverdue, Count, Protect, "Minutes by which the oldest follow-up is overdue. Not written while all sending is paused.";
    AlertsSendFailed, Count, Protect, "Alerts published: Resend refused a follow-up, or it could not be sent in time.";
    AlertsSendUnknown, Count, Protect, "Alerts published: it is unknown if a follow-up was sent, or it was sent twice.";
    AlertsResendKey, Count, Protect, "Alerts published: Resend refuses the API key of act.";
    AlertsDigest, Count, Protect, "Digests of alerts that were not sent individually.";

    // Follow-ups that Rebound sends.
    FollowupsDue, Count, Act, "Follow-ups that were due at the start of a run, 100 at most.";
    FollowupsSent, Count, Act, "Follow-ups that Resend accepted.";
    FollowupsUnknown, Count, Act, "Follow-ups of which it is unknown if Resend accepted them. They are not sent again.";
    FollowupsDropped, Count, Act, "Follow-ups that are not sent, for any reason.";
    DroppedSuppressed, Count, Act, "Follow-ups dropped because the recipient is suppressed or forgotten.";
    DroppedCampaignPaused, Count, Act, "Follow-ups dropped because the campaign or the sending domain is paused.";
    DroppedOptOutClick, Count, Act, "Follow-ups dropped because the recipient clicked an opt-out or preference link.";
    DroppedTooLate, Count, Act, "Follow-ups dropped because they could not be sent within 72 hours.";
    DroppedCap, Count, Act, "Follow-ups dropped because of a frequency cap.";
    DroppedRefused, Count, Act, "Follow-ups dropped because Resend refused the very email.";
    DroppedOther, Count, Act, "Follow-ups dropped for another reason.";
    ResendUnclear, Count, Act, "Requests to Resend without a clear answer. They are repeated with the same key.";
    ResendKeyRefusals, Count, Act, "Follow-ups that Resend refused because of the API key, and runs without a key.";
    ResendQuotaRefusals, Count, Act, "Requests that Resend refused because of the account's quota.";
    ResendRateRefusals, Count, Act, "Requests that Resend refused because they came too fast.";
    ResendOtherRefusals, Count, Act, "Requests that Resend refused for any other reason.";
    ContactsUnsubscribed, Count, Act, "Contacts unsubscribed at Resend after an opt-out, or unknown there.";
    ContactsRefused, Count, Act, "Contacts that were not unsubscribed at Resend, because the API key may not do that.";

    EngageLag, Seconds, Engage, "Age of the oldest open or click of a batch, since it was received. 90 s of it are an intended delay.";
    VerdictsHuman, Count, Engage, "Opens and clicks by a person.";
    VerdictsMachine, Count, Engage, "Opens and clicks by a machine.";
    VerdictsUnsure, Count, Engage, "Opens and clicks with the verdict unsure.";

    // Decisions, by result, and by who chose.
    DecisionsFollowup, Count, Engage, "Decisions that propose a follow-up.";
    DecisionsEngagement, Count, Engage, "Decisions that record and publish an engagement.";
    DecisionsHandoff, Count, Engage, "Decisions that ask a person to look.";
    DecisionsNothing, Count, Engage, "Decisions to do nothing, and decisions that a guard refused.";
    DecidedByClaude, Count, Engage, "Decisions made by Claude.";
    DecidedByRules, Count, Engage, "Decisions made by the built-in rules.";

    ClaudeInputTokens, Count, Engage, "Input tokens of Claude requests, including cached ones.";
    ClaudeOutputTokens, Count, Engage, "Output tokens of Claude requests.";
    ClaudeCost, UsDollars, Engage, "Cost of Claude requests, in US dollars.";
    ClaudeSpentToday, UsDollars, Engage, "Cost of Claude requests since midnight UTC, including reservations, in US dollars.";
    ClaudeFailures, Count, Engage, "Claude requests without a usable response.";
    ClaudeRefusals, Count, Engage, "Decisions made by the built-in rules because Claude permanently rejects the key, the model or the request.";
}

/// Number of metrics.
pub(super) const METRICS: usize = Metric::ALL.len();

impl Metric {
    /// Returns the metric's index in [`Metric::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the metric of a stored event of this type. `None` means an unknown type.
    pub const fn of_event(event_type: Option<EventType>) -> Self {
        let Some(event_type) = event_type else { return Self::EventsOther };
        match event_type {
            EventType::EmailSent => Self::EventsSent,
            EventType::EmailDelivered => Self::EventsDelivered,
            EventType::EmailDeliveryDelayed => Self::EventsDelayed,
            EventType::EmailBounced => Self::EventsBounced,
            EventType::EmailComplained => Self::EventsComplained,
            EventType::EmailOpened => Self::EventsOpened,
            EventType::EmailClicked => Self::EventsClicked,
            EventType::EmailFailed => Self::EventsFailed,
            EventType::EmailSuppressed => Self::EventsSkipped,
            EventType::ContactCreated
            | EventType::ContactUpdated
            | EventType::ContactDeleted
            | EventType::ContactTopicsUpdated => Self::EventsOfContacts,
            EventType::SuppressionAdded | EventType::SuppressionRemoved => Self::EventsOfSuppressions,
            EventType::DomainCreated | EventType::DomainUpdated | EventType::DomainDeleted => Self::EventsOfDomains,
            _ => Self::EventsOther,
        }
    }

    /// Returns the metric of a suppression for this reason, or `None` if only operators set the reason.
    pub const fn of_suppression(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Complaint => Some(Self::SuppressedComplaint),
            Reason::HardBounce => Some(Self::SuppressedHardBounce),
            Reason::Unsubscribed => Some(Self::SuppressedUnsubscribed),
            Reason::SoftBounce => Some(Self::SuppressedSoftBounce),
            Reason::Provider => Some(Self::SuppressedProvider),
            Reason::OptedOut | Reason::Manual => None,
        }
    }

    /// Returns the metric of an alert of this kind.
    pub const fn of_alert(kind: alert::AlertKind) -> Self {
        match kind {
            alert::AlertKind::Complaint => Self::AlertsComplaint,
            alert::AlertKind::Brake => Self::AlertsBrake,
            alert::AlertKind::Delay => Self::AlertsDelay,
            alert::AlertKind::AmbiguousBounce => Self::AlertsAmbiguousBounce,
            alert::AlertKind::Failed => Self::AlertsFailed,
            alert::AlertKind::Domain => Self::AlertsDomain,
            alert::AlertKind::Quarantine => Self::AlertsQuarantine,
            alert::AlertKind::Lifted => Self::AlertsLifted,
            alert::AlertKind::SendFailed => Self::AlertsSendFailed,
            alert::AlertKind::SendUnknown => Self::AlertsSendUnknown,
            alert::AlertKind::ResendKey => Self::AlertsResendKey,
            alert::AlertKind::Digest => Self::AlertsDigest,
        }
    }

    /// Returns the metric of a brake that changed to this status.
    pub const fn of_brake(status: Status) -> Self {
        match status {
            Status::Open => Self::BrakesOpened,
            Status::Slowed => Self::BrakesSlowed,
            Status::Paused => Self::BrakesPaused,
        }
    }

    /// Returns the metric of a verdict.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Human => Self::VerdictsHuman,
            Verdict::Machine => Self::VerdictsMachine,
            Verdict::Unsure => Self::VerdictsUnsure,
        }
    }

    /// Returns the metric of a decision's result.
    pub const fn of_decision(done: &DecisionResult) -> Self {
        match done {
            DecisionResult::FollowupProposed | DecisionResult::FollowupScheduled => Self::DecisionsFollowup,
            DecisionResult::EngagementLogged => Self::DecisionsEngagement,
            DecisionResult::HandedToHuman => Self::DecisionsHandoff,
            DecisionResult::Nothing(_) => Self::DecisionsNothing,
        }
    }

    /// Returns the metric of a dropped follow-up.
    pub const fn of_drop(reason: &DropReason) -> Self {
        match reason {
            DropReason::Suppressed | DropReason::Forgotten => Self::DroppedSuppressed,
            DropReason::CampaignPaused => Self::DroppedCampaignPaused,
            DropReason::OptOutClick => Self::DroppedOptOutClick,
            DropReason::TooLate => Self::DroppedTooLate,
            DropReason::Cap => Self::DroppedCap,
            DropReason::Refused(_) => Self::DroppedRefused,
            DropReason::Rejected
            | DropReason::Expired
            | DropReason::Stopped
            | DropReason::PlaceLost
            | DropReason::Unreadable => Self::DroppedOther,
        }
    }

    /// Returns the metric of an answer to a follow-up that is no acceptance.
    pub const fn of_answer(meaning: &AnswerMeaning) -> Option<Self> {
        match meaning {
            AnswerMeaning::Accepted { .. } => None,
            AnswerMeaning::Unclear => Some(Self::ResendUnclear),
            AnswerMeaning::Key => Some(Self::ResendKeyRefusals),
            AnswerMeaning::Quota => Some(Self::ResendQuotaRefusals),
            AnswerMeaning::TooFast { .. } => Some(Self::ResendRateRefusals),
            AnswerMeaning::KeyConflict | AnswerMeaning::AboutThisEmail { .. } | AnswerMeaning::Otherwise { .. } => {
                Some(Self::ResendOtherRefusals)
            }
        }
    }

    /// Returns the metric of the source of a choice.
    pub const fn of_chooser(by: DecidedBy) -> Self {
        match by {
            DecidedBy::Claude => Self::DecidedByClaude,
            DecidedBy::Rules => Self::DecidedByRules,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_unique_and_each_has_a_description() {
        let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), METRICS);
        for (index, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), index);
            assert!(metric.description().ends_with('.'), "{metric:?}");
        }
        // Each metric costs 0.30 US dollars a month, if it is written in every hour (docs/cost.md has their number and price). A line can
        // hold 100.
        assert_eq!(METRICS, 81);
    }

    #[test]
    fn every_event_type_has_a_metric_and_unknown_ones_are_other() {
        let of = |text: &str| Metric::of_event(EventType::from_text(text));
        assert_eq!(of("email.suppressed"), Metric::EventsSkipped);
        assert_eq!(of("contact.topics.updated"), Metric::EventsOfContacts);
        assert_eq!(of("ann@example.com"), Metric::EventsOther);
        let all: BTreeSet<Metric> = EventType::ALL.iter().map(|known| Metric::of_event(Some(*known))).collect();
        assert_eq!(all.len(), 13, "a dozen, and the rest");
    }
}
