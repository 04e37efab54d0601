//! `doctor` about the follow-ups that Rebound sends: the function that sends them, its key, and what holds them back.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::{Item, number, text};
use rebound::time::{UnixMillis, hours, minutes};
use rebound_cli::operate::doctor::{Check, CheckStatus, run_checks};
use rebound_cli::operate::target::Target;
use rebound_dev::resend::{LocalResend, SENDING_KEY};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use super::followups::put_followup;
use super::rebound;

const KEY: &str = "re_full_access";
const SECRET: &str = "rebound/act-keys";

/// A stack that sends follow-ups.
struct SendingStack {
    aws: EmbeddedAws,
    resend: LocalResend,
}

impl SendingStack {
    async fn start() -> Self {
        let named = |name: &str| (name == "FOLLOWUPS").then(|| "send".to_owned());
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), named).await.unwrap();
        let stage = Self { aws, resend: LocalResend::start(KEY).await.unwrap() };
        let url = stage.resend.url();
        stage.set(&[("RESEND_BASE_URL", &url), ("SENDER_ADDRESS", "1 Garden Lane")]);
        stage.secret(KEY);
        stage.runs(&[("Invocations", 1.0)]);
        stage
    }

    /// Sets variables of the functions.
    fn set(&self, variables: &[(&str, &str)]) {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.aws.control.as_ref().unwrap().set(|controls| controls.environment.extend(owned));
    }

    fn secret(&self, key: &str) {
        self.aws.secrets_manager.as_ref().unwrap().put(SECRET, &json!({ "RESEND_API_KEY": key }).to_string());
    }

    /// Sets the metrics, each with a value two minutes ago.
    fn runs(&self, metrics: &[(&str, f64)]) {
        let at = jiff::Timestamp::from_millisecond(UnixMillis::now().minus(minutes(2)).0).unwrap();
        self.aws.control.as_ref().unwrap().set(|controls| {
            controls.metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), vec![(at, *value)])).collect();
        });
    }

    async fn put(&self, attributes: &[(&str, AttributeValue)]) {
        let item: Item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let put = self.aws.clients().dynamodb().put_item();
        put.table_name(self.aws.variable("AGENDA_TABLE").unwrap()).set_item(Some(item)).send().await.unwrap();
    }

    async fn put_push(&self, due: UnixMillis) {
        let key = format!("{}#ann@example.com", due.to_text());
        self.put(&[("kind", text("push")), ("due", text(key))]).await;
    }

    async fn checks_at(&self, now: UnixMillis) -> BTreeMap<String, Check> {
        let mut variables = self.aws.variables().clone();
        variables.insert("ACT_FUNCTION".to_owned(), "rebound-act".to_owned());
        variables.insert("ACT_KEYS_ARN".to_owned(), SECRET.to_owned());
        let target = Target::find(&Default::default(), variables).await.unwrap();
        run_checks(&target, None, now).await.into_iter().map(|check| (check.name.clone(), check)).collect()
    }

    /// Checks that a line has this status and these words. What is wrong must say what to do.
    async fn says(&self, name: &str, verdict: CheckStatus, words: &str) {
        let all = self.checks_at(UnixMillis::now()).await;
        let check = &all[name];
        let said = format!("{} {}", check.found, check.to_do.clone().unwrap_or_default());
        assert!(check.verdict == verdict && said.contains(words), "{check:?} is not {verdict:?} {words}");
        let must_do = matches!(verdict, CheckStatus::Fault | CheckStatus::Warning);
        assert!(!must_do || check.to_do.is_some(), "{check:?}");
        assert!(!said.contains(KEY) && !said.contains('@'), "no key, no address: {said}");
    }
}

#[tokio::test]
async fn a_stack_that_sends_and_is_well_is_said_to_be() {
    let stage = SendingStack::start().await;
    put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    put_followup(&stage.aws, "bob@example.com", "sent", &[]).await;
    let day = UnixMillis::now().day();
    stage.put(&[("kind", text("handed_over")), ("due", text(day)), ("count", number(12))]).await;
    for (name, words) in [
        ("follow-ups", "sent; 12 of at most 200 today"),
        ("act's Resend key", "full access"),
        ("last run of act", "2 minutes ago"),
        ("postal address", "last line"),
        ("overdue follow-ups", "none; 0 due now; 1 wait for their time"),
        ("unknown follow-ups", "none of 1 in 7 days"),
        ("pauses", "none"),
        ("rests", "none"),
        ("opt-outs for Resend", "none waits"),
    ] {
        stage.says(name, CheckStatus::Ok, words).await;
    }
    assert!(stage.resend.calls().iter().all(|call| call.starts_with("GET ")), "nothing is changed");
}

#[tokio::test]
async fn sending_without_act_or_with_two_modes_is_a_fault() {
    let stage = SendingStack::start().await;
    let without = async || {
        // As on AWS, where the command does not know the variables of the functions.
        let variables = stage.aws.variables().clone().into_iter().filter(|(name, _)| name != "FOLLOWUPS");
        let target = Target::find(&Default::default(), variables).await.unwrap();
        let mut checks = run_checks(&target, None, UnixMillis::now()).await;
        checks.retain(|check| check.name == "follow-ups" || check.name.contains("act"));
        checks
    };
    let checks = without().await;
    assert!(checks[0].verdict == CheckStatus::Fault && checks[0].found.contains("no function act"), "{checks:?}");
    stage.set(&[("FOLLOWUPS", "propose")]);
    let checks = without().await;
    assert!(checks[0].verdict == CheckStatus::Ok && checks[0].found.contains("your program sends"), "{checks:?}");
    stage.set(&[("FOLLOWUPS", "sometimes")]);
    stage.says("follow-ups", CheckStatus::NotChecked, "not a mode").await;
}

#[tokio::test]
async fn a_trial_and_a_reached_limit_are_said() {
    let stage = SendingStack::start().await;
    stage.set(&[("FOLLOWUPS_PER_DAY", "3"), ("FOLLOWUP_RECIPIENTS", "@example.com"), ("SENDER_ADDRESS", " ")]);
    stage.says("follow-ups", CheckStatus::Ok, "of FOLLOWUP_RECIPIENTS only; 0 of at most 3").await;
    let day = UnixMillis::now().day();
    stage.put(&[("kind", text("handed_over")), ("due", text(day)), ("count", number(3))]).await;
    stage.says("follow-ups", CheckStatus::Warning, "until midnight UTC").await;
    stage.says("postal address", CheckStatus::Warning, "SenderAddress").await;
}

#[tokio::test]
async fn acts_key_is_tried_without_sending() {
    let stage = SendingStack::start().await;
    stage.secret(SENDING_KEY);
    stage.says("act's Resend key", CheckStatus::Warning, "may only send").await;
    stage.secret("re_wrong");
    stage.says("act's Resend key", CheckStatus::Fault, "refuses the key").await;
    stage.secret("two\nlines");
    stage.says("act's Resend key", CheckStatus::Fault, "not a key").await;
    stage.secret(" ");
    stage.says("act's Resend key", CheckStatus::Fault, "no key is stored, so no follow-up is sent").await;
    stage.aws.secrets_manager.as_ref().unwrap().clear(SECRET);
    stage.says("act's Resend key", CheckStatus::Fault, "ActKeysArn").await;
    stage.set(&[("FOLLOWUPS", "propose")]);
    stage.says("act's Resend key", CheckStatus::Warning, "so opt-outs are not unsubscribed at Resend").await;
    stage.set(&[("FOLLOWUPS", "send")]);
    // The variable wins, as in the function.
    stage.set(&[("RESEND_API_KEY", KEY)]);
    stage.says("act's Resend key", CheckStatus::Ok, "full access").await;
    stage.set(&[("RESEND_BASE_URL", "http://127.0.0.1:1")]);
    stage.says("act's Resend key", CheckStatus::NotChecked, "can't be reached").await;
}

#[tokio::test]
async fn a_schedule_that_stopped_or_fails_is_reported() {
    let stage = SendingStack::start().await;
    let later = stage.checks_at(UnixMillis::now().plus(hours(2))).await.remove("last run of act").unwrap();
    assert!(later.verdict == CheckStatus::Fault && later.found.contains("none since"), "{later:?}");
    stage.runs(&[("Invocations", 9.0), ("Errors", 4.0)]);
    stage.says("last run of act", CheckStatus::Warning, "4 runs failed within an hour").await;
    stage.runs(&[]);
    stage.says("last run of act", CheckStatus::Fault, "none in 24 hours").await;
}

#[tokio::test]
async fn a_local_run_that_sends_is_checked_too() {
    let stage = SendingStack::start().await;
    let mut variables = stage.aws.variables().clone();
    variables.extend(
        [("RESEND_BASE_URL", stage.resend.url()), ("RESEND_API_KEY", KEY.to_owned())]
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let target = Target::find(&Default::default(), variables).await.unwrap();
    let checks = run_checks(&target, None, UnixMillis::now()).await;
    let verdict = |name: &str| checks.iter().find(|check| check.name == name).unwrap().verdict;
    let all = ["follow-ups", "act's Resend key", "overdue follow-ups", "rests", "postal address", "last run of act"];
    let ok = CheckStatus::Ok;
    assert_eq!(all.map(verdict), [ok, ok, ok, ok, CheckStatus::Warning, CheckStatus::NotChecked], "{checks:#?}");
}

#[tokio::test]
async fn overdue_follow_ups_are_a_fault_unless_they_are_held() {
    let stage = SendingStack::start().await;
    put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    put_followup(&stage.aws, "bob@example.com", "sending", &[]).await;
    let later = UnixMillis::now().plus(hours(2));
    let overdue = async || stage.checks_at(later).await.remove("overdue follow-ups").unwrap();
    let check = overdue().await;
    assert!(check.verdict == CheckStatus::Fault && check.found.contains("2 due, the oldest 110 minutes"), "{check:?}");
    let until = later.plus(minutes(30));
    let rest = [("resting_until", number(until.0)), ("resting_because", text("quota"))];
    stage.put(&[&[("kind", text("lock")), ("due", text("act"))][..], &rest].concat()).await;
    assert_eq!(overdue().await.verdict, CheckStatus::Warning);
    let rests = stage.checks_at(later).await.remove("rests").unwrap();
    assert!(rests.found.contains("the quota at Resend is used up") && rests.found.contains(&until.to_text()));
    assert_eq!(stage.checks_at(until).await["rests"].verdict, CheckStatus::Ok, "it is over");
    assert_eq!(rebound(&stage.aws, &["followups", "pause", "--by", "eva", "--reason", "a price"]).await.code, 0);
    assert_eq!(stage.checks_at(until).await["overdue follow-ups"].verdict, CheckStatus::Warning);
    stage.says("pauses", CheckStatus::Warning, "by eva: a price").await;
    stage.says("pauses", CheckStatus::Warning, "`rebound followups resume`").await;
}

#[tokio::test]
async fn unknown_follow_ups_are_counted_and_the_newest_is_named() {
    let stage = SendingStack::start().await;
    put_followup(&stage.aws, "ann@example.com", "sent", &[]).await;
    let id = put_followup(&stage.aws, "bob@example.com", "unknown", &[]).await;
    stage.says("unknown follow-ups", CheckStatus::Warning, "1 of 2 in 7 days").await;
    stage.says("unknown follow-ups", CheckStatus::Warning, &format!("rebound followups show {id}")).await;
}

#[tokio::test]
async fn opt_outs_that_act_can_not_push_are_a_warning() {
    let (stage, now) = (SendingStack::start().await, UnixMillis::now());
    stage.put_push(now).await;
    stage.says("opt-outs for Resend", CheckStatus::Ok, "1 contact opted out here").await;
    stage.put_push(now.plus(minutes(10))).await;
    stage.says("opt-outs for Resend", CheckStatus::Warning, "1 failed, and are tried again").await;
    let lock = [("kind", text("lock")), ("due", text("act")), ("contacts_not_found", number(7))];
    let rest = [("push_resting_until", number(now.plus(minutes(50)).0))];
    stage.put(&[&lock[..], &rest].concat()).await;
    stage.says("opt-outs for Resend", CheckStatus::Warning, "7 so far were no contacts there").await;
    stage.says("opt-outs for Resend", CheckStatus::Warning, "act's Resend key").await;
}
