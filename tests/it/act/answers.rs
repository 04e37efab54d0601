//! Every answer of Resend: the effect on the row, the rests, and what is asked next.

use std::collections::BTreeSet;
use std::time::Duration;

use rebound::act::ActActivity;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::store::string;
use rebound::time::{UnixMillis, hours, minutes};
use rebound_dev::resend::{ResendBehaviour, SENDING_KEY};

use super::{error, first_emails};
use crate::support::act::{ActHarness, NOON, sent};

const ANN: &str = "ann@example.com";
const EMAIL: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";

async fn after_one(behaviour: ResendBehaviour) -> ActHarness {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    first_emails(&stage, vec![behaviour]);
    stage.act().await;
    stage
}

#[tokio::test]
async fn an_unclear_answer_is_repeated_with_the_same_key_and_body() {
    for behaviour in [
        ResendBehaviour::Status(500),
        ResendBehaviour::Html(502),
        error(409, "concurrent_idempotent_requests"),
        error(408, "x"),
        ResendBehaviour::LoseAnswer,
        ResendBehaviour::AnswerLate(Duration::from_millis(10_500)),
        ResendBehaviour::EffectLate(Duration::from_millis(10_500)),
    ] {
        let stage = after_one(behaviour.clone()).await;
        let row = stage.row().await;
        assert_eq!((row.state.status, row.state.tries), (FollowupStatus::Sending, 1), "{behaviour:?}");
        let body = row.request.clone();
        tokio::time::sleep(Duration::from_millis(700)).await;
        stage.advance(minutes(2));
        assert_eq!(sent(&stage.act().await), 1, "{behaviour:?}");
        assert_eq!((stage.resend.accepted().len(), stage.status().await), (1, FollowupStatus::Sent), "{behaviour:?}");
        assert_eq!((stage.row().await.request, stage.row().await.state.refusals), (body, 0));
    }
}

#[tokio::test]
async fn a_refusal_of_this_email_drops_it() {
    for (status, name) in [(422, "validation_error"), (400, "invalid_idempotency_key"), (413, "invalid_attachment")] {
        let stage = after_one(error(status, name)).await;
        let row = stage.row().await;
        assert_eq!(row.state.reason, Some(DropReason::Refused(name.to_owned())), "{status} {name}");
        assert_eq!((row.state.open_since, stage.alerts().await), (None, vec!["send_failed".to_owned()]));
    }
}

#[tokio::test]
async fn an_alert_names_the_stack_in_its_commands() {
    for (stack, command) in
        [("staging", "`rebound followups show ID --stack staging`"), ("rebound", "`rebound followups show ID`")]
    {
        let stage = ActHarness::with(&[("REBOUND_STACK", stack)]).await;
        stage.decide(EMAIL, ANN).await;
        first_emails(&stage, vec![error(422, "validation_error")]);
        stage.act().await;
        let rows = stage.scan("EVENTS_TABLE").await;
        let alert = rows.iter().find(|row| string(row, "event").starts_with("alert#")).unwrap();
        assert!(string(alert, "payload").contains(command), "{}", string(alert, "payload"));
    }
}

#[tokio::test]
async fn what_may_be_the_account_or_the_way_is_tried_again_with_a_new_key() {
    for behaviour in [
        error(403, "validation_error"),
        error(404, "not_found"),
        error(422, "a_new_error"),
        ResendBehaviour::Html(403),
        ResendBehaviour::Html(422),
    ] {
        let stage = after_one(behaviour.clone()).await;
        let row = stage.row().await;
        let state = (row.state.status, row.state.refusals, row.state.open_since);
        assert_eq!(state, (FollowupStatus::Due, 1, None), "{behaviour:?}");
        assert_eq!(stage.alerts().await, ["send_failed"], "{behaviour:?}");
        stage.advance(minutes(2));
        stage.act().await;
        let accepted = stage.resend.accepted();
        assert!(accepted[0].idempotency_key.as_deref().unwrap().ends_with("-1"), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_refused_key_rests_all_sending_and_alerts_once() {
    for behaviour in [error(401, "x"), error(403, "restricted_api_key"), ResendBehaviour::Html(401)] {
        let stage = ActHarness::start().await;
        stage.decide("e0", "p0@example.com").await;
        stage.decide("e1", "p1@example.com").await;
        first_emails(&stage, vec![behaviour.clone()]);
        stage.act().await;
        assert_eq!(stage.resend.accepted().len(), 0, "{behaviour:?}: the second one was not tried");
        let rest = stage.resting_until().await.unwrap() - UnixMillis::now().0;
        assert!((14 * 60_000..=15 * 60_000).contains(&rest), "{rest}");
        stage.advance(minutes(20));
        assert_eq!(sent(&stage.act().await), 0, "{behaviour:?}: it rests");
        stage.end_rests().await;
        assert_eq!(sent(&stage.act().await), 2, "{behaviour:?}");
        assert_eq!(stage.alerts().await, ["resend_key"], "{behaviour:?}");
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_the_key_counts_as_refused() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    let keyless = stage.actor_with(&[("RESEND_API_KEY", ""), ("ACT_KEYS_ARN", "rebound/nowhere")]);
    for _ in 0..2 {
        let report = stage.run(&keyless).await;
        assert_eq!(report.did, [ActActivity::Due(1), ActActivity::NoKey]);
        assert_eq!((stage.status().await, stage.row().await.state.tries), (FollowupStatus::Due, 0));
    }
    assert_eq!(stage.alerts().await, ["resend_key"], "once a day");
    assert_eq!(sent(&stage.act().await), 1, "as soon as there is a key");
}

#[tokio::test]
async fn a_used_up_quota_rests_an_hour() {
    for name in ["daily_quota_exceeded", "monthly_quota_exceeded", "email_above_quota"] {
        let stage = after_one(error(429, name)).await;
        let rest = stage.resting_until().await.unwrap() - UnixMillis::now().0;
        assert!((59 * 60_000..=60 * 60_000).contains(&rest), "{name} {rest}");
        assert_eq!((stage.status().await, stage.alerts().await), (FollowupStatus::Due, vec!["send_failed".to_owned()]));
    }
}

#[tokio::test]
async fn too_fast_rests_as_long_as_resend_says() {
    let stage = ActHarness::start().await;
    stage.decide("e0", "p0@example.com").await;
    stage.decide("e1", "p1@example.com").await;
    first_emails(&stage, vec![ResendBehaviour::TooFast(2)]);
    let before = std::time::Instant::now();
    assert_eq!(sent(&stage.act().await), 1, "the second one, after the rest");
    assert!(before.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn three_refusals_of_different_emails_rest_even_across_runs() {
    let stage = ActHarness::start().await;
    for n in 0..6 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    first_emails(&stage, vec![error(422, "validation_error"), error(422, "validation_error"), error(403, "x")]);
    stage.act().await;
    assert_eq!(stage.resend.accepted().len(), 0);
    assert_eq!(string(&stage.lock().await, "resting_because"), "refusals");
    stage.end_rests().await;
    assert_eq!(sent(&stage.act().await), 3);
    assert!(!stage.lock().await.contains_key("refused_in_a_row"));
}

#[tokio::test]
async fn another_body_under_the_key_is_unknown_and_never_repeated() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    // A program that still sends proposals: it uses the key of the first try.
    let key = stage.row().await.idempotency_key().unwrap();
    let client = rebound::web::client_for("http:");
    let theirs = client.post(format!("{}/emails", stage.resend.url())).bearer_auth(crate::support::act::KEY);
    let theirs = theirs
        .header("Idempotency-Key", key)
        .body(r#"{"from":"a@shop.example","to":"ann@example.com","subject":"Hi","text":"x"}"#);
    assert_eq!(theirs.send().await.unwrap().status(), 200);
    stage.act().await;
    assert_eq!(
        (stage.status().await, stage.alerts().await),
        (FollowupStatus::Unknown, vec!["send_unknown".to_owned()])
    );
    stage.advance(hours(2));
    stage.act().await;
    assert_eq!(stage.resend.accepted().len(), 1, "theirs");
}

#[tokio::test]
async fn an_unclear_try_then_a_quota_for_a_day_is_unknown() {
    let stage = after_one(ResendBehaviour::LoseAnswer).await;
    assert!(stage.row().await.state.open_since.is_some());
    stage.resend.plan(|_, path| (path == "/emails").then(|| error(429, "daily_quota_exceeded")));
    stage.acts_for(hours(25)).await;
    let row = stage.row().await;
    assert_eq!(row.state.status, FollowupStatus::Unknown, "{:?}", row.state);
    assert!(stage.alerts().await.contains(&"send_unknown".to_owned()));
    stage.resend.plan(|_, _| None);
    stage.acts_for(hours(4)).await;
    assert_eq!(stage.resend.accepted().len(), 1);
}

#[tokio::test]
async fn a_refusal_at_0_h_and_an_unclear_try_at_10_h_count_from_10_h() {
    let stage = ActHarness::start().await;
    // At 09:00: 10 hours later, and 23 hours after that, are outside of the quiet hours.
    stage.set_clock(NOON.minus(minutes(270)));
    stage.decide(EMAIL, ANN).await;
    first_emails(&stage, vec![error(403, "validation_error"), ResendBehaviour::LoseAnswer]);
    stage.act().await;
    let refused = stage.row().await.state;
    assert_eq!((refused.status, refused.refusals, refused.open_since), (FollowupStatus::Due, 1, None));
    stage.advance(hours(10));
    stage.act().await;
    let opened = stage.now();
    assert_eq!(stage.row().await.state.open_since, Some(opened));
    stage.resend.plan(|_, path| (path == "/emails").then_some(ResendBehaviour::Status(503)));
    stage.acts_for(hours(22)).await;
    let before = stage.row().await.state;
    stage.set_clock(opened.plus(hours(23)).minus(minutes(1)));
    stage.act().await;
    let last = stage.row().await.state;
    assert_eq!((last.status, last.tries), (FollowupStatus::Sending, before.tries + 1), "within 23 h of the second try");
    stage.set_clock(opened.plus(hours(23)));
    stage.act().await;
    let over = stage.row().await.state;
    assert_eq!((over.status, over.tries), (FollowupStatus::Unknown, last.tries));
    stage.resend.plan(|_, _| None);
    stage.acts_for(hours(4)).await;
    let accepted = stage.resend.accepted();
    assert_eq!(accepted.len(), 1, "of the second try alone");
    assert!(accepted[0].idempotency_key.as_deref().unwrap().ends_with("-1"));
}

#[tokio::test]
async fn an_api_key_that_changed_between_two_tries_is_not_used() {
    let stage = after_one(ResendBehaviour::LoseAnswer).await;
    stage.advance(minutes(2));
    let report = stage.run(&stage.actor_with(&[("RESEND_API_KEY", SENDING_KEY)])).await;
    assert_eq!((sent(&report), stage.status().await), (0, FollowupStatus::Unknown));
    assert_eq!((stage.resend.accepted().len(), stage.alerts().await), (1, vec!["send_unknown".to_owned()]));
}

#[tokio::test]
async fn a_late_answer_wins_over_every_status() {
    let stage = after_one(ResendBehaviour::LoseAnswer).await;
    let (row, accepted) = (stage.row().await, stage.resend.accepted());
    let written = stage.store().drop_followup(&row, DropReason::Rejected, "eva", "", Vec::new(), stage.now()).await;
    written.unwrap();
    assert!(stage.row().await.state.is_unclear());
    stage.store().record_accepted(EMAIL, &row.id, &accepted[0].id, "protect", stage.now()).await.unwrap();
    assert_eq!(stage.status().await, FollowupStatus::Sent);
    stage.store().record_accepted(EMAIL, &row.id, "another", "protect", stage.now()).await.unwrap();
    assert_eq!(stage.row().await.state.also, BTreeSet::from(["another".to_owned()]));
    assert_eq!(stage.alerts().await, ["send_unknown"]);
}
