//! `doctor`: what is well, and each thing that may not be.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{StreamSpecification, TimeToLiveSpecification};
use rebound::time::UnixMillis;
use rebound_cli::operate::doctor::{Check, CheckStatus, run_checks};
use rebound_cli::operate::target::Target;
use rebound_dev::claude::ClaudeStub;
use rebound_dev::stack::SECRET_NAME;
use serde_json::json;

use super::connect::{RELOAD_INTERVAL, World};
use super::{Dev, command};
use crate::support::{any_port, complaint};

fn moment(at: UnixMillis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap()
}

/// Subscribes somebody to the topic of alerts.
async fn subscribe(world: &World, protocol: &str, endpoint: &str) {
    let (sns, topic) = (world.aws.clients().sns(), world.aws.variable("ALERTS_TOPIC_ARN").unwrap());
    sns.subscribe().topic_arn(topic).protocol(protocol).endpoint(endpoint).send().await.unwrap();
}

/// A Rebound that is connected, has received an event, and of which CloudWatch tells.
async fn well() -> (World, ClaudeStub) {
    let world = World::start().await;
    assert_eq!(world.rebound(&["connect", "--no-import"]).await.code, 0);
    let body = String::from_utf8(complaint("ann@example.com", "e1")).unwrap();
    assert_eq!(world.resend.deliver("email.complained", &body).await, [200]);
    let now = UnixMillis::now();
    world.aws.control.as_ref().unwrap().set(|controls| {
        controls.metrics.insert("Invocations".to_owned(), vec![(moment(now.minus(Duration::from_secs(1_800))), 5.0)]);
        controls.metrics.insert("IteratorAge".to_owned(), vec![(moment(now), 2_000.0)]);
    });
    subscribe(&world, "email", "ann@example.com").await;
    world.aws.sns.as_ref().unwrap().confirm_all();
    (world, ClaudeStub::start(any_port()).await.unwrap())
}

fn variables(world: &World, claude: &ClaudeStub) -> BTreeMap<String, String> {
    let mut variables = world.variables();
    variables.insert("ANTHROPIC_BASE_URL".to_owned(), claude.url());
    variables.insert("ANTHROPIC_API_KEY".to_owned(), "sk-ant-test".to_owned());
    variables
}

async fn checks(variables: BTreeMap<String, String>) -> BTreeMap<String, Check> {
    let place = Target::find(&Default::default(), variables).await.unwrap();
    let checks = run_checks(&place, None, UnixMillis::now()).await;
    checks.into_iter().map(|check| (check.name.clone(), check)).collect()
}

#[tokio::test]
async fn what_is_well_is_said_to_be_and_the_exit_code_says_so_too() {
    let (world, claude) = well().await;
    let all = checks(variables(&world, &claude)).await;
    let not_ok: Vec<&Check> = all.values().filter(|check| check.verdict != CheckStatus::Ok).collect();
    assert!(not_ok.is_empty() && all.len() == 24, "{} {not_ok:#?}", all.len());
    assert!(all["last event received"].found.contains("30 minutes ago"), "{:?}", all["last event received"]);
    assert!(claude.asked().is_empty(), "nothing is spent");

    let said = command(&variables(&world, &claude), &["doctor", "--json"], "").await;
    assert_eq!((said.code, said.json()["checks"].as_array().unwrap().len()), (0, 24));
    world.resend.disable_all();
    let said = command(&variables(&world, &claude), &["doctor"], "").await;
    assert!(said.code == 1 && said.stdout.contains("To do: fix the cause"), "{}", said.stdout);
    for secret in ["whsec_", super::connect::KEY, "sk-ant-test"] {
        assert!(!said.stdout.contains(secret));
    }
    let nowhere = BTreeMap::from([("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:9".to_owned())]);
    let nowhere =
        nowhere.into_iter().chain([("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://127.0.0.1:9".to_owned())]);
    let said = command(&nowhere.collect(), &["doctor", "--json"], "").await;
    assert_eq!(said.code, 2, "{}", said.stdout);
}

/// The result of a check: its status, its details, and what to do.
async fn says(world: &World, claude: &ClaudeStub, name: &str) -> (CheckStatus, String) {
    says_with(variables(world, claude), name).await
}

async fn says_with(variables: BTreeMap<String, String>, name: &str) -> (CheckStatus, String) {
    let check = checks(variables).await.remove(name).unwrap_or_else(|| panic!("no check {name}"));
    if matches!(check.verdict, CheckStatus::Fault | CheckStatus::Warning) {
        assert!(check.to_do.as_ref().is_some_and(|to_do| to_do.len() > 10), "it says what to do: {check:?}");
    }
    (check.verdict, format!("{} {}", check.found, check.to_do.unwrap_or_default()))
}

fn is(said: &(CheckStatus, String), verdict: CheckStatus, words: &str) {
    assert!(said.0 == verdict && said.1.contains(words), "{said:?} is not {verdict:?} {words}");
}

#[tokio::test]
async fn doctor_warns_until_a_subscription_to_alerts_is_confirmed() {
    let (world, claude) = (World::start().await, ClaudeStub::start(any_port()).await.unwrap());
    let name = "who gets the alerts";
    is(&says(&world, &claude, name).await, CheckStatus::Warning, "make deploy PARAMETERS=AlertEmail=");
    subscribe(&world, "email", "ann@example.com").await;
    is(&says(&world, &claude, name).await, CheckStatus::Warning, "no one yet: 1 not confirmed");
    world.aws.sns.as_ref().unwrap().confirm_all();
    is(&says(&world, &claude, name).await, CheckStatus::Ok, "1 confirmed");
    subscribe(&world, "email", "bob@example.com").await;
    is(&says(&world, &claude, name).await, CheckStatus::Ok, "1 confirmed; 1 not confirmed yet");
    let mut elsewhere = variables(&world, &claude);
    elsewhere.insert("ALERTS_TOPIC_ARN".to_owned(), "no topic".to_owned());
    is(&says_with(elsewhere, name).await, CheckStatus::Fault, "the topic no topic does not exist");
}

#[tokio::test]
async fn the_hint_to_deploy_names_another_stack() {
    let world = World::start().await;
    for (stack, command) in [
        ("staging", "`make deploy PARAMETERS=AlertEmail=you@example.com STACK=staging`"),
        ("rebound", "`make deploy PARAMETERS=AlertEmail=you@example.com`"),
    ] {
        let said = self::command(&world.variables(), &["doctor", "--stack", stack, "--json"], "").await.json();
        let checks = said["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "who gets the alerts").unwrap();
        assert!(check["to_do"].as_str().unwrap().contains(command), "{check}");
    }
}

#[tokio::test]
async fn who_watches_rebound_dev_gets_its_alerts() {
    let said = Dev::start().await.rebound(&["doctor", "--json"]).await.json();
    let check = said["checks"].as_array().unwrap().iter().find(|check| check["name"] == "who gets the alerts").unwrap();
    assert_eq!((&check["verdict"], &check["found"]), (&json!("ok"), &json!("1 confirmed")));
}

#[tokio::test]
async fn a_table_that_is_not_as_the_template_has_it_is_a_fault() {
    let (world, claude) = well().await;
    let (dynamodb, table) = (world.aws.clients().dynamodb(), "rebound-recipients");
    let off = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(false).build().unwrap();
    dynamodb.update_time_to_live().table_name(table).time_to_live_specification(off).send().await.unwrap();
    is(&says(&world, &claude, "table rebound-recipients").await, CheckStatus::Fault, "expires");
    let off = StreamSpecification::builder().stream_enabled(false).build().unwrap();
    dynamodb.update_table().table_name("rebound-events").stream_specification(off).send().await.unwrap();
    is(&says(&world, &claude, "table rebound-events").await, CheckStatus::Fault, "its stream is off");
    dynamodb.delete_table().table_name("rebound-agenda").send().await.unwrap();
    is(&says(&world, &claude, "table rebound-agenda").await, CheckStatus::Fault, "does not exist");
}

#[tokio::test]
async fn doctor_reports_a_wrong_secret_and_a_url_of_another_service() {
    let (world, claude) = well().await;
    let secrets = world.aws.secrets_manager.as_ref().unwrap();
    secrets.put(SECRET_NAME, &json!({ "RESEND_WEBHOOK_SECRET": "whsec_YW5vdGhlciBvbmU" }).to_string());
    is(&says(&world, &claude, "webhook at Resend").await, CheckStatus::Fault, "was it rotated at Resend?");
    is(&says(&world, &claude, "signing secret").await, CheckStatus::Ok, "the function has the stored secret");
    let mut with_another = variables(&world, &claude);
    with_another.insert("RESEND_WEBHOOK_SECRET".to_owned(), rebound_dev::LOCAL_SECRET.to_owned());
    is(&says_with(with_another, "signing secret").await, CheckStatus::Fault, "another secret than the stored one");
    secrets.clear(SECRET_NAME);
    is(&says(&world, &claude, "signing secret").await, CheckStatus::Fault, "rebound connect");
    let at = |url: &str| {
        let mut variables = variables(&world, &claude);
        variables.insert("REBOUND_FUNCTION_URL".to_owned(), url.to_owned());
        variables
    };
    is(&says_with(at("http://127.0.0.1:9/"), "function URL").await, CheckStatus::Fault, "the connection to http");
    is(&says_with(at(&world.resend.url()), "function URL").await, CheckStatus::Fault, "is not a Rebound function URL");
    is(&says_with(at("http://127.0.0.1:9/"), "webhook at Resend").await, CheckStatus::Fault, "no webhook has the URL");
}

#[tokio::test]
async fn a_disabled_webhook_a_missing_type_and_a_wrong_key_are_faults() {
    let (world, claude) = well().await;
    world.resend.unsubscribe("email.bounced");
    is(&says(&world, &claude, "webhook at Resend").await, CheckStatus::Fault, "email.bounced");
    world.resend.disable_all();
    is(&says(&world, &claude, "webhook at Resend").await, CheckStatus::Fault, "the webhook is disabled");
    let with = |name: &str, value: &str| {
        let mut variables = variables(&world, &claude);
        variables.insert(name.to_owned(), value.to_owned());
        variables
    };
    is(&says_with(with("RESEND_API_KEY", "re_sending_only"), "Resend's key").await, CheckStatus::Fault, "full access");
    is(&says_with(with("RESEND_API_KEY", "re_wrong"), "Resend's key").await, CheckStatus::Fault, "refuses the key");
    is(
        &says_with(with("ANTHROPIC_API_KEY", "refused"), "Claude's key").await,
        CheckStatus::Fault,
        "refuses the key (401)",
    );
    is(
        &says_with(with("ANTHROPIC_MODEL", "claude-hiaku-5-5"), "Claude's model").await,
        CheckStatus::Fault,
        "the model claude-hiaku-5-5 does not exist",
    );
    is(&says(&world, &claude, "Claude's model").await, CheckStatus::Ok, "claude-haiku-5-5 is available");
    // As the deployed function is set, where the environment does not say it.
    world.aws.control.as_ref().unwrap().set(|controls| {
        controls.environment.insert("ANTHROPIC_MODEL".to_owned(), "claude-of-last-year".to_owned());
    });
    is(
        &says(&world, &claude, "Claude's model").await,
        CheckStatus::Fault,
        "the model claude-of-last-year does not exist",
    );
    let mut without = variables(&world, &claude);
    without.remove("RESEND_API_KEY");
    is(&says_with(without.clone(), "Resend's key").await, CheckStatus::NotChecked, "RESEND_API_KEY");
    without.remove("ANTHROPIC_API_KEY");
    is(&says_with(without, "Claude's key").await, CheckStatus::Ok, "the built-in rules decide");
}

#[tokio::test]
async fn deliveries_that_fail_are_a_fault_until_they_succeed_again() {
    let (world, claude) = well().await;
    let body = String::from_utf8(complaint("bob@example.com", "e2")).unwrap();
    let secrets = world.aws.secrets_manager.as_ref().unwrap();
    let wrong = json!({ "RESEND_WEBHOOK_SECRET": rebound_dev::LOCAL_SECRET }).to_string();
    secrets.put(SECRET_NAME, &wrong);
    // The function reads it with the first signature that fails, but not twice in an interval: `connect` made it read before.
    tokio::time::sleep(RELOAD_INTERVAL).await;
    let forged = crate::support::signed("{}");
    let client = rebound::web::client();
    let asked = forged.request(&client, reqwest::Method::POST, &world.url).send().await.unwrap();
    assert_eq!(asked.status().as_u16(), 200, "signed with the secret of local runs, and quarantined");
    assert_eq!(world.resend.deliver("email.complained", &body).await, [401]);
    is(&says(&world, &claude, "deliveries at Resend").await, CheckStatus::Fault, "1 of the last 2 failed");
    assert_eq!(world.rebound(&["connect", "--no-import"]).await.code, 0);
    assert_eq!(world.resend.deliver("email.complained", &body).await, [200]);
    is(&says(&world, &claude, "deliveries at Resend").await, CheckStatus::Warning, "replay the failed events");
}

#[tokio::test]
async fn a_delivery_that_is_still_tried_is_no_success() {
    let (world, claude) = well().await;
    world.resend.keep_trying(true);
    let resend = rebound_cli::resend_api::Resend::new(Some(&world.resend.url()), super::connect::KEY).unwrap();
    let (webhooks, _) = resend.webhooks().await.unwrap();
    resend.rotate(&webhooks[0].id).await.unwrap();
    // From now on Resend signs with the new secret alone, which nobody has put in place.
    let day = Duration::from_secs(25 * 3_600);
    world.resend.advance_clock(day);
    let body = String::from_utf8(complaint("bob@example.com", "e2")).unwrap();
    assert_eq!(world.resend.deliver("email.complained", &body).await, [401]);
    let place = Target::find(&Default::default(), variables(&world, &claude)).await.unwrap();
    let at = async |after: Duration| {
        let checks = run_checks(&place, None, UnixMillis::now().plus(day + after)).await;
        checks.into_iter().find(|check| check.name == "deliveries at Resend").unwrap()
    };
    assert_eq!(at(Duration::ZERO).await.verdict, CheckStatus::Ok, "the first try may be under way");
    let later = at(Duration::from_secs(300)).await;
    assert!(later.verdict == CheckStatus::Warning && later.found.contains("1 are being retried"), "{later:?}");
    world.resend.keep_trying(false);
    assert_eq!(world.resend.deliver("email.complained", &body).await, [401]);
    assert_eq!(at(Duration::from_secs(300)).await.verdict, CheckStatus::Fault);
}

#[tokio::test]
async fn doctor_reports_lag_dead_letters_no_stack_and_a_low_limit() {
    let (world, claude) = well().await;
    let control = world.aws.control.as_ref().unwrap();
    control.set(|controls| {
        controls.concurrency = 10;
        controls.metrics.insert("IteratorAge".to_owned(), vec![(moment(UnixMillis::now()), 1_200_000.0)]);
        controls.metrics.remove("Invocations");
        controls.stack_status = Some("UPDATE_ROLLBACK_COMPLETE".to_owned());
    });
    is(&says(&world, &claude, "the account's concurrency").await, CheckStatus::Warning, "Service Quotas");
    is(&says(&world, &claude, "protect's mappings").await, CheckStatus::Fault, "20 minutes");
    is(&says(&world, &claude, "stack").await, CheckStatus::Warning, "rolled back");
    let last = says(&world, &claude, "last event received").await;
    assert_eq!(last.0, CheckStatus::NotChecked, "here there are no metrics: {last:?}");
    control.set(|controls| {
        controls.stack_status = None;
        controls.mappings.iter_mut().for_each(|mapping| mapping.state = "Disabled".to_owned());
    });
    is(&says(&world, &claude, "stack").await, CheckStatus::Fault, "make deploy");
    is(&says(&world, &claude, "engage's mapping").await, CheckStatus::Fault, "Disabled");
    control.set(|controls| controls.mappings.clear());
    is(&says(&world, &claude, "protect's mappings").await, CheckStatus::Fault, "never invoked");
    let sqs = world.aws.clients().sqs();
    let queue = world.aws.variable("ENGAGE_DEAD_LETTERS_URL").unwrap();
    sqs.send_message().queue_url(queue).message_body("{}").delay_seconds(0).send().await.unwrap();
    is(&says(&world, &claude, "what engage gave up").await, CheckStatus::Fault, "redrive");
}
