//! Scanners and proxies between a link and `consent`: they fetch every link, and change nothing.

use std::time::Duration;

use aws_local::faults::Faults;
use aws_local::server::{CloseConnection, Server};
use aws_sdk_dynamodb::types::AttributeValue;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use lambda_http::Body;
use lambda_http::http::Method;
use rebound::consent::Consent;
use rebound::policy::consent_link::{ConsentKeys, ConsentLink, ConsentPurpose};
use rebound::resend::recipient::Recipient;
use rebound::store::Item;
use rebound::time::UnixMillis;
use rebound_dev::LOCAL_CONSENT_KEY;
use rebound_dev::runner::{Clock, serve_consent};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::time::Instant;

use crate::support::any_port;

/// Requests that scanners make in the test. Fewer of them read DynamoDB, so that it takes seconds.
const REQUESTS: usize = 10_000;
const GETS_OF_LINKS: usize = 300;

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

fn path(address: &str, key: &str) -> String {
    let link = ConsentLink { recipient: Recipient::parse(address).unwrap(), email_id: Some("e1".to_owned()) };
    let keys: ConsentKeys = key.parse().unwrap();
    format!("/u/{}", link.sign(ConsentPurpose::OptOut, &keys).unwrap().as_str())
}

/// Paths that scanners make of a link, and guess.
fn wrong_paths() -> Vec<String> {
    let right = path(ANN, LOCAL_CONSENT_KEY);
    let token = right.strip_prefix("/u/").unwrap();
    let (address, rest) = token.split_once('.').unwrap();
    let (email_id, mac) = rest.split_once('.').unwrap();
    let other = path(ANN, "another-key-another-key-another-key");
    let other_mac = other.rsplit_once('.').unwrap().1;
    let of_bob = path(BOB, LOCAL_CONSENT_KEY);
    let bob = of_bob.strip_prefix("/u/").unwrap().split_once('.').unwrap().0;
    let mut paths = vec![
        "/".to_owned(),
        "/u".to_owned(),
        "/u/".to_owned(),
        "/favicon.ico".to_owned(),
        "/.env".to_owned(),
        "/wp-login.php".to_owned(),
        "/u/../u".to_owned(),
        format!("/f/{token}"),
        format!("/U/{token}"),
        format!("//u/{token}"),
        format!("{right}/"),
        format!("{right}="),
        format!("{right}%20"),
        format!("/u/{address}"),
        format!("/u/{address}.{email_id}"),
        format!("/u/{address}.{email_id}."),
        format!("/u/{address}..{mac}"),
        format!("/u/{address}.{mac}.{email_id}"),
        format!("/u/{bob}.{email_id}.{mac}"),
        format!("/u/{address}.{email_id}.{other_mac}"),
        format!("/u/{address}=.{email_id}.{mac}"),
        format!("/u/{}.{email_id}.{mac}", address.to_uppercase()),
        format!("/u/{token}.{token}"),
        format!("/u/{}", "A".repeat(5_000)),
        right.replace('.', "%2E"),
        right.to_lowercase(),
        other,
    ];
    paths.extend((4..right.len()).map(|length| right[..length].to_owned()));
    paths
}

async fn fetch(consent: &Consent, method: &Method, path: &str) -> lambda_http::Response<Body> {
    let mut request = lambda_http::Request::default();
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse().unwrap();
    consent.respond(&request, UnixMillis::now(), Instant::now() + Duration::from_secs(8)).await
}

/// Everything that is in the tables.
async fn everything(aws: &EmbeddedAws) -> Vec<Item> {
    let mut items = Vec::new();
    for table in rebound::store::tables::TABLES {
        let scan = aws.clients().dynamodb().scan().table_name(aws.variable(table.variable).unwrap());
        items.extend(scan.send().await.unwrap().items.unwrap_or_default());
    }
    items
}

#[tokio::test]
async fn ten_thousand_scanners_change_nothing() {
    let mut aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let faults = Faults::default();
    aws.insert_fault_proxy(faults.clone()).await.unwrap();
    let consent = aws.consent().await.unwrap();
    let opted_out = fetch(&consent, &Method::POST, &path(BOB, LOCAL_CONSENT_KEY)).await;
    assert_eq!(opted_out.status(), 200);
    let before = everything(&aws).await;
    assert!(!before.is_empty());
    faults.plan(|_| None);

    let (wrong, methods) = (wrong_paths(), [Method::GET, Method::HEAD]);
    let links = [ANN, BOB].map(|address| path(address, LOCAL_CONSENT_KEY));
    let mut pages = std::collections::BTreeSet::new();
    for number in 0..REQUESTS - 2 * GETS_OF_LINKS {
        let (path, method) = (&wrong[number / 2 % wrong.len()], &methods[number % 2]);
        let response = fetch(&consent, method, path).await;
        assert_eq!(response.status(), 404, "{method} {path}");
        if *method == Method::GET {
            let Body::Text(page) = response.into_body() else { panic!("{path}") };
            pages.insert(page);
        }
    }
    assert_eq!(faults.calls().len(), 0, "a wrong token costs no call");
    assert_eq!(pages.len(), 1, "nothing is said about who exists");

    for number in 0..2 * GETS_OF_LINKS {
        let (path, method) = (&links[number / 2 % 2], &methods[number % 2]);
        assert_eq!(fetch(&consent, method, path).await.status(), 200, "{method} {path}");
    }
    let calls = faults.calls();
    assert!(calls.iter().all(|call| call.operation == "GetItem"), "{calls:?}");
    assert!(calls.len() <= 3 * GETS_OF_LINKS, "{}", calls.len());
    assert_eq!(everything(&aws).await, before);
}

/// A server in front of `consent`, as CloudFront with the template docs/cloudfront.yaml: without `Host`, with headers of its own.
async fn cloudfront(origin: String) -> Server {
    let client = rebound::web::client();
    let forward = move |viewer: Request<Bytes>| {
        let (client, origin) = (client.clone(), origin.clone());
        async move {
            let url = format!("{origin}{}", viewer.uri().path_and_query().map_or("/", |path| path.as_str()));
            let (parts, body) = viewer.into_parts();
            let mut headers = parts.headers;
            for name in ["host", "connection", "content-length"] {
                headers.remove(name);
            }
            for (name, value) in [
                ("via", "2.0 0123456789abcdef.cloudfront.net (CloudFront)"),
                ("x-amz-cf-id", "0b6f3d52-example=="),
                ("x-forwarded-for", "192.0.2.10, 2001:db8::1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "elsewhere.example"),
            ] {
                headers.append(name, value.parse().unwrap());
            }
            let answer = client.request(parts.method, url).headers(headers).body(body).send().await;
            let answer = answer.map_err(|_| CloseConnection)?;
            let mut response = Response::builder().status(answer.status());
            *response.headers_mut().unwrap() = answer.headers().clone();
            Ok(response.body(Full::new(answer.bytes().await.unwrap())).unwrap())
        }
    };
    Server::start(any_port(), forward).await.unwrap()
}

#[tokio::test]
async fn behind_cloudfront_the_pages_and_the_opt_out_are_the_same() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let direct = serve_consent(any_port(), aws.consent().await.unwrap(), Clock::new(1.0)).await.unwrap();
    let front = cloudfront(direct.url()).await;
    let (link, wrong) = (path(ANN, LOCAL_CONSENT_KEY), path(ANN, "another-key-another-key-another-key"));
    let client = rebound::web::client();
    let seen = async |origin: &str, method: Method, path: &str| {
        let request = client.request(method, format!("{origin}{path}")).header("accept-language", "fr-CA,fr;q=0.9");
        let answer = request.send().await.unwrap();
        let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
        headers.remove("date");
        (status, headers, answer.text().await.unwrap())
    };
    let all = [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    for method in all {
        for path in [&link, &wrong, &format!("{link}?utm_source=x"), &"/robots.txt".to_owned()] {
            let direct = seen(&direct.url(), method.clone(), path).await;
            let through = seen(&front.url(), method.clone(), path).await;
            assert_eq!(direct, through, "{method} {path}");
            assert!(direct.0 != 200 || direct.1["cache-control"] == "no-store", "{method} {path}");
            assert!(
                direct.0 != 200 || path == "/robots.txt" || direct.1["content-language"] == "fr",
                "{method} {path}"
            );
        }
    }
    let one_click = client.post(format!("{}{link}", front.url()));
    let one_click = one_click.header("content-type", "application/x-www-form-urlencoded");
    let answer = one_click.body("List-Unsubscribe=One-Click").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let found = aws.clients().dynamodb().get_item().table_name("rebound-suppressions");
    let found = found.key("recipient", AttributeValue::S(ANN.to_owned())).send().await.unwrap().item.unwrap();
    assert_eq!(found["reasons"].as_ss().unwrap(), &["opted_out"]);
}
