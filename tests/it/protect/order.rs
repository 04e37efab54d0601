//! Any order, any duplicates, any batches: the same suppressions, counters and brakes every time.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proptest::prelude::*;
use rebound::aws::stream::BatchResponse;
use rebound::policy::brake::{BrakeInput, compute_brake};
use rebound::policy::counting::late::LateSends;
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::limits::BrakePolicy;
use rebound::resend::campaign::Cohort;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use super::{HOUR, MINUTE, NOW, ProtectHarness, after, message_of};
use crate::support::secret;

/// One webhook.
#[derive(Clone, Debug)]
pub(super) struct ReportedWebhook {
    pub(super) id: String,
    pub(super) counter: Counter,
    pub(super) email: u8,
    pub(super) recipient: u8,
    pub(super) at: UnixMillis,
    pub(super) created: UnixMillis,
}

impl ReportedWebhook {
    fn campaign(&self) -> String {
        format!("campaign-{}", self.email % 3)
    }

    pub(super) fn message(&self) -> SignedMessage {
        let (event_type, more) = match self.counter {
            Counter::Sent => ("email.sent", json!({})),
            Counter::Delivered => ("email.delivered", json!({})),
            Counter::Delayed => ("email.delivery_delayed", json!({})),
            Counter::BouncedHard => ("email.bounced", json!({ "bounce": { "type": "Permanent" } })),
            Counter::BouncedSoft => ("email.bounced", json!({ "bounce": { "type": "Transient" } })),
            Counter::Complained => ("email.complained", json!({})),
            Counter::Failed => ("email.failed", json!({ "failed": { "reason": "reached_daily_quota" } })),
            Counter::Suppressed => ("email.suppressed", json!({})),
            Counter::Opened => ("email.opened", json!({})),
            Counter::Clicked => ("email.clicked", json!({})),
        };
        let mut data = more;
        data["email_id"] = json!(format!("e{}", self.email));
        data["created_at"] = json!(self.created.to_text());
        data["to"] = json!([format!("r{}@example.com", self.recipient)]);
        data["tags"] = json!({ "campaign": self.campaign() });
        let body = json!({ "type": event_type, "created_at": self.at.to_text(), "data": data }).to_string();
        SignedMessage::new(self.id.clone(), NOW.seconds(), body, &secret())
    }

    fn is_once_per_occurrence(&self) -> bool {
        matches!(self.counter, Counter::Complained | Counter::BouncedHard | Counter::BouncedSoft)
    }
}

/// The order in which the webhooks arrive, and the batches of the stream.
#[derive(Clone, Debug)]
struct ArrivalOrder {
    /// The order of receipt; each at least once.
    order: Vec<usize>,
    /// The sizes of the batches, repeated cyclically.
    borders: Vec<usize>,
    /// The batches after which everything from a record on is delivered again, repeated cyclically.
    again: Vec<Option<usize>>,
    shards: usize,
}

fn reported() -> impl Strategy<Value = Vec<ReportedWebhook>> {
    let counter = prop_oneof![
        3 => prop::sample::select(Counter::ALL.to_vec()),
        1 => Just(Counter::Complained),
        1 => Just(Counter::BouncedSoft),
    ];
    let one = (counter, 0..8_u8, 0..3_u8, 0..5_i64, prop::sample::select(vec![0, 1, 2, 9 * 24]));
    prop::collection::vec(one, 1..24).prop_map(|all| {
        let reported = |(index, (counter, email, recipient, ago, created)): (usize, (Counter, u8, u8, i64, i64))| {
            ReportedWebhook {
                id: format!("m{index}"),
                counter,
                email,
                recipient,
                // Few different times, so that many are equal; some complaints are more than a day old. A delivery that is
                // not older than a later soft bounce may be missed: `policy::soft_bounce` admits that.
                at: after(-MINUTE - ago.max(i64::from(counter == Counter::Delivered)) * 7 * HOUR),
                created: after(-30 * HOUR - created * HOUR),
            }
        };
        all.into_iter().enumerate().map(reported).collect()
    })
}

fn ways(messages: usize) -> impl Strategy<Value = ArrivalOrder> {
    let twice: Vec<usize> = (0..messages).chain(0..messages / 2).collect();
    (
        Just(twice).prop_shuffle(),
        prop::collection::vec(1..7_usize, 1..5),
        prop::collection::vec(prop::option::of(0..7_usize), 1..5),
        1..4_usize,
    )
        .prop_map(|(order, borders, again, shards)| ArrivalOrder { order, borders, again, shards })
}

/// Everything that must be the same, whatever the order.
#[derive(Debug, PartialEq)]
struct End {
    suppressions: BTreeMap<String, Item>,
    counters: BTreeMap<String, i64>,
    brakes: BTreeMap<String, Vec<String>>,
}

async fn end_of(reported: &[ReportedWebhook], way: &ArrivalOrder) -> End {
    let stage = ProtectHarness::start().await;
    let mut received: Vec<&str> = Vec::new();
    for (turn, index) in way.order.iter().enumerate() {
        let reported = &reported[*index];
        // Each at a time of its own: the seconds of the ledger differ each time.
        assert_eq!(stage.receive_at(&reported.message(), after(i64::try_from(turn).unwrap() * 700)).await, 200);
        if !received.contains(&reported.id.as_str()) {
            received.push(&reported.id);
        }
    }
    let mut records = stage.records().await;
    records.sort_by_key(|record| received.iter().position(|id| *id == message_of(record)).unwrap());
    let shard = |record: &Value| {
        let key = record["dynamodb"]["Keys"]["email_id"]["S"].as_str().unwrap();
        key.bytes().map(usize::from).sum::<usize>() % way.shards
    };
    let shards: Vec<Vec<Value>> = (0..way.shards)
        .map(|number| records.iter().filter(|record| shard(record) == number).cloned().collect())
        .collect();
    let stage = &stage;
    join_all(shards.iter().map(|records| async move { deliver_shard(stage, records, way).await })).await;
    End { suppressions: stage.suppressions().await, counters: stage.counters().await, brakes: stage.brakes().await }
}

async fn deliver_shard(stage: &ProtectHarness, records: &[Value], way: &ArrivalOrder) {
    let now = after(5 * MINUTE);
    let (mut from, mut batch) = (0, 0);
    while from < records.len() {
        let to = (from + way.borders[batch % way.borders.len()]).min(records.len());
        assert_eq!(stage.deliver(&records[from..to], now).await, BatchResponse::default());
        // As after a lost response: again from some record on, with the new ones, in another batch.
        if let Some(back) = way.again[batch % way.again.len()] {
            let again = from.saturating_sub(back);
            assert_eq!(stage.deliver(&records[again..to], now).await, BatchResponse::default());
        }
        (from, batch) = (to, batch + 1);
    }
}

/// The same result by the simplest possible model: each webhook once.
pub(super) fn model(reported: &[ReportedWebhook]) -> (BTreeMap<String, i64>, BTreeMap<String, (String, f64)>) {
    let mut occurrences: BTreeMap<(String, Counter, u8, u8), (UnixMillis, UnixMillis)> = BTreeMap::new();
    let mut cohorts: BTreeMap<String, BTreeMap<Cohort, CounterTotals>> = BTreeMap::new();
    let mut lates: BTreeMap<String, LateSends> = BTreeMap::new();
    let mut counters = BTreeMap::new();
    for reported in reported {
        if reported.is_once_per_occurrence() {
            let key = (reported.campaign(), reported.counter, reported.email, reported.recipient);
            let known = occurrences.entry(key).or_insert((reported.at, reported.created));
            *known = (known.0.min(reported.at), known.1.min(reported.created));
        } else {
            let campaign = cohorts.entry(reported.campaign()).or_default();
            let (cohort, hour) = (Cohort::containing(reported.created), Cohort::containing(reported.at));
            campaign.entry(cohort).or_default().add(reported.counter, 1);
            if reported.counter == Counter::Sent && hour.start().0 - cohort.start().0 > 6 * HOUR {
                lates.entry(reported.campaign()).or_default().add(cohort, hour, 1);
                *counters.entry(format!("{}/late#{hour}#{cohort}/sent", reported.campaign())).or_default() += 1;
            }
        }
    }
    let mut complaints: BTreeMap<String, Vec<UnixMillis>> = BTreeMap::new();
    for ((campaign, counter, ..), (at, created)) in occurrences {
        let cohorts = cohorts.entry(campaign.clone()).or_default();
        cohorts.entry(Cohort::containing(created)).or_default().add(counter, 1);
        if counter == Counter::Complained {
            complaints.entry(campaign).or_default().push(at);
        }
    }
    let mut brakes = BTreeMap::new();
    for (campaign, cohorts) in cohorts {
        for (cohort, figures) in &cohorts {
            let named = figures
                .0
                .iter()
                .map(|(counter, number)| (format!("{campaign}/{cohort}/{}", counter.as_str()), *number));
            counters.extend(named);
        }
        let moved = reported.iter().any(|reported| {
            let moves =
                [Counter::Sent, Counter::Delivered, Counter::Complained, Counter::BouncedHard, Counter::BouncedSoft];
            reported.campaign() == campaign && moves.contains(&reported.counter)
        });
        if moved {
            let complaints = complaints.get(&campaign).cloned().unwrap_or_default();
            let late = lates.remove(&campaign).unwrap_or_default();
            let view = BrakeInput { cohorts: cohorts.into_iter().collect(), late, complaints };
            let brake = compute_brake(&view, &BrakePolicy::default(), after(5 * MINUTE));
            brakes.insert(campaign, (brake.status.as_str().to_owned(), brake.volume));
        }
    }
    (counters, brakes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_duplicates_batches_and_shards_end_the_same(
        (reported, one, other) in reported().prop_flat_map(|reported| {
            let (one, other) = (ways(reported.len()), ways(reported.len()));
            (Just(reported), one, other)
        })
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, other) = runtime.block_on(async { (end_of(&reported, &one).await, end_of(&reported, &other).await) });
        prop_assert_eq!(&one, &other);
        let (counters, brakes) = model(&reported);
        prop_assert_eq!(&one.counters, &counters);
        let computed: BTreeMap<String, (String, f64)> = one
            .brakes
            .iter()
            .map(|(campaign, brake)| (campaign.clone(), (brake[0].clone(), brake[1].parse().unwrap())))
            .collect();
        prop_assert_eq!(computed, brakes);
    }
}

/// Found by the property above: an email bounces softly a second time, and the later bounce arrives first. Its effect
/// must not be reverted when the earlier one arrives.
#[tokio::test]
async fn two_soft_bounces_of_an_email_count_as_the_later_one() {
    let bounce = |id: &str, email: u8, minutes_ago: i64| ReportedWebhook {
        id: id.to_owned(),
        counter: Counter::BouncedSoft,
        email,
        recipient: 0,
        at: after(-minutes_ago * MINUTE),
        created: after(-HOUR),
    };
    let reported = [bounce("m0", 0, 8), bounce("m1", 1, 6), bounce("m2", 2, 4), bounce("m3", 0, 2)];
    let way = |order: &[usize]| ArrivalOrder { order: order.to_vec(), borders: vec![1], again: vec![None], shards: 1 };
    let expected = end_of(&reported, &way(&[0, 1, 2, 3])).await;
    let item = &expected.suppressions["r0@example.com"];
    assert_eq!(item["soft_bounce"].as_m().unwrap()["message_id"].as_s().unwrap(), "m3");
    for order in [[3, 2, 1, 0], [1, 3, 2, 0], [2, 1, 0, 3]] {
        assert_eq!(end_of(&reported, &way(&order)).await, expected, "{order:?}");
    }
}
