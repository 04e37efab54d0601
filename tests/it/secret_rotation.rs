//! The signing secret in Secrets Manager: a rotation needs no deployment, and no sender can cause constant reads.

use std::time::Duration;

use aws_local::secrets_manager::LocalSecretsManager;
use aws_local::server::Server;
use rebound::receive::secret::{self as webhook_secret, RELOAD_INTERVAL};
use rebound::receive::{Receiver, WRITE_BUDGET};
use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::write::Writer;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions, SECRET_NAME};
use serde_json::{Value, json};

use crate::support::{complaint, hand_over, now, secret};

const NEW_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

struct Rotating {
    aws: EmbeddedAws,
    receiver: Receiver,
}

impl Rotating {
    /// Starts with this in the secret; empty: the secret has no value.
    async fn start(first: &str, interval: Duration) -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        match (aws.secrets_manager.as_ref().unwrap(), first) {
            (manager, "") => manager.clear(SECRET_NAME),
            (manager, first) => manager.put(SECRET_NAME, first),
        }
        let clients = aws.clients();
        let secrets = webhook_secret::from_manager(clients.secrets_manager(), SECRET_NAME.to_owned(), interval).await;
        let writer = Writer::new(
            clients.dynamodb(),
            aws.variable("EVENTS_TABLE").unwrap(),
            aws.variable("SUPPRESSIONS_TABLE").unwrap(),
        );
        Self { receiver: Receiver::new(secrets, writer, 90), aws }
    }

    fn manager(&self) -> &LocalSecretsManager {
        self.aws.secrets_manager.as_ref().unwrap()
    }

    async fn post(&self, message: &SignedMessage) -> (u16, Value) {
        hand_over(&self.receiver, message, WRITE_BUDGET).await
    }
}

fn holding(secrets: &str) -> String {
    json!({ "RESEND_WEBHOOK_SECRET": secrets, "SOMETHING_ELSE": 1 }).to_string()
}

fn signed_with(secret: &SigningSecret, age: i64) -> SignedMessage {
    SignedMessage::new(new_message_id(), now() - age, complaint("ann@example.com", "e1"), secret)
}

#[tokio::test]
async fn a_rotated_secret_is_found_at_the_first_failed_signature() {
    let service = Rotating::start(&holding(rebound_dev::LOCAL_SECRET), RELOAD_INTERVAL).await;
    let new: SigningSecret = NEW_SECRET.parse().unwrap();
    assert_eq!(service.post(&signed_with(&secret(), 0)).await.0, 200);
    assert_eq!(service.manager().reads(), 1, "read in init, and not with each webhook");

    service.manager().put(SECRET_NAME, &holding(&format!("{NEW_SECRET} {}", rebound_dev::LOCAL_SECRET)));
    assert_eq!(service.post(&signed_with(&new, 0)).await.0, 200);
    assert_eq!(service.post(&signed_with(&secret(), 0)).await.0, 200, "the old one holds while both are there");
    assert_eq!(service.manager().reads(), 2);
}

#[tokio::test]
async fn forgeries_make_it_be_read_again_at_most_once_in_the_interval() {
    let service = Rotating::start(&holding(rebound_dev::LOCAL_SECRET), RELOAD_INTERVAL).await;
    let forger: SigningSecret = NEW_SECRET.parse().unwrap();
    for _ in 0..20 {
        let (status, answer) = service.post(&signed_with(&forger, 0)).await;
        assert_eq!((status, answer["error"].as_str().unwrap().starts_with("wrong signature")), (401, true));
    }
    assert_eq!(service.manager().reads(), 2);
}

#[tokio::test]
async fn what_is_stale_or_malformed_does_not_make_it_be_read_again() {
    let service = Rotating::start(&holding(rebound_dev::LOCAL_SECRET), Duration::ZERO).await;
    let forger: SigningSecret = NEW_SECRET.parse().unwrap();
    assert_eq!(service.post(&signed_with(&forger, 1_000)).await.0, 401);
    assert_eq!(service.post(&signed_with(&secret(), 1_000)).await.0, 401);
    let mut malformed = signed_with(&forger, 0);
    malformed.headers.insert("svix-signature".to_owned(), "v2,AAAA".to_owned());
    assert_eq!(service.post(&malformed).await.0, 401);
    assert_eq!(service.manager().reads(), 1);
}

#[tokio::test]
async fn until_the_secret_is_set_resend_is_asked_to_try_again() {
    for first in ["", r#"{"RESEND_WEBHOOK_SECRET":""}"#, "{}", "not json", &holding("%%")] {
        let service = Rotating::start(first, Duration::ZERO).await;
        let message = signed_with(&secret(), 0);
        let (status, answer) = service.post(&message).await;
        assert_eq!((status, answer["error"].as_str().unwrap().contains("not set")), (503, true), "{first}");
        service.manager().put(SECRET_NAME, &holding(rebound_dev::LOCAL_SECRET));
        let (status, answer) = service.post(&message).await;
        assert_eq!((status, answer["status"].as_str().unwrap()), (200, "handled"), "{first}");
    }
}

#[tokio::test]
async fn while_the_new_secret_is_invalid_the_old_one_stays() {
    let service = Rotating::start(&holding(rebound_dev::LOCAL_SECRET), Duration::ZERO).await;
    service.manager().put(SECRET_NAME, "{}");
    assert_eq!(service.post(&signed_with(&NEW_SECRET.parse().unwrap(), 0)).await.0, 401);
    assert_eq!(service.post(&signed_with(&secret(), 0)).await.0, 200);
}

#[tokio::test]
async fn an_unreadable_response_does_not_log_the_secret() {
    let garbled = |_| async {
        let body = format!(r#"{{"ARN":"a","SecretString":"{NEW_SECRET}","CreatedDate":"not a date""#);
        Ok(hyper::Response::new(http_body_util::Full::new(hyper::body::Bytes::from(body))))
    };
    let server = Server::start(crate::support::any_port(), garbled).await.unwrap();
    let garbled = |name: &str| (name == "AWS_ENDPOINT_URL_SECRETS_MANAGER").then(|| server.url());
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), garbled).await.unwrap();
    let client = aws.clients().secrets_manager();
    let log = crate::support::logged(webhook_secret::from_manager(client, "arn".to_owned(), Duration::ZERO)).await;
    assert!(log.contains("no signing secret yet"), "{log}");
    assert!(!log.contains("C2FVsBQIhrscChlQIMV"), "{log}");
}
