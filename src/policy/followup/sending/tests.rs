use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;
use crate::policy::followup::{ProposedFollowup, Zone};
use crate::policy::limits::FollowupPolicy;
use crate::time::{UnixMillis, days, hours, minutes};

/// Tuesday, 2026-11-24 at 13:30 UTC.
const NOW: UnixMillis = UnixMillis(1_795_527_000_000);

const WITH: &str = "0123456789abcdef";

fn due() -> FollowupState {
    FollowupState::scheduled(NOW, NOW, "decided")
}

fn said(meaning: AnswerMeaning) -> SendAnswer {
    SendAnswer { meaning, status: Some(400), name: "a_name".to_owned() }
}

fn about_it() -> SendAnswer {
    said(AnswerMeaning::AboutThisEmail { name: "validation_error".to_owned() })
}

/// Something that happens to a follow-up.
#[derive(Clone, Debug)]
enum Step {
    Try(u8),
    Answer(AnswerMeaning),
    Accepted(u8),
    Postpone(u32),
    Drop(DropReason),
    Settle,
}

fn meanings() -> impl Strategy<Value = AnswerMeaning> {
    let name = || "a_name".to_owned();
    prop_oneof![
        Just(AnswerMeaning::Unclear),
        Just(AnswerMeaning::Unclear),
        Just(AnswerMeaning::KeyConflict),
        Just(AnswerMeaning::Key),
        Just(AnswerMeaning::Quota),
        (1..60_u64).prop_map(|seconds| AnswerMeaning::TooFast { retry_after: Duration::from_secs(seconds) }),
        Just(AnswerMeaning::AboutThisEmail { name: name() }),
        Just(AnswerMeaning::Otherwise { name: name() }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let one = prop_oneof![
        6 => (0..10_u8).prop_map(|with| Step::Try(u8::from(with == 0))),
        4 => meanings().prop_map(Step::Answer),
        1 => (0..3_u8).prop_map(Step::Accepted),
        2 => (0..6_000_u32).prop_map(Step::Postpone),
        1 => prop::sample::select(DropReason::NAMED.to_vec()).prop_map(Step::Drop),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec((0..300_u32, one), 1..60)
}

/// Requests that Resend may have got: each key with the time of its first request, unless that was refused for certain.
#[derive(Debug, Default)]
struct OpenRequest {
    open: Option<(String, UnixMillis, String)>,
}

impl OpenRequest {
    /// A request goes out.
    fn request(&mut self, state: &FollowupState, at: UnixMillis, with: &str) -> Result<(), TestCaseError> {
        let key = idempotency_key("k", state.refusals);
        if let Some((open, since, asked_with)) = &self.open {
            prop_assert_eq!(&key, open, "a second key while one may have been accepted");
            prop_assert_eq!(asked_with, with, "another API key while one may have been accepted");
            prop_assert!(since.plus(hours(23)) > at, "a try later than 23 h");
        } else {
            self.open = Some((key, at, with.to_owned()));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_nothing_is_sent_twice(all in steps()) {
        let (mut state, mut at, mut asked) = (due(), NOW, OpenRequest::default());
        let mut trying: Option<BegunTry> = None;
        for (wait, step) in all {
            at = at.plus(minutes(wait));
            let before = state.clone();
            match step {
                Step::Try(with) => {
                    let with = if with == 0 { WITH } else { "fedcba9876543210" };
                    if let Some((next, begun)) = state.begin_try(at, with) {
                        asked.request(&next, at, with)?;
                        prop_assert_eq!(next.open_since, asked.open.as_ref().map(|(_, since, _)| *since));
                        prop_assert!(next.entry_at >= at.plus(minutes(1)), "looked at again while a request is in flight");
                        (state, trying) = (next, Some(begun));
                    }
                }
                Step::Answer(meaning) => {
                    // Recorded only on the version that its own try wrote.
                    if let Some(begun) = trying.take() {
                        let is_refusal = meaning.is_definite_refusal();
                        state = state.answered(begun, &said(meaning), at);
                        if is_refusal && begun == BegunTry::Opening {
                            asked.open = None;
                        }
                        if begun == BegunTry::Repeated && is_refusal {
                            prop_assert_eq!(state.status, FollowupStatus::Sending, "a refusal of a later try never drops");
                            prop_assert_eq!(state.refusals, before.refusals);
                        }
                    }
                }
                Step::Accepted(id) => {
                    let was = state.status;
                    match state.accepted(&format!("r{id}"), at, "protect") {
                        AcceptedChange::Known => prop_assert_eq!(was, FollowupStatus::Sent),
                        AcceptedChange::Sent(next) | AcceptedChange::SentAgain(next) => state = next,
                    }
                    prop_assert_eq!(state.status, FollowupStatus::Sent, "accepted wins");
                    trying = None;
                }
                Step::Postpone(later) => {
                    if !state.status.is_settled() {
                        state = state.postponed(at.plus(minutes(later)), at, "act", "why");
                        trying = None;
                    }
                }
                Step::Drop(reason) => {
                    state = state.dropped(reason, at, "eva", "why");
                    trying = None;
                }
                Step::Settle => {
                    if let Some(settlement) = state.settlement(at, Some(WITH)) {
                        state = match settlement {
                            Settlement::TooLate => state.dropped(DropReason::TooLate, at, "act", settlement.why()),
                            _ => state.unknown(at, settlement.why()),
                        };
                        trying = None;
                    }
                }
            }
            // A mark of an open try goes only with its own definite refusal.
            prop_assert_eq!(state.open_since.is_some(), asked.open.is_some());
            prop_assert!(state.open_since.is_none() || state.status != FollowupStatus::Due, "due while it may be accepted");
            let is_unclear = state.status == FollowupStatus::Dropped && asked.open.is_some();
            prop_assert_eq!(state.is_unclear(), is_unclear);
            prop_assert!(state.history.len() <= 50);
            prop_assert_eq!(state.history.last().map(|line| line.status), Some(state.status));
            let settled_before = before.status.is_settled();
            prop_assert!(!settled_before || state.status == before.status || state.status == FollowupStatus::Sent);
            if !state.status.is_settled() {
                prop_assert!(state.entry_at <= state.deadline().max(at.plus(minutes(1))), "looked at after its end");
            }
        }
    }
}

#[test]
fn tries_are_made_again_after_1_2_4_and_at_most_30_minutes() {
    let (mut state, mut at, mut pauses) = (due(), NOW, Vec::new());
    for _ in 0..8 {
        (state, _) = state.begin_try(at, WITH).unwrap();
        pauses.push((state.entry_at.0 - at.0) / 60_000);
        at = state.entry_at;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn only_the_refusal_of_the_opening_try_closes_it() {
    let (open, begun) = due().begin_try(NOW, WITH).unwrap();
    assert_eq!(begun, BegunTry::Opening);
    for meaning in [AnswerMeaning::Key, AnswerMeaning::Quota, AnswerMeaning::Otherwise { name: "x".to_owned() }] {
        let next = open.answered(begun, &said(meaning), NOW);
        assert_eq!((next.status, next.open_since, next.refusals), (FollowupStatus::Due, None, 1));
    }
    let dropped = open.answered(begun, &about_it(), NOW);
    assert_eq!((dropped.status, dropped.is_unclear()), (FollowupStatus::Dropped, false));
    assert_eq!(dropped.reason.unwrap().to_string(), "refused: validation_error");

    let (again, begun) = open.begin_try(NOW.plus(minutes(1)), WITH).unwrap();
    assert_eq!(begun, BegunTry::Repeated);
    let next = again.answered(begun, &about_it(), NOW.plus(minutes(1)));
    assert_eq!((next.status, next.open_since, next.refusals), (FollowupStatus::Sending, Some(NOW), 0));
}

#[test]
fn no_try_begins_after_23_hours_or_with_another_key() {
    let (open, _) = due().begin_try(NOW, WITH).unwrap();
    let end = NOW.plus(hours(23));
    assert!(open.begin_try(end.minus(Duration::from_millis(1)), WITH).is_some());
    assert!(open.begin_try(end, WITH).is_none() && open.begin_try(NOW.plus(minutes(1)), "other").is_none());
    assert_eq!(open.settlement(end, None), Some(Settlement::OpenTooLong));
    assert_eq!(open.settlement(NOW, Some("other")), Some(Settlement::AskedOtherwise));
    assert_eq!(open.settlement(NOW, Some(WITH)), None);
    assert_eq!(due().settlement(NOW.plus(hours(72)), None), Some(Settlement::TooLate));
}

#[test]
fn a_follow_up_that_is_planned_for_later_is_due_from_then_on() {
    let state = FollowupState::scheduled(NOW.plus(days(5)), NOW, "decided");
    assert_eq!((state.due_since, state.entry_at), (Some(NOW.plus(days(5))), NOW.plus(days(5))));
    assert_eq!(state.settlement(NOW.plus(days(7)), None), None);
}

#[test]
fn a_dropped_one_is_unclear_if_it_may_have_been_accepted() {
    let (open, _) = due().begin_try(NOW, WITH).unwrap();
    let dropped = open.dropped(DropReason::Suppressed, NOW, "act", "why");
    assert!(dropped.is_unclear() && dropped.keeps_place());
    let dropped = due().dropped(DropReason::Suppressed, NOW, "act", "why");
    assert!(!dropped.is_unclear() && !dropped.keeps_place());
    assert_eq!(dropped.dropped(DropReason::Rejected, NOW, "eva", "why"), dropped, "the first reason counts");
    assert_eq!(dropped.unknown(NOW, "why"), dropped);
}

#[test]
fn the_history_keeps_its_first_line_and_the_last_ones() {
    let mut state = due();
    for turn in 0..200 {
        state = state.postponed(NOW, NOW.plus(minutes(turn)), "act", &format!("why {turn}"));
    }
    let whys: Vec<&str> = state.history.iter().map(|line| line.why.as_str()).collect();
    assert_eq!((whys.len(), whys[0], whys[1], whys[49]), (50, "decided", "why 151", "why 199"));
}

#[test]
fn the_first_key_is_that_of_the_proposal() {
    assert_eq!(idempotency_key("rebound-followup-x", 0), "rebound-followup-x");
    assert_eq!(idempotency_key("rebound-followup-x", 2), "rebound-followup-x-2");
}

#[test]
fn requests_are_made_with_a_key_at_an_address() {
    // Frozen: stored rows are compared with it. printf 'https://api.resend.com\nre_1' | sha256sum
    assert_eq!(asked_with("https://api.resend.com", "re_1"), "1450b3be7a631b08");
    assert_ne!(asked_with("https://api.resend.com", "re_1"), asked_with("https://api.resend.com", "re_2"));
}

#[test]
fn every_stored_word_reads_back() {
    for status in FollowupStatus::ALL {
        assert_eq!(FollowupStatus::from_text(status.as_str()), Some(status));
    }
    let reasons = DropReason::NAMED.into_iter().chain([DropReason::Refused("a: b".to_owned())]);
    for reason in reasons {
        assert_eq!(DropReason::from_text(&reason.to_string()), Some(reason));
    }
    assert_eq!(DropReason::from_text("else"), None);
}

#[test]
fn caps_are_asked_for_now_and_say_when_they_allow_it() {
    let policy = FollowupPolicy::default();
    let taken = |hours_away: u32, id: &str| ProposedFollowup {
        at: NOW.plus(hours(hours_away)),
        email_id: format!("of {id}"),
        id: id.to_owned(),
    };
    let ask = |taken: &[ProposedFollowup], deadline: UnixMillis| {
        cap_time(&CapCheck { taken, email_id: "of own", decision: "own", deadline }, NOW, &policy)
    };
    let end = NOW.plus(days(30));
    assert_eq!(ask(&[taken(0, "own")], end), CapTime::Now);
    assert_eq!(ask(&[taken(0, "other")], end), CapTime::PlaceLost);
    let near = [taken(0, "own"), taken(10, "other")];
    assert!(matches!(ask(&near, end), CapTime::Later(at, _) if at == NOW.plus(hours(82))), "{:?}", ask(&near, end));
    assert!(matches!(ask(&near, NOW.plus(hours(72))), CapTime::Never(_)));
}

#[test]
fn the_night_ends_at_its_own_time() {
    let policy = FollowupPolicy::default();
    assert_eq!(quiet_until(NOW, &Zone::default(), &policy), None);
    let night = UnixMillis::parse("2026-11-24T21:00:00Z").unwrap();
    let morning = UnixMillis::parse("2026-11-25T08:00:00Z").unwrap();
    assert_eq!(quiet_until(night, &Zone::default(), &policy), Some(morning));
    assert_eq!(NotNow::DayLimit.until(night).to_text(), "2026-11-25T00:00:00.000Z");
}
