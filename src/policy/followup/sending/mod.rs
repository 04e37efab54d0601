//! Sending a follow-up: its states, and each transition between them. Pure code; `store::followups` makes each transition
//! one transaction on the row's `version`.
//!
//! ```text
//!             decided
//!                │ approve                       │ send
//!                ▼                               ▼
//!            waiting ── approved ─────────────▶ due ◀───────────────────────────┐
//!                │                               │  not now ────────────────────┤ postponed
//!                │                    last look: │  yes: tries + 1, open_since, one transaction
//!                │                               ▼                              │
//!                │                            sending ── definite refusal of the very try that wrote open_since
//!                │                               │  ── accepted ───────────────────────────▶ sent
//!                │                               │  ── unclear: again, same key and body ───▶ (stays sending)
//!                │                               │  ── a look that comes 23 h after open_since ─▶ unknown
//!                ├─ rejected, expired ─┐         │  ── refused: about this email ──────────▶ dropped
//!                ▼                     ▼         │
//!             dropped ◀── last look: no for good ┘ (from due and sending; unclear if open_since is there)
//!             a webhook with our tags, or a late answer: accepted wins over every status ──▶ sent
//! ```
//!
//! # Why a follow-up is accepted at most once
//!
//! ```text
//!   act                                     the row                              Resend
//!   ───                                     ───────                              ──────
//!   try 1: look + sending, one transaction  sending, tries 1, open_since T, key K
//!          request with K ──────────────────────────────────────────────────▶    accepts, or not
//!          the answer is recorded           sent; or due, refusals 1, no open_since
//!
//!   What may go wrong, and what follows:
//!   a crash after the transaction        open_since is there: a request may have been accepted. The row stays
//!                                        `sending`, and each later try has K and the same body: Resend remembers K for
//!                                        24 h (<https://resend.com/docs/dashboard/emails/idempotency-keys>)
//!   the answer is lost                   the same
//!   the answer to try 2 is a refusal     it says nothing about try 1: open_since and K stay
//!   the answer to try 1 is a refusal     nothing was accepted: open_since goes, and the next key is K-1, since it is
//!                                        unknown if Resend remembers errors
//!   23 h pass with open_since            no try begins any more: `unknown`, with an alert
//!   another API key, or another address  it is unknown if keys are remembered for each API key: `unknown`, with an alert
//!   an answer after all that             accepted wins over every status; a second id is kept in `also`, with an alert
//!   the transaction's own answer is lost no request begins; the row is left to its entry
//! ```

mod answer;
mod look;
mod meaning;
mod state;
mod words;

pub use self::answer::{AnswerMeaning, SendAnswer};
pub use self::look::{CapCheck, CapTime, LookOutcome, LookRefusal, NotNow, Settlement, cap_time, quiet_until};
pub use self::meaning::{PushMeaning, email_answer, push_answer};
pub use self::state::{AcceptedChange, BegunTry, FollowupState, HistoryLine, asked_with, idempotency_key};
pub use self::words::{DropReason, FollowupStatus, SendMode};

#[cfg(test)]
mod tests;
