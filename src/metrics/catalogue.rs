//! Every metric: its name stands here and nowhere else in the code.

use crate::message::alert;
use crate::message::decision::{By, Done};
use crate::policy::brake::Status;
use crate::policy::suppression::Reason;
use crate::policy::verdict::Verdict;
use crate::resend::event::EventType;

/// In what a metric is counted, by CloudWatch's names
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Time.
    Milliseconds,
    /// Time, where it is long.
    Seconds,
    /// Hundredths.
    Percent,
    /// US dollars: CloudWatch has no unit for them.
    UsDollars,
}

impl Unit {
    /// CloudWatch's name; `None`: it has none for this.
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

/// Which function writes a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitter {
    /// `receive`, gathered in each sandbox.
    Receive,
    /// `protect`, a line for each batch or tick that has something to tell.
    Protect,
    /// `engage`, a line for each batch.
    Engage,
}

/// Names each metric once: the variant is its name; then come its unit, who writes it, and what it tells.
macro_rules! metrics {
    ($($metric:ident, $unit:ident, $emitter:ident, $tells:literal;)+) => {
        /// A metric. All have the one dimension `Stack`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $tells] $metric,)+
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$metric,)+];

            /// Its name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$metric => stringify!($metric),)+
                }
            }

            /// In what it is counted.
            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$metric => Unit::$unit,)+
                }
            }

            /// Who writes it.
            pub const fn emitter(self) -> Emitter {
                match self {
                    $(Self::$metric => Emitter::$emitter,)+
                }
            }

            /// What it tells.
            pub const fn tells(self) -> &'static str {
                match self {
                    $(Self::$metric => $tells,)+
                }
            }
        }
    };
}

metrics! {
    // What became of each request. Accepted is in every line of receive's, as a 0 too: alarms compare others with it.
    Accepted, Count, Receive, "Webhooks that were answered 200, whatever became of them.";
    Duplicates, Count, Receive, "Of those, the ones whose message was stored before.";
    Ignored, Count, Receive, "Of those, the ones of a type that this version does not know; stored all the same.";
    Quarantined, Count, Receive, "Of those, the ones that are stored raw, because they can't be stored as events.";
    SignatureFailures, Count, Receive, "Signed requests whose signature is wrong, or too old or too new.";
    Refused, Count, Receive, "Requests that are no signed webhook at all: headers missing, not POST, too large.";
    NotStored, Count, Receive, "Webhooks that were answered 503: not stored for now, or no signing secret yet.";
    AcknowledgeLatency, Milliseconds, Receive, "How long receive took for a webhook that it answered 200.";

    // Events that were stored now, by type. What is not among the dozen is Other.
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

    // Who must not be written to any more, by reason: a recipient for each event that says so.
    SuppressedComplaint, Count, Receive, "Recipients who called a mail spam.";
    SuppressedHardBounce, Count, Receive, "Recipients whose address is bad for good.";
    SuppressedUnsubscribed, Count, Receive, "Recipients who are unsubscribed at Resend.";
    SuppressedProvider, Count, Receive, "Recipients whom Resend suppresses.";
    SuppressedSoftBounce, Count, Protect, "Recipients whose mails bounced softly too often.";

    ProtectLag, Seconds, Protect, "How long ago the oldest event of a batch was received.";
    ComplaintRate, Percent, Protect, "Complaints of delivered mails in 24 hours or 7 days, of the campaign where it is highest. 0 \
        where a campaign is too small for a rate.";
    BrakesSlowed, Count, Protect, "Campaigns that began to be slowed.";
    BrakesPaused, Count, Protect, "Campaigns that were paused.";
    BrakesOpened, Count, Protect, "Campaigns that were opened again.";

    // Alerts that were published, by kind.
    AlertsComplaint, Count, Protect, "Alerts of a complaint.";
    AlertsBrake, Count, Protect, "Alerts of a brake that changed.";
    AlertsDelay, Count, Protect, "Alerts of a delayed mail.";
    AlertsAmbiguousBounce, Count, Protect, "Alerts of a bounce of who knows whom.";
    AlertsFailed, Count, Protect, "Alerts of mail that Resend could not send.";
    AlertsDomain, Count, Protect, "Alerts of a domain that lost its verification.";
    AlertsQuarantine, Count, Protect, "Alerts of what can't be read or handled.";
    AlertsLifted, Count, Protect, "Alerts of many people whom webhooks lifted.";
    AlertsDigest, Count, Protect, "Digests of alerts that were not sent one by one.";

    EngageLag, Seconds, Engage, "How long ago the oldest open or click of a batch was received. 90 s of it are on purpose.";
    VerdictsHuman, Count, Engage, "Opens and clicks by a person.";
    VerdictsMachine, Count, Engage, "Opens and clicks by a machine.";
    VerdictsUnsure, Count, Engage, "Opens and clicks by who knows whom.";

    // Decisions, by what was done, and by who chose.
    DecisionsFollowup, Count, Engage, "Decisions that propose a follow-up.";
    DecisionsEngagement, Count, Engage, "Decisions that tell of an interest.";
    DecisionsHandoff, Count, Engage, "Decisions that hand a person over to people.";
    DecisionsNothing, Count, Engage, "Decisions to do nothing, or that the guards refused.";
    DecidedByClaude, Count, Engage, "Decisions that Claude made.";
    DecidedByRules, Count, Engage, "Decisions that the written rules made.";

    ClaudeInputTokens, Count, Engage, "Tokens that Claude was asked with, those of its cache included.";
    ClaudeOutputTokens, Count, Engage, "Tokens that Claude answered with.";
    ClaudeCost, UsDollars, Engage, "What Claude cost, in US dollars.";
    ClaudeSpentToday, UsDollars, Engage, "What Claude has cost since midnight UTC, with what is reserved, in US dollars.";
    ClaudeFailures, Count, Engage, "Questions that Claude gave no answer to.";
    ClaudeRefusals, Count, Engage, "Decisions that the rules made because Claude refuses the key, the model or the question for good.";
}

/// How many there are.
pub(super) const METRICS: usize = Metric::ALL.len();

impl Metric {
    /// Its place among all.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The metric of a stored event of this type; `None` for one that is not known.
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

    /// The metric of a suppression for this reason. `None` for one that no event brings about: only operators do.
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

    /// The metric of an alert of this kind.
    pub const fn of_alert(kind: alert::Kind) -> Self {
        match kind {
            alert::Kind::Complaint => Self::AlertsComplaint,
            alert::Kind::Brake => Self::AlertsBrake,
            alert::Kind::Delay => Self::AlertsDelay,
            alert::Kind::AmbiguousBounce => Self::AlertsAmbiguousBounce,
            alert::Kind::Failed => Self::AlertsFailed,
            alert::Kind::Domain => Self::AlertsDomain,
            alert::Kind::Quarantine => Self::AlertsQuarantine,
            alert::Kind::Lifted => Self::AlertsLifted,
            alert::Kind::Digest => Self::AlertsDigest,
        }
    }

    /// The metric of a brake that came to be this.
    pub const fn of_brake(status: Status) -> Self {
        match status {
            Status::Open => Self::BrakesOpened,
            Status::Slowed => Self::BrakesSlowed,
            Status::Paused => Self::BrakesPaused,
        }
    }

    /// The metric of a verdict.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Human => Self::VerdictsHuman,
            Verdict::Machine => Self::VerdictsMachine,
            Verdict::Unsure => Self::VerdictsUnsure,
        }
    }

    /// The metric of what a decision did.
    pub const fn of_decision(done: &Done) -> Self {
        match done {
            Done::FollowupProposed => Self::DecisionsFollowup,
            Done::EngagementLogged => Self::DecisionsEngagement,
            Done::HandedToHuman => Self::DecisionsHandoff,
            Done::Nothing(_) => Self::DecisionsNothing,
        }
    }

    /// The metric of who chose.
    pub const fn of_chooser(by: By) -> Self {
        match by {
            By::Claude => Self::DecidedByClaude,
            By::Rules => Self::DecidedByRules,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_there_once_and_each_says_what_it_tells() {
        let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), METRICS);
        for (index, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), index);
            assert!(metric.tells().ends_with('.'), "{metric:?}");
        }
        // At 0.30 US dollars a month for each that is told of in every hour: docs/cost.md says how many there are, and their price. A line
        // can tell of 100.
        assert_eq!(METRICS, 56);
    }

    #[test]
    fn every_type_of_event_has_a_metric_and_what_is_not_known_is_other() {
        let of = |text: &str| Metric::of_event(EventType::from_text(text));
        assert_eq!(of("email.suppressed"), Metric::EventsSkipped);
        assert_eq!(of("contact.topics.updated"), Metric::EventsOfContacts);
        assert_eq!(of("ann@example.com"), Metric::EventsOther);
        let all: BTreeSet<Metric> = EventType::ALL.iter().map(|known| Metric::of_event(Some(*known))).collect();
        assert_eq!(all.len(), 13, "a dozen, and the rest");
    }
}
