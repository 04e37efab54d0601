//! Check of delayed emails. An email needs an alert if it has waited too long, or if its recipient's emails are delayed
//! repeatedly.
//!
//! Emails are delayed every day, and nearly all are delivered within the hour, so a delay alone needs no alert. A wait
//! becomes too long without any further event. So the check is repeated at the due time.

use std::time::Duration;

use super::affected::AffectedRecipients;
use super::limits::DelayPolicy;
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::time::{UnixMillis, days, hours};

/// Status of a delayed email.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayStatus {
    /// The email has an outcome. No alert is needed.
    Resolved,
    /// The email may still be delivered in time. The value is the time of the next check.
    Waiting(UnixMillis),
    /// The email has waited too long. The value is the start of the wait.
    Overdue(UnixMillis),
}

/// Facts from the events of one email about its wait for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelayTracker {
    sent: Option<UnixMillis>,
    scheduled: bool,
    created: Option<UnixMillis>,
    delayed: Option<UnixMillis>,
    resolved: bool,
}

impl DelayTracker {
    /// Creates the tracker of an email with a known time of delay.
    pub fn of_delayed(at: UnixMillis) -> Self {
        Self { delayed: Some(at), ..Self::default() }
    }

    /// Adds one event of the email, with its time. The order of events doesn't matter.
    pub fn add(&mut self, event: &Event<'_>, at: UnixMillis, recipient: &Recipient) {
        let earliest = |known: Option<UnixMillis>, new: UnixMillis| Some(known.map_or(new, |known| known.min(new)));
        if let Some(created) = event.resource_created_at() {
            self.created = earliest(self.created, created.min(at));
        }
        if let Some(EventType::EmailSent | EventType::EmailDelivered) = event.event_type() {
            self.sent = earliest(self.sent, at);
        }
        match event.event_type() {
            Some(EventType::EmailScheduled) => self.scheduled = true,
            Some(EventType::EmailDeliveryDelayed) if is_about(event, recipient) => {
                self.delayed = earliest(self.delayed, at);
            }
            Some(
                EventType::EmailDelivered
                | EventType::EmailBounced
                | EventType::EmailComplained
                | EventType::EmailFailed
                | EventType::EmailSuppressed
                | EventType::EmailOpened
                | EventType::EmailClicked,
            ) if is_about(event, recipient) => self.resolved = true,
            _ => {}
        }
    }

    /// Returns the start of the wait: the time of sending, which is also known from a delivery to another recipient.
    /// Without it, the wait starts at the email's creation. For a scheduled email it starts at the delay, which proves
    /// that it was sent.
    fn since(&self) -> Option<UnixMillis> {
        match (self.sent, self.scheduled) {
            (Some(sent), _) => Some(sent),
            (None, false) => self.created.or(self.delayed),
            (None, true) => self.delayed,
        }
    }

    /// Returns the status at `now`.
    pub fn status(&self, policy: &DelayPolicy, now: UnixMillis) -> DelayStatus {
        let Some(since) = self.since().filter(|_| !self.resolved && self.delayed.is_some()) else {
            return DelayStatus::Resolved;
        };
        let due = since.plus(hours(policy.hours));
        if now > due { DelayStatus::Overdue(since) } else { DelayStatus::Waiting(due) }
    }
}

/// Returns true if an outcome is about this recipient, or may be.
fn is_about(event: &Event<'_>, recipient: &Recipient) -> bool {
    match AffectedRecipients::by_outcome(event) {
        AffectedRecipients::Known(all) => all.contains(recipient),
        AffectedRecipients::Unclear(possible) => possible.is_empty() || possible.contains(recipient),
    }
}

/// A recipient's delayed email, with its first and last delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayRecord {
    /// The email.
    pub email_id: String,
    /// Time of the first delay.
    pub first: UnixMillis,
    /// Time of the last known delay.
    pub last: UnixMillis,
}

/// Time after the policy's window in which a late webhook may still arrive, in days: Resend replays webhooks that are
/// 30 days old.
const LATE_DAYS: u32 = 35;

impl DelayPolicy {
    /// Returns the time for which a recipient's delayed email is stored: the window in which another may follow, plus
    /// the time for late webhooks.
    pub fn retention(&self) -> Duration {
        days(self.repeated_within_days.saturating_add(LATE_DAYS))
    }
}

/// An email that needs an alert because other emails to its recipient were delayed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedDelay<'a> {
    /// The email, with the time of its delay.
    pub delayed: &'a DelayRecord,
    /// Number of delayed emails, including this one.
    pub emails: usize,
}

/// Returns the emails of one recipient that need an alert because another was delayed before them, within the policy's
/// days.
pub fn repeated<'a>(delays: &'a [DelayRecord], policy: &DelayPolicy) -> Vec<RepeatedDelay<'a>> {
    let within = days(policy.repeated_within_days);
    let order = |delayed: &DelayRecord| (delayed.first, delayed.email_id.clone());
    let precedes = |earlier: &DelayRecord, later: &DelayRecord| {
        order(earlier) < order(later) && later.first <= earlier.last.plus(within)
    };
    let repeated = |later: &'a DelayRecord| {
        let before = delays.iter().filter(|earlier| precedes(earlier, later)).count();
        (before > 0).then_some(RepeatedDelay { delayed: later, emails: before + 1 })
    };
    delays.iter().filter_map(repeated).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse(&format!("2026-11-{text}Z")).unwrap()
    }

    fn wait(events: &[(&str, &str, Value)]) -> DelayTracker {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let mut wait = DelayTracker::default();
        for (event_type, when, to) in events {
            let data = json!({ "created_at": "2026-11-20T08:00:00Z", "to": to });
            let body = json!({ "type": event_type, "data": data }).to_string();
            wait.add(&Event::read(body.as_bytes()).unwrap(), at(when), &ann);
        }
        wait
    }

    fn verdict(events: &[(&str, &str, Value)], now: &str) -> DelayStatus {
        wait(events).status(&DelayPolicy::default(), at(now))
    }

    fn ann() -> Value {
        json!(["ann@example.com"])
    }

    #[test]
    fn an_email_needs_an_alert_more_than_a_day_after_sending() {
        let events = [("email.sent", "20T09:00:00", ann()), ("email.delivery_delayed", "20T10:00:00", ann())];
        assert_eq!(verdict(&events, "21T08:59:59"), DelayStatus::Waiting(at("21T09:00:00")));
        assert_eq!(verdict(&events, "21T09:00:00"), DelayStatus::Waiting(at("21T09:00:00")));
        assert_eq!(verdict(&events, "21T09:00:00.001"), DelayStatus::Overdue(at("20T09:00:00")));
    }

    #[test]
    fn the_wait_starts_at_creation_or_if_scheduled_at_the_delay() {
        let delayed = ("email.delivery_delayed", "20T10:00:00", ann());
        assert_eq!(verdict(std::slice::from_ref(&delayed), "20T12:00:00"), DelayStatus::Waiting(at("21T08:00:00")));
        let scheduled = ("email.scheduled", "20T08:00:00", ann());
        assert_eq!(verdict(&[delayed, scheduled], "20T12:00:00"), DelayStatus::Waiting(at("21T10:00:00")));
    }

    #[test]
    fn a_delivery_to_another_shows_the_start_of_the_wait() {
        let delayed = ("email.delivery_delayed", "25T10:00:00", ann());
        let bobs = ("email.delivered", "25T09:00:00", json!(["bob@example.com"]));
        let waits_since_then = DelayStatus::Waiting(at("26T09:00:00"));
        assert_eq!(verdict(&[delayed.clone(), bobs.clone()], "25T12:00:00"), waits_since_then, "created five days ago");
        let scheduled = ("email.scheduled", "20T08:00:00", ann());
        assert_eq!(verdict(&[bobs, scheduled, delayed], "25T12:00:00"), waits_since_then);
    }

    #[test]
    fn only_the_recipients_own_outcome_resolves_it_in_any_order() {
        let delayed = ("email.delivery_delayed", "20T10:00:00", ann());
        for outcome in ["email.delivered", "email.bounced", "email.failed", "email.opened"] {
            let own = (outcome, "20T11:00:00", ann());
            assert_eq!(verdict(&[own.clone(), delayed.clone()], "23T00:00:00"), DelayStatus::Resolved);
            assert_eq!(verdict(&[delayed.clone(), own], "23T00:00:00"), DelayStatus::Resolved);
            let anothers = (outcome, "20T11:00:00", json!(["bob@example.com"]));
            assert!(
                matches!(verdict(&[delayed.clone(), anothers], "23T00:00:00"), DelayStatus::Overdue(_)),
                "{outcome}"
            );
        }
        assert_eq!(
            verdict(&[("email.sent", "20T09:00:00", ann())], "23T00:00:00"),
            DelayStatus::Resolved,
            "never delayed"
        );
    }

    #[test]
    fn if_only_the_delay_is_known_the_wait_starts_there() {
        let wait = DelayTracker::of_delayed(at("20T10:00:00"));
        assert_eq!(wait.status(&DelayPolicy::default(), at("20T12:00:00")), DelayStatus::Waiting(at("21T10:00:00")));
        assert_eq!(wait.status(&DelayPolicy::default(), at("22T12:00:00")), DelayStatus::Overdue(at("20T10:00:00")));
    }

    #[test]
    fn a_second_delayed_email_within_seven_days_needs_an_alert() {
        let delay = |email: &str, first: i64, last: i64| DelayRecord {
            email_id: email.to_owned(),
            first: UnixMillis(first * HOUR),
            last: UnixMillis(last * HOUR),
        };
        let policy = DelayPolicy::default();
        let news = |delays: &[DelayRecord]| -> Vec<(String, usize)> {
            let repeated = repeated(delays, &policy);
            repeated.into_iter().map(|news| (news.delayed.email_id.clone(), news.emails)).collect()
        };
        let of = |email: &str, emails: usize| vec![(email.to_owned(), emails)];
        assert_eq!(news(&[delay("a", 0, 5)]), []);
        assert_eq!(news(&[delay("b", 7 * 24 + 5, 200), delay("a", 0, 5)]), of("b", 2));
        assert_eq!(news(&[delay("b", 7 * 24 + 6, 200), delay("a", 0, 5)]), []);
        assert_eq!(news(&[delay("a", 0, 0), delay("b", 0, 0)]), of("b", 2), "one of two delayed at the same time");
        let long_ago = delay("z", -100 * 24, -100 * 24);
        assert_eq!(news(&[long_ago, delay("a", 0, 0), delay("b", 1, 1)]), of("b", 2), "an old delay does not count");
    }
}
