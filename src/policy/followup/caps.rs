//! How many follow-ups there may be, and how near to each other.

use std::time::Duration;

use super::{Answer, Guard};
use crate::policy::count::count;
use crate::policy::numbers::FollowupPolicy;
use crate::time::{UnixMillis, days, hours};

/// A follow-up to the same recipient that was proposed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The moment that it was proposed for: before it, it is not sent.
    pub at: UnixMillis,
    /// The email that it follows.
    pub email_id: String,
    /// Its own id.
    pub id: String,
}

/// Whether one more follow-up may be proposed to a recipient, with those that were before:
/// - one for each email that it would follow,
/// - at most so many within so many days, before and after, this one included,
/// - and none nearer than so many hours, before or after.
///
/// One that was taken under this very `id` is this one, proposed again, and doesn't count. What is taken is looked at on both sides
/// of `not_before`, because proposals don't come in the order of the moments they are for; so the caps hold whatever the order.
pub fn caps(taken: &[Taken], email_id: &str, id: &str, not_before: UnixMillis, policy: &FollowupPolicy) -> Vec<Answer> {
    let others: Vec<&Taken> = taken.iter().filter(|other| other.id != id).collect();
    vec![
        one_for_each_email(&others, email_id),
        per_recipient(&others, not_before, policy),
        gap(&others, not_before, policy),
    ]
}

fn one_for_each_email(others: &[&Taken], email_id: &str) -> Answer {
    if others.iter().any(|other| other.email_id == email_id) {
        Guard::OneForEachEmail.refuses("this email has its follow-up already")
    } else {
        Guard::OneForEachEmail.passes("this email has no other follow-up")
    }
}

fn per_recipient(others: &[&Taken], not_before: UnixMillis, policy: &FollowupPolicy) -> Answer {
    let near = others.iter().filter(|other| is_within(other.at, not_before, days(policy.within_days))).count();
    let (most, within) = (policy.per_recipient, policy.within_days);
    if near < most {
        Guard::PerRecipient.passes(format!("{} within {within} d; at most {most} with this one", count(near, "other")))
    } else {
        Guard::PerRecipient
            .refuses(format!("{} within {within} d already; at most {most} with this one", count(near, "other")))
    }
}

fn gap(others: &[&Taken], not_before: UnixMillis, policy: &FollowupPolicy) -> Answer {
    let near = others.iter().find(|other| is_within(other.at, not_before, hours(policy.gap_hours)));
    match near {
        Some(other) => Guard::Gap.refuses(format!(
            "another is for {}, nearer than {} h to {}",
            other.at.to_text(),
            policy.gap_hours,
            not_before.to_text()
        )),
        None => Guard::Gap.passes(format!("no other is nearer than {} h", policy.gap_hours)),
    }
}

/// Whether two moments are less than so long apart.
fn is_within(one: UnixMillis, other: UnixMillis, span: Duration) -> bool {
    u128::from(one.0.abs_diff(other.0)) < span.as_millis()
}
