//! While SNS does not respond, a batch waits for it once. The decisions are published when the batch is delivered
//! again.

use aws_local::faults::{Fault, Service};
use rebound::aws::stream::BatchResponse;

use super::{EngageHarness, MINUTE, NOW, StagedEmail, after};

#[tokio::test]
async fn a_batch_waits_for_sns_once_and_each_is_published_once() {
    let stage = EngageHarness::start().await;
    for number in 1..=3 {
        let mail = StagedEmail::to(&format!("e{number}"), &format!("ann{number}@example.com"));
        stage.receives(&[mail.delivered(), mail.clicked(&format!("c{number}"), after(-10 * MINUTE))]).await;
    }
    let ids = ["c1", "c2", "c3"];
    stage.faults.plan(|call| (call.service == Service::Sns).then_some(Fault::Hang));
    let answer = stage.delivers(&stage.deliveries(&ids, 1).await, NOW).await;
    let asked = stage.faults.calls().into_iter().filter(|call| call.service == Service::Sns).count();
    assert_eq!((answer.failures.len(), asked, stage.receipts().await.len()), (3, 1, 3), "all three are decided");

    stage.faults.plan(|_| None);
    for deliveries in [2, 3] {
        let again = stage.deliveries(&ids, deliveries).await;
        assert_eq!(stage.delivers(&again, after(MINUTE)).await, BatchResponse::default());
    }
    assert_eq!((stage.published().len(), stage.claude.asked().len()), (3, 3));
}
