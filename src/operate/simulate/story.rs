//! What happens to each email of a simulated campaign, and what must follow from it.
//!
//! What must follow is said where it happens, from what the story knows, and not found out by the code that is under test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::bodies::{self, APPLE, GOOGLE, Mail, PHONE};
use crate::campaign::{Campaign, Cohort};
use crate::policy::counting::Counter;
use crate::policy::suppression::Reason;
use crate::policy::verdict::Verdict;
use crate::time::UnixMillis;

/// Of so many emails, the first three share a mailbox that is full: three soft bounces suppress it.
const FULL_EVERY: u32 = 500;

/// The least time that the campaign is spread over.
pub const LEAST_SPAN: Duration = Duration::from_secs(600);

/// A simulated campaign.
#[derive(Clone, Debug)]
pub struct Story {
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

/// What a message is answered when it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// As an event of a known type.
    Handled,
    /// As an event of an unknown type.
    Ignored,
    /// Raw.
    Quarantined,
}

impl Stored {
    /// The word in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The `svix-id`.
    pub id: String,
    /// The partition of its row.
    pub partition: String,
    /// The sort key of its row.
    pub event: String,
    /// The body.
    pub body: Vec<u8>,
    /// What it is answered.
    pub stored: Stored,
    /// When it comes, in the story's time.
    pub comes_at: UnixMillis,
}

/// What must follow from the webhooks about one email.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
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
    pub messages: Vec<Message>,
    /// What must follow.
    pub expected: Expected,
}

impl Story {
    /// The email of this number.
    pub fn email(&self, number: u32) -> Email {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let id = format!("{:08x}-51a0-4000-8000-{number:012x}", self.seed as u32);
        let span = i64::try_from(self.span.max(LEAST_SPAN).as_millis()).unwrap_or(i64::MAX);
        // The last third is left for what happens to the last ones.
        let created_at = UnixMillis(self.until.0 - span + rng.i64(0..span * 2 / 3));
        let who = |name: &str| format!("{name}-{number}-{:x}@example.com", self.seed as u32);
        let mut teller = Teller {
            story: self,
            number,
            to: vec![who("r")],
            old_tags: rng.u8(..10) == 0,
            created_at,
            email: Email { id, messages: Vec::new(), expected: Expected::default() },
            rng,
        };
        teller.tell(&who);
        teller.email
    }
}

struct Teller<'a> {
    story: &'a Story,
    number: u32,
    to: Vec<String>,
    old_tags: bool,
    created_at: UnixMillis,
    email: Email,
    rng: fastrand::Rng,
}

impl Teller<'_> {
    /// One in so many.
    fn one_in(&mut self, many: u32) -> bool {
        self.rng.u32(..many) == 0
    }

    /// A moment after `from`, so many seconds later at least, up to the story's end.
    fn after(&mut self, from: UnixMillis, at_least: f64, at_most: f64) -> UnixMillis {
        let left = (self.story.until.0 - from.0 - 1_000).max(2);
        let (least, most) = ((at_least * 1_000.0) as i64, (at_most * 1_000.0) as i64);
        let most = most.min(left).max(1);
        UnixMillis(from.0 + self.rng.i64(least.min(most - 1).max(0)..most))
    }

    fn tell(&mut self, who: &dyn Fn(&str) -> String) {
        let sent_at = self.after(self.created_at, 0.2, 1.5);
        let place = self.number % FULL_EVERY;
        if place < 3 {
            return self.full_mailbox(sent_at, place);
        }
        match self.rng.u32(..1_000) {
            0..2 => self.says(
                "email.failed",
                sent_at,
                json!({ "failed": { "reason": "reached_daily_quota" } }),
                Counter::Failed,
            ),
            2..6 => {
                self.says("email.sent", sent_at, json!({}), Counter::Sent);
                let at = self.after(sent_at, 0.1, 2.0);
                let why =
                    json!({ "suppressed": { "message": "on the account's list", "type": "OnAccountSuppressionList" } });
                self.says("email.suppressed", at, why, Counter::Suppressed);
                self.stands(self.to.clone(), Some(Reason::Provider));
            }
            6..14 => self.bounces(sent_at, "Permanent", "General", Counter::BouncedHard, Some(Reason::HardBounce)),
            14..15 => self.bounces(sent_at, "permanent", "MessageRejected", Counter::BouncedSoft, None),
            15..23 => self.bounces(sent_at, "Transient", "MailboxFull", Counter::BouncedSoft, None),
            23..27 => self.one_of_several(sent_at, who),
            _ => {
                self.says("email.sent", sent_at, json!({}), Counter::Sent);
                let mut from = sent_at;
                if self.one_in(50) {
                    from = self.after(sent_at, 1.0, 30.0);
                    self.says("email.delivery_delayed", from, json!({}), Counter::Delayed);
                }
                let delivered_at = self.after(from, 0.5, 6.0);
                self.says("email.delivered", delivered_at, json!({}), Counter::Delivered);
                self.stands(self.to.clone(), None);
                self.is_read(delivered_at);
            }
        }
        self.besides(who);
    }

    /// What people, and machines, do with a mail that arrived.
    fn is_read(&mut self, delivered_at: UnixMillis) {
        if self.one_in(1_000) {
            let at = self.after(delivered_at, 20.0, 1_800.0);
            let message = self.happens("email.complained", at, &json!({}));
            self.counts(Counter::Complained);
            self.email.expected.complaints.push(at);
            self.stands(self.to.clone(), Some(Reason::Complaint));
            self.retell(&message, at);
            return;
        }
        if self.story.scanners && self.one_in(25) {
            let first = self.after(delivered_at, 15.0, 90.0);
            for link in 0..5 {
                let at = first.plus(Duration::from_millis(link * 120));
                let said = bodies::click(at, PHONE, usize::try_from(link).unwrap_or(0), "198.51.100.20");
                self.engages("email.clicked", at, &said, Some(Verdict::Machine));
            }
            return;
        }
        if self.one_in(9) {
            let at = self.after(delivered_at, 1.0, 20.0);
            self.engages("email.opened", at, &bodies::open(at, APPLE), Some(Verdict::Unsure));
        }
        if self.one_in(4) {
            let at = self.after(delivered_at, 30.0, 2_400.0);
            let agent = if self.rng.bool() { PHONE } else { GOOGLE };
            // Opens often come without saying by whom.
            let (said, verdict) = match self.one_in(3) {
                true => (json!({}), None),
                false => (bodies::open(at, agent), Some(Verdict::Human)),
            };
            self.engages("email.opened", at, &said, verdict);
            if self.one_in(4) {
                let at = self.after(at, 3.0, 600.0);
                self.engages("email.clicked", at, &bodies::click(at, PHONE, 1, "203.0.113.7"), Some(Verdict::Human));
            }
        }
    }

    fn bounces(&mut self, sent_at: UnixMillis, kind: &str, sub_type: &str, counter: Counter, reason: Option<Reason>) {
        self.says("email.sent", sent_at, json!({}), Counter::Sent);
        let at = self.after(sent_at, 0.5, 20.0);
        let message = self.happens("email.bounced", at, &bodies::bounce(kind, sub_type, None));
        self.counts(counter);
        self.stands(self.to.clone(), reason);
        self.retell(&message, at);
    }

    /// A mail to three, of whom one bounces: the one that the diagnosis names; or nobody knows which.
    fn one_of_several(&mut self, sent_at: UnixMillis, who: &dyn Fn(&str) -> String) {
        self.to = vec![who("a"), who("b"), who("c")];
        self.says("email.sent", sent_at, json!({}), Counter::Sent);
        let at = self.after(sent_at, 0.5, 20.0);
        let named = who("b");
        let is_named = self.rng.bool();
        let diagnosis = is_named.then(|| vec![format!("smtp; 550 5.1.1 <{}>: user unknown", named.to_uppercase())]);
        self.happens("email.bounced", at, &bodies::bounce("Permanent", "General", diagnosis));
        self.counts(Counter::BouncedHard);
        self.stands(self.to.clone(), None);
        if is_named {
            self.stands(vec![named], Some(Reason::HardBounce));
        }
    }

    /// One of three mails to a mailbox that is full.
    fn full_mailbox(&mut self, sent_at: UnixMillis, place: u32) {
        let group = self.number - place;
        self.to = vec![format!("full-{group}-{:x}@example.com", self.story.seed as u32)];
        self.bounces(sent_at, "Transient", "MailboxFull", Counter::BouncedSoft, None);
        let all_three = group + 2 < self.story.emails;
        self.stands(self.to.clone(), all_three.then_some(Reason::SoftBounce));
    }

    /// What comes besides: contacts, Resend's own list, and what is odd.
    fn besides(&mut self, who: &dyn Fn(&str) -> String) {
        let until = self.story.until;
        if self.one_in(200) {
            let (contact, first) = (who("contact"), self.after(self.created_at, 1.0, 300.0));
            let id = self.resource("c");
            let contact_is =
                |unsubscribed: bool| json!({ "id": id, "email": contact.to_uppercase(), "unsubscribed": unsubscribed });
            self.resource_says("contact.updated", &id, first, contact_is(true));
            let comes_back = self.rng.bool();
            if comes_back {
                let later = UnixMillis((first.0 + 1_000).min(until.0));
                self.resource_says("contact.updated", &id, later, contact_is(false));
            }
            self.stands(vec![contact], (!comes_back).then_some(Reason::Unsubscribed));
        }
        if self.one_in(300) {
            let (listed, first) = (who("listed"), self.after(self.created_at, 1.0, 300.0));
            let id = self.resource("s");
            let entry = json!({ "id": id, "email": listed, "origin": "bounce", "source_id": self.email.id });
            self.resource_says("suppression.added", &id, first, entry.clone());
            let is_removed = self.rng.bool();
            if is_removed {
                let later = UnixMillis((first.0 + 1_000).min(until.0));
                self.resource_says("suppression.removed", &id, later, entry);
            }
            self.stands(vec![listed], (!is_removed).then_some(Reason::Provider));
        }
        let at = self.after(self.created_at, 1.0, 300.0);
        if self.story.nulls && self.one_in(20) {
            let data =
                json!({ "email_id": null, "to": null, "tags": null, "created_at": 5, "bounce": [], "subject": null });
            self.odd("email.delivered", at, bodies::event("email.delivered", at, data), Stored::Handled);
        }
        if self.story.unknown && self.one_in(20) {
            let body = bodies::event("email.teleported", at, json!({ "odd": true }));
            self.odd("email.teleported", at, body, Stored::Ignored);
        }
        if self.story.unreadable && self.one_in(100) {
            let broken: [&[u8]; 3] = [b"{\"type\": \"email.sent\"", b"[1, 2]", &[0xff, 0xfe, b'x']];
            let body = broken.get(self.rng.usize(..3)).copied().unwrap_or_default().to_vec();
            self.odd("quarantine", at, body, Stored::Quarantined);
        }
    }

    /// An event that is counted once for each message.
    fn says(&mut self, event_type: &str, at: UnixMillis, besides: serde_json::Value, counter: Counter) {
        self.happens(event_type, at, &besides);
        self.counts(counter);
    }

    fn engages(&mut self, event_type: &str, at: UnixMillis, besides: &serde_json::Value, verdict: Option<Verdict>) {
        let message = self.happens(event_type, at, besides);
        self.counts(if event_type == "email.opened" { Counter::Opened } else { Counter::Clicked });
        self.email.expected.verdicts.insert(message.event, verdict);
    }

    /// An event of the email.
    fn happens(&mut self, event_type: &str, at: UnixMillis, besides: &serde_json::Value) -> Message {
        let mail = Mail {
            email_id: &self.email.id,
            created_at: self.created_at,
            to: &self.to,
            campaign: self.story.campaign.as_str(),
            old_tags: self.old_tags,
        };
        let body = mail.event(event_type, at, besides.clone());
        let partition = self.email.id.clone();
        self.message(event_type, partition, at, body, Stored::Handled)
    }

    fn resource(&mut self, kind: &str) -> String {
        format!("{kind}{:07x}-51a0-4000-8000-{:012x}", self.story.seed as u32 & 0x0fff_ffff, self.number)
    }

    fn resource_says(&mut self, event_type: &str, id: &str, at: UnixMillis, data: serde_json::Value) {
        self.message(event_type, id.to_owned(), at, bodies::event(event_type, at, data), Stored::Handled);
    }

    /// What has no id of its own, and is kept under the message's.
    fn odd(&mut self, sort: &str, at: UnixMillis, body: Vec<u8>, stored: Stored) {
        let partition = format!("message#{}", self.next_id());
        self.message(sort, partition, at, body, stored);
    }

    /// The same happening, told by another message.
    fn retell(&mut self, first: &Message, at: UnixMillis) {
        if self.story.retold && self.one_in(3) {
            let event_type = first.event.split('#').next().unwrap_or_default().to_owned();
            self.message(&event_type, first.partition.clone(), at, first.body.clone(), Stored::Handled);
        }
    }

    fn next_id(&self) -> String {
        format!("msg_{:016x}{:07x}{:04}", self.story.seed, self.number, self.email.messages.len())
    }

    fn message(&mut self, sort: &str, partition: String, at: UnixMillis, body: Vec<u8>, stored: Stored) -> Message {
        let id = self.next_id();
        // From the mail server to Resend to here: mostly a moment, sometimes not.
        let on_its_way = if self.one_in(30) { self.rng.u64(..60_000) } else { self.rng.u64(50..900) };
        let event = format!("{sort}#{id}");
        let comes_at = at.plus(Duration::from_millis(on_its_way));
        let message = Message { id, partition, event, body, stored, comes_at };
        self.email.messages.push(message.clone());
        message
    }

    fn counts(&mut self, counter: Counter) {
        self.email.expected.counts.push((Cohort::of(self.created_at), counter));
    }

    /// Which reason stands for these in the end, as far as this email knows.
    fn stands(&mut self, recipients: Vec<String>, reason: Option<Reason>) {
        for recipient in recipients {
            self.email.expected.reasons.entry(recipient).or_default().extend(reason);
        }
    }
}
