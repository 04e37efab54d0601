//! The webhooks of each email of a simulated campaign, and the expected results.
//!
//! The scenario derives the expected results itself, where it makes each event, and not with the code that is tested.

mod builder;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rebound::policy::counting::Counter;
use rebound::policy::suppression::Reason;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::{Campaign, Cohort};
use rebound::time::{UnixMillis, hours};
use strum::IntoStaticStr;

use self::builder::ScenarioBuilder;

/// The first three emails of each group of this size share a full mailbox: three soft bounces suppress it.
const FULL_EVERY: u32 = 500;

/// Minimum time over which the campaign is spread.
pub const MIN_SPAN: Duration = Duration::from_secs(600);

/// A simulated campaign.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of the random numbers that make everything.
    pub seed: u64,
    /// The campaign's name.
    pub campaign: Campaign,
    /// Number of emails.
    pub emails: u32,
    /// The time of the last event.
    pub until: UnixMillis,
    /// Time from the first email's creation until `until`.
    pub span: Duration,
    /// True if link scanners click, in bursts.
    pub scanners: bool,
    /// True if some bodies have nulls and odd fields.
    pub nulls: bool,
    /// True if some events have an unknown type.
    pub unknown: bool,
    /// True if some bodies can't be parsed as an event.
    pub unreadable: bool,
    /// True if two webhooks report some of the occurrences.
    pub retold: bool,
}

impl Scenario {
    /// A scenario with all of these, spread over the hour before `until`.
    pub fn with_everything(seed: u64, campaign: Campaign, emails: u32, until: UnixMillis) -> Self {
        Self {
            seed,
            campaign,
            emails,
            until,
            span: hours(1),
            scanners: true,
            nulls: true,
            unknown: true,
            unreadable: true,
            retold: true,
        }
    }
}

/// The status word in the response when a webhook is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum ExpectedStatus {
    /// Stored as an event of a known type.
    #[strum(serialize = "handled")]
    Handled,
    /// Stored as an event of an unknown type.
    #[strum(serialize = "ignored")]
    Ignored,
    /// Stored raw, because it can't be parsed.
    #[strum(serialize = "quarantined")]
    Quarantined,
}

impl ExpectedStatus {
    /// The word in the response.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A webhook of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedWebhook {
    /// The `svix-id`.
    pub id: String,
    /// The partition of its row.
    pub partition: String,
    /// The sort key of its row.
    pub event: String,
    /// The body.
    pub body: Vec<u8>,
    /// The expected status word in the response.
    pub stored: ExpectedStatus,
    /// Time of arrival, in the scenario's time.
    pub arrives_at: UnixMillis,
}

/// The expected results of the webhooks about one email.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedResults {
    /// The recipients that the webhooks name, each with its active reasons.
    pub reasons: BTreeMap<String, BTreeSet<Reason>>,
    /// The counters that are incremented, each with its cohort.
    pub counts: Vec<(Cohort, Counter)>,
    /// The times of the complaints.
    pub complaints: Vec<UnixMillis>,
    /// The keys of the rows after which the recipient gets no follow-up: partition and sort key.
    pub stops: Vec<(String, String)>,
    /// The verdicts about opens and clicks, by the sort keys of their rows. `None` if the verdict is not certain.
    pub verdicts: BTreeMap<String, Option<Verdict>>,
}

/// An email, its webhooks, and the expected results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The email's id.
    pub id: String,
    /// The webhooks about it, in the order of their events.
    pub messages: Vec<SimulatedWebhook>,
    /// The expected results.
    pub expected: ExpectedResults,
}

impl Scenario {
    /// Number of emails that produce at least `events` webhooks.
    pub fn emails_for(&self, events: usize) -> u32 {
        // The full mailboxes depend on the number of emails, so there must be no last email here.
        let unending = Self { emails: u32::MAX, ..self.clone() };
        let mut total = 0;
        let enough = |number: &u32| {
            total += unending.email(*number).messages.len();
            total >= events
        };
        (0..u32::MAX).find(enough).map_or(1, |last| last + 1)
    }

    /// The address of the full mailbox of three emails, of which `group` is the first one's number.
    pub(super) fn full_mailbox(seed: u64, group: u32) -> String {
        format!("full-{group}-{:x}@example.com", seed as u32)
    }

    /// The number of the first of the three emails to a full mailbox, if `address` is a full mailbox.
    pub(super) fn first_to_full_mailbox(&self, address: &str) -> Option<u32> {
        let group = address.strip_prefix("full-")?.split('-').next()?.parse().ok()?;
        (Self::full_mailbox(self.seed, group) == address).then_some(group)
    }

    /// The email with this number.
    pub fn email(&self, number: u32) -> Email {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let id = format!("{:08x}-51a0-4000-8000-{number:012x}", self.seed as u32);
        let span = i64::try_from(self.span.max(MIN_SPAN).as_millis()).unwrap_or(i64::MAX);
        // The last third of the time is for the events of the last emails.
        let created_at = UnixMillis(self.until.0 - span + rng.i64(0..span * 2 / 3));
        let who = |name: &str| format!("{name}-{number}-{:x}@example.com", self.seed as u32);
        let mut builder = ScenarioBuilder {
            scenario: self,
            number,
            to: vec![who("r")],
            old_tags: rng.u8(..10) == 0,
            created_at,
            email: Email { id, messages: Vec::new(), expected: ExpectedResults::default() },
            rng,
        };
        builder.build(&who);
        builder.email
    }
}
