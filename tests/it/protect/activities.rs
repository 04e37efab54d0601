//! The list of a batch's activities: complete the first time, and without new ones the second time.

use rebound::aws::stream::{BatchResponse, Invocation};
use rebound::policy::brake::Status;
use rebound::policy::counting::Counter;
use rebound::protect::Activity;
use serde_json::json;

use super::{MINUTE, NOW, ProtectHarness, after, mail, of, soon};

#[tokio::test]
async fn a_batch_says_what_it_did_and_once_more_nothing_new() {
    let stage =
        ProtectHarness::with_policy(r#"{"alerts": {"one_by_one_in_an_hour": 1}, "soft_bounces": {"emails": 1}}"#).await;
    let bounce = json!({ "tags": { "campaign": "a" }, "bounce": { "type": "Transient", "subType": "MailboxFull" } });
    for message in [
        mail("m1", "email.complained", "e1", "ann@example.com", after(-MINUTE), of("a")),
        mail("m2", "email.complained", "e2", "bob@example.com", after(-MINUTE), of("a")),
        mail("m3", "email.bounced", "e3", "cleo@example.com", after(-MINUTE), bounce),
        mail("m4", "email.opened", "e1", "ann@example.com", after(-MINUTE), of("a")),
    ] {
        assert_eq!(stage.receive_at(&message, NOW).await, 200);
    }
    let mut records = stage.records().await;
    records.push(json!({ "dynamodb": { "SequenceNumber": "nothing" } }));
    let Ok(Invocation::Records(records)) = Invocation::read(json!({ "Records": records })) else { panic!("a batch") };

    let (answer, did) = stage.protector.records_with_activities(&records, NOW, soon()).await;
    assert_eq!(answer, BatchResponse::default());
    let counted = |counter: Counter| {
        let of_counter = |did: &Activity| match did {
            Activity::Counted { counter: other, number, .. } if *other == counter => *number,
            _ => 0,
        };
        did.iter().map(of_counter).sum::<i64>()
    };
    assert_eq!([Counter::Complained, Counter::BouncedSoft, Counter::Opened].map(counted), [2, 1, 1]);
    assert!(did.iter().any(|did| matches!(did, Activity::BrakeSet { before: Status::Open, status, .. }
        if *status != Status::Open)));
    assert!(did.iter().any(|did| matches!(did, Activity::SuppressionChanged { recipient, is_new: true }
        if recipient.as_str() == "cleo@example.com")));
    let published = |did: &[Activity]| did.iter().filter(|did| matches!(did, Activity::AlertPublished { .. })).count();
    // A complaint, the brake, and the unreadable record.
    assert_eq!((published(&did), stage.alerts().len()), (3, 3));
    assert_eq!(did.iter().filter(|did| matches!(did, Activity::AlertGrouped { .. })).count(), 1);
    assert!(did.contains(&Activity::PoisonRecorded { key: "unreadable#nothing".to_owned() }));
    assert!(did.contains(&Activity::SentToEngage { number: 1 }));

    let (_, again) = stage.protector.records_with_activities(&records, NOW, soon()).await;
    let is_new = |did: &Activity| {
        !matches!(
            did,
            Activity::RecordsRead { .. } | Activity::BrakeComputed { .. } | Activity::SentToEngage { number: 1 }
        )
    };
    assert_eq!(again.into_iter().filter(is_new).collect::<Vec<_>>(), []);
}
