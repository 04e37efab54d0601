//! Each transition of a follow-up, with its entry, its place and its alert.

use std::time::Duration;

use rebound::policy::followup::sending::{AnswerMeaning, DropReason, FollowupStatus, Settlement};
use rebound::store::followups::FollowupWrite;
use rebound::time::{hours, minutes};

use super::{EMAIL, FollowupHarness, NOW, answer};

fn refused(name: &str) -> rebound::policy::followup::sending::SendAnswer {
    answer(AnswerMeaning::AboutThisEmail { name: name.to_owned() }, 422, name)
}

#[tokio::test]
async fn an_accepted_follow_up_is_sent_once_and_a_second_id_is_an_alert() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, _) = stage.begin(NOW).await;
    let store = stage.store();
    let accepted = async |id: &str| store.record_accepted(EMAIL, &row.id, id, "act", NOW).await.unwrap();
    assert!(matches!(accepted("r1").await, Some(FollowupWrite::Written(..))));
    assert_eq!(accepted("r1").await, None);
    let sent = stage.row().await;
    assert_eq!((sent.state.status, sent.state.resend_id.as_deref()), (FollowupStatus::Sent, Some("r1")));
    assert_eq!(stage.entries().await, ["followup_done sent"]);
    assert_eq!((stage.places().await, stage.waiting_alerts().await.len()), (1, 0));
    let Some(FollowupWrite::Written(twice, Some(alert))) = accepted("r2").await else { panic!("no alert") };
    assert_eq!((alert.kind.as_str(), alert.severity.as_str()), ("send_unknown", "critical"));
    assert_eq!(twice.state.also.into_iter().collect::<Vec<_>>(), ["r2"]);
    assert_eq!((accepted("r2").await, accepted("r1").await), (None, None));
    assert_eq!(stage.waiting_alerts().await, ["send_unknown"]);
    assert_eq!(store.record_accepted("gone", &row.id, "r1", "act", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_of_this_email_drops_it_and_frees_its_place() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, begun) = stage.begin(NOW).await;
    stage.store().record_answer(&row, begun, &refused("validation_error"), 0, NOW).await.unwrap();
    let row = stage.row().await;
    assert_eq!(row.state.reason, Some(DropReason::Refused("validation_error".to_owned())));
    assert!(!row.state.is_unclear());
    assert_eq!((stage.entries().await, stage.places().await), (vec!["followup_done dropped".to_owned()], 0));
    assert_eq!(stage.waiting_alerts().await, ["send_failed"]);
}

#[tokio::test]
async fn an_unclear_try_then_a_quota_for_a_day_keeps_the_key() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, begun) = stage.begin(NOW).await;
    let key = row.idempotency_key();
    let unclear = answer(AnswerMeaning::Unclear, 500, "http_500");
    stage.store().record_answer(&row, begun, &unclear, 0, NOW).await.unwrap();
    for minute in [1, 62, 123, 184] {
        let at = NOW.plus(minutes(minute));
        let (row, begun) = stage.begin(at).await;
        assert_eq!(row.idempotency_key(), key);
        let quota = answer(AnswerMeaning::Quota, 429, "daily_quota_exceeded");
        stage.store().record_answer(&row, begun, &quota, 0, at).await.unwrap();
        let row = stage.row().await;
        assert_eq!(
            (row.state.status, row.state.refusals, row.state.open_since),
            (FollowupStatus::Sending, 0, Some(NOW))
        );
        assert_eq!(row.state.entry_at, at.plus(hours(1)));
    }
    assert_eq!(stage.waiting_alerts().await, ["send_failed"], "once a day");
    let row = stage.row().await;
    stage.store().settle(&row, Settlement::OpenTooLong, NOW.plus(hours(23))).await.unwrap();
    assert_eq!(stage.row().await.state.status, FollowupStatus::Unknown);
    assert_eq!(stage.places().await, 1, "it may be on its way");
    assert_eq!(stage.waiting_alerts().await, ["send_failed", "send_unknown"]);
}

#[tokio::test]
async fn a_refusal_at_0_h_and_an_unclear_try_at_10_h_have_two_keys() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, begun) = stage.begin(NOW.minus(hours(3))).await;
    let first = row.idempotency_key().unwrap();
    let busy = answer(AnswerMeaning::Otherwise { name: "http_403".to_owned() }, 403, "http_403");
    stage.store().record_answer(&row, begun, &busy, 0, NOW.minus(hours(3))).await.unwrap();
    let row = stage.row().await;
    assert_eq!((row.state.status, row.state.refusals, row.state.open_since), (FollowupStatus::Due, 1, None));
    let at = NOW.plus(hours(7));
    let (row, begun) = stage.begin(at).await;
    assert_eq!(row.idempotency_key().unwrap(), format!("{first}-1"));
    let lost = answer(AnswerMeaning::Unclear, 504, "http_504");
    stage.store().record_answer(&row, begun, &lost, 0, at).await.unwrap();
    // The 23 hours count from the second try alone.
    let (row, begun) = stage.begin(at.plus(hours(13))).await;
    assert_eq!(row.idempotency_key().unwrap(), format!("{first}-1"));
    stage.store().record_answer(&row, begun, &refused("validation_error"), 0, at.plus(hours(13))).await.unwrap();
    let row = stage.row().await;
    assert_eq!(row.state.status, FollowupStatus::Sending, "a later refusal says nothing about the earlier try");
    assert_eq!(row.idempotency_key().unwrap(), format!("{first}-1"));
}

#[tokio::test]
async fn a_key_is_one_alert_a_day_and_another_body_is_unknown() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, begun) = stage.begin(NOW).await;
    let key = answer(AnswerMeaning::Key, 401, "invalid_api_key");
    let Ok(FollowupWrite::Written(row, Some(alert))) = stage.store().record_answer(&row, begun, &key, 7, NOW).await
    else {
        panic!("no alert")
    };
    assert_eq!((alert.kind.as_str(), &alert.figures["waiting"]), ("resend_key", &7.into()));
    assert_eq!((row.state.status, row.state.entry_at), (FollowupStatus::Due, NOW.plus(minutes(15))));
    let at = NOW.plus(minutes(15));
    let (row, begun) = stage.begin(at).await;
    stage.store().record_answer(&row, begun, &key, 7, at).await.unwrap();
    assert_eq!(stage.waiting_alerts().await, ["resend_key"]);
    let at = NOW.plus(minutes(30));
    let (row, begun) = stage.begin(at).await;
    let conflict = answer(AnswerMeaning::KeyConflict, 409, "invalid_idempotent_request");
    stage.store().record_answer(&row, begun, &conflict, 0, at).await.unwrap();
    assert_eq!(stage.row().await.state.status, FollowupStatus::Unknown);
    assert_eq!(stage.waiting_alerts().await, ["resend_key", "send_unknown"]);
}

#[tokio::test]
async fn an_answer_is_recorded_only_on_the_version_that_its_own_try_wrote() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (first, begun) = stage.begin(NOW).await;
    stage.begin(NOW.plus(minutes(1))).await;
    let written = stage.store().record_answer(&first, begun, &refused("validation_error"), 0, NOW).await.unwrap();
    assert!(matches!(written, FollowupWrite::Changed(Some(_))), "{written:?}");
    assert_eq!((stage.row().await.state.tries, stage.row().await.state.open_since), (2, Some(NOW)));
}

#[tokio::test]
async fn a_row_that_forget_met_while_it_was_open_is_still_recorded_as_sent() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, _) = stage.begin(NOW).await;
    stage.store().forget(&row, "eva", NOW).await.unwrap();
    let emptied = stage.row().await;
    assert_eq!((&emptied.recipient, &emptied.request), (&None, &None));
    assert_eq!(emptied.state.reason, Some(DropReason::Forgotten));
    assert!(emptied.state.is_unclear() && emptied.state.history.iter().all(|line| line.why.is_empty()));
    assert_eq!(stage.entries().await, ["followup_done dropped"]);
    stage.store().record_accepted(EMAIL, &row.id, "r1", "protect", NOW).await.unwrap();
    let sent = stage.row().await;
    assert_eq!((sent.state.status, sent.recipient), (FollowupStatus::Sent, None));
    assert_eq!(stage.entries().await, ["followup_done sent"]);
    let again = stage.store().forget(&stage.row().await, "eva", NOW).await.unwrap();
    assert!(matches!(again, FollowupWrite::Written(..)));
    assert_eq!(stage.row().await.state.status, FollowupStatus::Sent);
}

#[tokio::test]
async fn a_stop_of_an_open_try_says_that_it_may_have_been_accepted() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, _) = stage.begin(NOW).await;
    stage.store().drop_followup(&row, DropReason::Rejected, "eva", "wrong", Vec::new(), NOW).await.unwrap();
    let row = stage.row().await;
    assert!(row.state.is_unclear());
    assert_eq!((stage.places().await, row.state.history.last().unwrap().by.as_str()), (1, "eva"));
    stage.store().record_accepted(EMAIL, &row.id, "r1", "act", NOW).await.unwrap();
    let row = stage.row().await;
    assert_eq!((row.state.status, &row.state.reason), (FollowupStatus::Sent, &None), "accepted wins");
}

#[tokio::test]
async fn a_sent_one_that_had_lost_its_place_takes_it_again() {
    let stage = FollowupHarness::with_a_due_one().await;
    let row = stage.row().await;
    stage.store().drop_followup(&row, DropReason::Rejected, "eva", "wrong", Vec::new(), NOW).await.unwrap();
    assert_eq!(stage.places().await, 0);
    stage.store().record_accepted(EMAIL, &row.id, "r1", "protect", NOW).await.unwrap();
    assert_eq!((stage.places().await, stage.row().await.state.status), (1, FollowupStatus::Sent));
}

#[tokio::test]
async fn equal_postponements_are_one_line_of_history() {
    let stage = FollowupHarness::with_a_due_one().await;
    for turn in 0..60 {
        let at = NOW.plus(minutes(15 * turn));
        let row = stage.row().await;
        let until = at.plus(minutes(15));
        stage.store().postpone(&row, until, "sending in this campaign is paused", Vec::new(), at).await.unwrap();
    }
    let row = stage.row().await;
    assert_eq!((row.state.history.len(), row.state.history[1].times), (2, 60));
    assert_eq!(stage.entries().await, ["followup due"]);
    let last = row.state.due_since.unwrap().plus(hours(72));
    let late = last.minus(Duration::from_secs(1));
    stage.store().postpone(&row, late.plus(hours(5)), "quiet hours", Vec::new(), late).await.unwrap();
    assert_eq!(stage.row().await.state.entry_at, last, "it is settled when its time is over");
}
