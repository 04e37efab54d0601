//! The same in mode `send`: the follow-up's row and its entry are stored with the decision, or neither is.

use rebound::message::decision::DecisionResult;
use rebound::resend::signed::SignedMessage;
use tokio::sync::OnceCell;

use super::end::End;
use super::scene::{Scenario, mail};
use super::{Expected, any_point_of, expected};
use crate::engage::{MINUTE, StagedEmail, after};
use crate::parts::in_parts;

/// A click that gets a follow-up, the same click again, one that gets none, and one for which Claude is overloaded
/// once: the events, the emails that were delivered, and the batches.
pub(super) fn events() -> (Vec<SignedMessage>, Vec<StagedEmail>, Vec<Vec<&'static str>>) {
    let (followed, capped) = (mail("followed", "ann@example.com"), mail("capped", "ann@example.com"));
    let handed = mail("handed", "carl@example.com");
    let at = after(-10 * MINUTE);
    let events = vec![
        followed.clicked("followed-1", at),
        followed.clicked("followed-2", after(-9 * MINUTE)),
        capped.clicked("capped", at),
        handed.clicked("handed", at),
    ];
    let batches = vec![vec!["followed-1", "followed-2"], vec!["capped"], vec!["handed"]];
    (events, vec![followed, capped, handed], batches)
}

/// Checks that the case occurred.
pub(super) fn is_what_it_is_for(end: &End) {
    let done: Vec<&DecisionResult> = end.decisions.values().map(|decision| &decision.done).collect();
    assert_eq!((done.len(), end.scheduled.len(), end.places.len()), (3, 1, 1), "{done:?}");
    assert!(done.contains(&&DecisionResult::FollowupScheduled), "{done:?}");
    assert!(end.scheduled.iter().all(|row| row.starts_with("followed ") && row.ends_with(" due")));
    assert!(end.published.iter().any(|one| one.ends_with(" followup_scheduled")), "{:?}", end.published);
}

/// Computed once, by the first part.
static EXPECTED: OnceCell<Vec<Expected>> = OnceCell::const_new();

/// Tries the points of one part.
async fn a_follow_up_is_stored_with_its_decision_or_not_at_all(part: usize) {
    any_point_of(EXPECTED.get_or_init(|| expected(&[Scenario::Scheduled])).await, part).await;
}

in_parts!(a_follow_up_is_stored_with_its_decision_or_not_at_all);
