//! The part of a follow-up that changes, and its transitions.

use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{AnswerMeaning, DropReason, FollowupStatus, SendAnswer};
use crate::time::{UnixMillis, hours, minutes};

/// Time after `open_since` at which no try begins any more. Resend remembers a key for 24 hours
/// (<https://resend.com/docs/dashboard/emails/idempotency-keys>).
pub(super) const MAX_OPEN: Duration = hours(23);

/// Time after `due_since` at which a follow-up is not sent any more.
pub(super) const MAX_DUE: Duration = hours(72);

/// Minimum time until a follow-up that is `sending` is looked at again: longer than a run of `act`.
const MIN_SENDING: Duration = minutes(1);

/// Maximum pause between two tries, in minutes.
const MAX_PAUSE_MINUTES: u32 = 30;

/// Maximum number of lines in `history`.
const MAX_HISTORY: usize = 50;

/// Maximum length of a reason in `history`, in characters.
const MAX_WHY: usize = 200;

/// Name of the writer in `history`, for what happens on its own.
const ACT: &str = "act";

/// A line of `history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// The time; of several equal postponements, that of the last one.
    pub at: UnixMillis,
    /// The status after it.
    pub status: FollowupStatus,
    /// Who did it: `engage`, `act`, `protect`, or the person who gave a command.
    pub by: String,
    /// The reason as text.
    pub why: String,
    /// Number of equal postponements in a row.
    pub times: u32,
}

/// The part of a follow-up's row that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowupState {
    /// The status.
    pub status: FollowupStatus,
    /// Earliest time to send.
    pub not_before: UnixMillis,
    /// Time since which it is due. `None` while it waits for approval.
    pub due_since: Option<UnixMillis>,
    /// The time in its one agenda entry.
    pub entry_at: UnixMillis,
    /// Number of requests that were begun.
    pub tries: u32,
    /// Number of definite refusals that closed an open try.
    pub refusals: u32,
    /// Time since which Resend may have accepted a request.
    pub open_since: Option<UnixMillis>,
    /// Fingerprint of the URL and the API key of the open request; see [`asked_with`].
    pub asked_with: Option<String>,
    /// Resend's id, if it is sent.
    pub resend_id: Option<String>,
    /// Time at which it was known to be sent.
    pub sent_at: Option<UnixMillis>,
    /// Further ids at Resend, if there ever are.
    pub also: BTreeSet<String>,
    /// Reason why it was dropped.
    pub reason: Option<DropReason>,
    /// The history, oldest first.
    pub history: Vec<HistoryLine>,
}

/// A try that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunTry {
    /// This try wrote `open_since`: a definite refusal of it means that nothing was accepted.
    Opening,
    /// An earlier try may have been accepted, whatever the answer to this one.
    Repeated,
}

/// Effect of an accepted request on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedChange {
    /// The row says so already.
    Known,
    /// The follow-up is sent.
    Sent(FollowupState),
    /// It was sent under another id too.
    SentAgain(FollowupState),
}

impl FollowupState {
    /// Creates the state of a follow-up that is sent from `not_before` on. It is due from then on, not from the decision
    /// on: a follow-up may be planned for a week later.
    pub fn scheduled(not_before: UnixMillis, at: UnixMillis, why: &str) -> Self {
        let mut state = Self {
            status: FollowupStatus::Due,
            not_before,
            due_since: Some(not_before.max(at)),
            entry_at: not_before.max(at),
            tries: 0,
            refusals: 0,
            open_since: None,
            asked_with: None,
            resend_id: None,
            sent_at: None,
            also: BTreeSet::new(),
            reason: None,
            history: Vec::new(),
        };
        state.note(at, "engage", why);
        state
    }

    /// Returns true if it is dropped although Resend may have accepted it.
    pub fn is_unclear(&self) -> bool {
        self.status == FollowupStatus::Dropped && self.open_since.is_some()
    }

    /// Returns true if it takes a place among the recipient's follow-ups.
    pub fn keeps_place(&self) -> bool {
        self.status != FollowupStatus::Dropped || self.is_unclear()
    }

    /// Begins a try at `at`, with what `asked_with` names. Returns `None` if it is neither due nor sending, or if its
    /// time is over.
    ///
    /// ```text
    ///   What may go wrong: a crash right after this. Then a request may have been accepted, or none was made: both
    ///   are `sending` with open_since, and the next look repeats with the same key.
    /// ```
    pub fn begin_try(&self, at: UnixMillis, asked_with: &str) -> Option<(Self, BegunTry)> {
        if !matches!(self.status, FollowupStatus::Due | FollowupStatus::Sending)
            || self.settlement(at, Some(asked_with)).is_some()
        {
            return None;
        }
        let begun = if self.open_since.is_some() { BegunTry::Repeated } else { BegunTry::Opening };
        let mut next = self.clone();
        next.tries = next.tries.saturating_add(1);
        if begun == BegunTry::Opening {
            next.open_since = Some(at);
            next.asked_with = Some(asked_with.to_owned());
        }
        next.status = FollowupStatus::Sending;
        next.look_again(at, at.plus(pause(next.tries)));
        next.note(at, ACT, &format!("try {}", next.tries));
        Some((next, begun))
    }

    /// Records an answer that is no acceptance: to `begun`, the try that wrote this very state.
    ///
    /// ```text
    ///   What may go wrong: the answer belongs to an earlier try, and another one has begun since. The caller's condition
    ///   is the version that its own try wrote, so such an answer is not recorded at all.
    /// ```
    pub fn answered(&self, begun: BegunTry, answer: &SendAnswer, at: UnixMillis) -> Self {
        let mut next = self.clone();
        let why =
            format!("{}{}", answer.name, answer.status.map(|status| format!(", HTTP {status}")).unwrap_or_default());
        let rest = match &answer.meaning {
            AnswerMeaning::Accepted { .. } => return next,
            AnswerMeaning::KeyConflict => {
                return self.unknown(at, &format!("another body had this key: {why}"));
            }
            AnswerMeaning::Unclear => {
                next.postpone_to(at, self.entry_at, ACT, &format!("unclear: {why}"));
                return next;
            }
            AnswerMeaning::AboutThisEmail { name } if begun == BegunTry::Opening => {
                next.close();
                let why = format!("Resend refused it: {why}");
                return next.dropped(DropReason::Refused(name.clone()), at, ACT, &why);
            }
            AnswerMeaning::Key => minutes(15),
            AnswerMeaning::Quota => hours(1),
            AnswerMeaning::TooFast { retry_after } => *retry_after,
            AnswerMeaning::AboutThisEmail { .. } | AnswerMeaning::Otherwise { .. } => pause(self.tries),
        };
        if begun == BegunTry::Opening {
            next.close();
            next.status = FollowupStatus::Due;
        }
        next.postpone_to(at, at.plus(rest), ACT, &format!("refused: {why}"));
        next
    }

    /// Removes the mark of the open try: it was refused, and no other is open.
    fn close(&mut self) {
        self.open_since = None;
        self.asked_with = None;
        self.refusals = self.refusals.saturating_add(1);
    }

    /// Records that Resend accepted a request, under this id. It wins over every status.
    ///
    /// ```text
    ///   What may go wrong: the row was dropped, became unknown, or was emptied meanwhile. The email is on its way, so
    ///   the row says so.
    /// ```
    pub fn accepted(&self, id: &str, at: UnixMillis, by: &str) -> AcceptedChange {
        let mut next = self.clone();
        match self.resend_id.as_deref() {
            Some(known) if self.status == FollowupStatus::Sent => {
                if known == id || self.also.contains(id) {
                    return AcceptedChange::Known;
                }
                next.also.insert(id.to_owned());
                next.note(at, by, "accepted under another id too");
                AcceptedChange::SentAgain(next)
            }
            _ => {
                next.resend_id = Some(id.to_owned());
                next.sent_at = Some(at);
                next.reason = None;
                next.settle(FollowupStatus::Sent, at, by, "accepted by Resend");
                AcceptedChange::Sent(next)
            }
        }
    }

    /// Postpones the next look until `until`, at the latest until the follow-up's time is over. The status stays.
    pub fn postponed(&self, until: UnixMillis, at: UnixMillis, by: &str, why: &str) -> Self {
        let mut next = self.clone();
        next.postpone_to(at, until, by, why);
        next
    }

    /// Drops a follow-up. Without effect if it is settled.
    ///
    /// ```text
    ///   What may go wrong: a request is in flight. Then open_since is there, and the row says that it may have been
    ///   accepted (`unclear`); its answer still wins.
    /// ```
    pub fn dropped(&self, reason: DropReason, at: UnixMillis, by: &str, why: &str) -> Self {
        let mut next = self.clone();
        if !self.status.is_settled() {
            next.reason = Some(reason);
            next.settle(FollowupStatus::Dropped, at, by, why);
        }
        next
    }

    /// Gives up a follow-up that may have been accepted. Without effect if it is settled.
    pub fn unknown(&self, at: UnixMillis, why: &str) -> Self {
        let mut next = self.clone();
        if !self.status.is_settled() {
            next.settle(FollowupStatus::Unknown, at, ACT, why);
        }
        next
    }

    fn settle(&mut self, status: FollowupStatus, at: UnixMillis, by: &str, why: &str) {
        self.status = status;
        self.entry_at = at;
        self.note(at, by, why);
    }

    fn postpone_to(&mut self, at: UnixMillis, until: UnixMillis, by: &str, why: &str) {
        self.look_again(at, until);
        let status = self.status;
        match self.history.last_mut() {
            Some(last) if last.status == status && last.by == by && last.why == why => {
                last.at = at;
                last.times = last.times.saturating_add(1);
            }
            _ => self.note(at, by, why),
        }
    }

    /// Sets the time of the entry: not after the deadline, and, while a request may be in flight, not too early.
    fn look_again(&mut self, at: UnixMillis, until: UnixMillis) {
        let until = until.min(self.deadline());
        let earliest = if self.status == FollowupStatus::Sending { at.plus(MIN_SENDING) } else { at };
        self.entry_at = until.max(earliest);
    }

    fn note(&mut self, at: UnixMillis, by: &str, why: &str) {
        if self.history.len() >= MAX_HISTORY {
            // The first line says who decided; the last ones say how it went.
            self.history.remove(1);
        }
        let why = why.chars().take(MAX_WHY).collect();
        self.history.push(HistoryLine { at, status: self.status, by: by.to_owned(), why, times: 1 });
    }
}

/// Returns the pause after this many tries: 1, 2, 4, … 30 minutes.
fn pause(tries: u32) -> Duration {
    minutes(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(MAX_PAUSE_MINUTES).clamp(1, MAX_PAUSE_MINUTES))
}

/// Returns a fingerprint of what requests are made with: the first 16 hex digits of SHA-256(base URL LF API key).
pub fn asked_with(base_url: &str, api_key: &str) -> String {
    format!("{:.16}", hex::encode(Sha256::digest(format!("{base_url}\n{api_key}"))))
}

/// Returns the idempotency key after this many refusals. `first` is the key of the follow-up's first try, and of its
/// proposal. After a refusal another key is needed, since it is unknown if Resend remembers errors.
pub fn idempotency_key(first: &str, refusals: u32) -> String {
    if refusals == 0 { first.to_owned() } else { format!("{first}-{refusals}") }
}
