//! Concurrent counting and brakes: nothing is lost, duplicated, or overwritten.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_local::faults::{Fault, Half, HalfResponse};
use futures_util::future::join_all;
use rebound::aws::stream::BatchResponse;
use rebound::policy::brake::{BrakeInput, BrakeState, compute_brake};
use rebound::policy::counting::Counter;
use rebound::policy::limits::BrakePolicy;
use rebound::resend::campaign::Campaign;
use rebound::store::client::RetryClient;
use rebound::store::counters::Campaigns;
use rebound::store::version::SeenVersion;
use serde_json::Value;

use super::order::{ReportedWebhook, model};
use super::{HOUR, MINUTE, NOW, ProtectHarness, after, soon};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_batches_lose_and_duplicate_no_count() {
    let stage = ProtectHarness::start().await;
    let reported: Vec<ReportedWebhook> = (0..60)
        .map(|index| ReportedWebhook {
            id: format!("m{index}"),
            counter: Counter::Delivered,
            email: 0,
            recipient: 0,
            at: after(-MINUTE),
            created: after(-HOUR),
        })
        .collect();
    for reported in &reported {
        assert_eq!(stage.receive_at(&reported.message(), NOW).await, 200);
    }
    let records = stage.records().await;
    // Each batch overlaps with its neighbours, and all of them contend for one ledger row and one cohort.
    let batches: Vec<&[Value]> = (0..10).map(|batch| &records[batch * 5..(batch * 5 + 15).min(60)]).collect();
    let answers = join_all(batches.into_iter().map(|batch| stage.deliver(batch, NOW))).await;
    assert!(answers.iter().all(|answer| *answer == BatchResponse::default()), "{answers:?}");
    let counted: BTreeSet<i64> = stage.counters().await.into_values().collect();
    assert_eq!(counted, BTreeSet::from([60]));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_complaints_end_in_the_brake_of_all() {
    for _ in 0..4 {
        let stage = ProtectHarness::start().await;
        let complaint = |index: u8| ReportedWebhook {
            id: format!("m{index}"),
            counter: Counter::Complained,
            email: index * 3,
            recipient: index,
            at: after(-MINUTE),
            created: after(-HOUR),
        };
        for index in 0..4 {
            assert_eq!(stage.receive_at(&complaint(index).message(), NOW).await, 200);
        }
        let records = stage.records().await;
        let answers = join_all(records.chunks(1).map(|record| stage.deliver(record, NOW))).await;
        assert!(answers.iter().all(|answer| *answer == BatchResponse::default()), "{answers:?}");
        assert_eq!(stage.brake("campaign-0").await, ("slowed".to_owned(), 0.0625));
    }
}

/// A half-visible transaction, with one item this late, and its response lost.
fn half(late: usize, millis: u64) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(millis), response: HalfResponse::None })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_half_of_a_transaction_counts_nothing_twice() {
    // The ledger's row is the first item of its transaction, the cohort the last.
    for late in [0, usize::MAX] {
        let stage = ProtectHarness::start().await;
        let reported: Vec<ReportedWebhook> = (0..60)
            .map(|index| ReportedWebhook {
                id: format!("m{index}"),
                counter: Counter::Delivered,
                email: 0,
                recipient: 0,
                at: after(-MINUTE),
                created: after(-HOUR),
            })
            .collect();
        for reported in &reported {
            assert_eq!(stage.receive_at(&reported.message(), NOW).await, 200);
        }
        let records = stage.records().await;
        let mut dice = fastrand::Rng::with_seed(14);
        stage
            .faults
            .plan(move |call| (call.operation == "TransactWriteItems" && dice.u8(..3) == 0).then(|| half(late, 50)));
        let (left, right) = records.split_at(30);
        let deliver = async |records: &[Value]| {
            for batch in records.chunks(5) {
                assert_eq!(stage.deliver(batch, NOW).await, BatchResponse::default());
            }
        };
        tokio::join!(deliver(left), deliver(right));
        let (_, injected) = stage.faults.counted();
        assert!(injected["shown half"] > 2, "{injected:?}");
        let counted: BTreeSet<i64> = stage.counters().await.into_values().collect();
        assert_eq!(counted, BTreeSet::from([60]), "item {late} was late");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_that_is_seen_half_slows_its_campaign() {
    // The complaint, its time, and the cohort.
    for late in 0..3 {
        let stage = ProtectHarness::start().await;
        let complaint = ReportedWebhook {
            id: "m0".to_owned(),
            counter: Counter::Complained,
            email: 0,
            recipient: 0,
            at: after(-MINUTE),
            created: after(-HOUR),
        };
        assert_eq!(stage.receive_at(&complaint.message(), NOW).await, 200);
        let records = stage.records().await;
        let mut halves = 0;
        stage.faults.plan(move |call| {
            let is_first = call.operation == "TransactWriteItems" && halves == 0;
            halves += usize::from(is_first);
            is_first.then(|| half(late, 100))
        });
        assert_eq!(stage.deliver(&records, NOW).await, BatchResponse::default());
        let campaign = stage.brakes().await.into_keys().next().unwrap();
        assert_eq!(stage.brake(&campaign).await, ("slowed".to_owned(), 0.5), "item {late} was late");
        assert_eq!(stage.alerts().iter().filter(|alert| alert.kind.as_str() == "brake").count(), 1);
    }
}

#[tokio::test]
async fn a_state_is_never_written_over_one_that_was_not_seen() {
    let stage = ProtectHarness::start().await;
    let table = stage.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let campaigns = Campaigns::new(RetryClient::new(stage.aws.clients().dynamodb(), soon()), table);
    let campaign = Campaign::new("spring").unwrap();
    let of = |complaints: usize| {
        let view = BrakeInput { complaints: vec![after(-MINUTE); complaints], ..BrakeInput::default() };
        compute_brake(&view, &BrakePolicy::default(), NOW)
    };
    let (older, newer) = (BrakeState::next(None, of(1), NOW).unwrap(), BrakeState::next(None, of(2), NOW).unwrap());
    let absent = SeenVersion::default();
    assert!(campaigns.write_state(&campaign, &newer, &absent).await.unwrap());
    assert!(!campaigns.write_state(&campaign, &older, &absent).await.unwrap());
    let (before, seen) = campaigns.state_to_write(&campaign).await.unwrap();
    assert_eq!(before.as_ref(), Some(&newer));
    let (older, newer) = (
        BrakeState::next(before.as_ref(), of(3), NOW).unwrap(),
        BrakeState::next(before.as_ref(), of(4), NOW).unwrap(),
    );
    assert!(campaigns.write_state(&campaign, &newer, &seen).await.unwrap());
    assert!(!campaigns.write_state(&campaign, &older, &seen).await.unwrap());
    assert_eq!(stage.brake("spring").await, ("slowed".to_owned(), 0.0625));
}

#[tokio::test]
async fn a_batch_of_more_cohorts_than_a_transaction_holds_is_counted() {
    let stage = ProtectHarness::start().await;
    let reported: Vec<ReportedWebhook> = (0..130)
        .map(|index| ReportedWebhook {
            id: format!("m{index}"),
            // A third of them count per occurrence.
            counter: if index % 3 == 0 { Counter::BouncedSoft } else { Counter::Opened },
            email: u8::try_from(index).unwrap() / 3 * 3,
            recipient: u8::try_from(index).unwrap(),
            at: after(-MINUTE),
            created: after(-HOUR * i64::from(index)),
        })
        .collect();
    for reported in &reported {
        assert_eq!(stage.receive_at(&reported.message(), NOW).await, 200);
    }
    let records = stage.records().await;
    for _ in 0..2 {
        assert_eq!(stage.deliver(&records, NOW).await, BatchResponse::default());
    }
    assert_eq!(stage.counters().await, model(&reported).0);
    assert_eq!(stage.kinds(), [].into(), "nothing of it is poison");
}
