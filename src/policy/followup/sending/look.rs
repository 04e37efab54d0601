//! The last look before each try: yes, not now, or no for good.

use serde::{Deserialize, Serialize};

use super::DropReason;
use super::state::{FollowupState, MAX_DUE, MAX_OPEN};
use crate::policy::followup::{ProposedFollowup, Ruling, Zone, caps, not_before};
use crate::policy::limits::FollowupPolicy;
use crate::time::{UnixMillis, days, hours, minutes};

/// Time until a follow-up of a stopped campaign is looked at again, in minutes.
const CAMPAIGN_SWITCH_MINUTES: u32 = 15;

/// Time until a follow-up is looked at again if its quiet hours have no end, in hours.
const NO_END_HOURS: u32 = 1;

/// Result of a last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookOutcome {
    /// The request may begin.
    Yes,
    /// The follow-up stays as it is, and is looked at again later.
    NotNow(NotNow),
    /// The follow-up is dropped.
    No(DropReason),
}

/// Reason why a follow-up is not sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// All sending is paused by a person.
    Paused,
    /// Sending in this campaign is paused by a person.
    CampaignPaused,
    /// The quiet hours, until this time.
    Quiet(UnixMillis),
    /// The day's limit is reached.
    DayLimit,
    /// A frequency cap, until this time.
    Cap(UnixMillis),
}

/// A part of the last look that refused, with its reason: an element of the attribute `guards`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookRefusal {
    /// The part that refused: `suppressed`, `switch`, `quiet_hours`, and so on.
    pub guard: String,
    /// The reason as text.
    pub why: String,
}

/// End of a follow-up whose time is over, whatever the last look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It was never handed to Resend, and it is too late now: `dropped`, `too_late`.
    TooLate,
    /// It may have been accepted more than 23 hours ago: `unknown`.
    OpenTooLong,
    /// It may have been accepted, and the API key or the address has changed since: `unknown`.
    AskedOtherwise,
}

impl Settlement {
    /// Returns the reason as text, for `history`.
    pub const fn why(self) -> &'static str {
        match self {
            Self::TooLate => "it could not be sent within 72 hours",
            Self::OpenTooLong => "it may have been accepted more than 23 hours ago, and Resend forgets after 24",
            Self::AskedOtherwise => "it may have been accepted under another API key, or at another address",
        }
    }
}

impl NotNow {
    /// Returns true if no other follow-up can be sent in this run either. Nothing is written then.
    pub const fn ends_run(&self) -> bool {
        matches!(self, Self::Paused | Self::DayLimit)
    }

    /// Returns the time of the next look.
    pub fn until(&self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Quiet(until) | Self::Cap(until) => *until,
            Self::CampaignPaused | Self::Paused => now.plus(minutes(CAMPAIGN_SWITCH_MINUTES)),
            Self::DayLimit => UnixMillis((now.0.div_euclid(DAY_MS) + 1) * DAY_MS),
        }
    }

    /// Returns the reason as text, for `history`. Equal reasons have equal texts.
    pub const fn why(&self) -> &'static str {
        match self {
            Self::Paused => "sending is paused",
            Self::CampaignPaused => "sending in this campaign is paused",
            Self::Quiet(_) => "quiet hours",
            Self::DayLimit => "the day's limit is reached",
            Self::Cap(_) => "a frequency cap",
        }
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

impl FollowupState {
    /// Returns what must happen if the follow-up's time is over at `now`, or if it can't be repeated with what requests
    /// are made with now. Checked before anything else, whatever is paused.
    pub fn settlement(&self, now: UnixMillis, asked_with: Option<&str>) -> Option<Settlement> {
        if self.status.is_settled() {
            return None;
        }
        let is_late = self.due_since.is_some_and(|since| since.plus(MAX_DUE) <= now);
        match self.open_since {
            Some(since) if since.plus(MAX_OPEN) <= now || is_late => Some(Settlement::OpenTooLong),
            Some(_) if asked_with.is_some_and(|with| self.asked_with.as_deref() != Some(with)) => {
                Some(Settlement::AskedOtherwise)
            }
            Some(_) => None,
            None => is_late.then_some(Settlement::TooLate),
        }
    }

    /// Returns the time at which [`settlement`](Self::settlement) ends the follow-up.
    pub fn deadline(&self) -> UnixMillis {
        let open = self.open_since.map(|since| since.plus(MAX_OPEN));
        let due = self.due_since.map(|since| since.plus(MAX_DUE));
        match (open, due) {
            (Some(open), Some(due)) => open.min(due),
            (one, other) => one.or(other).unwrap_or(UnixMillis(i64::MAX)),
        }
    }
}

impl FollowupState {
    /// Returns a time by which the follow-up is certainly settled, or, if it is settled, the time of that.
    pub fn last_look(&self) -> UnixMillis {
        if self.status.is_settled() {
            return self.entry_at;
        }
        self.due_since.map_or(self.entry_at, |since| since.plus(MAX_DUE)).max(self.entry_at)
    }
}

/// Returns the end of the quiet hours if `now` is within them.
pub fn quiet_until(now: UnixMillis, zone: &Zone, policy: &FollowupPolicy) -> Option<UnixMillis> {
    let (until, guard) = not_before(now, 0.0, zone, policy);
    match guard.ruling {
        Ruling::Passed => None,
        Ruling::Moved => Some(until),
        Ruling::Refused => Some(now.plus(hours(NO_END_HOURS))),
    }
}

/// A follow-up for which the frequency caps are asked again.
#[derive(Clone, Copy, Debug)]
pub struct CapCheck<'a> {
    /// All follow-ups to the recipient, with this one.
    pub taken: &'a [ProposedFollowup],
    /// The email that it answers.
    pub email_id: &'a str,
    /// The id of its decision, under which it has its place.
    pub decision: &'a str,
    /// The last time at which it may be sent.
    pub deadline: UnixMillis,
}

/// Time at which the frequency caps allow a follow-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CapTime {
    /// Now.
    Now,
    /// Later, with the reason of the cap that refuses it now.
    Later(UnixMillis, String),
    /// Never before its deadline, with the reason.
    Never(String),
    /// It has no place among the recipient's follow-ups any more.
    PlaceLost,
}

/// Applies the frequency caps to a follow-up that would be sent at `now`.
pub fn cap_time(check: &CapCheck<'_>, now: UnixMillis, policy: &FollowupPolicy) -> CapTime {
    if !check.taken.iter().any(|taken| taken.id == check.decision) {
        return CapTime::PlaceLost;
    }
    let refusal = |at: UnixMillis| {
        let results = caps(check.taken, check.email_id, check.decision, at, policy);
        results.into_iter().find(|result| result.ruling == Ruling::Refused)
    };
    let Some(refused) = refusal(now) else { return CapTime::Now };
    // A cap can begin to allow it only when another one becomes old enough.
    let ends = check
        .taken
        .iter()
        .flat_map(|other| [other.at.plus(hours(policy.gap_hours)), other.at.plus(days(policy.within_days))]);
    let mut times: Vec<UnixMillis> = ends.filter(|at| *at > now && *at < check.deadline).collect();
    times.sort_unstable();
    match times.into_iter().find(|at| refusal(*at).is_none()) {
        Some(at) => CapTime::Later(at, refused.why),
        None => CapTime::Never(refused.why),
    }
}
