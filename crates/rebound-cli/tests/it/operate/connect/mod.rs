//! `connect`, against a Resend that behaves as the real one.

mod key;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_local::function_url;
use aws_local::server::Server;
use rebound::receive::{Receiver, secret as webhook_secret};
use rebound::store::write::Writer;
use rebound::time::UnixMillis;
use rebound_cli::operate::connect::probe::ProbeResult;
use rebound_cli::operate::connect::{Connected, NEEDED, WebhookChange, connect};
use rebound_cli::operate::target::Target;
use rebound_dev::resend::{LocalResend, ResendBehaviour};
use rebound_dev::runner::{Clock, receive_invoker};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions, SECRET_NAME};
use serde_json::{Value, json};

use super::{CommandOutput, command};
use crate::support::{any_port, complaint};

pub(crate) const KEY: &str = "re_full_access";

/// A Rebound that reads its secret again whenever a signature fails, and a Resend.
pub(crate) struct World {
    pub(crate) aws: EmbeddedAws,
    pub(crate) resend: LocalResend,
    pub(crate) url: String,
    _server: Server,
}

/// The interval at which the function may read its secret again.
pub(crate) const RELOAD_INTERVAL: Duration = Duration::from_millis(20);

impl World {
    pub(crate) async fn start() -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        aws.secrets_manager.as_ref().unwrap().clear(SECRET_NAME);
        let clients = aws.clients();
        let secrets =
            webhook_secret::from_manager(clients.secrets_manager(), SECRET_NAME.to_owned(), RELOAD_INTERVAL).await;
        let table = |name: &str| aws.variable(name).unwrap();
        let writer = Writer::new(clients.dynamodb(), table("EVENTS_TABLE"), table("SUPPRESSIONS_TABLE"));
        let server = function_url::serve(
            any_port(),
            receive_invoker(Arc::new(Receiver::new(secrets, writer, 90)), Clock::new(1.0), Duration::from_secs(10)),
        )
        .await
        .unwrap();
        let resend = LocalResend::start(KEY).await.unwrap();
        Self { aws, resend, url: format!("{}/", server.url()), _server: server }
    }

    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.aws.variables().clone();
        for (name, value) in [("RESEND_BASE_URL", self.resend.url()), ("RESEND_API_KEY", KEY.to_owned())] {
            variables.insert(name.to_owned(), value);
        }
        variables.insert("REBOUND_FUNCTION_URL".to_owned(), self.url.clone());
        variables
    }

    pub(crate) async fn place(&self) -> Target {
        Target::find(&Default::default(), self.variables()).await.unwrap()
    }

    pub(crate) async fn rebound(&self, arguments: &[&str]) -> CommandOutput {
        command(&self.variables(), arguments, "").await
    }

    async fn connect(&self, rotate: bool, now: UnixMillis) -> Connected {
        connect(&self.place().await, &self.url, rotate, now, |_| {}).await.unwrap()
    }

    /// Delivers a complaint, and answers the status.
    async fn delivers(&self) -> u16 {
        let body = String::from_utf8(complaint("ann@example.com", "e1")).unwrap();
        self.resend.deliver("email.complained", &body).await[0]
    }
}

#[tokio::test]
async fn one_command_connects_a_stack_and_a_second_changes_nothing() {
    let world = World::start().await;
    for n in 0..250 {
        world.resend.suppress(&format!("Listed{n}@example.com"), "bounce", "2026-10-06 23:47:56.678+00");
    }
    let said = world.rebound(&["connect", "--json"]).await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    let report = said.json();
    assert_eq!(
        (&report["connected"]["done"], &report["connected"]["proof"]["proof"]),
        (&json!("created"), &json!("proved"))
    );
    assert_eq!(report["imported"]["changed"], json!(250));
    let (endpoint, events, status) = world.resend.webhooks().remove(0);
    assert_eq!((endpoint, status.as_str()), (world.url.clone(), "enabled"));
    assert!(NEEDED.iter().all(|needed| events.iter().any(|event| event == needed)), "{events:?}");
    assert_eq!(world.delivers().await, 200);
    let check = world.rebound(&["check", "listed249@example.com", "--json"]).await.lines();
    assert_eq!(check[0]["reasons"][0]["reason"], "provider");

    let calls = world.resend.calls().len();
    let again = world.rebound(&["connect", "--json"]).await.json();
    assert_eq!(
        (&again["connected"]["done"], &again["connected"]["secret_stored"]),
        (&json!("unchanged"), &json!(false))
    );
    assert_eq!((&again["imported"]["changed"], &again["imported"]["unchanged"]), (&json!(0), &json!(250)));
    assert!(world.resend.calls()[calls..].iter().all(|call| call.starts_with("GET ")), "{:?}", world.resend.calls());
    for text in [said.stdout, said.stderr, again.to_string()] {
        assert!(!text.contains("whsec_") && !text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn a_disabled_webhook_is_repaired_and_missing_types_are_named() {
    let world = World::start().await;
    world.resend.open_suppressions(false);
    let first = world.connect(false, UnixMillis::now()).await;
    assert_eq!((first.done, first.not_offered.len()), (WebhookChange::Created, 2));
    let said = world.rebound(&["connect", "--json"]).await.json();
    assert!(said["not_imported"].as_str().unwrap().contains("does not offer its list"), "{said:#}");

    world.resend.disable_all();
    world.resend.unsubscribe("email.complained");
    let again = world.connect(false, UnixMillis::now()).await;
    assert_eq!((again.done, again.subscribed), (WebhookChange::Updated, vec!["email.complained".to_owned()]));
    let (_, events, status) = world.resend.webhooks().remove(0);
    assert!(status == "enabled" && events.iter().any(|event| event == "email.complained"));
    world.resend.open_suppressions(true);
    assert_eq!(world.connect(false, UnixMillis::now()).await.subscribed, ["suppression.added", "suppression.removed"]);
}

#[tokio::test]
async fn a_webhook_for_every_type_stays_one() {
    let world = World::start().await;
    world.connect(false, UnixMillis::now()).await;
    world.resend.subscribe_to_all();
    let again = world.connect(false, UnixMillis::now()).await;
    assert_eq!((again.done, again.subscribed.len(), again.not_offered.len()), (WebhookChange::Unchanged, 0, 0));
    world.resend.disable_all();
    assert_eq!(world.connect(false, UnixMillis::now()).await.done, WebhookChange::Updated);
    assert_eq!(world.resend.webhooks()[0].1, Vec::<String>::new(), "no list of types");
    assert_eq!((world.resend.webhooks()[0].2.as_str(), world.delivers().await), ("enabled", 200));
}

#[tokio::test]
async fn a_refusal_of_the_account_is_not_taken_for_one_of_the_types() {
    let world = World::start().await;
    let name = "validation_error".to_owned();
    let refused = ResendBehaviour::Error { status: 403, name, message: "You have no webhooks left".to_owned() };
    world.resend.plan(move |method, _| (method == "POST").then(|| refused.clone()));
    let said = world.rebound(&["connect"]).await;
    assert!(said.code == 2 && said.stderr.contains("no webhooks left"), "{said:#?}");
    assert_eq!(world.resend.calls().iter().filter(|call| call.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn a_rotation_refuses_no_webhook_and_ends_a_day_later() {
    let world = Arc::new(World::start().await);
    world.connect(false, UnixMillis::now()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let (posting, stopped, counting) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&answered));
    let posts = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while !stopped.load(Ordering::SeqCst) {
            statuses.push(posting.delivers().await);
            counting.fetch_add(1, Ordering::SeqCst);
        }
        statuses
    });
    // However slow the machine is, some are answered before and some after.
    let some_more = async || {
        let enough = answered.load(Ordering::SeqCst) + 5;
        while answered.load(Ordering::SeqCst) < enough && !posts.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    some_more().await;
    let now = UnixMillis::now();
    let rotated = world.connect(true, now).await;
    assert_eq!((rotated.rotated, rotated.secrets, &rotated.proof), (true, 2, &ProbeResult::Proved));
    some_more().await;
    stop.store(true, Ordering::SeqCst);
    let statuses = posts.await.unwrap();
    assert!(statuses.len() >= 10 && statuses.iter().all(|status| *status == 200), "{statuses:?}");

    let day = Duration::from_secs(25 * 3_600);
    assert_eq!(world.connect(false, now).await.secrets, 2, "the old one still signs");
    world.resend.advance_clock(day);
    let later = world.connect(false, now.plus(day)).await;
    assert_eq!((later.secrets, later.secret_stored), (1, true));
    assert_eq!(world.delivers().await, 200);
}

#[tokio::test]
async fn rotating_one_of_two_webhooks_keeps_the_other_ones_secret() {
    let world = World::start().await;
    world.connect(false, UnixMillis::now()).await;
    let resend = rebound_cli::resend_api::Resend::new(Some(&world.resend.url()), KEY).unwrap();
    resend.create_webhook(&world.url, &["email.complained".to_owned()]).await.unwrap();
    let body = String::from_utf8(complaint("ann@example.com", "e1")).unwrap();
    assert_eq!(world.connect(false, UnixMillis::now()).await.secrets, 2);
    assert_eq!(world.resend.deliver("email.complained", &body).await, [200, 200]);
    let now = UnixMillis::now();
    assert_eq!(world.connect(true, now).await.secrets, 3);
    assert_eq!(world.resend.deliver("email.complained", &body).await, [200, 200]);
    let day = Duration::from_secs(25 * 3_600);
    world.resend.advance_clock(day);
    assert_eq!(world.connect(false, now.plus(day)).await.secrets, 2);
    assert_eq!(world.resend.deliver("email.complained", &body).await, [200, 200]);
}

#[tokio::test]
async fn an_old_secret_is_dropped_even_if_resend_hides_secrets() {
    let world = World::start().await;
    world.connect(false, UnixMillis::now()).await;
    world.resend.expose_secrets(false);
    let now = UnixMillis::now();
    assert_eq!(world.connect(true, now).await.secrets, 2);
    assert_eq!(world.connect(false, now).await.secrets, 2);
    let day = Duration::from_secs(25 * 3_600);
    world.resend.advance_clock(day);
    assert_eq!(world.connect(false, now.plus(day)).await.secrets, 1);
    assert_eq!(world.delivers().await, 200);
}

#[tokio::test]
async fn whatever_breaks_off_the_next_run_brings_it_into_order() {
    let world = World::start().await;
    // The webhook was made, and the answer got lost: with it the secret.
    world.resend.plan(|method, _| (method == "POST").then_some(ResendBehaviour::LoseAnswer));
    let lost = world.rebound(&["connect"]).await;
    assert_eq!(lost.code, 2);
    assert!(lost.stderr.contains("can't be reached"), "{}", lost.stderr);
    world.resend.plan(|_, _| None);
    let next = world.connect(false, UnixMillis::now()).await;
    assert_eq!(
        (next.done, world.resend.webhooks().len(), &next.proof),
        (WebhookChange::Unchanged, 1, &ProbeResult::Proved)
    );

    // It was rotated, and then this program died.
    let resend = rebound_cli::resend_api::Resend::new(Some(&world.resend.url()), KEY).unwrap();
    resend.rotate(&next.webhook).await.unwrap();
    assert_eq!(world.delivers().await, 200, "signed with both");
    world.resend.advance_clock(Duration::from_secs(25 * 3_600));
    assert_eq!(world.delivers().await, 401);
    world.connect(false, UnixMillis::now()).await;
    assert_eq!(world.delivers().await, 200);

    // Resend fails for a while.
    let mut left = 3;
    world.resend.plan(move |_, _| {
        left -= 1;
        (left >= 0).then_some(ResendBehaviour::Status(503))
    });
    assert_eq!(world.connect(false, UnixMillis::now()).await.done, WebhookChange::Unchanged);
}

#[tokio::test]
async fn a_wrong_key_or_url_is_refused_with_what_to_do() {
    let world = World::start().await;
    let with_key = async |key: &str| {
        let mut variables = world.variables();
        variables.insert("RESEND_API_KEY".to_owned(), key.to_owned());
        command(&variables, &["connect"], "").await
    };
    for (key, words) in [("re_wrong", "refuses the key"), ("re_sending_only", "can only send")] {
        let said = with_key(key).await;
        assert_eq!(said.code, 2);
        assert!(
            said.stderr.contains(words) && said.stderr.contains("full access") && !said.stderr.contains(key),
            "{}",
            said.stderr
        );
    }
    let mut without = world.variables();
    without.remove("RESEND_API_KEY");
    let said = command(&without, &["connect"], "").await;
    assert!(said.code == 2 && said.stderr.contains("set RESEND_API_KEY"), "{}", said.stderr);
    let nobody = world.rebound(&["connect", "http://127.0.0.1:9/", "--no-import", "--json"]).await;
    assert_eq!((nobody.code, &nobody.json()["connected"]["proof"]["proof"]), (1, &json!("not_rebound")));
    assert_eq!(world.rebound(&["connect", "example.com"]).await.code, 2);
    let said: Value = world.rebound(&["suppressions", "import", "--from-resend", "--json"]).await.json();
    assert_eq!(said["changed"], json!(0));
}
