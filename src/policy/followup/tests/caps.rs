//! Caps on the number of follow-ups, proposed in any order.

use proptest::prelude::*;

use super::*;

fn taken(at: UnixMillis, email: &str) -> ProposedFollowup {
    ProposedFollowup { at, email_id: email.to_owned(), id: format!("followup of {email}") }
}

/// Returns the guards that refuse a follow-up of `email`.
fn refusing(before: &[ProposedFollowup], email: &str, at: UnixMillis) -> Vec<Guard> {
    let answers = super::caps(before, email, &format!("followup of {email}"), at, &FollowupPolicy::default());
    let guards: Vec<Guard> = answers.iter().map(|answer| answer.guard).collect();
    assert_eq!(guards, [Guard::OneForEachEmail, Guard::PerRecipient, Guard::Gap]);
    answers.into_iter().filter(|answer| answer.ruling != Ruling::Passed).map(|answer| answer.guard).collect()
}

#[test]
fn an_email_has_one_followup_and_that_one_may_be_proposed_again() {
    let first = taken(ago(100 * DAY), "a");
    assert_eq!(refusing(&[], "a", NOW), []);
    assert_eq!(refusing(std::slice::from_ref(&first), "a", NOW), []);
    let other = ProposedFollowup { id: "another".to_owned(), ..first };
    assert_eq!(refusing(&[other], "a", NOW), [Guard::OneForEachEmail]);
}

#[test]
fn a_recipient_has_at_most_three_in_thirty_days_on_either_side() {
    let three = |days: [i64; 3]| days.map(|days| taken(ago(days * DAY), &days.to_string()));
    assert_eq!(refusing(&three([5, 10, 29]), "a", NOW), [Guard::PerRecipient]);
    assert_eq!(refusing(&three([5, 10, 30]), "a", NOW), []);
    assert_eq!(refusing(&three([5, 10, -29]), "a", NOW), [Guard::PerRecipient]);
    assert_eq!(refusing(&three([5, 10, -30]), "a", NOW), []);
}

#[test]
fn three_days_lie_between_two_on_either_side() {
    for sign in [1, -1] {
        assert_eq!(refusing(&[taken(ago(sign * (72 * HOUR - 1)), "b")], "a", NOW), [Guard::Gap]);
        assert_eq!(refusing(&[taken(ago(sign * 72 * HOUR), "b")], "a", NOW), []);
    }
    assert_eq!(refusing(&[taken(UnixMillis(i64::MAX), "b"), taken(UnixMillis(i64::MIN), "c")], "a", NOW), []);
}

proptest! {
    #[test]
    fn no_order_of_proposals_exceeds_a_cap(
        proposals in prop::collection::vec((0_u8..30, 0_i64..120 * 24), 0..60),
        per_recipient in 0_usize..5, within_days in 1_u32..40, gap_hours in 1_u32..100,
    ) {
        let policy = FollowupPolicy { per_recipient, within_days, gap_hours, ..FollowupPolicy::default() };
        let mut all: Vec<ProposedFollowup> = Vec::new();
        for (index, (email, hour)) in proposals.into_iter().enumerate() {
            let one = ProposedFollowup { at: ago(-hour * HOUR), email_id: email.to_string(), id: index.to_string() };
            let answers = super::caps(&all, &one.email_id, &one.id, one.at, &policy);
            if answers.iter().any(|answer| answer.ruling == Ruling::Refused) {
                continue;
            }
            all.push(one.clone());
            let again = super::caps(&all, &one.email_id, &one.id, one.at, &policy);
            prop_assert_eq!(again, answers, "proposed again");
        }
        for one in &all {
            let window = i64::from(within_days) * DAY;
            let in_window = all.iter().filter(|other| (one.at.0..one.at.0 + window).contains(&other.at.0)).count();
            prop_assert!(in_window <= per_recipient);
            for other in all.iter().filter(|other| other.id != one.id) {
                prop_assert!((one.at.0 - other.at.0).abs() >= i64::from(gap_hours) * HOUR);
                prop_assert_ne!(&one.email_id, &other.email_id);
            }
        }
    }
}
