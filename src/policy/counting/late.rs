//! Emails that are sent long after their creation: Resend schedules them up to 30 days ahead.
//!
//! Emails count in the hour of their creation, and a brake reads the cohorts of its window. A cohort that was created
//! before the window and sent within it must count too. So late sends are also counted by the hour of sending:
//!
//! ```text
//!   created 13th 09:10                              sent 23rd 13:05     bounced 23rd 13:06
//!   ───────┴────────────────────────────────────────────────┴────────────────────┴──────▶
//!   cohort 13T09 ◀── sent, bounced_hard                     │
//!                               late, 23T13 of 13T09 ◀── sent
//! ```

use std::collections::BTreeMap;

use super::{Counter, CounterTotals};
use crate::resend::campaign::Cohort;
use crate::time::{UnixMillis, hours};

/// Number of hours after the hour of its creation from which an email is sent late.
const LATE_AFTER_HOURS: u32 = 6;

/// A cohort belongs to a window if at least one in this number of its emails was sent late within it.
const ONE_IN: i64 = 10;

/// Returns the hour in which an email of a cohort was sent, or `None` if the email is not late.
pub fn late_hour(cohort: Cohort, sent_at: UnixMillis) -> Option<Cohort> {
    let hour = Cohort::containing(sent_at);
    (hour.start() > cohort.start().plus(hours(LATE_AFTER_HOURS))).then_some(hour)
}

/// Number of late emails of each cohort, by the hour of sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateSends(BTreeMap<Cohort, BTreeMap<Cohort, i64>>);

impl LateSends {
    /// Adds emails of a cohort that were sent in an hour.
    pub fn add(&mut self, cohort: Cohort, hour: Cohort, sent: i64) {
        *self.0.entry(cohort).or_default().entry(hour).or_default() += sent;
    }

    /// Returns the cohorts with late sends in this hour or later.
    pub fn cohorts_sent_since(&self, from: Cohort) -> impl Iterator<Item = Cohort> {
        self.0.keys().copied().filter(move |cohort| self.sent_since(*cohort, from) > 0)
    }

    /// Returns the `cohorts` that belong to the window that begins with the hour `from`. They were created within it,
    /// or at least a tenth of them was sent late within it.
    pub fn within<'a>(
        &'a self,
        cohorts: &'a [(Cohort, CounterTotals)],
        from: Cohort,
    ) -> impl Iterator<Item = &'a (Cohort, CounterTotals)> {
        cohorts.iter().filter(move |(cohort, figures)| {
            let late = || self.sent_since(*cohort, from);
            *cohort >= from || (late() > 0 && late().saturating_mul(ONE_IN) >= figures.get(Counter::Sent))
        })
    }

    fn sent_since(&self, cohort: Cohort, from: Cohort) -> i64 {
        self.0.get(&cohort).map_or(0, |hours| hours.range(from..).map(|(_, sent)| sent).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::counting::{DedupKey, EventMeta, increments};
    use crate::policy::suppression::SuppressionEffect;
    use crate::resend::campaign::CampaignTags;
    use crate::resend::event::Event;
    use crate::resend::signature::MessageId;

    const HOUR: i64 = 60 * 60 * 1000;
    const NOW: UnixMillis = UnixMillis(1_795_440_600_000); // 2026-11-23T13:30:00Z

    fn ago(hours: i64) -> Cohort {
        Cohort::containing(UnixMillis(NOW.0 - hours * HOUR))
    }

    #[test]
    fn more_than_six_hours_after_the_hour_of_creation_is_late() {
        let late = |text: &str| {
            let hour = late_hour(ago(0), UnixMillis::parse(text).unwrap());
            hour.map(|hour| hour.to_string())
        };
        assert_eq!(late("2026-11-23T19:59:59.999Z"), None);
        assert_eq!(late("2026-11-23T20:00:00Z").as_deref(), Some("2026-11-23T20"));
        assert_eq!(late("2026-12-23T13:30:00Z").as_deref(), Some("2026-12-23T13"));
        assert_eq!(late("2026-11-01T00:00:00Z"), None, "sent before it was created");
    }

    #[test]
    fn an_old_cohort_counts_if_a_tenth_of_it_was_sent_within() {
        let cohorts = [(ago(240), CounterTotals([(Counter::Sent, 1_000)].into()))];
        let is_within = |sent: i64, hours_ago: i64| {
            let mut late = LateSends::default();
            late.add(ago(240), ago(hours_ago), sent);
            late.within(&cohorts, ago(24)).count() == 1
        };
        assert!(is_within(100, 1) && is_within(100, 24) && is_within(1_000, 1));
        assert!(!is_within(99, 1), "less than a tenth");
        assert!(!is_within(1_000, 25), "it was sent before the window");
        assert_eq!(LateSends::default().within(&cohorts, ago(240)).count(), 1, "created within");
        assert_eq!(LateSends::default().within(&cohorts, ago(239)).count(), 0);
    }

    /// Emails by creation and sending, in hours ago, and an order with duplicates, cut into batches.
    fn sent() -> impl Strategy<Value = (Vec<(i64, i64)>, Vec<usize>, usize)> {
        prop::collection::vec((0..300_i64, 0..60_i64), 1..20).prop_flat_map(|emails| {
            let twice: Vec<usize> = (0..emails.len()).chain(0..emails.len()).collect();
            (Just(emails), Just(twice).prop_shuffle(), 1..9_usize)
        })
    }

    /// Returns the counters after each webhook counts once: the cohorts, and their late sends.
    fn counted(emails: &[(i64, i64)], order: &[usize], batch: usize) -> (BTreeMap<Cohort, i64>, LateSends) {
        let (mut cohorts, mut late) = (BTreeMap::new(), LateSends::default());
        let mut known = BTreeSet::new();
        for number in order.chunks(batch).flatten() {
            let (created, sent) = emails[*number];
            let time = |hours: i64| UnixMillis(NOW.0 - hours * HOUR).to_text();
            let data = json!({ "created_at": time(created), "tags": { "campaign": "a" } });
            let body = json!({ "type": "email.sent", "created_at": time(sent), "data": data }).to_string();
            let message = MessageId::from_verified(format!("m{number}"));
            let received = EventMeta { message, partition: "e".to_owned(), at: NOW, expires_at: NOW };
            let event = Event::read(body.as_bytes()).unwrap();
            for count in increments(&event, &received, &SuppressionEffect::Nothing, &CampaignTags::new(None)) {
                let DedupKey::Webhook { hash, .. } = count.dedup_key else { panic!("a send counts per webhook") };
                if known.insert(hash) {
                    *cohorts.entry(count.cohort).or_insert(0) += 1;
                    count.late.into_iter().for_each(|hour| late.add(count.cohort, hour, 1));
                }
            }
        }
        (cohorts, late)
    }

    proptest! {
        #[test]
        fn late_sums_are_the_same_in_any_order_and_batches((emails, order, batch) in sent()) {
            let in_order: Vec<usize> = (0..emails.len()).collect();
            let (cohorts, late) = counted(&emails, &order, batch);
            prop_assert_eq!((&cohorts, &late), (&counted(&emails, &in_order, 1).0, &counted(&emails, &in_order, 1).1));
            let expected = emails.iter().filter(|(created, sent)| created - sent > 6).count();
            let sums = late.0.values().flat_map(BTreeMap::values).sum::<i64>();
            prop_assert_eq!(sums, i64::try_from(expected).unwrap());
        }
    }
}
