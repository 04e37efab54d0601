//! Transitions of a follow-up: each is one transaction.
//!
//! ```text
//!   row, on the version that was read          the state, and a line of `history`
//!   old entry deleted, new entry put           one Put where both keys are equal
//!   alert's row, and its `publish` entry       where the transition must not be silent
//!   the recipient's `followups`, on a version  where the transition frees its place, or takes it again
//!
//!   What may go wrong, and what follows:
//!   a crash before the transaction       nothing is written: the entry leads to the row again
//!   a crash after it                     all of it is written; the tick publishes the alert by its entry
//!   the answer is lost                   sent again unchanged: the row's version is refused, and the row read is ours
//!   another writer was first             nothing is written; the caller gets the row as it is now
//!   the same alert was stored before     (one an hour for each name): the same again without the alert
//!   the recipient's places have changed  read again, and again with them
//! ```

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::row::FollowupRow;
use super::{FollowupStore, Followups};
use crate::aws::CallError;
use crate::message::alert::wording::{AlertPeriod, RefusalEffect, resend_key, send_failed, send_unknown, sent_twice};
use crate::message::alert::{Alert, AlertKind};
use crate::message::decision::Followup;
use crate::policy::followup::ProposedFollowup;
use crate::policy::followup::sending::{
    AcceptedChange, AnswerMeaning, BegunTry, DropReason, FollowupState, FollowupStatus, LookRefusal, SendAnswer,
    SendMode, Settlement,
};
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::store::agenda::{AgendaEntry, AgendaKind};
use crate::store::alerts::alert_key;
use crate::store::client::{UpdateExpression, put_item};
use crate::store::error::DynamoDbError;
use crate::store::version::SeenVersion;
use crate::store::{Item, NOT_THERE, number, text};
use crate::time::{UnixMillis, days};

/// Retention of the record of an alert that is not about one email, in days.
const ALERT_DAYS: u32 = 90;

/// Name in the alert of follow-ups that were not sent in time.
const TOO_LATE: &str = "too_late";

/// Owner of the alerts: the tick publishes them.
const CARRIER: &str = "act";

/// Maximum number of tries against other writers of the same row.
const MAX_ATTEMPTS: u32 = 20;

/// Result of a transition.
#[derive(Clone, Debug, PartialEq)]
pub enum FollowupWrite {
    /// The row as it was written, and the alert that was stored with it. The next tick publishes the alert.
    Written(Box<FollowupRow>, Option<Box<Alert>>),
    /// Nothing was written: the row has changed since it was read. Contains the row as it is now, unless it is gone.
    Changed(Option<Box<FollowupRow>>),
}

/// An alert of a transition, and its partition.
struct NewAlert {
    about: String,
    alert: Alert,
    expires_at: UnixMillis,
}

/// A follow-up that is stored together with its decision.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFollowup(FollowupRow);

impl NewFollowup {
    /// Creates the follow-up of a decision, to be sent from `not_before` on.
    pub fn scheduled(
        email_id: &str,
        decision: &str,
        recipient: &Recipient,
        campaign: &Campaign,
        not_before: UnixMillis,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Self {
        Self(FollowupRow {
            email_id: email_id.to_owned(),
            id: Followup::id(decision),
            decision: decision.to_owned(),
            mode: SendMode::Send,
            recipient: Some(recipient.clone()),
            campaign: Some(campaign.clone()),
            request: None,
            guards: Vec::new(),
            state: FollowupState::scheduled(not_before, now, "decided"),
            expires_at,
            seen: SeenVersion::Absent,
        })
    }

    /// Builds the puts of the row and of its entry, for the decision's transaction.
    pub(in crate::store) fn puts(&self, events: &str, agenda: &str) -> Result<[TransactWriteItem; 2], CallError> {
        let (item, condition) = self.0.seen.overwrite("email_id", self.0.to_item());
        Ok([put_item(condition.put_in_transaction(events, item))?, put_entry(agenda, &self.0.entry())?])
    }
}

impl FollowupStore {
    /// Records that Resend accepted a follow-up, on whatever version is there. Returns `None` if there is no row, or if
    /// the row says so already. A second id is kept, with a critical alert.
    pub async fn record_accepted(
        &self,
        email_id: &str,
        id: &str,
        resend_id: &str,
        by: &str,
        now: UnixMillis,
    ) -> Result<Option<FollowupWrite>, CallError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(row) = self.find(email_id, id).await? else { return Ok(None) };
            let (state, alert) = match row.state.accepted(resend_id, now, by) {
                AcceptedChange::Known => return Ok(None),
                AcceptedChange::Sent(state) => (state, None),
                AcceptedChange::SentAgain(state) => {
                    let first = state.resend_id.as_deref().unwrap_or_default();
                    let alert = sent_twice(
                        &row.context(now, self.stack.as_deref()),
                        [first, resend_id],
                        state.tries,
                        state.open_since,
                    );
                    (state, Some(about_email(&row, alert)))
                }
            };
            match self.apply(&row, FollowupRow { state, ..row.clone() }, alert, now).await? {
                FollowupWrite::Changed(_) => {}
                written => return Ok(Some(written)),
            }
        }
        Err(CallError::Transient("other writers kept changing the same follow-up".to_owned()))
    }

    /// Records an answer that is no acceptance, on the version that its own try wrote: `row`, as the try returned it.
    /// `waiting` is the number of follow-ups known to wait, for the alert about a key.
    pub async fn record_answer(
        &self,
        row: &FollowupRow,
        begun: BegunTry,
        answer: &SendAnswer,
        waiting: usize,
        now: UnixMillis,
    ) -> Result<FollowupWrite, CallError> {
        let state = row.state.answered(begun, answer, now);
        let about = row.context(now, self.stack.as_deref());
        let effect = match state.status {
            FollowupStatus::Dropped => RefusalEffect::Dropped,
            _ => RefusalEffect::Postponed,
        };
        let failed = |name: &str, once| Some(about_name(send_failed(&about, name, answer.status, effect, once), now));
        let alert = match &answer.meaning {
            AnswerMeaning::KeyConflict => {
                let why = format!("another request had the same key and another body ({})", answer.name);
                Some(about_email(row, send_unknown(&about, state.tries, state.open_since, &why)))
            }
            AnswerMeaning::Key => {
                Some(about_name(resend_key(&answer.name, answer.status, waiting, now, about.stack), now))
            }
            AnswerMeaning::Quota => failed(&answer.name, AlertPeriod::Day),
            AnswerMeaning::AboutThisEmail { name } | AnswerMeaning::Otherwise { name } => {
                failed(name, AlertPeriod::Hour)
            }
            AnswerMeaning::Accepted { .. } | AnswerMeaning::Unclear | AnswerMeaning::TooFast { .. } => None,
        };
        self.apply(row, FollowupRow { state, ..row.clone() }, alert, now).await
    }

    /// Stores the alert that Resend refuses act's API key, once a day. The next tick publishes it. `waiting` is the number
    /// of tasks that wait for the key.
    pub async fn alert_key(
        &self,
        name: &str,
        status: Option<u16>,
        waiting: usize,
        now: UnixMillis,
    ) -> Result<(), CallError> {
        let alert = about_name(resend_key(name, status, waiting, now, self.stack.as_deref()), now);
        let mut backoff = self.calls.backoff();
        while !self.is_stored(&alert).await? {
            match self.calls.transact(self.alert_puts(&alert, now)?.into()).await {
                // Refused: stored by another run meanwhile.
                Ok(_) => return Ok(()),
                Err(error) => backoff.wait(error).await?,
            }
        }
        Ok(())
    }

    /// Postpones the next look, with the parts of the last look that refused.
    pub async fn postpone(
        &self,
        row: &FollowupRow,
        until: UnixMillis,
        why: &str,
        guards: Vec<LookRefusal>,
        now: UnixMillis,
    ) -> Result<FollowupWrite, CallError> {
        let state = row.state.postponed(until, now, CARRIER, why);
        self.apply(row, FollowupRow { state, guards, ..row.clone() }, None, now).await
    }

    /// Drops a follow-up, with the parts of the last look that refused. Without `open_since` this frees its place among
    /// the recipient's follow-ups. `by` is `act`, or the person who gave a command.
    pub async fn drop_followup(
        &self,
        row: &FollowupRow,
        reason: DropReason,
        by: &str,
        why: &str,
        guards: Vec<LookRefusal>,
        now: UnixMillis,
    ) -> Result<FollowupWrite, CallError> {
        let state = row.state.dropped(reason, now, by, why);
        let guards = if guards.is_empty() { row.guards.clone() } else { guards };
        self.apply(row, FollowupRow { state, guards, ..row.clone() }, None, now).await
    }

    /// Settles a follow-up whose time is over: `dropped`, or `unknown` if it may have been accepted.
    pub async fn settle(
        &self,
        row: &FollowupRow,
        settlement: Settlement,
        now: UnixMillis,
    ) -> Result<FollowupWrite, CallError> {
        let about = row.context(now, self.stack.as_deref());
        let (state, alert) = match settlement {
            Settlement::TooLate => {
                let state = row.state.dropped(DropReason::TooLate, now, CARRIER, settlement.why());
                let alert = send_failed(&about, TOO_LATE, None, RefusalEffect::Dropped, AlertPeriod::Hour);
                (state, about_name(alert, now))
            }
            Settlement::OpenTooLong | Settlement::AskedOtherwise => {
                let state = row.state.unknown(now, settlement.why());
                let alert = send_unknown(&about, state.tries, state.open_since, settlement.why());
                (state, about_email(row, alert))
            }
        };
        self.apply(row, FollowupRow { state, ..row.clone() }, Some(alert), now).await
    }

    /// Erases a follow-up: `dropped` (`forgotten`), without the recipient, the request, and the texts of its history.
    /// What was sent or is unknown stays so. Its place is erased with all of the recipient's.
    pub async fn forget(&self, row: &FollowupRow, by: &str, now: UnixMillis) -> Result<FollowupWrite, CallError> {
        let mut state = row.state.dropped(DropReason::Forgotten, now, by, "");
        for line in &mut state.history {
            line.why = String::new();
        }
        let after = FollowupRow { state, recipient: None, request: None, guards: Vec::new(), ..row.clone() };
        if after == *row {
            return Ok(FollowupWrite::Written(Box::new(after), None));
        }
        self.apply(row, after, None, now).await
    }

    /// Writes `after` over `before`, with its entry, its place and an alert.
    async fn apply(
        &self,
        before: &FollowupRow,
        mut after: FollowupRow,
        alert: Option<NewAlert>,
        now: UnixMillis,
    ) -> Result<FollowupWrite, CallError> {
        let (item, condition) = before.seen.overwrite("email_id", after.to_item());
        after.seen = SeenVersion::of(Some(&item));
        let row = put_item(condition.put_in_transaction(&self.tables.events, item))?;
        let mut alert = match alert {
            Some(alert) if self.is_stored(&alert).await? => None,
            other => other,
        };
        let mut backoff = self.calls.backoff();
        let mut after_unknown = false;
        loop {
            let mut items = vec![row.clone()];
            items.extend(self.entries(before, &after)?);
            let alert_at = items.len();
            if let Some(alert) = &alert {
                items.extend(self.alert_puts(alert, now)?);
            }
            let place_at = items.len();
            items.extend(self.place(before, &after).await?);
            let refused = match self.calls.transact(items).await {
                Ok(Ok(())) => return Ok(FollowupWrite::Written(Box::new(after), alert.map(|new| Box::new(new.alert)))),
                Ok(Err(refused)) => refused,
                Err(error) => {
                    after_unknown |= matches!(error, DynamoDbError::OutcomeUnknown(_));
                    backoff.wait(error).await?;
                    continue;
                }
            };
            if refused.contains(&0) {
                let current = self.find(&before.email_id, &before.id).await?;
                return Ok(match current {
                    Some(current) if after_unknown && current.seen == after.seen && current.state == after.state => {
                        FollowupWrite::Written(Box::new(after), alert.map(|new| Box::new(new.alert)))
                    }
                    current => FollowupWrite::Changed(current.map(Box::new)),
                });
            }
            if alert.is_some() && refused.contains(&alert_at) {
                alert = None;
            }
            if refused.contains(&place_at) {
                backoff.wait(DynamoDbError::Busy("the recipient's follow-ups kept changing".to_owned())).await?;
            }
        }
    }

    /// The entry of `after`, in place of that of `before`.
    pub(super) fn entries(
        &self,
        before: &FollowupRow,
        after: &FollowupRow,
    ) -> Result<Vec<TransactWriteItem>, CallError> {
        let agenda = &self.tables.agenda;
        let (old, new) = (before.entry().table_key(), after.entry());
        let mut items = Vec::new();
        if old != new.table_key() {
            let delete = Delete::builder().table_name(agenda).set_key(Some(old)).build();
            let delete = delete.map_err(|error| CallError::Permanent(error.to_string()))?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        items.push(put_entry(agenda, &new)?);
        Ok(items)
    }

    /// The recipient's places, if the transition frees the follow-up's place or takes it again.
    async fn place(&self, before: &FollowupRow, after: &FollowupRow) -> Result<Option<TransactWriteItem>, CallError> {
        let Some(recipient) = after.recipient.as_ref() else { return Ok(None) };
        let changed = match (before.state.keeps_place(), after.state.keeps_place()) {
            (true, false) => self.places(recipient).await?.without(&after.decision),
            (false, true) => Some(with_place(&self.places(recipient).await?, after, after.state.entry_at)),
            _ => None,
        };
        changed.map(|places| put_item(places.overwrite(&self.tables.recipients, recipient))).transpose()
    }

    async fn is_stored(&self, new: &NewAlert) -> Result<bool, CallError> {
        let key = alert_key(&new.about, &new.alert.id);
        Ok(self.calls.get(&self.tables.events, key).await?.is_some())
    }

    /// The alert's row, and the entry by which the tick publishes it.
    fn alert_puts(&self, new: &NewAlert, now: UnixMillis) -> Result<[TransactWriteItem; 2], CallError> {
        let NewAlert { about, alert, expires_at } = new;
        let payload = serde_json::to_string(alert).map_err(|error| CallError::Permanent(error.to_string()))?;
        let mut item: Item = alert_key(about, &alert.id);
        for (name, value) in [
            ("kind", text("alert")),
            ("payload", text(payload)),
            ("carrier", text(CARRIER)),
            ("claimed_at", number(now.0)),
            ("expires_at", number(expires_at.seconds())),
        ] {
            item.insert(name.to_owned(), value);
        }
        let absent = UpdateExpression { condition: Some(NOT_THERE), ..UpdateExpression::default() };
        let attributes = [("about", text(about)), ("alert", text(&alert.id))];
        let entry = AgendaEntry::new(AgendaKind::Publish, now, &alert.id, &attributes);
        Ok([put_item(absent.put_in_transaction(&self.tables.events, item))?, put_entry(&self.tables.agenda, &entry)?])
    }
}

/// Returns the places with that of a follow-up at `at`.
pub(super) fn with_place(places: &Followups, row: &FollowupRow, at: UnixMillis) -> Followups {
    places.with(&ProposedFollowup { at, email_id: row.email_id.clone(), id: row.decision.clone() })
}

fn put_entry(agenda: &str, entry: &AgendaEntry) -> Result<TransactWriteItem, CallError> {
    put_item(entry.put_in(agenda))
}

/// An alert in the partition of the email.
fn about_email(row: &FollowupRow, alert: Alert) -> NewAlert {
    NewAlert { about: row.email_id.clone(), alert, expires_at: row.expires_at }
}

/// An alert in a partition of its name: which follow-up comes first is random.
fn about_name(alert: Alert, now: UnixMillis) -> NewAlert {
    let name = alert.figures.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
    let about = match alert.kind {
        AlertKind::SendFailed => format!("send_failed#{name}"),
        kind => kind.as_str().to_owned(),
    };
    NewAlert { about, alert, expires_at: now.plus(days(ALERT_DAYS)) }
}
