//! The keys in Secrets Manager: a rotation never makes a valid link 404, and forged tokens cause no constant reads.

use std::time::Duration;

use aws_local::secrets_manager::LocalSecretsManager;
use rebound::config::ConsentKeyLocation;
use rebound::consent::Consent;
use rebound::consent::keys::{LinkKeys, MAX_KEY_AGE};
use rebound::store::opt_out_write::OptOutWriter;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use super::{ANN, ConsentRequest, KEY, NOW, OTHER_KEY, ask, token};

const SECRET: &str = "rebound/consent-keys";
const HOUR: Duration = Duration::from_secs(3_600);

struct Rotating {
    aws: EmbeddedAws,
    consent: Consent,
}

impl Rotating {
    /// Starts with this in the secret; empty: the secret has no value. Keys are read again when they are older than
    /// `max_age`, and at most once per `interval`.
    async fn start(first: &str, max_age: Duration, interval: Duration) -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let manager = aws.secrets_manager.as_ref().unwrap();
        match first {
            "" => manager.clear(SECRET),
            first => manager.put(SECRET, &holding(first)),
        }
        let clients = aws.clients();
        let location = ConsentKeyLocation::Manager(SECRET.to_owned());
        let keys = LinkKeys::new(location.into_secret(clients, interval), max_age);
        let table = |name: &str| aws.variable(name).unwrap();
        let tables = ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "AGENDA_TABLE"].map(table);
        let [events, suppressions, agenda] = tables;
        let writer = OptOutWriter::new(clients.dynamodb(), events, suppressions, agenda);
        Self { consent: Consent::new(keys, writer, "Bloom"), aws }
    }

    fn manager(&self) -> &LocalSecretsManager {
        self.aws.secrets_manager.as_ref().unwrap()
    }

    /// The status of a link that this key signed.
    async fn status(&self, key: &str) -> u16 {
        let path = format!("/u/{}", token(key, "u", ANN, ""));
        ask(&self.consent, ConsentRequest::get(&path), NOW).await.status
    }
}

fn holding(keys: &str) -> String {
    json!({ "CONSENT_KEY": keys, "SOMETHING_ELSE": 1 }).to_string()
}

#[tokio::test]
async fn old_and_new_links_hold_at_every_moment_of_a_rotation() {
    let max_age = Duration::from_millis(100);
    let stage = Rotating::start(KEY, max_age, Duration::ZERO).await;
    assert_eq!(stage.status(KEY).await, 200);
    // The new key last; links are signed by the old one. Then it is first, and signs.
    for keys in [format!("{KEY} {OTHER_KEY}"), format!("{OTHER_KEY} {KEY}")] {
        stage.manager().put(SECRET, &holding(&keys));
        tokio::time::sleep(max_age).await;
        for _ in 0..3 {
            assert_eq!((stage.status(KEY).await, stage.status(OTHER_KEY).await), (200, 200), "{keys}");
        }
    }
}

#[tokio::test]
async fn a_warm_copy_finds_a_new_key_at_the_first_link_that_it_signed() {
    // Even if the operator puts the new key first immediately, and no key is old yet.
    let stage = Rotating::start(KEY, MAX_KEY_AGE, Duration::ZERO).await;
    assert_eq!(stage.status(KEY).await, 200);
    stage.manager().put(SECRET, &holding(&format!("{OTHER_KEY} {KEY}")));
    assert_eq!((stage.status(OTHER_KEY).await, stage.status(KEY).await), (200, 200));
}

#[tokio::test]
async fn a_key_that_is_removed_ends_when_the_keys_are_old() {
    let max_age = Duration::from_millis(50);
    let stage = Rotating::start(&format!("{OTHER_KEY} {KEY}"), max_age, Duration::ZERO).await;
    assert_eq!(stage.status(KEY).await, 200);
    stage.manager().put(SECRET, &holding(OTHER_KEY));
    tokio::time::sleep(max_age * 2).await;
    assert_eq!((stage.status(KEY).await, stage.status(OTHER_KEY).await), (404, 200));
}

#[tokio::test]
async fn forged_tokens_cause_no_constant_reads_of_the_secret() {
    let stage = Rotating::start(KEY, HOUR, HOUR).await;
    assert_eq!(stage.status(KEY).await, 200);
    let reads = stage.manager().reads();
    for n in 0..200 {
        assert_eq!(stage.status(&format!("{n:032}")).await, 404);
        let malformed = format!("/u/{n}");
        assert_eq!(ask(&stage.consent, ConsentRequest::get(&malformed), NOW).await.status, 404);
    }
    assert!(stage.manager().reads() <= reads + 1, "{} reads", stage.manager().reads() - reads);
}

#[tokio::test]
async fn without_a_key_it_is_503_until_one_is_there() {
    let stage = Rotating::start("", HOUR, Duration::ZERO).await;
    let path = format!("/u/{}", token(KEY, "u", ANN, ""));
    let answer = ask(&stage.consent, ConsentRequest::one_click(&path), NOW).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "60"));
    assert_eq!(ask(&stage.consent, ConsentRequest::get("/u/x"), NOW).await.status, 404, "no key is needed to see that");
    for useless in ["{}", "no JSON", &holding("short"), &holding(&format!("{KEY} short"))] {
        stage.manager().put(SECRET, useless);
        assert_eq!(stage.status(KEY).await, 503, "{useless}");
    }
    stage.manager().put(SECRET, &holding(KEY));
    assert_eq!(stage.status(KEY).await, 200);
}

#[tokio::test]
async fn while_the_secret_can_not_be_read_known_keys_hold_and_no_link_is_404() {
    let max_age = Duration::from_millis(50);
    let stage = Rotating::start(KEY, max_age, Duration::ZERO).await;
    assert_eq!((stage.status(KEY).await, stage.status(OTHER_KEY).await), (200, 404));
    for broken in ["", "{}"] {
        match broken {
            "" => stage.manager().clear(SECRET),
            text => stage.manager().put(SECRET, text),
        }
        tokio::time::sleep(max_age * 2).await;
        assert_eq!(stage.status(KEY).await, 200, "{broken}: what is known is kept");
        assert_eq!(stage.status(OTHER_KEY).await, 503, "{broken}: it may be a new key");
    }
}
