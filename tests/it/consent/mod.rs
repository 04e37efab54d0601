//! `consent`, on the embedded AWS: Lambda's event in, a page out, and what is stored.

mod answers;
mod crash;
mod keys;
mod opt_out;
mod role;
mod tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_local::faults::{Fault, FaultProxy, Faults, Service};
use aws_local::function_url;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rebound::aws::edge::Envelope;
use rebound::consent::Consent;
use rebound::metrics::Metrics;
use rebound::store::Item;
use rebound::time::UnixMillis;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use sha2::Sha256;
use tokio::time::Instant;

use crate::support::any_port;

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const EMAIL_ID: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";
const ANN: &str = "ann@example.com";
const FORM: &str = "application/x-www-form-urlencoded";
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// The time of the requests.
const NOW: UnixMillis = UnixMillis(1_795_440_600_000);

/// Signs these texts as they are.
pub(crate) fn token(key: &str, purpose: &str, address: &str, email_id: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{purpose}\n1\n{address}\n{email_id}").as_bytes());
    let code = mac.finalize().into_bytes();
    let parts = [address.as_bytes(), email_id.as_bytes(), &code[..16]];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// A link's path.
fn link_of(address: &str) -> String {
    format!("/u/{}", token(KEY, "u", address, EMAIL_ID))
}

/// A response, as the visitor gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ConsentResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl ConsentResponse {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
struct ConsentRequest<'a> {
    method: &'a str,
    path: &'a str,
    content_type: &'a str,
    body: &'a [u8],
}

impl<'a> ConsentRequest<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: "GET", path, content_type: "", body: b"" }
    }

    fn one_click(path: &'a str) -> Self {
        Self { method: "POST", path, content_type: FORM, body: ONE_CLICK.as_bytes() }
    }

    fn button(path: &'a str) -> Self {
        Self { body: b"action=opt_out", ..Self::one_click(path) }
    }
}

/// Passes a request to the function as Lambda's event, in the text that Lambda sends.
async fn ask(consent: &Consent, asked: ConsentRequest<'_>, now: UnixMillis) -> ConsentResponse {
    let content_type =
        (!asked.content_type.is_empty()).then(|| ("content-type".to_owned(), asked.content_type.to_owned()));
    let headers: BTreeMap<String, String> = content_type.into_iter().collect();
    let (path, query) = asked.path.split_once('?').unwrap_or((asked.path, ""));
    let mut event = function_url::event(asked.method, path, &headers, asked.body);
    event["rawQueryString"] = query.into();
    let request = serde_json::from_str::<Envelope>(&event.to_string()).unwrap().into_request();
    let response = consent.respond(&request, now, Instant::now() + Duration::from_secs(60)).await;
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    ConsentResponse {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: text(response.body()),
    }
}

/// The function, with the fault proxy in front of DynamoDB.
struct ConsentHarness {
    aws: EmbeddedAws,
    proxy: FaultProxy,
    faults: Faults,
    consent: Consent,
}

impl ConsentHarness {
    async fn start() -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let faults = Faults::default();
        let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let proxy = FaultProxy::start(upstream, any_port(), Service::DynamoDb, faults.clone()).await.unwrap();
        let consent = consent(&aws, &proxy.url()).await;
        Self { aws, proxy, faults, consent }
    }

    async fn ask(&self, asked: ConsentRequest<'_>) -> ConsentResponse {
        ask(&self.consent, asked, NOW).await
    }

    async fn scan(&self, table: &str) -> Vec<Item> {
        let dynamodb = self.aws.clients().dynamodb();
        let scan = dynamodb.scan().table_name(self.aws.variable(table).unwrap());
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Every item of the tables that `consent` may write.
    async fn everything(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for table in ["SUPPRESSIONS_TABLE", "EVENTS_TABLE", "AGENDA_TABLE"] {
            items.extend(self.scan(table).await);
        }
        items
    }

    async fn put(&self, table: &str, item: Item) {
        let put = self.aws.clients().dynamodb().put_item();
        put.table_name(self.aws.variable(table).unwrap()).set_item(Some(item)).send().await.unwrap();
    }
}

/// The function in this environment, built as in Lambda, with the key [`KEY`].
async fn consent(aws: &EmbeddedAws, dynamodb: &str) -> Consent {
    let variable = |name: &str| match name {
        "CONSENT_KEY" => Some(KEY.to_owned()),
        "SENDER_NAME" => Some("Bloom & Co".to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.to_owned()),
        _ => aws.variable(name),
    };
    Consent::from_environment(variable).await.unwrap()
}

/// Produces the metrics of `consent` with this destination.
pub(crate) async fn people_opt_out(metrics: Metrics) {
    let mut stage = ConsentHarness::start().await;
    stage.consent = stage.consent.with_metrics(metrics);
    let (ann, bob) = (link_of(ANN), link_of("bob@example.com"));
    for asked in [
        ConsentRequest::get(&ann),
        ConsentRequest::one_click(&ann),
        ConsentRequest::one_click(&ann),
        ConsentRequest::button(&bob),
    ] {
        assert_eq!(stage.ask(asked).await.status, 200);
    }
    for wrong in ["/u/x", "/favicon.ico"] {
        assert_eq!(stage.ask(ConsentRequest::get(wrong)).await.status, 404);
    }
    stage.proxy.plan(|_| Some(Fault::Invalid));
    assert_eq!(stage.ask(ConsentRequest::one_click(&link_of("cem@example.com"))).await.status, 503);
}
