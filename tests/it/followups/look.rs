//! The last look: what refuses it, and what then holds.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::policy::followup::AllowedRecipients;
use rebound::policy::followup::sending::{BegunTry, DropReason, FollowupStatus, NotNow, Settlement};
use rebound::resend::campaign::Campaign;
use rebound::store::followups::{Switch, SwitchOf, TryResult};
use rebound::store::forgotten::ErasureKey;
use rebound::store::{number, text};
use rebound::time::{UnixMillis, hours, minutes};

use super::{ANN, EMAIL, FollowupHarness, NOW, REQUEST, ann};

fn set(of: SwitchOf) -> Switch {
    Switch { of, at: NOW, by: "eva".to_owned(), reason: "a wrong text".to_owned() }
}

fn spring() -> Campaign {
    Campaign::new("spring").unwrap()
}

async fn reasons(stage: &FollowupHarness, until: Option<UnixMillis>) {
    let mut item = vec![("recipient", text(ANN)), ("reasons", AttributeValue::Ss(vec!["complaint".to_owned()]))];
    item.extend(until.map(|until| ("until", number(until.0))));
    stage.put("SUPPRESSIONS_TABLE", &item).await;
}

async fn brake(stage: &FollowupHarness, campaign: &str, status: &str) {
    let state = [("campaign", text(campaign)), ("cohort", text("state")), ("status", text(status))];
    stage.put("CAMPAIGNS_TABLE", &state).await;
}

async fn fact(stage: &FollowupHarness, fact: &str, until: UnixMillis) {
    let item = [("recipient", text(ANN)), ("fact", text(fact)), ("at", number(1)), ("until", number(until.0))];
    stage.put("RECIPIENTS_TABLE", &item).await;
}

async fn forgotten(stage: &FollowupHarness) {
    let key = ErasureKey::new([7; 32]).unwrap();
    let item = [("recipient", text("#forgotten-key")), ("key", AttributeValue::B(Blob::new([7; 32])))];
    stage.put("SUPPRESSIONS_TABLE", &item).await;
    let reasons = AttributeValue::Ss(vec!["forgotten".to_owned()]);
    stage.put("SUPPRESSIONS_TABLE", &[("recipient", text(key.name_of(&ann()))), ("reasons", reasons)]).await;
}

#[tokio::test]
async fn a_try_begins_with_everything_in_one_transaction() {
    let stage = FollowupHarness::with_a_due_one().await;
    assert_eq!(stage.entries().await, ["followup due"]);
    let before = stage.faults.calls().len();
    let (row, begun) = stage.begin(NOW).await;
    let calls = stage.faults.calls();
    let made: Vec<&str> = calls.iter().skip(before).map(|call| call.operation.as_str()).collect();
    assert_eq!(made, ["GetItem", "Query", "TransactWriteItems"]);
    assert_eq!(begun, BegunTry::Opening);
    assert_eq!(row, stage.row().await, "what is returned is what is stored");
    let state = &row.state;
    assert_eq!((state.status, state.tries, state.open_since), (FollowupStatus::Sending, 1, Some(NOW)));
    assert_eq!(state.asked_with.as_deref(), Some("0123456789abcdef"));
    assert_eq!((row.request.as_deref(), state.entry_at), (Some(REQUEST), NOW.plus(minutes(1))));
    assert_eq!(stage.entries().await, ["followup sending"]);
    assert_eq!((stage.handed_over().await, stage.places().await), (1, 1));

    let later = NOW.plus(minutes(1));
    let (again, begun) = stage.begin(later).await;
    assert_eq!((begun, again.state.tries, again.state.open_since), (BegunTry::Repeated, 2, Some(NOW)));
    assert_eq!(again.idempotency_key(), row.idempotency_key());
    assert_eq!(again.state.entry_at, later.plus(minutes(2)));
    assert_eq!(stage.handed_over().await, 1, "only the first try counts");
    let taken = stage.store().places(&ann()).await.unwrap().taken;
    assert_eq!(taken.iter().map(|taken| taken.at).collect::<Vec<_>>(), [later], "its place has the real time");
}

#[tokio::test]
async fn each_no_drops_it_and_says_who_refused() {
    for (who, reason) in [
        ("suppressed", DropReason::Suppressed),
        ("forgotten", DropReason::Forgotten),
        ("brake", DropReason::CampaignPaused),
        ("domain", DropReason::CampaignPaused),
        ("opt_out_click", DropReason::OptOutClick),
        ("reply", DropReason::Stopped),
        ("trial", DropReason::Stopped),
        ("place", DropReason::PlaceLost),
        ("cap", DropReason::Cap),
    ] {
        let stage = FollowupHarness::with_a_due_one().await;
        match who {
            "suppressed" => reasons(&stage, None).await,
            "forgotten" => forgotten(&stage).await,
            "brake" => brake(&stage, "spring", "paused").await,
            "domain" => brake(&stage, "domain#shop.example", "paused").await,
            "opt_out_click" => fact(&stage, "opt_out_click", NOW.plus(hours(1))).await,
            "reply" => fact(&stage, "reply", NOW).await,
            "place" => fact(&stage, "followups", NOW).await,
            "cap" => {
                let taken = stage.store().places(&ann()).await.unwrap().taken;
                let own = format!("{}#{}#{}", taken[0].at.0, taken[0].id, EMAIL);
                let other = format!("{}#decision-other#e2", NOW.plus(hours(71)).0);
                let taken = AttributeValue::Ss(vec![own, other]);
                let item = [("recipient", text(ANN)), ("fact", text("followups")), ("taken", taken)];
                stage.put("RECIPIENTS_TABLE", &item).await;
            }
            _ => {}
        }
        let look = stage.look_with(NOW, |setting| {
            if who == "trial" {
                setting.allowed = AllowedRecipients::parse("@other.example").unwrap();
            }
        });
        let TryResult::No(dropped, guards) = look.await.unwrap() else { panic!("{who} did not refuse") };
        assert_eq!((dropped, guards[0].guard.as_str()), (reason.clone(), who));
        assert_eq!(stage.row().await.state.status, FollowupStatus::Due, "{who}: nothing was written");
        let row = stage.row().await;
        stage.store().drop_followup(&row, reason, "act", &guards[0].why, guards.clone(), NOW).await.unwrap();
        let row = stage.row().await;
        assert_eq!((row.state.status, row.guards), (FollowupStatus::Dropped, guards), "{who}");
        assert_eq!(stage.entries().await, ["followup_done dropped"], "{who}");
    }
}

#[tokio::test]
async fn what_is_over_or_open_refuses_nothing() {
    let stage = FollowupHarness::with_a_due_one().await;
    reasons(&stage, Some(NOW)).await;
    brake(&stage, "spring", "slowed").await;
    brake(&stage, "domain#shop.example", "open").await;
    fact(&stage, "opt_out_click", NOW).await;
    stage.begin(NOW).await;
}

#[tokio::test]
async fn a_switch_the_limit_and_the_night_postpone_it() {
    let stage = FollowupHarness::with_a_due_one().await;
    let store = stage.store();
    let not_now = async |at: UnixMillis| match stage.look(at).await {
        TryResult::NotNow(not_now, _) => not_now,
        other => panic!("{other:?}"),
    };
    store.pause(&set(SwitchOf::Campaign(spring()))).await.unwrap();
    assert_eq!(not_now(NOW).await, NotNow::CampaignPaused);
    store.pause(&set(SwitchOf::All)).await.unwrap();
    assert_eq!(not_now(NOW).await, NotNow::Paused, "what ends the run comes first");
    assert_eq!(store.switches().await.unwrap().len(), 2);
    store.resume(&SwitchOf::All).await.unwrap();
    store.resume(&SwitchOf::Campaign(spring())).await.unwrap();
    assert_eq!(store.switch(&SwitchOf::All).await.unwrap(), None);

    let night = NOW.plus(hours(9));
    assert_eq!(not_now(night).await, NotNow::Quiet(UnixMillis::parse("2026-11-25T08:00:00Z").unwrap()));

    let today = [("kind", text("handed_over")), ("due", text(NOW.day())), ("count", number(200))];
    stage.put("AGENDA_TABLE", &today).await;
    let limit = not_now(NOW).await;
    assert_eq!((&limit, limit.until(NOW).to_text().as_str()), (&NotNow::DayLimit, "2026-11-25T00:00:00.000Z"));
    let none = stage.look_with(NOW, |setting| setting.per_day = 0).await.unwrap();
    assert!(matches!(none, TryResult::NotNow(NotNow::DayLimit, _)), "{none:?}");
    assert_eq!(stage.row().await.state.history.len(), 1, "nothing was written");
}

#[tokio::test]
async fn without_the_lock_no_try_begins() {
    let stage = FollowupHarness::with_a_due_one().await;
    stage.lock("act-2").await;
    assert_eq!(stage.look(NOW).await, TryResult::LockLost);
    let over = [("kind", text("lock")), ("due", text("act")), ("holder", text("act-1")), ("until", number(1))];
    stage.put("AGENDA_TABLE", &over).await;
    assert_eq!(stage.look(NOW).await, TryResult::LockLost);
    assert_eq!(stage.entries().await, ["followup due"]);
}

#[tokio::test]
async fn another_key_or_23_hours_end_an_open_try() {
    let stage = FollowupHarness::with_a_due_one().await;
    stage.begin(NOW).await;
    let changed = stage.look_with(NOW.plus(minutes(5)), |setting| setting.asked_with = "other".to_owned());
    assert_eq!(changed.await.unwrap(), TryResult::Over(Settlement::AskedOtherwise));
    let last = NOW.plus(hours(23)).minus(Duration::from_millis(1));
    assert_eq!(stage.look(NOW.plus(hours(23))).await, TryResult::Over(Settlement::OpenTooLong));
    stage.begin(last).await;
}

#[tokio::test]
async fn after_72_hours_a_follow_up_that_was_never_tried_is_too_late() {
    let stage = FollowupHarness::with_a_due_one().await;
    let end = NOW.plus(hours(72));
    assert_eq!(stage.look(end).await, TryResult::Over(Settlement::TooLate));
    let row = stage.row().await;
    stage.store().settle(&row, Settlement::TooLate, end).await.unwrap();
    assert_eq!(stage.row().await.state.reason, Some(DropReason::TooLate));
    assert_eq!((stage.entries().await, stage.places().await), (vec!["followup_done dropped".to_owned()], 0));
    assert_eq!(stage.waiting_alerts().await, ["send_failed"]);
}
