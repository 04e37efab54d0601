//! Contacts that opted out through a link: act unsubscribes them at Resend too.

use std::time::Duration;

use tokio::time::Instant;

use super::ActActivity;
use super::run::Run;
use crate::aws::CallError;
use crate::policy::followup::sending::{PushMeaning, email_answer, push_answer};
use crate::store::agenda::{AgendaEntry, AgendaKind};
use crate::time::{UnixMillis, hours, minutes};

/// Maximum time for contacts in a run: half of it.
const BUDGET: Duration = Duration::from_secs(25);

/// Number of failures in a row after which the rest is left to a later run.
const MAX_FAILURES: u32 = 3;

/// Time until a contact that failed is tried again.
const LATER: Duration = minutes(10);

/// Time for which pushes rest after the key was refused.
const KEY_REST: Duration = hours(1);

impl Run<'_> {
    /// Unsubscribes these contacts at Resend, as far as time allows. An entry stays until it is done.
    pub(super) async fn push(&mut self, entries: Vec<AgendaEntry>) -> Result<(), CallError> {
        if entries.is_empty() {
            return Ok(());
        }
        let Some(key) = self.requests.key().await else { return Ok(()) };
        let last = self.time.last_request().min(Instant::now() + BUDGET);
        let mut failures = 0;
        for entry in entries {
            if failures >= MAX_FAILURES || !self.requests.rate.wait(last).await || Instant::now() >= last {
                break;
            }
            let response = self.requests.unsubscribe_contact(&key, &entry.key).await;
            let done = match push_answer(&response) {
                meaning @ (PushMeaning::Done | PushMeaning::NoContact) => {
                    failures = 0;
                    self.record(ActActivity::Pushed);
                    self.finish(&entry, meaning == PushMeaning::NoContact).await
                }
                PushMeaning::Key => {
                    let answer = email_answer(&response);
                    tracing::error!(
                        answer = answer.name,
                        "the API key may not unsubscribe contacts: an hour's rest; see ACT_KEYS_ARN"
                    );
                    self.record(ActActivity::PushRefused);
                    let until = UnixMillis::now().plus(KEY_REST);
                    self.lock.rest_pushes(until).await?;
                    let now = self.time.now();
                    return self.store.alert_key(&answer.name, answer.status, self.waiting, now).await;
                }
                PushMeaning::Later => {
                    failures += 1;
                    self.postpone(&entry).await
                }
            };
            if let Err(error) = done {
                self.pass_over(error);
            }
        }
        Ok(())
    }

    /// Deletes an entry that is done. A recipient without a contact is counted: after a crash in between, not.
    async fn finish(&self, entry: &AgendaEntry, is_missing: bool) -> Result<(), CallError> {
        self.agenda.delete(entry).await?;
        if is_missing { self.lock.count_missing_contact().await } else { Ok(()) }
    }

    /// Puts the entry of a later try, and then deletes this one: after a crash in between there are two, and the contact
    /// is unsubscribed twice.
    async fn postpone(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let later = AgendaEntry::new(AgendaKind::Push, self.time.now().plus(LATER), &entry.key, &[]);
        self.agenda.put(&later).await?;
        self.agenda.delete(entry).await
    }
}
