//! `doctor` about the unsubscribe links: their URL, their key, and the opt-outs that Resend does not know yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_local::function_url;
use aws_local::server::Server;
use rebound::aws::edge;
use rebound::consent::Consent;
use rebound::time::UnixMillis;
use rebound_cli::operate::doctor::{CheckStatus, run_checks};
use rebound_cli::operate::target::Target;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use crate::support::any_port;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
const SECRET: &str = "rebound/consent-keys";

/// The function behind its URL, with this in its secret.
struct Served {
    aws: EmbeddedAws,
    server: Server,
}

impl Served {
    async fn start(secret: &str) -> Self {
        // With a secret of its own, the local stack has no key in the environment.
        let named = |name: &str| (name == "CONSENT_KEYS_ARN").then(|| SECRET.to_owned());
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), named).await.unwrap();
        aws.secrets_manager.as_ref().unwrap().put(SECRET, secret);
        let consent = Arc::new(Consent::from_environment(|name| aws.variable(name)).await.unwrap());
        let invoke: aws_local::feeder::Invoke = Arc::new(move |event| {
            let consent = Arc::clone(&consent);
            Box::pin(async move {
                let envelope: edge::Envelope = serde_json::from_value(event).map_err(|error| error.to_string())?;
                let Ok(response) = consent.handle(envelope.into_request()).await;
                serde_json::to_value(edge::Reply::from(response)).map_err(|error| error.to_string())
            })
        });
        let server = function_url::serve(any_port(), invoke).await.unwrap();
        Self { aws, server }
    }

    /// The result of each check, with what to do.
    async fn says(&self, url: &str) -> BTreeMap<String, (CheckStatus, String)> {
        let mut variables = self.aws.variables().clone();
        variables.insert("CONSENT_URL".to_owned(), url.to_owned());
        let target = Target::find(&Default::default(), variables).await.unwrap();
        let checks = run_checks(&target, None, UnixMillis::now()).await;
        let said = |check: rebound_cli::operate::doctor::Check| {
            (check.name, (check.verdict, format!("{} {}", check.found, check.to_do.unwrap_or_default())))
        };
        checks.into_iter().map(said).collect()
    }
}

fn is(said: &BTreeMap<String, (CheckStatus, String)>, name: &str, verdict: CheckStatus, words: &str) {
    let (found, text) = &said[name];
    assert!(*found == verdict && text.contains(words), "{name}: {found:?} {text} is not {verdict:?} {words}");
}

fn holding(keys: &str) -> String {
    json!({ "CONSENT_KEY": keys }).to_string()
}

#[tokio::test]
async fn doctor_tries_a_link_that_the_stored_key_signs() {
    let served = Served::start(&holding(&format!("{KEY} {OTHER_KEY}"))).await;
    let said = served.says(&served.server.url()).await;
    is(&said, "unsubscribe links", CheckStatus::Ok, "answers");
    is(&said, "key of the links", CheckStatus::Ok, "the stored key, and 1 older");
    is(&said, "opt-outs for Resend", CheckStatus::Ok, "none waits");
    let dynamodb = served.aws.clients().dynamodb();
    let table = served.aws.variable("SUPPRESSIONS_TABLE").unwrap();
    assert_eq!(dynamodb.scan().table_name(table).send().await.unwrap().count(), 0, "nothing is changed");
}

#[tokio::test]
async fn a_missing_or_different_key_is_a_fault() {
    let served = Served::start("{}").await;
    let said = served.says(&served.server.url()).await;
    is(&said, "key of the links", CheckStatus::Fault, "openssl rand -hex 32");
    let manager = served.aws.secrets_manager.as_ref().unwrap();
    manager.put(SECRET, &holding("short"));
    is(&served.says(&served.server.url()).await, "key of the links", CheckStatus::Fault, "32 or more");

    let served = Served::start(&holding(KEY)).await;
    let variables = |key: &str| {
        let mut variables = served.aws.variables().clone();
        variables.insert("CONSENT_URL".to_owned(), served.server.url());
        variables.insert("CONSENT_KEY".to_owned(), key.to_owned());
        variables
    };
    for (key, verdict) in [(KEY, CheckStatus::Ok), (OTHER_KEY, CheckStatus::Fault)] {
        let target = Target::find(&Default::default(), variables(key)).await.unwrap();
        let checks = run_checks(&target, None, UnixMillis::now()).await;
        let check = checks.iter().find(|check| check.name == "key of the links").unwrap();
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(!format!("{check:?}").contains(key));
    }
}

#[tokio::test]
async fn a_url_that_is_not_consents_is_a_fault() {
    let served = Served::start(&holding(KEY)).await;
    for (url, words) in [
        ("http://127.0.0.1:1", "the connection failed"),
        ("https://mail.example.com/links", "without a path"),
        (&served.aws.variable("AWS_ENDPOINT_URL_SNS").unwrap(), "is"),
    ] {
        is(&served.says(url).await, "unsubscribe links", CheckStatus::Fault, words);
    }
}

#[tokio::test]
async fn doctor_counts_the_opt_outs_that_resend_does_not_know() {
    let served = Served::start(&holding(KEY)).await;
    let dynamodb = served.aws.clients().dynamodb();
    for n in 0..3 {
        let put = dynamodb.put_item().table_name(served.aws.variable("AGENDA_TABLE").unwrap());
        let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
        let due = format!("2026-11-2{n}T09:00:00.000Z#r{n}@example.com");
        put.item("kind", text("push".to_owned())).item("due", text(due)).send().await.unwrap();
    }
    let said = served.says(&served.server.url()).await;
    is(&said, "opt-outs for Resend", CheckStatus::Warning, "3 contacts opted out here");
    is(&said, "opt-outs for Resend", CheckStatus::Warning, "since 2026-11-20T09:00:00.000Z");
    assert!(!said["opt-outs for Resend"].1.contains('@'), "no address");
}
