//! The builder of one email: makes its webhooks, and the expected results together with them.

use std::time::Duration;

use rebound::policy::counting::Counter;
use rebound::policy::suppression::Reason;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::Cohort;
use rebound::time::UnixMillis;
use serde_json::json;

use super::{Email, ExpectedStatus, FULL_EVERY, Scenario, SimulatedWebhook};
use crate::simulate::payloads::{self, APPLE, EmailFields, GOOGLE, PHONE};

/// Builds one email of a scenario.
pub(super) struct ScenarioBuilder<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) number: u32,
    pub(super) to: Vec<String>,
    pub(super) old_tags: bool,
    pub(super) created_at: UnixMillis,
    pub(super) email: Email,
    pub(super) rng: fastrand::Rng,
}

impl ScenarioBuilder<'_> {
    /// Returns true with a probability of 1 / `many`.
    fn one_in(&mut self, many: u32) -> bool {
        self.rng.u32(..many) == 0
    }

    /// A random time, `at_least` to `at_most` seconds after `from`, but not after the scenario's end.
    fn after(&mut self, from: UnixMillis, at_least: f64, at_most: f64) -> UnixMillis {
        let left = (self.scenario.until.0 - from.0 - 1_000).max(2);
        let (least, most) = ((at_least * 1_000.0) as i64, (at_most * 1_000.0) as i64);
        let most = most.min(left).max(1);
        UnixMillis(from.0 + self.rng.i64(least.min(most - 1).max(0)..most))
    }

    pub(super) fn build(&mut self, who: &dyn Fn(&str) -> String) {
        let place = self.number % FULL_EVERY;
        if place < 3 {
            return self.full_mailbox(place);
        }
        let sent_at = self.after(self.created_at, 0.2, 1.5);
        match self.rng.u32(..1_000) {
            0..2 => self.emit_counted(
                "email.failed",
                sent_at,
                json!({ "failed": { "reason": "reached_daily_quota" } }),
                Counter::Failed,
            ),
            2..6 => {
                self.emit_counted("email.sent", sent_at, json!({}), Counter::Sent);
                let at = self.after(sent_at, 0.1, 2.0);
                let why =
                    json!({ "suppressed": { "message": "on the account's list", "type": "OnAccountSuppressionList" } });
                self.emit_counted("email.suppressed", at, why, Counter::Suppressed);
                self.expect_reason(self.to.clone(), Some(Reason::Provider));
            }
            6..14 => self.bounces(sent_at, "Permanent", "General", Counter::BouncedHard, Some(Reason::HardBounce)),
            14..15 => self.bounces(sent_at, "permanent", "MessageRejected", Counter::BouncedSoft, None),
            15..23 => self.bounces(sent_at, "Transient", "MailboxFull", Counter::BouncedSoft, None),
            23..27 => self.bounce_one_of_three(sent_at, who),
            _ => {
                self.emit_counted("email.sent", sent_at, json!({}), Counter::Sent);
                let mut from = sent_at;
                if self.one_in(50) {
                    from = self.after(sent_at, 1.0, 30.0);
                    self.emit_counted("email.delivery_delayed", from, json!({}), Counter::Delayed);
                }
                let delivered_at = self.after(from, 0.5, 6.0);
                self.emit_counted("email.delivered", delivered_at, json!({}), Counter::Delivered);
                self.expect_reason(self.to.clone(), None);
                self.emit_reads(delivered_at);
            }
        }
        self.extra(who);
    }

    /// Adds the opens, clicks and complaints about a delivered email, by humans and machines.
    fn emit_reads(&mut self, delivered_at: UnixMillis) {
        if self.one_in(1_000) {
            let at = self.after(delivered_at, 20.0, 1_800.0);
            let message = self.emit("email.complained", at, &json!({}));
            self.expect_count(Counter::Complained);
            self.email.expected.complaints.push(at);
            self.email.expected.stops.push((message.partition.clone(), message.event.clone()));
            self.expect_reason(self.to.clone(), Some(Reason::Complaint));
            self.emit_duplicate(&message, at);
            return;
        }
        if self.scenario.scanners && self.one_in(25) {
            let first = self.after(delivered_at, 15.0, 90.0);
            for link in 0..5 {
                let at = first.plus(Duration::from_millis(link * 120));
                let said = payloads::click(at, PHONE, usize::try_from(link).unwrap_or(0), "198.51.100.20");
                self.emit_engagement("email.clicked", at, &said, Some(Verdict::Machine));
            }
            return;
        }
        if self.one_in(9) {
            let at = self.after(delivered_at, 1.0, 20.0);
            self.emit_engagement("email.opened", at, &payloads::open(at, APPLE), Some(Verdict::Unsure));
        }
        if self.one_in(4) {
            let at = self.after(delivered_at, 30.0, 2_400.0);
            let agent = if self.rng.bool() { PHONE } else { GOOGLE };
            // Many opens have no user agent.
            let (said, verdict) = match self.one_in(3) {
                true => (json!({}), None),
                false => (payloads::open(at, agent), Some(Verdict::Human)),
            };
            self.emit_engagement("email.opened", at, &said, verdict);
            if self.one_in(4) {
                let at = self.after(at, 3.0, 600.0);
                self.emit_engagement(
                    "email.clicked",
                    at,
                    &payloads::click(at, PHONE, 1, "203.0.113.7"),
                    Some(Verdict::Human),
                );
                if self.one_in(4) {
                    self.unsubscribe(at);
                }
            }
        }
    }

    /// The recipient unsubscribes some time after a click, perhaps after a follow-up was decided.
    fn unsubscribe(&mut self, clicked_at: UnixMillis) {
        let (id, at) = (self.resource("d"), self.after(clicked_at, 1.0, 300.0));
        let contact = json!({ "id": id, "email": self.to.first(), "unsubscribed": true });
        let message = self.emit_resource("contact.updated", &id, at, contact);
        self.email.expected.stops.push((message.partition, message.event));
        self.expect_reason(self.to.clone(), Some(Reason::Unsubscribed));
    }

    fn bounces(&mut self, sent_at: UnixMillis, kind: &str, sub_type: &str, counter: Counter, reason: Option<Reason>) {
        self.emit_counted("email.sent", sent_at, json!({}), Counter::Sent);
        let at = self.after(sent_at, 0.5, 20.0);
        let message = self.emit("email.bounced", at, &payloads::bounce(kind, sub_type, None));
        self.expect_count(counter);
        self.expect_reason(self.to.clone(), reason);
        self.emit_duplicate(&message, at);
    }

    /// An email to three recipients, of which one bounces: the one that the diagnosis names, or an unknown one.
    fn bounce_one_of_three(&mut self, sent_at: UnixMillis, who: &dyn Fn(&str) -> String) {
        self.to = vec![who("a"), who("b"), who("c")];
        self.emit_counted("email.sent", sent_at, json!({}), Counter::Sent);
        let at = self.after(sent_at, 0.5, 20.0);
        let named = who("b");
        let is_named = self.rng.bool();
        let diagnosis = is_named.then(|| vec![format!("smtp; 550 5.1.1 <{}>: user unknown", named.to_uppercase())]);
        self.emit("email.bounced", at, &payloads::bounce("Permanent", "General", diagnosis));
        self.expect_count(Counter::BouncedHard);
        self.expect_reason(self.to.clone(), None);
        if is_named {
            self.expect_reason(vec![named], Some(Reason::HardBounce));
        }
    }

    /// One of three emails to a full mailbox.
    fn full_mailbox(&mut self, place: u32) {
        let group = self.number - place;
        self.to = vec![Scenario::full_mailbox(self.scenario.seed, group)];
        // In the scenario's last minute: a soft bounce that is more than ten minutes older than its receipt does not count.
        self.created_at = self.created_at.max(self.scenario.until.minus(Duration::from_secs(60)));
        let sent_at = self.after(self.created_at, 0.2, 1.5);
        self.bounces(sent_at, "Transient", "MailboxFull", Counter::BouncedSoft, None);
        let all_three = group + 2 < self.scenario.emails;
        self.expect_reason(self.to.clone(), all_three.then_some(Reason::SoftBounce));
    }

    /// Adds webhooks that are not about the email: contacts, Resend's suppression list, odd and invalid bodies.
    fn extra(&mut self, who: &dyn Fn(&str) -> String) {
        let until = self.scenario.until;
        if self.one_in(200) {
            let (contact, first) = (who("contact"), self.after(self.created_at, 1.0, 300.0));
            let id = self.resource("c");
            let contact_is =
                |unsubscribed: bool| json!({ "id": id, "email": contact.to_uppercase(), "unsubscribed": unsubscribed });
            self.emit_resource("contact.updated", &id, first, contact_is(true));
            let comes_back = self.rng.bool();
            if comes_back {
                let later = UnixMillis((first.0 + 1_000).min(until.0));
                self.emit_resource("contact.updated", &id, later, contact_is(false));
            }
            self.expect_reason(vec![contact], (!comes_back).then_some(Reason::Unsubscribed));
        }
        if self.one_in(300) {
            let (listed, first) = (who("listed"), self.after(self.created_at, 1.0, 300.0));
            let id = self.resource("s");
            let entry = json!({ "id": id, "email": listed, "origin": "bounce", "source_id": self.email.id });
            self.emit_resource("suppression.added", &id, first, entry.clone());
            let is_removed = self.rng.bool();
            if is_removed {
                let later = UnixMillis((first.0 + 1_000).min(until.0));
                self.emit_resource("suppression.removed", &id, later, entry);
            }
            self.expect_reason(vec![listed], (!is_removed).then_some(Reason::Provider));
        }
        let at = self.after(self.created_at, 1.0, 300.0);
        if self.scenario.nulls && self.one_in(20) {
            let data =
                json!({ "email_id": null, "to": null, "tags": null, "created_at": 5, "bounce": [], "subject": null });
            self.emit_odd("email.delivered", at, payloads::event("email.delivered", at, data), ExpectedStatus::Handled);
        }
        if self.scenario.unknown && self.one_in(20) {
            let body = payloads::event("email.teleported", at, json!({ "odd": true }));
            self.emit_odd("email.teleported", at, body, ExpectedStatus::Ignored);
        }
        if self.scenario.unreadable && self.one_in(100) {
            let broken: [&[u8]; 3] = [b"{\"type\": \"email.sent\"", b"[1, 2]", &[0xff, 0xfe, b'x']];
            let body = broken.get(self.rng.usize(..3)).copied().unwrap_or_default().to_vec();
            self.emit_odd("quarantine", at, body, ExpectedStatus::Quarantined);
        }
    }

    /// Adds an event of which each webhook is counted.
    fn emit_counted(&mut self, event_type: &str, at: UnixMillis, extra: serde_json::Value, counter: Counter) {
        self.emit(event_type, at, &extra);
        self.expect_count(counter);
    }

    fn emit_engagement(
        &mut self,
        event_type: &str,
        at: UnixMillis,
        extra: &serde_json::Value,
        verdict: Option<Verdict>,
    ) {
        let message = self.emit(event_type, at, extra);
        self.expect_count(if event_type == "email.opened" { Counter::Opened } else { Counter::Clicked });
        self.email.expected.verdicts.insert(message.event, verdict);
    }

    /// Adds an event about the email.
    fn emit(&mut self, event_type: &str, at: UnixMillis, extra: &serde_json::Value) -> SimulatedWebhook {
        let fields = EmailFields {
            email_id: &self.email.id,
            created_at: self.created_at,
            to: &self.to,
            campaign: self.scenario.campaign.as_str(),
            old_tags: self.old_tags,
        };
        let body = fields.event(event_type, at, extra.clone());
        let partition = self.email.id.clone();
        self.message(event_type, partition, at, body, ExpectedStatus::Handled)
    }

    fn resource(&mut self, kind: &str) -> String {
        format!("{kind}{:07x}-51a0-4000-8000-{:012x}", self.scenario.seed as u32 & 0x0fff_ffff, self.number)
    }

    fn emit_resource(
        &mut self,
        event_type: &str,
        id: &str,
        at: UnixMillis,
        data: serde_json::Value,
    ) -> SimulatedWebhook {
        self.message(event_type, id.to_owned(), at, payloads::event(event_type, at, data), ExpectedStatus::Handled)
    }

    /// Adds a webhook without a resource id, which is stored under the webhook's id.
    fn emit_odd(&mut self, sort: &str, at: UnixMillis, body: Vec<u8>, stored: ExpectedStatus) {
        let partition = format!("message#{}", self.next_id());
        self.message(sort, partition, at, body, stored);
    }

    /// Adds a second webhook about the same occurrence, now and then.
    fn emit_duplicate(&mut self, first: &SimulatedWebhook, at: UnixMillis) {
        if self.scenario.retold && self.one_in(3) {
            let event_type = first.event.split('#').next().unwrap_or_default().to_owned();
            self.message(&event_type, first.partition.clone(), at, first.body.clone(), ExpectedStatus::Handled);
        }
    }

    fn next_id(&self) -> String {
        format!("msg_{:016x}{:07x}{:04}", self.scenario.seed, self.number, self.email.messages.len())
    }

    fn message(
        &mut self,
        sort: &str,
        partition: String,
        at: UnixMillis,
        body: Vec<u8>,
        stored: ExpectedStatus,
    ) -> SimulatedWebhook {
        let id = self.next_id();
        // Delay from the mail server to Resend to the function: mostly short, sometimes long.
        let on_its_way = if self.one_in(30) { self.rng.u64(..60_000) } else { self.rng.u64(50..900) };
        let event = format!("{sort}#{id}");
        let arrives_at = at.plus(Duration::from_millis(on_its_way));
        let message = SimulatedWebhook { id, partition, event, body, stored, arrives_at };
        self.email.messages.push(message.clone());
        message
    }

    fn expect_count(&mut self, counter: Counter) {
        self.email.expected.counts.push((Cohort::containing(self.created_at), counter));
    }

    /// Records the reason that must be active for these recipients at the end, as far as it follows from this email.
    fn expect_reason(&mut self, recipients: Vec<String>, reason: Option<Reason>) {
        for recipient in recipients {
            self.email.expected.reasons.entry(recipient).or_default().extend(reason);
        }
    }
}
