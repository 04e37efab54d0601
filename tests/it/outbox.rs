//! Claims of an alert: acquired, held by another, and taken over.

use std::time::Duration;

use aws_local::faults::{Fault, FaultProxy, Faults, Service};
use rebound::aws::AwsEnvironment;
use rebound::store::alerts::alert_key;
use rebound::store::client::RetryClient;
use rebound::store::outbox::{ClaimOwner, Outbox, OutboxClaim};
use rebound::time::UnixMillis;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::time::Instant;

use crate::support::any_port;

const LEASE: Duration = Duration::from_millis(100);

/// An outbox behind a fault proxy.
struct Scene {
    outbox: Outbox,
    faults: Faults,
    _proxy: FaultProxy,
    _aws: EmbeddedAws,
}

impl Scene {
    async fn start() -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let (name, faults) = ("AWS_ENDPOINT_URL_DYNAMODB", Faults::default());
        let endpoint = aws.variable(name).unwrap();
        let proxy = FaultProxy::start(endpoint, any_port(), Service::DynamoDb, faults.clone()).await.unwrap();
        let variable = |other: &str| if other == name { Some(proxy.url()) } else { aws.variable(other) };
        let client = AwsEnvironment::read(variable).unwrap().dynamodb();
        let calls = RetryClient::new(client, Instant::now() + Duration::from_secs(60));
        let outbox = Outbox::new(calls, aws.variable("EVENTS_TABLE").unwrap());
        Self { outbox, faults, _proxy: proxy, _aws: aws }
    }

    /// Claims the alert `id` at a time in milliseconds.
    async fn claims(&self, id: &str, owner: &ClaimOwner, now: i64) -> OutboxClaim<()> {
        let payload = format!("by {owner:?}");
        let claim =
            self.outbox.claim_alert(alert_key("e1", id), &payload, UnixMillis(0), owner, UnixMillis(now), LEASE);
        claim.await.unwrap()
    }
}

fn event(key: &str) -> ClaimOwner {
    ClaimOwner::Event(key.to_owned())
}

#[tokio::test]
async fn an_event_continues_its_claim_and_others_wait_for_the_lease() {
    let scene = Scene::start().await;
    let by_a = || OutboxClaim::Acquired(r#"by Event("a")"#.to_owned());
    assert_eq!(scene.claims("1", &event("a"), 1_000).await, by_a());
    assert_eq!(scene.claims("1", &event("a"), 1_001).await, by_a());
    assert_eq!(scene.claims("1", &event("b"), 1_099).await, OutboxClaim::HeldByOther);
    assert_eq!(scene.claims("1", &ClaimOwner::Tick, 1_100).await, by_a(), "with the payload of the first claim");
    assert_eq!(scene.claims("1", &ClaimOwner::Tick, 1_100).await, by_a());
    assert_eq!(scene.claims("1", &ClaimOwner::Tick, 1_101).await, OutboxClaim::HeldByOther, "another tick");
    assert_eq!(scene.outbox.pending_alert("e1", "1").await.unwrap().as_deref(), Some(r#"by Event("a")"#));
    scene.outbox.mark_published(alert_key("e1", "1"), None, UnixMillis(1_102)).await.unwrap();
    assert_eq!(scene.claims("1", &event("b"), 2_000).await, OutboxClaim::Settled(()));
    assert_eq!(scene.outbox.pending_alert("e1", "1").await.unwrap(), None);
}

#[tokio::test]
async fn an_alert_is_taken_over_though_the_answer_to_that_is_lost() {
    let scene = Scene::start().await;
    for (id, owner) in [("1", event("b")), ("2", ClaimOwner::Tick)] {
        let first = scene.claims(id, &event("a"), 1_000).await;
        let mut updates = 0;
        scene.faults.plan(move |call| {
            updates += usize::from(call.operation == "UpdateItem");
            (call.operation == "UpdateItem" && updates == 1).then_some(Fault::LoseAnswer)
        });
        assert_eq!(scene.claims(id, &owner, 1_100).await, first, "{owner:?} has to publish it");
        assert_eq!(scene.claims(id, &event("a"), 1_101).await, OutboxClaim::HeldByOther);
    }
}
