//! Frequency caps of follow-ups: their number, and the time between two of them.

use std::time::Duration;

use super::{Guard, GuardResult};
use crate::policy::count::count;
use crate::policy::limits::FollowupPolicy;
use crate::time::{UnixMillis, days, hours};

/// A follow-up to the same recipient that was proposed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedFollowup {
    /// Earliest time of sending.
    pub at: UnixMillis,
    /// Id of the original email.
    pub email_id: String,
    /// Id of the follow-up.
    pub id: String,
}

/// Checks if one more follow-up may be proposed to a recipient. The caps are:
///
/// - one per original email,
/// - a maximum number within a number of days, before and after, including this one,
/// - a minimum time to any other, before or after.
///
/// A follow-up with this same `id` is the same one, proposed again, and is not counted. Both sides of `not_before` are
/// checked, because follow-ups are not proposed in the order of their send times. So the caps hold in any order.
pub fn caps(
    taken: &[ProposedFollowup],
    email_id: &str,
    id: &str,
    not_before: UnixMillis,
    policy: &FollowupPolicy,
) -> Vec<GuardResult> {
    let others: Vec<&ProposedFollowup> = taken.iter().filter(|other| other.id != id).collect();
    vec![
        one_for_each_email(&others, email_id),
        per_recipient(&others, not_before, policy),
        gap(&others, not_before, policy),
    ]
}

fn one_for_each_email(others: &[&ProposedFollowup], email_id: &str) -> GuardResult {
    if others.iter().any(|other| other.email_id == email_id) {
        Guard::OneForEachEmail.refuses("this email already has a follow-up")
    } else {
        Guard::OneForEachEmail.passes("this email has no other follow-up")
    }
}

fn per_recipient(others: &[&ProposedFollowup], not_before: UnixMillis, policy: &FollowupPolicy) -> GuardResult {
    let near = others.iter().filter(|other| is_within(other.at, not_before, days(policy.within_days))).count();
    let (most, within) = (policy.per_recipient, policy.within_days);
    if near < most {
        Guard::PerRecipient
            .passes(format!("{} within {within} d; at most {most} including this one", count(near, "other")))
    } else {
        Guard::PerRecipient
            .refuses(format!("{} within {within} d already; at most {most} including this one", count(near, "other")))
    }
}

fn gap(others: &[&ProposedFollowup], not_before: UnixMillis, policy: &FollowupPolicy) -> GuardResult {
    let near = others.iter().find(|other| is_within(other.at, not_before, hours(policy.gap_hours)));
    match near {
        Some(other) => Guard::Gap.refuses(format!(
            "another one is planned for {}, less than {} h from {}",
            other.at.to_text(),
            policy.gap_hours,
            not_before.to_text()
        )),
        None => Guard::Gap.passes(format!("no other one is within {} h", policy.gap_hours)),
    }
}

/// Returns true if two times are less than `span` apart.
fn is_within(one: UnixMillis, other: UnixMillis, span: Duration) -> bool {
    u128::from(one.0.abs_diff(other.0)) < span.as_millis()
}
