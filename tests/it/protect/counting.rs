//! Counting and braking side by side: nothing is lost, doubled, or written over.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rebound::campaign::Campaign;
use rebound::policy::brake::{View, brake};
use rebound::policy::counting::Counter;
use rebound::policy::numbers::BrakePolicy;
use rebound::store::calls::Calls;
use rebound::store::counters::Campaigns;
use rebound::store::state::State;
use rebound::store::version::SeenVersion;
use rebound::stream::BatchAnswer;
use serde_json::Value;

use super::order::{Told, model};
use super::{HOUR, MINUTE, NOW, Stage, after, soon};

#[tokio::test(flavor = "multi_thread")]
async fn many_batches_of_one_second_counted_side_by_side_lose_and_double_nothing() {
    let stage = Stage::start().await;
    let told: Vec<Told> = (0..60)
        .map(|index| Told {
            id: format!("m{index}"),
            counter: Counter::Delivered,
            email: 0,
            recipient: 0,
            at: after(-MINUTE),
            created: after(-HOUR),
        })
        .collect();
    for told in &told {
        assert_eq!(stage.receive_at(&told.message(), NOW).await, 200);
    }
    let records = stage.records().await;
    // Each batch overlaps with its neighbours, and all of them contend for one ledger row and one cohort.
    let batches: Vec<&[Value]> = (0..10).map(|batch| &records[batch * 5..(batch * 5 + 15).min(60)]).collect();
    let answers = join_all(batches.into_iter().map(|batch| stage.deliver(batch, NOW))).await;
    assert!(answers.iter().all(|answer| *answer == BatchAnswer::default()), "{answers:?}");
    let counted: BTreeSet<i64> = stage.counters().await.into_values().collect();
    assert_eq!(counted, BTreeSet::from([60]));
}

#[tokio::test(flavor = "multi_thread")]
async fn complaints_counted_side_by_side_end_in_the_brake_of_all_of_them() {
    for _ in 0..4 {
        let stage = Stage::start().await;
        let complaint = |index: u8| Told {
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
        assert!(answers.iter().all(|answer| *answer == BatchAnswer::default()), "{answers:?}");
        assert_eq!(stage.brake("campaign-0").await, ("slowed".to_owned(), 0.0625));
    }
}

#[tokio::test]
async fn a_state_is_never_written_over_one_that_was_not_seen() {
    let stage = Stage::start().await;
    let table = stage.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let campaigns = Campaigns::new(Calls::new(stage.aws.clients().unwrap().dynamodb(), soon()), table);
    let campaign = Campaign::new("spring").unwrap();
    let of = |complaints: usize| {
        let view = View { cohorts: Vec::new(), complaints: vec![after(-MINUTE); complaints] };
        brake(&view, &BrakePolicy::default(), NOW)
    };
    let (older, newer) = (State::next(None, of(1), NOW).unwrap(), State::next(None, of(2), NOW).unwrap());
    let absent = SeenVersion::default();
    assert!(campaigns.write_state(&campaign, &newer, &absent).await.unwrap());
    assert!(!campaigns.write_state(&campaign, &older, &absent).await.unwrap());
    let (before, seen) = campaigns.state_to_write(&campaign).await.unwrap();
    assert_eq!(before.as_ref(), Some(&newer));
    let (older, newer) =
        (State::next(before.as_ref(), of(3), NOW).unwrap(), State::next(before.as_ref(), of(4), NOW).unwrap());
    assert!(campaigns.write_state(&campaign, &newer, &seen).await.unwrap());
    assert!(!campaigns.write_state(&campaign, &older, &seen).await.unwrap());
    assert_eq!(stage.brake("spring").await, ("slowed".to_owned(), 0.0625));
}

#[tokio::test]
async fn a_batch_of_more_cohorts_than_a_transaction_holds_is_counted() {
    let stage = Stage::start().await;
    let told: Vec<Told> = (0..130)
        .map(|index| Told {
            id: format!("m{index}"),
            // A third of them count per happening.
            counter: if index % 3 == 0 { Counter::BouncedSoft } else { Counter::Opened },
            email: u8::try_from(index).unwrap() / 3 * 3,
            recipient: u8::try_from(index).unwrap(),
            at: after(-MINUTE),
            created: after(-HOUR * i64::from(index)),
        })
        .collect();
    for told in &told {
        assert_eq!(stage.receive_at(&told.message(), NOW).await, 200);
    }
    let records = stage.records().await;
    for _ in 0..2 {
        assert_eq!(stage.deliver(&records, NOW).await, BatchAnswer::default());
    }
    assert_eq!(stage.counters().await, model(&told).0);
    assert_eq!(stage.kinds(), [].into(), "nothing of it is poison");
}
