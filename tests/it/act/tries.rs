//! Each try by itself: it looks again, with the same key, in time, and only while the lock is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_local::faults::{Fault, Half, HalfResponse};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::act::ActActivity;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::followups::{Switch, SwitchOf};
use rebound::store::forgotten::ErasureKey;
use rebound::store::{number, string, text};
use rebound::time::{UnixMillis, hours, minutes};
use rebound_dev::resend::{ResendBehaviour, SENDING_KEY};
use tokio::time::Instant;

use super::{error, first_emails};
use crate::support::act::{ActHarness, NOON, sent};

const ANN: &str = "ann@example.com";
const EMAIL: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";

/// The number of requests to send an email.
fn requests(stage: &ActHarness) -> usize {
    stage.resend.calls().iter().filter(|call| *call == "POST /emails").count()
}

/// A stage with a follow-up that Resend accepted, with the answer lost.
async fn after_a_lost_answer() -> ActHarness {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    first_emails(&stage, vec![ResendBehaviour::LoseAnswer]);
    stage.act().await;
    assert_eq!((stage.status().await, stage.resend.accepted().len()), (FollowupStatus::Sending, 1));
    stage.advance(minutes(2));
    stage
}

#[tokio::test]
async fn each_try_looks_again_and_not_only_the_first_one() {
    let stage = after_a_lost_answer().await;
    stage.suppress(ANN).await;
    stage.act().await;
    let row = stage.row().await;
    assert_eq!((requests(&stage), row.state.reason.as_ref()), (1, Some(&DropReason::Suppressed)));
    assert!(row.state.is_unclear());
}

/// Stores what refuses a follow-up to Ann.
async fn refuse(stage: &ActHarness, who: &str) {
    let reasons = |reason: &str| AttributeValue::Ss(vec![reason.to_owned()]);
    let brake = |name: &str| [("campaign", text(name)), ("cohort", text("state")), ("status", text("paused"))];
    let fact = |fact: &str| {
        let until = number(stage.now().plus(minutes(60)).0);
        [("recipient", text(ANN)), ("fact", text(fact)), ("at", number(1)), ("until", until)]
    };
    let switch = |of| Switch { of, at: stage.now(), by: "eva".to_owned(), reason: String::new() };
    match who {
        "suppressed" => stage.suppress(ANN).await,
        "forgotten" => {
            let name = ErasureKey::new([7; 32]).unwrap().name_of(&Recipient::parse(ANN).unwrap());
            let item = [("recipient", text(name)), ("reasons", reasons("forgotten"))];
            stage.put("SUPPRESSIONS_TABLE", &item).await;
            let key = AttributeValue::B(Blob::new([7; 32]));
            stage.put("SUPPRESSIONS_TABLE", &[("recipient", text("#forgotten-key")), ("key", key)]).await;
        }
        "brake" => stage.put("CAMPAIGNS_TABLE", &brake("spring")).await,
        "domain" => stage.put("CAMPAIGNS_TABLE", &brake("domain#shop.example")).await,
        "switch" => stage.store().pause(&switch(SwitchOf::All)).await.unwrap(),
        "switch of the campaign" => {
            let campaign = Campaign::new("spring").unwrap();
            stage.store().pause(&switch(SwitchOf::Campaign(campaign))).await.unwrap();
        }
        fact_name => stage.put("RECIPIENTS_TABLE", &fact(fact_name)).await,
    }
}

#[tokio::test]
async fn a_no_that_comes_while_a_later_look_reads_refuses_it() {
    for (who, reason) in [
        ("suppressed", Some(DropReason::Suppressed)),
        ("forgotten", Some(DropReason::Forgotten)),
        ("brake", Some(DropReason::CampaignPaused)),
        ("domain", Some(DropReason::CampaignPaused)),
        ("opt_out_click", Some(DropReason::OptOutClick)),
        ("reply", Some(DropReason::Stopped)),
        ("switch", None),
        ("switch of the campaign", None),
    ] {
        let stage = after_a_lost_answer().await;
        let (mut reads, reading) = (0, Arc::new(AtomicBool::new(false)));
        let is_reading = Arc::clone(&reading);
        stage.faults.plan(move |call| {
            reads += usize::from(call.operation == "GetItem");
            let is_of_look = call.operation == "GetItem" && reads == 2;
            is_reading.fetch_or(is_of_look, Ordering::SeqCst);
            is_of_look.then_some(Fault::Slow(Duration::from_millis(500)))
        });
        let refuses = async {
            while !reading.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            refuse(&stage, who).await;
        };
        let (report, ()) = tokio::join!(stage.act(), refuses);
        assert_eq!((requests(&stage), &report.errors), (1, &Vec::new()), "{who}");
        let state = stage.row().await.state;
        let status = if reason.is_some() { FollowupStatus::Dropped } else { FollowupStatus::Sending };
        assert_eq!((state.status, state.tries, &state.reason), (status, 1, &reason), "{who}");
        assert!(state.open_since.is_some(), "{who}: it may have been accepted");
    }
}

#[tokio::test]
async fn a_later_try_asks_the_trial_and_the_caps_again() {
    for (who, reason) in [("trial", DropReason::Stopped), ("place", DropReason::PlaceLost), ("cap", DropReason::Cap)] {
        let stage = after_a_lost_answer().await;
        let mut actor = stage.actor();
        let item = [("recipient", text(ANN)), ("fact", text("followups"))];
        match who {
            "trial" => actor = stage.actor_with(&[("FOLLOWUP_RECIPIENTS", "@shop.example")]),
            "place" => stage.put("RECIPIENTS_TABLE", &item).await,
            _ => {
                let own = &stage.store().places(&Recipient::parse(ANN).unwrap()).await.unwrap().taken[0];
                let own = format!("{}#{}#{EMAIL}", own.at.0, own.id);
                let other = format!("{}#decision-other#e2", NOON.plus(hours(71)).0);
                let [recipient, fact] = item;
                let taken = ("taken", AttributeValue::Ss(vec![own, other]));
                stage.put("RECIPIENTS_TABLE", &[recipient, fact, taken]).await;
            }
        }
        stage.run(&actor).await;
        let state = stage.row().await.state;
        assert_eq!((requests(&stage), state.tries, state.reason.as_ref()), (1, 1, Some(&reason)), "{who}");
        assert!(state.is_unclear(), "{who}");
    }
}

#[tokio::test]
async fn a_later_try_is_not_made_at_night() {
    let stage = after_a_lost_answer().await;
    stage.set_clock(NOON.plus(hours(9)));
    stage.act().await;
    let state = stage.row().await.state;
    assert_eq!((requests(&stage), state.tries, state.status), (1, 1, FollowupStatus::Sending));
    assert_eq!(state.entry_at.to_text(), "2026-11-25T08:00:00.000Z");
    stage.set_clock(state.entry_at);
    assert_eq!((sent(&stage.act().await), stage.resend.accepted().len()), (1, 1));
}

#[tokio::test]
async fn a_refusal_of_a_later_try_neither_drops_nor_changes_the_key() {
    for refusal in [
        error(422, "validation_error"),
        error(403, "validation_error"),
        error(401, "invalid_api_key"),
        error(429, "daily_quota_exceeded"),
        ResendBehaviour::TooFast(1),
        ResendBehaviour::Html(404),
    ] {
        let stage = ActHarness::start().await;
        stage.decide(EMAIL, ANN).await;
        // The first request has no effect, which nobody knows here.
        first_emails(&stage, vec![ResendBehaviour::Status(500), refusal.clone()]);
        stage.act().await;
        let opened = stage.row().await;
        stage.advance(minutes(2));
        stage.act().await;
        let row = stage.row().await;
        assert_eq!((row.state.status, row.state.tries), (FollowupStatus::Sending, 2), "{refusal:?}");
        assert_eq!(row.state.open_since, opened.state.open_since, "{refusal:?}");
        assert_eq!(row.idempotency_key(), opened.idempotency_key(), "{refusal:?}");
        stage.end_rests().await;
        stage.advance(minutes(61));
        assert_eq!(sent(&stage.act().await), 1, "{refusal:?}");
        let accepted = stage.resend.accepted();
        assert_eq!((accepted.len(), accepted[0].idempotency_key.clone()), (1, opened.idempotency_key()), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_request_begins_within_2_s_of_its_look_or_not_at_all() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    let slow = Fault::Slow(Duration::from_millis(2_100));
    stage.faults.plan(move |call| (call.operation == "TransactWriteItems").then_some(slow));
    stage.act().await;
    assert_eq!((requests(&stage), stage.status().await), (0, FollowupStatus::Sending));
    stage.faults.plan(|_| None);
    stage.advance(minutes(2));
    assert_eq!((sent(&stage.act().await), requests(&stage)), (1, 1));
}

#[tokio::test]
async fn no_request_begins_with_less_than_15_s_left() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    // What the look reads comes late: the time was enough when the try began.
    let mut reads = 0;
    stage.faults.plan(move |call| {
        reads += usize::from(call.operation == "GetItem");
        (call.operation == "GetItem" && reads == 2).then_some(Fault::Slow(Duration::from_millis(900)))
    });
    let (actor, deadline) = (stage.actor(), Instant::now() + Duration::from_millis(15_800));
    actor.run(&|| stage.now(), deadline).await;
    assert_eq!(requests(&stage), 0);
    stage.faults.plan(|_| None);
    stage.advance(minutes(2));
    assert_eq!((sent(&stage.act().await), stage.resend.accepted().len()), (1, 1));
}

#[tokio::test]
async fn a_crash_between_the_transaction_and_its_note_repeats_safely() {
    for operation in ["TransactWriteItems", "emails"] {
        let stage = ActHarness::start().await;
        stage.decide(EMAIL, ANN).await;
        stage.faults.plan(move |call| (call.operation == operation).then_some(Fault::KillAfter));
        tokio::select! {
            report = stage.act() => panic!("{operation}: {report:?}"),
            () = stage.faults.killed() => {}
        }
        let (row, begun) = (stage.row().await, requests(&stage));
        assert_eq!((row.state.status, row.state.tries), (FollowupStatus::Sending, 1), "{operation}");
        assert_eq!(begun, usize::from(operation == "emails"), "{operation}");
        stage.faults.plan(|_| None);
        assert_eq!(sent(&stage.act().await), 0, "{operation}: its lock is still held");
        stage.end_rests().await;
        assert_eq!(sent(&stage.act().await), 0, "{operation}: not within a minute");
        stage.advance(minutes(2));
        assert_eq!(sent(&stage.act().await), 1, "{operation}");
        let accepted = stage.resend.accepted();
        assert_eq!((accepted.len(), accepted[0].idempotency_key.clone()), (1, row.idempotency_key()), "{operation}");
    }
}

#[tokio::test]
async fn a_lock_that_is_lost_while_it_works_ends_the_run() {
    let stage = ActHarness::start().await;
    for n in 0..3 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    first_emails(&stage, vec![ResendBehaviour::AnswerLate(Duration::from_millis(300))]);
    let takes_it = async {
        while requests(&stage) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let until = UnixMillis::now().plus(Duration::from_secs(55));
        let lock =
            [("kind", text("lock")), ("due", text("act")), ("holder", text("other")), ("until", number(until.0))];
        stage.put("AGENDA_TABLE", &lock).await;
    };
    let (report, ()) = tokio::join!(stage.act(), takes_it);
    assert_eq!((sent(&report), &report.errors), (1, &Vec::new()), "what was begun is recorded");
    let due = stage.rows().await.iter().filter(|row| row.state.status == FollowupStatus::Due).count();
    assert_eq!((due, requests(&stage)), (2, 1));
    assert_eq!(string(&stage.lock().await, "holder"), "other", "it is not released by who lost it");
    stage.end_rests().await;
    assert_eq!(sent(&stage.act().await), 2);
}

#[tokio::test]
async fn a_row_that_forget_met_while_it_was_open_is_never_repeated() {
    let stage = after_a_lost_answer().await;
    let (row, accepted) = (stage.row().await, stage.resend.accepted());
    stage.store().forget(&row, "eva", stage.now()).await.unwrap();
    for _ in 0..3 {
        stage.act().await;
        stage.advance(minutes(600));
    }
    let emptied = stage.row().await;
    assert_eq!((requests(&stage), emptied.state.reason.as_ref()), (1, Some(&DropReason::Forgotten)));
    assert!(emptied.state.is_unclear() && emptied.recipient.is_none() && emptied.request.is_none());
    // Its webhook comes late: accepted wins, and nothing about the person comes back.
    stage.store().record_accepted(EMAIL, &row.id, &accepted[0].id, "protect", stage.now()).await.unwrap();
    let sent = stage.row().await;
    assert_eq!((sent.state.status, sent.recipient, sent.request), (FollowupStatus::Sent, None, None));
}

#[tokio::test]
async fn a_crash_right_after_a_row_is_unknown_leaves_its_alert() {
    // The transaction that makes it unknown: the first one of the run, or that of the answer, after the look's.
    for (why, nth) in [("another API key", 1), ("23 hours", 1), ("another body", 2)] {
        let stage = after_a_lost_answer().await;
        let mut actor = stage.actor();
        match why {
            "another API key" => actor = stage.actor_with(&[("RESEND_API_KEY", SENDING_KEY)]),
            "23 hours" => stage.advance(hours(23)),
            _ => first_emails(&stage, vec![error(409, "invalid_idempotent_request")]),
        }
        let mut writes = 0;
        stage.faults.plan(move |call| {
            writes += usize::from(call.operation == "TransactWriteItems");
            (call.operation == "TransactWriteItems" && writes == nth).then_some(Fault::KillAfter)
        });
        tokio::select! {
            report = stage.run(&actor) => panic!("{why}: {report:?}"),
            () = stage.faults.killed() => {}
        }
        assert_eq!(stage.status().await, FollowupStatus::Unknown, "{why}");
        assert_eq!(stage.alerts().await, ["send_unknown"], "{why}");
        let agenda = stage.scan("AGENDA_TABLE").await;
        let publishes = agenda.iter().filter(|item| string(item, "kind") == "publish").count();
        assert_eq!(publishes, 1, "{why}: the tick publishes it");
    }
}

#[tokio::test]
async fn a_follow_up_whose_decision_is_half_visible_is_not_lost() {
    // The items of the decision's transaction: the decision, the places, a check, the row, and its entry.
    for late in 0..5 {
        let stage = ActHarness::start().await;
        stage.faults.plan(|_| None);
        let shown = Half { late, span: Duration::from_millis(250), response: HalfResponse::AfterCommit };
        let mut reads = 0;
        stage.faults.plan(move |call| {
            reads += usize::from(call.operation == "TransactWriteItems");
            (call.operation == "TransactWriteItems" && reads == 1).then_some(Fault::ShowHalf(shown))
        });
        let acts = async {
            // While half of it is visible.
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(40)).await;
                stage.act().await;
                stage.end_rests().await;
            }
        };
        tokio::join!(stage.decide_through_proxy(EMAIL, ANN), acts);
        stage.faults.plan(|_| None);
        for _ in 0..3 {
            stage.act().await;
            stage.end_rests().await;
            stage.advance(minutes(2));
        }
        let row = stage.row().await;
        assert_eq!((row.state.status, stage.resend.accepted().len()), (FollowupStatus::Sent, 1), "{late}: {row:?}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_keeps_its_entry() {
    let stage = ActHarness::start().await;
    stage.decide(EMAIL, ANN).await;
    let mut row = stage.scan("EVENTS_TABLE").await.into_iter().find(|row| string(row, "kind") == "followup").unwrap();
    row.insert("status".to_owned(), text("posted"));
    let row: Vec<_> = row.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    stage.put("EVENTS_TABLE", &row).await;
    let report = stage.act().await;
    assert_eq!((report.errors.len(), requests(&stage)), (1, 0));
    let agenda = stage.scan("AGENDA_TABLE").await;
    assert_eq!(agenda.iter().filter(|item| string(item, "kind") == "followup").count(), 1);
}

#[tokio::test]
async fn a_refused_key_halts_the_run_even_if_nothing_can_be_written() {
    let stage = ActHarness::start().await;
    for n in 0..3 {
        stage.decide(&format!("e{n}"), &format!("p{n}@example.com")).await;
    }
    first_emails(&stage, vec![error(401, "invalid_api_key")]);
    let mut was_asked = false;
    stage.faults.plan(move |call| {
        was_asked |= call.operation == "emails";
        (was_asked && call.operation != "emails").then_some(Fault::RefuseBefore)
    });
    let report = stage.run(&stage.actor()).await;
    assert_eq!((requests(&stage), report.count(|did| *did == ActActivity::Sent)), (1, 0));
    assert!(!report.errors.is_empty());
}
