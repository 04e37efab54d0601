//! An opt-out through a link while the address is forgotten: it is answered 200, and no row has the address in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_local::faults::{Call, Fault, FaultProxy, Faults, Half, HalfResponse, Service};
use aws_local::function_url;
use rebound::aws::edge::Envelope;
use rebound::consent::Consent;
use rebound::policy::consent_link::{ConsentKeys, ConsentLink, ConsentPurpose};
use rebound::store::forgotten::ErasureKey;
use rebound::store::suppressions::Suppressions;
use rebound::time::UnixMillis;
use rebound_cli::operate::forget::ForgetMode;
use tokio::time::Instant;

use super::meanwhile::{Scene, recipient};
use super::put_forgotten;
use crate::support::any_port;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The function `consent`, which calls DynamoDB at this URL.
async fn consent(scene: &Scene, dynamodb: String) -> Consent {
    let variable = |name: &str| match name {
        "CONSENT_KEY" => Some(KEY.to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.clone()),
        _ => scene.aws.variable(name),
    };
    Consent::from_environment(variable).await.unwrap()
}

/// Opts Ann out with one click. Returns the status.
async fn opt_out(consent: &Consent) -> u16 {
    let keys: ConsentKeys = KEY.parse().unwrap();
    let link = ConsentLink { recipient: recipient("ann@example.com"), email_id: Some("e1".to_owned()) };
    let token = link.sign(ConsentPurpose::OptOut, &keys).unwrap();
    let event = function_url::event("POST", &format!("/u/{}", token.as_str()), &BTreeMap::new(), b"");
    let request = serde_json::from_str::<Envelope>(&event.to_string()).unwrap().into_request();
    let deadline = Instant::now() + Duration::from_secs(60);
    consent.respond(&request, UnixMillis::now(), deadline).await.status().as_u16()
}

/// Holds calls back until it is opened.
#[derive(Default)]
struct Gate {
    is_reached: Arc<AtomicBool>,
    is_open: Arc<AtomicBool>,
}

impl Gate {
    /// The plan of a proxy: calls wait from the one with this index on.
    fn before(&self, index: usize) -> impl FnMut(&Call) -> Option<Fault> + Send + 'static {
        let (is_reached, is_open) = (Arc::clone(&self.is_reached), Arc::clone(&self.is_open));
        move |call| {
            let waits = call.index >= index && !is_open.load(Ordering::SeqCst);
            is_reached.fetch_or(waits, Ordering::SeqCst);
            waits.then_some(Fault::Throttle)
        }
    }

    async fn reached(&self) {
        while !self.is_reached.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

/// `consent` has made some of its calls when the address is forgotten: the first one ever, or one of several.
#[tokio::test]
async fn an_opt_out_that_forget_overtakes_writes_nothing() {
    for is_first in [true, false] {
        for index in 0..3 {
            let scene = Scene::start().await;
            if !is_first {
                let key = ErasureKey::new([9; 32]).unwrap();
                put_forgotten(&scene.aws, &key, &recipient("other@example.com")).await;
            }
            let upstream = scene.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
            let own = FaultProxy::start(upstream, any_port(), Service::DynamoDb, Faults::default()).await.unwrap();
            let gate = Gate::default();
            own.plan(gate.before(index));
            let consent = consent(&scene, own.url()).await;
            let forgets = async {
                gate.reached().await;
                scene.forgets(ForgetMode::Forget).await.unwrap();
                gate.open();
            };
            let (status, ()) = tokio::join!(opt_out(&consent), forgets);
            assert_eq!(status, 200, "before call {index}");
            scene.no_row_has_the_address().await;
            assert_eq!(opt_out(&consent).await, 200);
            scene.no_row_has_the_address().await;
        }
    }
}

/// `forget` has made some of its calls when the recipient opts out.
#[tokio::test]
async fn an_opt_out_at_any_moment_of_forget_is_erased_or_not_written() {
    let calls = {
        let scene = Scene::start().await;
        scene.forgets(ForgetMode::Forget).await.unwrap();
        scene.proxy.calls().len()
    };
    assert!(calls > 10, "{calls}");
    for index in 0..calls {
        let scene = Scene::start().await;
        let gate = Gate::default();
        scene.proxy.plan(gate.before(index));
        let consent = consent(&scene, scene.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap()).await;
        let opts_out = async {
            gate.reached().await;
            let status = opt_out(&consent).await;
            gate.open();
            status
        };
        let (forgotten, status) = tokio::join!(scene.forgets(ForgetMode::Forget), opts_out);
        forgotten.unwrap();
        assert_eq!(status, 200, "before call {index} of forget");
        scene.no_row_has_the_address().await;
    }
}

/// Of an opt-out that was stored just before the hash, reads may show half for a while; its function has died. The item,
/// the audit row and the push are found by their keys, however long that is: no read before the end shows them.
#[tokio::test]
async fn an_opt_out_shown_half_while_somebody_is_forgotten_is_erased() {
    for late in 0..3 {
        let scene = Scene::start().await;
        let consent = consent(&scene, scene.proxy.url()).await;
        let half = Half { late, span: Duration::from_secs(3), response: HalfResponse::None };
        let mut transactions = 0;
        scene.proxy.plan(move |call| {
            let is_transaction = call.operation == "TransactWriteItems";
            transactions += usize::from(is_transaction);
            (is_transaction && transactions == 1).then_some(Fault::ShowHalf(half))
        });
        let past_proxy = Suppressions::new(scene.place.calls(Duration::from_secs(60)), &scene.tables.suppressions);
        let is_made = async {
            while past_proxy.find("ann@example.com").await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            status = opt_out(&consent) => panic!("{status}"),
            () = is_made => {}
        }
        scene.forgets(ForgetMode::Forget).await.unwrap();
        scene.no_row_has_the_address().await;
    }
}
