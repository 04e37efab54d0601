//! The policy: the suppressions of an event, their merge, its counters, and a campaign's brake.

use divan::{Bencher, black_box};
use rebound::policy::brake::{BrakeInput, compute_brake};
use rebound::policy::counting::{Counter, CounterTotals, EventMeta, increments};
use rebound::policy::delay::{DelayRecord, DelayTracker, repeated};
use rebound::policy::limits::{BrakePolicy, DelayPolicy};
use rebound::policy::suppression::{
    ChangeEffect, Reason, ReasonDetail, Suppression, SuppressionChange, SuppressionEffect, suppression_effect,
};
use rebound::resend::campaign::{CampaignTags, Cohort};
use rebound::resend::event::Event;
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::time::{UnixMillis, days, hours};

use crate::events::sample;

const NOW: UnixMillis = UnixMillis(1_795_390_873_456);

fn message(number: usize) -> MessageId {
    MessageId::from_verified(format!("msg_{number:027}"))
}

/// Computes the suppressions of a parsed event.
#[divan::bench(args = ["delivered", "bounced", "complained"])]
fn suppression_protection(bencher: Bencher<'_, '_>, name: &str) {
    let (event, message) = (Event::read(sample(name).as_bytes()).unwrap(), message(1));
    bencher.bench_local(|| suppression_effect(black_box(&event), &message, NOW));
}

/// Merges changes one after another into a recipient's state; the time is for all of them.
#[divan::bench(args = [1, 10, 100])]
fn suppression_merge(bencher: Bencher<'_, '_>, number: usize) {
    let change = |(index, reason): (usize, Reason)| {
        let lifts = index % 3 == 2;
        let effect = if lifts { ChangeEffect::Lift } else { ChangeEffect::Suppress(ReasonDetail::default()) };
        // Out of order, as in reality.
        SuppressionChange { reason, at: UnixMillis((index * 7_919 % 1_000) as i64), message: message(index), effect }
    };
    let changes: Vec<SuppressionChange> =
        Reason::ALL.iter().copied().cycle().take(number).enumerate().map(change).collect();
    bencher.bench_local(|| {
        let known = black_box(&changes).iter().fold(Suppression::default(), Suppression::merge);
        (known.reasons().count(), known.expires_at())
    });
}

/// Computes the counters of an event.
#[divan::bench(args = ["delivered", "bounced"])]
fn counting(bencher: Bencher<'_, '_>, name: &str) {
    let event = Event::read(sample(name).as_bytes()).unwrap();
    let received =
        EventMeta { message: message(1), partition: "e1".to_owned(), at: NOW, expires_at: NOW.plus(days(30)) };
    let (tags, nothing) = (CampaignTags::new(Some("campaign")), SuppressionEffect::Nothing);
    bencher.bench_local(|| increments(black_box(&event), &received, &nothing, &tags));
}

/// Computes a campaign's brake with a full week of cohorts: open, and slowed by this many complaints (then with the
/// time of its end).
#[divan::bench(args = [0, 3, 8])]
fn brake_of_a_week(bencher: Bencher<'_, '_>, complaints: u32) {
    let cohort = |hour: u32| {
        let mut figures = CounterTotals::default();
        figures.add(Counter::Sent, 10);
        figures.add(Counter::Delivered, 9);
        (Cohort::containing(NOW.minus(hours(hour))), figures)
    };
    let view = BrakeInput {
        cohorts: (0..24 * 7).map(cohort).collect(),
        complaints: (0..complaints).map(|hour| NOW.minus(hours(hour))).collect(),
        late: rebound::policy::counting::late::LateSends::default(),
    };
    let policy = BrakePolicy::default();
    bencher.bench_local(|| compute_brake(black_box(&view), &policy, NOW));
}

/// Decides if a delayed email needs an alert, from all its events, each parsed first.
#[divan::bench]
fn delay(bencher: Bencher<'_, '_>) {
    let recipient = Recipient::parse("maya.lindqvist@example.com").unwrap();
    let policy = DelayPolicy::default();
    bencher.bench_local(|| {
        let mut wait = DelayTracker::default();
        for body in [sample("delayed"), sample("delivered")] {
            wait.add(&Event::read(black_box(body).as_bytes()).unwrap(), NOW, &recipient);
        }
        wait.status(&policy, NOW)
    });
}

/// Decides which of a recipient's delayed emails need an alert.
#[divan::bench(args = [2, 20])]
fn delay_repeated(bencher: Bencher<'_, '_>, number: u32) {
    let one = |index: u32| DelayRecord {
        email_id: format!("email {index}"),
        first: NOW.minus(days(index)),
        last: NOW.minus(days(index)).plus(hours(2)),
    };
    let (delays, policy): (Vec<DelayRecord>, _) = ((0..number).map(one).collect(), DelayPolicy::default());
    bencher.bench_local(|| repeated(black_box(&delays), &policy).len());
}
