//! The follow-ups that are sent: are they in time, and does anything hold them back?

use std::time::Duration;

use rebound::aws::CallError;
use rebound::policy::count::count;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::store::act_lock::{ActLock, RestReason};
use rebound::store::followups::{FollowupStore, Switch, SwitchOf};
use rebound::time::{UnixMillis, days, minutes};

use super::Check;
use crate::operate::target::Target;

const OVERDUE: &str = "overdue follow-ups";
const UNKNOWN: &str = "unknown follow-ups";
const PAUSES: &str = "pauses";
const RESTS: &str = "rests";

/// Time by which a follow-up may be overdue while nothing is wrong: `act` sends one after the other.
const MAX_LATE: Duration = minutes(15);

/// Number of days of settled follow-ups that are read.
const LATELY_DAYS: u32 = 7;

/// Maximum number of follow-ups that are counted.
const MAX_COUNTED: usize = 10_000;

/// Maximum time of a read.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn check(target: &Target, store: &FollowupStore, now: UnixMillis) -> Vec<Check> {
    let lock = lock(target);
    let (switches, rest) = tokio::join!(store.switches(), lock.read());
    let rest = rest.map(|state| state.rest.filter(|(until, _)| *until > now));
    // Unknown is not nothing.
    let is_held = switches.as_ref().is_ok_and(|all| all.iter().any(|switch| switch.of == SwitchOf::All))
        || rest.as_ref().is_ok_and(Option::is_some);
    let (overdue, unknown) = tokio::join!(overdue(store, is_held, now), unknown(target, store, now));
    let mut checks = vec![overdue, unknown];
    checks.push(switches.map_or_else(|error| not_checked(PAUSES, &error), |switches| pauses(target, &switches)));
    checks.push(rest.map_or_else(|error| not_checked(RESTS, &error), |rest| rests(target, rest)));
    checks
}

/// The lock of `act`.
pub(super) fn lock(target: &Target) -> ActLock {
    ActLock::new(target.calls(TIMEOUT), target.table("AGENDA_TABLE"))
}

fn not_checked(name: &str, error: &CallError) -> Check {
    Check::not_checked(name, error.to_string())
}

/// Checks how many follow-ups are due, and since when. `is_held`: a pause or a rest explains it.
async fn overdue(store: &FollowupStore, is_held: bool, now: UnixMillis) -> Check {
    let open = match store.open(MAX_COUNTED + 1).await {
        Ok(open) => open,
        Err(error) => return not_checked(OVERDUE, &error),
    };
    let due = open.iter().take_while(|entry| entry.at <= now).count();
    let number = if due > MAX_COUNTED { format!("more than {MAX_COUNTED}") } else { due.to_string() };
    let later = if due > MAX_COUNTED { String::new() } else { format!("; {} wait for their time", open.len() - due) };
    let Some(oldest) = open.first().filter(|oldest| oldest.at.plus(MAX_LATE) < now) else {
        return Check::ok(OVERDUE, format!("none; {number} due now{later}"));
    };
    let late = (now.seconds_since(oldest.at) / 60.0).round();
    let found = format!("{number} due, the oldest {} late{later}", count(late, "minute"));
    let to_do = "see the checks of pauses, rests, the day's limit, act's key and its last run, and then its log; after 72 hours a follow-up is dropped";
    if is_held { Check::warning(OVERDUE, found, to_do) } else { Check::fault(OVERDUE, found, to_do) }
}

/// Counts the follow-ups of the last days of which nobody knows if Resend accepted them.
async fn unknown(target: &Target, store: &FollowupStore, now: UnixMillis) -> Check {
    let done = match store.done(now.minus(days(LATELY_DAYS)), MAX_COUNTED).await {
        Ok(done) => done,
        Err(error) => return not_checked(UNKNOWN, &error),
    };
    let (number, total) = (done.iter().filter(|entry| entry.status == FollowupStatus::Unknown).count(), done.len());
    let of = if total < MAX_COUNTED { format!("{total}") } else { format!("the first {total}") };
    let Some(newest) = done.iter().rev().find(|entry| entry.status == FollowupStatus::Unknown) else {
        return Check::ok(UNKNOWN, format!("none of {of} in {LATELY_DAYS} days"));
    };
    let show = target.command(&format!("followups show {}", newest.id));
    Check::warning(
        UNKNOWN,
        format!("{number} of {of} in {LATELY_DAYS} days; they are not sent again"),
        format!("look for the email at Resend, under Emails; of the newest one {show} has the address and the history"),
    )
}

fn pauses(target: &Target, switches: &[Switch]) -> Check {
    if switches.is_empty() {
        return Check::ok(PAUSES, "none");
    }
    let one = |switch: &Switch| {
        let what = match &switch.of {
            SwitchOf::All => "all sending".to_owned(),
            SwitchOf::Campaign(campaign) => format!("campaign {campaign}"),
        };
        let reason = if switch.reason.is_empty() { String::new() } else { format!(": {}", switch.reason) };
        format!("{what}, since {} by {}{reason}", switch.at.to_text(), switch.by)
    };
    let found: Vec<String> = switches.iter().map(one).collect();
    let is_all = switches.iter().any(|switch| switch.of == SwitchOf::All);
    let resume = if is_all { "followups resume" } else { "followups resume --campaign NAME" };
    Check::warning(PAUSES, found.join("; "), format!("{} resumes it", target.command(resume)))
}

fn rests(target: &Target, rest: Option<(UnixMillis, RestReason)>) -> Check {
    let Some((until, because)) = rest else { return Check::ok(RESTS, "none") };
    let list = target.command("followups list");
    let (why, to_do) = match because {
        RestReason::Key => ("Resend refused the key", "see the check of act's Resend key".to_owned()),
        RestReason::Quota => (
            "the quota at Resend is used up",
            "see Settings, Usage at Resend; what is due 72 hours without being sent is dropped".to_owned(),
        ),
        RestReason::TooFast => (
            "requests came too fast",
            "nothing, if it happens rarely; else lower RESEND_RATE, as the limit is that of all keys of your team"
                .to_owned(),
        ),
        RestReason::Refusals => (
            "Resend refused three follow-ups in a row",
            format!("{list} has their reasons; see if the sending domain is verified at Resend"),
        ),
    };
    Check::warning(RESTS, format!("nothing is sent until {}: {why}", until.to_text()), to_do)
}
