//! What happens to each email of a simulated campaign, and what must follow from it.
//!
//! What must follow is said where it happens, from what the story knows, and not found out by the code that is under test.

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

/// Of so many emails, the first three share a mailbox that is full: three soft bounces suppress it.
const FULL_EVERY: u32 = 500;

/// The least time that the campaign is spread over.
pub const MIN_SPAN: Duration = Duration::from_secs(600);

/// A simulated campaign.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What everything is made of.
    pub seed: u64,
    /// The campaign's name.
    pub campaign: Campaign,
    /// How many emails it has.
    pub emails: u32,
    /// The moment until which everything happens.
    pub until: UnixMillis,
    /// How long before that the first email was created.
    pub span: Duration,
    /// Whether there are scanners, in bursts.
    pub scanners: bool,
    /// Whether there are bodies with nulls and odd fields.
    pub nulls: bool,
    /// Whether there are types that nobody knows.
    pub unknown: bool,
    /// Whether there is what can't be read as an event.
    pub unreadable: bool,
    /// Whether the same happening is told by two messages, now and then.
    pub retold: bool,
}

impl Scenario {
    /// A story with everything in it, of the hour before `until`.
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

/// What a message is answered when it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum ExpectedStatus {
    /// As an event of a known type.
    #[strum(serialize = "handled")]
    Handled,
    /// As an event of an unknown type.
    #[strum(serialize = "ignored")]
    Ignored,
    /// Raw.
    #[strum(serialize = "quarantined")]
    Quarantined,
}

impl ExpectedStatus {
    /// The word in the answer.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A webhook.
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
    /// What it is answered.
    pub stored: ExpectedStatus,
    /// When it comes, in the story's time.
    pub arrives_at: UnixMillis,
}

/// What must follow from the webhooks about one email.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedResults {
    /// Everybody whom they name, and which reasons stand then.
    pub reasons: BTreeMap<String, BTreeSet<Reason>>,
    /// What is counted.
    pub counts: Vec<(Cohort, Counter)>,
    /// When somebody complained.
    pub complaints: Vec<UnixMillis>,
    /// The opens and clicks, by the keys of their rows; and whose they are, where that is sure.
    pub verdicts: BTreeMap<String, Option<Verdict>>,
}

/// An email, everything that happens to it, and what must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// Its id.
    pub id: String,
    /// Its webhooks, in the order of their happening.
    pub messages: Vec<SimulatedWebhook>,
    /// What must follow.
    pub expected: ExpectedResults,
}

impl Scenario {
    /// How many emails make so many webhooks.
    pub fn emails_for(&self, events: usize) -> u32 {
        // It knows of each email how many there are, for a mailbox that three share.
        let unending = Self { emails: u32::MAX, ..self.clone() };
        let mut total = 0;
        let enough = |number: &u32| {
            total += unending.email(*number).messages.len();
            total >= events
        };
        (0..u32::MAX).find(enough).map_or(1, |last| last + 1)
    }

    /// The address of the mailbox that is full, which the email of this number and the two after it go to.
    pub(super) fn full_mailbox(seed: u64, group: u32) -> String {
        format!("full-{group}-{:x}@example.com", seed as u32)
    }

    /// The first of the three emails that go to a mailbox that is full, if this is the address of one.
    pub(super) fn first_to_full_mailbox(&self, address: &str) -> Option<u32> {
        let group = address.strip_prefix("full-")?.split('-').next()?.parse().ok()?;
        (Self::full_mailbox(self.seed, group) == address).then_some(group)
    }

    /// The email of this number.
    pub fn email(&self, number: u32) -> Email {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let id = format!("{:08x}-51a0-4000-8000-{number:012x}", self.seed as u32);
        let span = i64::try_from(self.span.max(MIN_SPAN).as_millis()).unwrap_or(i64::MAX);
        // The last third is left for what happens to the last ones.
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
