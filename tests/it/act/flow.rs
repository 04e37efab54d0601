//! Runs of `act`, from a decision to an email at Resend.

use std::time::Duration;

use rebound::act::ActActivity;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::store::followups::{Switch, SwitchOf};
use rebound::store::{number, string, text};
use rebound::time::hours;
use rebound_dev::resend::SENDING_KEY;
use tokio::time::Instant;

use crate::support::act::{ActHarness, NOON, sent, tag};

const ANN: &str = "ann@example.com";
const EMAIL: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";

#[tokio::test]
async fn a_follow_up_that_is_due_is_sent_once() {
    let stage = ActHarness::start().await;
    let id = stage.decide(EMAIL, ANN).await;
    let report = stage.act().await;
    assert_eq!((sent(&report), &report.errors), (1, &Vec::new()), "{report:?}");
    assert_eq!(sent(&stage.act().await), 0);

    let accepted = stage.resend.accepted();
    let request = &accepted[0].request;
    assert_eq!((accepted.len(), request["to"].as_str()), (1, Some(ANN)));
    assert_eq!(
        (tag(request, "followup"), tag(request, "followup_of"), tag(request, "campaign")),
        (id, EMAIL.to_owned(), "spring".to_owned())
    );
    assert!(request["headers"]["List-Unsubscribe"].as_str().unwrap().starts_with("<https://mail.example.com/u/"));
    assert_eq!(accepted[0].idempotency_key.as_deref().unwrap(), stage.row().await.idempotency_key().unwrap());
    let row = stage.row().await;
    assert_eq!(
        (row.state.status, row.state.resend_id.as_deref()),
        (FollowupStatus::Sent, Some(accepted[0].id.as_str()))
    );
    assert_eq!(string(&stage.lock().await, "holder"), "", "the lock is released");
}

#[tokio::test]
async fn an_idle_run_is_two_queries_and_no_write() {
    let stage = ActHarness::start().await;
    stage.faults.plan(|_| None);
    stage.act().await;
    let calls: Vec<String> = stage.faults.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["Query", "Query"]);
}

#[tokio::test]
async fn a_second_act_does_nothing_while_the_first_one_works() {
    let stage = ActHarness::start().await;
    for n in 0..20 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    let (first, second) = (stage.actor(), stage.actor());
    let (first, second) = tokio::join!(stage.run(&first), stage.run(&second));
    assert_eq!((sent(&first) + sent(&second), sent(&first).min(sent(&second))), (20, 0));
    stage.none_twice("two acts at once");
}

#[tokio::test]
async fn a_lock_whose_holder_is_dead_is_taken_over_later() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    let until = rebound::time::UnixMillis::now().plus(Duration::from_secs(55));
    stage
        .put(
            "AGENDA_TABLE",
            &[("kind", text("lock")), ("due", text("act")), ("holder", text("dead")), ("until", number(until.0))],
        )
        .await;
    assert_eq!(sent(&stage.act().await), 0);
    stage.end_rests().await;
    assert_eq!(sent(&stage.act().await), 1);
}

#[tokio::test]
async fn whoever_is_suppressed_gets_nothing() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    stage.suppress(ANN).await;
    let report = stage.act().await;
    assert_eq!(report.count(|did| *did == ActActivity::Dropped(DropReason::Suppressed)), 1, "{report:?}");
    assert_eq!((stage.status().await, stage.resend.accepted().len()), (FollowupStatus::Dropped, 0));
}

#[tokio::test]
async fn the_night_postpones_until_morning() {
    let stage = ActHarness::start().await;
    stage.set_clock(NOON.plus(hours(9)));
    stage.decide(EMAIL, ANN).await;
    assert_eq!(sent(&stage.act().await), 0);
    let row = stage.row().await;
    assert_eq!(
        (row.state.status, row.state.entry_at.to_text().as_str()),
        (FollowupStatus::Due, "2026-11-25T08:00:00.000Z")
    );
    stage.set_clock(row.state.entry_at);
    assert_eq!(sent(&stage.act().await), 1);
}

#[tokio::test]
async fn followups_off_on_act_stops_sending() {
    for mode in ["off", "propose"] {
        let stage = ActHarness::start().await;
        stage.decide(EMAIL, ANN).await;
        let actor = stage.actor_with(&[("FOLLOWUPS", mode)]);
        stage.run(&actor).await;
        assert_eq!((stage.status().await, stage.resend.calls().len()), (FollowupStatus::Due, 0), "{mode}");
        stage.advance(hours(73));
        stage.run(&actor).await;
        let row = stage.row().await;
        assert_eq!(row.state.reason, Some(DropReason::TooLate), "{mode}");
        assert_eq!(stage.alerts().await, ["send_failed"], "{mode}");
    }
}

#[tokio::test]
async fn whoever_left_the_trial_gets_nothing() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    stage.run(&stage.actor_with(&[("FOLLOWUP_RECIPIENTS", "@shop.example")])).await;
    assert_eq!(stage.row().await.state.reason, Some(DropReason::Stopped));
    assert_eq!(stage.resend.accepted().len(), 0);
}

#[tokio::test]
async fn the_days_limit_ends_the_run_and_counts_first_tries_only() {
    let stage = ActHarness::start().await;
    for n in 0..3 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    let actor = stage.actor_with(&[("FOLLOWUPS_PER_DAY", "2")]);
    assert_eq!(sent(&stage.run(&actor).await), 2);
    assert_eq!(sent(&stage.run(&actor).await), 0);
    let row = stage.rows().await.into_iter().find(|row| row.state.status == FollowupStatus::Due).unwrap();
    assert_eq!(row.state.history.len(), 1, "nothing was written for it");
    stage.set_clock(rebound::time::UnixMillis::parse("2026-11-25T09:00:00Z").unwrap());
    assert_eq!(sent(&stage.run(&actor).await), 1);
}

fn switch(stage: &ActHarness) -> Switch {
    Switch { of: SwitchOf::All, at: stage.now(), by: "eva".to_owned(), reason: "weekend".to_owned() }
}

#[tokio::test]
async fn a_switch_stops_all_and_what_is_over_is_settled() {
    let stage = ActHarness::start().await;
    stage.decide("e0", "p0@example.com").await;
    stage.decide("e1", "p1@example.com").await;
    stage.store().pause(&switch(&stage)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(sent(&stage.act().await), 0);
        stage.advance(Duration::from_secs(60));
    }
    assert!(stage.rows().await.iter().all(|row| row.state.history.len() == 1), "nothing was written for an email");
    stage.advance(hours(72));
    let report = stage.act().await;
    assert_eq!(report.count(|did| *did == ActActivity::Dropped(DropReason::TooLate)), 2, "{report:?}");
    stage.store().resume(&SwitchOf::All).await.unwrap();
    stage.decide("e2", "p2@example.com").await;
    assert_eq!(sent(&stage.act().await), 1);
}

#[tokio::test]
async fn an_entry_whose_row_is_gone_is_deleted() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    let row = stage.row().await;
    stage.store().forget(&row, "eva", stage.now()).await.unwrap();
    let entry = [
        ("kind", text("followup")),
        ("due", text(format!("{}#{}", NOON.to_text(), row.id))),
        ("email_id", text(EMAIL)),
        ("id", text(&row.id)),
        ("status", text("due")),
    ];
    stage.put("AGENDA_TABLE", &entry).await;
    stage.act().await;
    let agenda = stage.scan("AGENDA_TABLE").await;
    assert!(agenda.iter().all(|item| string(item, "kind") != "followup"), "{agenda:?}");
    assert_eq!(stage.resend.accepted().len(), 0);
}

async fn opt_out(stage: &ActHarness, address: &str) {
    let due = format!("{}#{address}", stage.now().to_text());
    stage.put("AGENDA_TABLE", &[("kind", text("push")), ("due", text(due))]).await;
}

async fn pushes(stage: &ActHarness) -> usize {
    stage.scan("AGENDA_TABLE").await.iter().filter(|item| string(item, "kind") == "push").count()
}

#[tokio::test]
async fn a_contact_that_opted_out_is_unsubscribed_at_resend() {
    let stage = ActHarness::start().await;
    let create = rebound::web::client_for("http:").post(format!("{}/contacts", stage.resend.url()));
    let create = create.bearer_auth(crate::support::act::KEY).body(r#"{"email":"ann+news@example.com"}"#);
    assert_eq!(create.send().await.unwrap().status(), 201);
    opt_out(&stage, "ann+news@example.com").await;
    opt_out(&stage, "nobody@example.com").await;
    let report = stage.act().await;
    assert_eq!(report.count(|did| *did == ActActivity::Pushed), 2, "{report:?}");
    assert_eq!(stage.resend.contact("ann+news@example.com").unwrap()["unsubscribed"], true);
    assert_eq!(pushes(&stage).await, 0);
    assert_eq!(stage.lock().await["contacts_not_found"], number(1), "`rebound doctor` says so");
}

#[tokio::test]
async fn a_contact_does_not_wait_until_a_backlog_is_sent() {
    let stage = ActHarness::with(&[("RESEND_RATE", "4")]).await;
    for n in 0..60 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    opt_out(&stage, ANN).await;
    // A quarter of a second for each: requests may begin for 11 s, so the backlog alone takes longer.
    stage.actor().run(&|| stage.now(), Instant::now() + Duration::from_secs(26)).await;
    let left = stage.rows().await.iter().filter(|row| row.state.status == FollowupStatus::Due).count();
    assert!(left > 0, "not all were sent");
    assert_eq!(pushes(&stage).await, 0);
}

#[tokio::test]
async fn contacts_are_unsubscribed_though_the_key_of_the_links_is_not_known() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, "bob@example.com").await;
    opt_out(&stage, ANN).await;
    let secret =
        [("CONSENT_KEY", ""), ("CONSENT_KEYS_ARN", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:none")];
    let report = stage.run(&stage.actor_with(&secret)).await;
    assert_eq!((sent(&report), report.count(|did| *did == ActActivity::Pushed)), (0, 1), "{report:?}");
    assert_eq!(pushes(&stage).await, 0);
}

#[tokio::test]
async fn a_key_that_may_only_send_rests_pushes_and_sends_on() {
    let stage = ActHarness::with(&[("RESEND_API_KEY", SENDING_KEY)]).await;
    opt_out(&stage, ANN).await;
    let report = stage.act().await;
    assert_eq!(report.count(|did| *did == ActActivity::PushRefused), 1, "{report:?}");
    stage.decide(EMAIL, "bob@example.com").await;
    let report = stage.act().await;
    assert_eq!((sent(&report), report.count(|did| *did == ActActivity::PushRefused)), (1, 0));
    assert_eq!((pushes(&stage).await, stage.alerts().await), (1, vec!["resend_key".to_owned()]));
}

#[tokio::test]
async fn a_push_that_fails_for_now_comes_later() {
    let stage = ActHarness::start().await;
    opt_out(&stage, ANN).await;
    stage
        .resend
        .plan(|_, path| path.starts_with("/contacts").then_some(rebound_dev::resend::ResendBehaviour::Status(503)));
    stage.act().await;
    assert_eq!(pushes(&stage).await, 1);
    stage.resend.plan(|_, _| None);
    stage.act().await;
    assert_eq!(pushes(&stage).await, 1, "not yet");
    stage.advance(Duration::from_secs(11 * 60));
    stage.act().await;
    assert_eq!(pushes(&stage).await, 0);
}
